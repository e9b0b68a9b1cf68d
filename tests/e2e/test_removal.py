"""`grex rm`, `sync --prune`, `sync --force` and `doctor` as a user types them; everything else is tested in process."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.git_server import GitServer, git
from tests.support.workspace import Workspace, pack_yaml

pytestmark = pytest.mark.slow  # whole runs of the program; what they show in small is shown below


@pytest.fixture
def made(server: GitServer, tmp_path: Path) -> Workspace:
    """A workspace of a pack that owns another one."""
    server.create("inner", {"i": "1\n"})
    child = {"url": server.url("inner"), "path": "deps/inner"}
    server.create("tool", {".grex/pack.yaml": pack_yaml("tool", children=[child])})
    workspace = Workspace(tmp_path)
    workspace.grex("init")
    workspace.grex("add", server.url("tool"))
    return workspace


def test_a_pack_goes_to_the_trash_and_comes_back_as_the_text_says(made: Workspace, server: GitServer) -> None:
    before = (made / ".grex/pack.yaml").read_text()
    planned = made.grex("rm", "tool", "--dry-run").stdout
    assert "planned      tool: move it to the trash" in planned
    (made / "tool/deps/inner/i").write_text("mine")
    kept = made.grex("rm", "tool", expect=4).stdout
    assert "kept         tool/deps/inner: it has edited files: i" in kept
    assert "hint: Commit and push, or take it elsewhere; `grex rm --force`" in kept
    removed = made.grex("rm", "tool", "--force", "--skip-teardown").stdout
    (command,) = [line.split("`")[1] for line in removed.splitlines() if "brings them back" in line]
    stamps = command.split()[3::2]
    assert len(stamps) == 2
    assert "undeclared   tool: its entry in the root's pack.yaml is gone." in removed
    listed = made.grex("doctor", "--trash").stdout
    assert all(stamp in listed for stamp in stamps)
    assert made.grex(*command.split()[1:]).stdout.count("is where it was") == 2
    assert (made / ".grex/pack.yaml").read_text() == before
    assert (made / "tool/deps/inner/i").read_text() == "mine"
    git(made / "tool/deps/inner", "checkout", "--quiet", "i")
    made.declare()
    assert "hint: `grex sync --prune` moves what nobody declares to the trash." in made.grex("sync").stdout
    assert "removed      tool/deps/inner: in the trash" in made.grex("sync", "--prune").stdout
    assert "2 old entries left the trash for good." in made.grex("doctor", "--keep-days", "0").stdout
    assert made.grex("doctor", "--trash").stdout == "The trash is empty.\n"
    (made / "tool").write_text("mine")
    made.declare({"url": server.url("tool")})
    assert "what was there is in the trash" in made.grex("sync", "--force").stdout
    assert "forgotten" in made.grex("rm", "tool", "--keep-files").stdout
    assert made.grex("doctor").stdout == "Nothing is out of order.\n"
    (made / ".grex/config.toml").write_text("[trash]\nkeep_days = 0\n")
    assert "1 old entry left the trash for good." in made.grex("sync").stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "where", "nth", "then"),
    [
        (["rm", "tool"], "grex.engine.trash:Trash.put_away", 1, ["rm", "tool"]),
        (["rm", "tool"], "grex.verbs.rm:take_out", 1, ["sync"]),
        (["doctor", "--restore"], "grex.engine.restoring:_move", 1, ["sync"]),
    ],
    ids=["moved", "undeclared", "restored"],
)
def test_a_real_process_that_is_killed_in_between_is_finished_by_the_next(
    made: Workspace, arguments: list[str], where: str, nth: int, then: list[str]
) -> None:
    if arguments[0] == "doctor":
        made.grex("rm", "tool")
        arguments = [*arguments, max(path.name for path in (made / ".grex/trash").glob("*Z"))]
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.die_at", where, "after", str(nth), *arguments],
        cwd=made.root,
        env=made.environ | {"PYTHONPATH": ":".join(path for path in sys.path if path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
        text=True,
    )
    assert done.returncode == -signal.SIGKILL, done
    made.grex(*then)
    again = made.grex("sync", "--json").document
    assert (again["undeclared"], again["recovered"], again["lockfile_changed"]) == ([], [], False)
    is_back = arguments[0] == "doctor"
    assert (made / "tool/.git").is_dir() is is_back
    assert ("tool" in made.locked()) is is_back
    assert ("url" in (made / ".grex/pack.yaml").read_text()) is is_back
