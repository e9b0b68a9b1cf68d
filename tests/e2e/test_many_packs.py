"""Two hundred packs: how many git processes they cost, and that doing nothing changes nothing.

The hazard: starting git dominates the cost of every tool of this kind. A clone of a file URL is one process; what is
pinned and present is decided from files. And a run with nothing to do that touches a file wakes every build system,
backup and watcher that looks at the workspace.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.git_server import GitServer, git
from tests.support.workspace import Workspace

MANY = 200


def git_processes(trace: Path) -> Counter[str]:
    """How many git processes each pack cost."""
    events = json.loads(trace.read_text())
    return Counter(event["args"]["pack"] for event in events if event["ph"] == "X" and event["cat"] == "git")


def stamps(workspace: Workspace) -> dict[str, tuple[int, ...]]:
    """Inode, mode, size and time of everything in the workspace and in the home, git directories included.

    Left out: lock files, into which every holder writes its name, and so the times of the directories they lie in
    do not change either.
    """
    found: dict[str, tuple[int, ...]] = {}
    for top in (workspace.root, workspace.home):
        for directory, names, files in os.walk(top):
            for name in (*names, *files):
                if not name.endswith((".lock", "grex-lock")):
                    path = Path(directory, name)
                    status = path.lstat()
                    found[str(path)] = (status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns)
    return found


def make_many(server: GitServer, base: Path, count: int, ref: dict[str, Any]) -> Workspace:
    """A workspace that has one small upstream at so many paths."""
    server.create("small", {"file": "1\n", "directory/other": "2\n"})
    server.tag("small", "v1", annotated=True)
    workspace = Workspace(base)
    workspace.declare(*({"url": server.url("small"), "path": f"group-{n % 7}/p{n:03}", **ref} for n in range(count)))
    return workspace


def bring_all(workspace: Workspace, server: GitServer, trace: Path, count: int) -> None:
    """Clone everything: every pack is right, and cost one git process."""
    run = workspace.sync("--trace", trace)
    sha = git(server.path("small"), "rev-parse", "v1^{commit}")
    assert [pack["status"] for pack in run.packs.values()] == ["cloned"] * count
    assert {line["sha"] for line in workspace.locked().values()} == {sha}
    assert git_processes(trace) == Counter(run.packs.keys())
    for pack in run.packs:
        assert (workspace / pack / "file").read_text() == "1\n"
        assert (workspace / pack / "directory/other").read_text() == "2\n"


def check_nothing_to_do(workspace: Workspace, trace: Path, count: int) -> None:
    """A run with nothing to do starts no git, says so, and changes no byte and no time."""
    before = stamps(workspace)
    run = workspace.sync("--trace", trace)
    assert [pack["status"] for pack in run.packs.values()] == ["unchanged"] * count
    assert not run.document["lockfile_changed"]
    assert git_processes(trace) == Counter()
    assert stamps(workspace) == before


@pytest.mark.parametrize("ref", [{"ref": "v1"}, {"ref": "main"}, {}], ids=["tag", "branch", "head"])
def test_a_clone_is_one_git_process_and_nothing_to_do_is_none(
    server: GitServer, tmp_path: Path, ref: dict[str, Any]
) -> None:
    workspace = make_many(server, tmp_path, 5, ref)
    bring_all(workspace, server, tmp_path / "cold.trace", 5)
    check_nothing_to_do(workspace, tmp_path / "nothing.trace", 5)


def test_what_is_pinned_to_a_commit_needs_neither_git_nor_the_server(server: GitServer, tmp_path: Path) -> None:
    server.create("small", {"file": "1\n"})
    sha = git(server.path("small"), "rev-parse", "main")
    workspace = Workspace(tmp_path)
    workspace.declare({"url": server.url("small"), "ref": sha})
    workspace.sync()
    server.path("small").rename(tmp_path / "unplugged")
    check_nothing_to_do(workspace, tmp_path / "nothing.trace", 1)


@pytest.mark.slow
def test_two_hundred_packs_cost_one_git_process_each_and_none_when_there_is_nothing_to_do(
    server: GitServer, tmp_path: Path
) -> None:
    workspace = make_many(server, tmp_path, MANY, {"ref": "v1"})
    bring_all(workspace, server, tmp_path / "cold.trace", MANY)
    check_nothing_to_do(workspace, tmp_path / "nothing.trace", MANY)
    assert workspace.grex("status").stdout == f"Clean: {MANY} packs, all as declared.\n"
