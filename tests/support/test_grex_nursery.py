"""A forked `grex` is like one that was started: what it says, what it leaves, and how others see it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from grex.locks.processes import command_summary
from tests.support import grex_nursery
from tests.support.git_server import GitServer
from tests.support.nursery import Forked
from tests.support.running import Gate, Running
from tests.support.workspace import Run, Workspace, pack_yaml

CALLS = (
    ("sync", "--json"),
    ("sync",),
    ("status",),
    ("exec", "--", "sh", "-c", "echo in $PWD; echo said >&2; exit 3"),
    ("sync", "nobody"),
    ("no-such-verb",),
    ("--version",),
    ("--help",),
    ("schema", "sync"),
)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every call starts a Python of its own."""
    monkeypatch.setattr(grex_nursery, "_at_start", lambda env: {"is": str(id(env))})


def everything(base: Path) -> tuple[list[tuple[int, str, str]], set[str]]:
    """What some calls say, in a workspace with a pack that installs, and which files there are afterwards."""
    server = GitServer(base / "up")
    actions = [{"mkdir": {"path": "~/made"}}]
    server.create("a", {".grex/pack.yaml": pack_yaml("a", "declarative", actions=actions), "f": "1"})
    workspace = Workspace(base)
    workspace.declare({"url": server.url("a")})
    workspace.environ["GREX_TRUST"] = server.root.as_uri()
    runs = [workspace.grex(*call, expect=None) for call in CALLS]
    made = {str(path.relative_to(base)) for top in (workspace.root, workspace.home) for path in top.rglob("*")}
    return [_comparable(run, base) for run in runs], {path for path in made if ".git/" not in path}


def _comparable(run: Run, base: Path) -> tuple[int, str, str]:
    said = [
        re.sub(r"_s\": [\d.]+|[\d.]+ s\b|[0-9a-f]{40}|[0-9a-f]{7,12}\b", "<varies>", text)
        for text in (run.stdout, run.stderr)
    ]
    out, err = (text.replace(str(base), "<base>") for text in said)
    return run.code, out, err


def test_both_say_and_do_the_same(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    forked = everything(tmp_path / "one")
    request.getfixturevalue("started")
    assert everything(tmp_path / "two") == forked
    assert {"ws/a/f", "ws.home/made", "ws/grex.lock.jsonl"} <= forked[1]
    assert [code for code, *_ in forked[0]] == [0, 0, 0, 4, 2, 2, 0, 0, 0]


def test_it_is_forked_where_python_starts_alike_and_started_otherwise(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    for environ, kind in (({"GREX_JOBS": "2"}, Forked), ({"PYTHONUTF8": "1"}, subprocess.Popen)):
        with (tmp_path / "out").open("w+b") as out:
            streams = (out.fileno(),) * 3
            env = workspace.environ | environ
            process = grex_nursery.start(["--version"], cwd=tmp_path, env=env, streams=streams)
            assert process.wait(20) == 0
            assert isinstance(process, kind)
        assert (tmp_path / "out").read_text().startswith("grex ")


@pytest.fixture
def gated(tmp_path: Path) -> tuple[Workspace, Gate, tuple[str, ...]]:
    """A workspace with a pack, a gate, and a call that stands at it."""
    gate, workspace, server = Gate(tmp_path / "gate"), Workspace(tmp_path), GitServer(tmp_path / "up")
    server.create("a", {"f": "1"})
    workspace.declare({"url": server.url("a")})
    workspace.sync()
    return workspace, gate, ("exec", "a", "--", "sh", "-c", gate.script())


def test_others_see_the_command_and_its_directory_and_ctrl_c_ends_it(
    gated: tuple[Workspace, Gate, tuple[str, ...]],
) -> None:
    workspace, gate, call = gated
    with Running(workspace, *call) as run:
        gate.wait_entered()
        assert command_summary(run.pid) == "grex exec"
        assert Path(f"/proc/{run.pid}/cwd").readlink() == workspace.root
        ignored = re.search(r"^SigIgn:\s*(\w+)$", Path(f"/proc/{run.pid}/status").read_text(), re.MULTILINE)
        assert ignored is not None
        assert not int(ignored[1], 16) & (1 << signal.SIGINT - 1 | 1 << signal.SIGQUIT - 1)
        assert not run.has_ended
        os.kill(run.pid, signal.SIGINT)
        run.finish(expect=130)


def test_one_that_does_not_end_is_killed(gated: tuple[Workspace, Gate, tuple[str, ...]]) -> None:
    workspace, gate, call = gated
    with pytest.raises(subprocess.TimeoutExpired):
        grex_nursery.run(call, cwd=workspace.root, env=workspace.environ, timeout_s=1.0)
    gate.open()  # for the command, which has lost its parent
