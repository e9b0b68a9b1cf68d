"""Ctrl-C and SIGTERM in the middle of work: of a clone, of a checkout, of a hook, of a wait for a lock.

The hazards: processes that go on after grex has said that it stopped; something that looks like a pack and is none; a
lock that stays taken; a bracket of the log that stays open, so that nobody knows whether the action still runs.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from grex.manifest import Log, fold
from tests.support.crash_scenario import leftovers
from tests.support.git_server import GitServer, git
from tests.support.killing import Started, eventually, flock_is_free, start
from tests.support.processes import alive
from tests.support.slow_git import HeldFilter, SlowTransport
from tests.support.workspace import Workspace, pack_yaml

WITHIN_S = 1.0
WAYS = [
    pytest.param(signal.SIGINT, False, id="SIGINT-to-grex"),
    pytest.param(signal.SIGINT, True, id="SIGINT-to-the-foreground-group"),
    pytest.param(signal.SIGTERM, False, id="SIGTERM-to-grex"),
    pytest.param(signal.SIGHUP, False, id="SIGHUP-to-grex"),
]
STUBBORN_HOOK = """#!/bin/sh
[ -e "$MARKS/released" ] && exit 0
trap '' TERM INT HUP
(
    trap '' TERM INT HUP
    sh -c 'echo $PPID' > "$MARKS/grandchild.tmp" && mv "$MARKS/grandchild.tmp" "$MARKS/grandchild"
    while :; do sleep 1; done
) &
while [ ! -e "$MARKS/grandchild" ]; do sleep 0.01; done
: > "$MARKS/started"
while :; do sleep 1; done
"""


@pytest.fixture(autouse=True)
def signals_are_heard() -> Generator[None]:
    """Tests that run under nohup ignore SIGHUP, and in the background of a script SIGINT; so would what they start."""
    hangup = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGHUP, hangup)
    signal.signal(signal.SIGINT, interrupt)


@pytest.fixture
def server(tmp_path: Path) -> GitServer:
    return GitServer(tmp_path / "server")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def stop(grex: Started, signum: signal.Signals, *, whole_group: bool) -> str:
    """Interrupt, and insist on a quick and complete end; gives what was said on standard error."""
    before = time.monotonic()
    grex.interrupt(signum, whole_group=whole_group)
    run = grex.result()
    took_s = time.monotonic() - before
    assert grex.family() == []
    assert run.code == 128 + signum, run
    assert "Traceback" not in run.stderr
    assert took_s < WITHIN_S
    return run.stderr


def assert_locks_are_free(workspace: Workspace) -> None:
    names = (".grex.sync.lock", ".grex.jsonl.lock", ".grex-lock", "grex-lock")
    files = [path for path in workspace.root.rglob("*lock") if path.name in names or "backend" in path.name]
    assert len(files) >= 2
    assert [path for path in files if not flock_is_free(path)] == []


def halted(workspace: Workspace) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in workspace.log.read_text().splitlines()]
    return [line for line in lines if line["op"] == "action_halted"]


@pytest.mark.parametrize(("signum", "whole_group"), WAYS)
def test_a_clone_that_is_interrupted_leaves_nothing_and_the_next_sync_completes_it(
    server: GitServer, workspace: Workspace, tmp_path: Path, signum: signal.Signals, whole_group: bool
) -> None:
    server.create("big", {"data": "".join(str(number * 7919 % 100_003) for number in range(60_000))})
    slow = SlowTransport(tmp_path / "ssh", workspace, ignores_term=signum == signal.SIGTERM)
    workspace.declare({"url": slow.url(server.path("big")), "path": "libs/big"})
    with start(workspace, "sync") as grex:
        slow.wait()
        assert len(grex.children()) >= 3  # git, its index-pack, and the transport
        stop(grex, signum, whole_group=whole_group)
    assert not (workspace / "libs").exists() or not list(workspace.root.rglob(".git"))
    assert leftovers(workspace) == []
    assert not (workspace / "libs/big").exists()
    assert_locks_are_free(workspace)
    slow.release()
    assert workspace.sync().packs["libs/big"]["status"] == "cloned"


def test_an_add_that_is_interrupted_declares_nothing_and_leaves_nothing(
    server: GitServer, workspace: Workspace, tmp_path: Path
) -> None:
    server.create("big", {"data": "".join(str(number * 7919 % 100_003) for number in range(60_000))})
    slow = SlowTransport(tmp_path / "ssh", workspace)
    workspace.declare()
    workspace.sync()
    before = workspace.snapshot()
    with start(workspace, "add", slow.url(server.path("big")), "libs/big") as grex:
        slow.wait()
        assert "run it again if the pack is not declared yet" in stop(grex, signal.SIGINT, whole_group=False)
    after = workspace.snapshot()
    assert {path for path in after if before.get(path) != after[path]} <= {"ws/.grex/state", "ws/libs"}
    assert not (workspace / "libs/big").exists()
    assert_locks_are_free(workspace)
    slow.release()
    workspace.grex("add", slow.url(server.path("big")), "libs/big")
    assert git(workspace / "libs/big", "status", "--porcelain") == ""


@pytest.mark.parametrize(("signum", "whole_group"), WAYS)
def test_a_hook_that_ignores_every_polite_signal_is_ended_with_its_grandchild_and_its_bracket_closed(
    server: GitServer, workspace: Workspace, tmp_path: Path, signum: signal.Signals, whole_group: bool
) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    workspace.environ |= {"MARKS": str(marks), "GREX_TRUST": server.root.as_uri()}
    server.create("hooked", {".grex/pack.yaml": pack_yaml("hooked", "scripted"), ".grex/hooks/setup.sh": STUBBORN_HOOK})
    workspace.declare({"url": server.url("hooked"), "path": "hooked"})
    with start(workspace, "sync") as grex:
        eventually((marks / "started").exists, "the hook")
        grandchild = int((marks / "grandchild").read_text())
        assert alive(grandchild)
        stop(grex, signum, whole_group=whole_group)
        assert not alive(grandchild)
    assert_locks_are_free(workspace)
    assert leftovers(workspace) == []
    assert [line["reason"] for line in halted(workspace)] == ["cancelled"]
    record = fold(Log(workspace.log, workspace / "trash").read().events).packs["hooked"]
    assert (record.open_brackets, record.installed) == ((), None)
    (marks / "released").touch()
    assert workspace.sync().packs["hooked"]["install"]["status"] == "installed"


@pytest.mark.parametrize(("signum", "whole_group"), WAYS)
def test_a_checkout_that_is_interrupted_is_mended_and_finished_by_the_next_sync(
    server: GitServer, workspace: Workspace, tmp_path: Path, signum: signal.Signals, whole_group: bool
) -> None:
    server.create("app", {"early.txt": "1\n", "held.txt": "1\n", "late.txt": "1\n", "kept.txt": "1\n"})
    workspace.declare({"url": server.url("app"), "path": "app"})
    workspace.sync()
    (workspace / "app/kept.txt").write_text("the user's\n")
    sha = server.commit(
        "app", {".gitattributes": HeldFilter.ATTRIBUTES, "early.txt": "2\n", "held.txt": "2\n", "late.txt": None}
    )
    held = HeldFilter(tmp_path / "filter", workspace)
    with start(workspace, "sync") as grex:
        held.wait()
        stop(grex, signum, whole_group=whole_group)
    assert_locks_are_free(workspace)
    assert (workspace / "app/.git/grex/note.json").exists()
    held.release()
    pack = workspace.sync().packs["app"]
    assert (pack["status"], pack["new"]) == ("moved", sha)
    assert git(workspace / "app", "status", "--porcelain") == " M kept.txt"
    assert (workspace / "app/kept.txt").read_text() == "the user's\n"
    assert leftovers(workspace) == []


def test_a_wait_for_the_workspace_is_interrupted_and_holds_nothing_afterwards(workspace: Workspace) -> None:
    workspace.declare()
    workspace.sync()
    lock = workspace / ".grex.sync.lock"
    command = ["flock", str(lock), "sh", "-c", "echo held; exec sleep 60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            with start(workspace, "sync") as grex:
                assert grex.process.stderr is not None
                assert "waiting" in grex.process.stderr.readline()
                stop(grex, signal.SIGINT, whole_group=False)
        finally:
            os.killpg(holder.pid, signal.SIGKILL)
    assert_locks_are_free(workspace)


def test_a_second_and_a_third_ctrl_c_do_not_tear_the_end(
    server: GitServer, workspace: Workspace, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    workspace.environ |= {"MARKS": str(marks), "GREX_TRUST": server.root.as_uri()}
    server.create("hooked", {".grex/pack.yaml": pack_yaml("hooked", "scripted"), ".grex/hooks/setup.sh": STUBBORN_HOOK})
    workspace.declare({"url": server.url("hooked"), "path": "hooked"})
    with start(workspace, "sync") as grex:
        eventually((marks / "started").exists, "the hook")
        grex.interrupt(signal.SIGINT)
        grex.interrupt(signal.SIGINT)
        stop(grex, signal.SIGINT, whole_group=True)
    assert [line["reason"] for line in halted(workspace)] == ["cancelled"]
    assert_locks_are_free(workspace)


@pytest.mark.parametrize("module", ["grex.errors", "grex.cli.call", "grex.verbs.sync"])
def test_ctrl_c_while_grex_is_still_being_imported_is_no_traceback(workspace: Workspace, module: str) -> None:
    workspace.declare()
    command = workspace.command("sync")
    # An import that is torn leaves the interpreter's own file to its collector; only a strict run speaks of that.
    del workspace.environ["PYTHONWARNINGS"]
    with Started([command[0], "-X", "importtime", *command[1:]], workspace, {}) as grex:
        assert grex.process.stderr is not None
        while (line := grex.process.stderr.readline()) and not line.rstrip().endswith(f" {module}"):
            pass
        grex.interrupt(signal.SIGINT)
        run = grex.result()
    assert "Traceback" not in run.stderr
    assert run.code in (130, -signal.SIGINT)  # Python ends by the signal itself where it caught it in an import
