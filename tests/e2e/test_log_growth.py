"""The log of a workspace that is synced every day does not grow for ever, and says the same after it was rewritten."""

from __future__ import annotations

from pathlib import Path

from grex.manifest import LARGE_LOG_BYTES, Log, fold, render_line, sync_event
from tests.support.git_server import GitServer
from tests.support.workspace import Workspace


def grow(workspace: Workspace, sha: str) -> None:
    line = render_line(sync_event("app", sha=sha, branch="main"))
    with workspace.log.open("ab") as log:
        log.write(line * (LARGE_LOG_BYTES // len(line) + 1))


def test_a_log_that_is_mostly_history_is_rewritten_by_the_run_that_adds_to_it(
    server: GitServer, tmp_path: Path
) -> None:
    workspace = Workspace(tmp_path)
    server.create("app", {"a": "1\n"})
    workspace.declare({"url": server.url("app"), "path": "app"})
    workspace.sync()
    grow(workspace, workspace.locked()["app"]["sha"])
    size = workspace.log.stat().st_size
    workspace.sync()
    assert workspace.log.stat().st_size == size, "a run with nothing to record leaves the log alone"
    sha = server.commit("app", {"a": "2\n"})
    workspace.sync()
    assert workspace.log.stat().st_size < 1000
    found = fold(Log(workspace.log, workspace.root / ".grex/trash").read().events).packs["app"]
    assert (found.sha, found.branch, found.owned) == (sha, "main", True)
    workspace.sync()
