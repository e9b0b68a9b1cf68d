"""Two workspaces that share one checkout through a symlink: what two syncs do to it never overlaps.

The hazard: WORKSPACE keeps two syncs of one workspace apart, and nothing of it protects a checkout that two workspaces
reach. PACK is the same for both because it is a lock on an inode, BACKEND because it lies beside the real directory.
Judged from the lock trace of both, and from the git slices of their traces.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.git_server import GitServer, git
from tests.support.lock_trace_checker import check_file
from tests.support.running import Gate, Running
from tests.support.workspace import Workspace

pytestmark = pytest.mark.slow  # whole runs of the program; what they show in small is shown below

WRITING = ("clone", "fetch", "checkout", "merge", "reset", "update-ref", "read-tree", "switch", "symbolic-ref")


@dataclass
class Shared:
    """Two workspaces, and one directory that a link in each of them leads to."""

    server: GitServer
    first: Workspace
    second: Workspace
    real: Path
    trace: Path

    def sync_both(self, number: int) -> None:
        """Start a sync of each at the same time; both have to succeed, and what they did must not overlap."""
        traces = [self.trace.with_name(f"{number}-{which}.trace") for which in ("first", "second")]
        runs = [
            Running(workspace, "sync", "--json", "--trace", trace, GREX_LOCK_TRACE=str(self.trace))
            for workspace, trace in zip((self.first, self.second), traces, strict=True)
        ]
        try:
            for run in runs:
                run.finish()
        finally:
            for run in runs:
                run.__exit__(None, None, None)
        sha = git(self.server.path("shared"), "rev-parse", "main")
        assert git(self.real, "rev-parse", "HEAD") == sha
        assert git(self.real, "status", "--porcelain") == ""
        git(self.real, "fsck", "--strict", "--no-dangling")
        for workspace in (self.first, self.second):
            assert (workspace / "shared").is_symlink()
            assert workspace.locked()["shared"]["sha"] == sha
            assert git(workspace / "own", "status", "--porcelain") == ""
        assert_no_overlap(*traces)
        assert check_file(self.trace).findings == []
        assert [path.name for path in self.real.parent.glob(".grex-tmp-*")] == []


def slices(trace: Path) -> list[dict[str, Any]]:
    """The slices of a trace."""
    return [event for event in json.loads(trace.read_text()) if event["ph"] == "X"]


def assert_no_overlap(one: Path, other: Path) -> None:
    """No git of one process works on the shared checkout while the other process holds it or runs git there."""
    mine, theirs = (
        [(found["ts"], found["ts"] + found["dur"], found) for found in slices(trace) if is_operation(found)]
        for trace in (one, other)
    )
    assert mine
    assert theirs
    for start, end, found in mine:
        for other_start, other_end, other_found in theirs:
            assert end <= other_start or other_end <= start, (found, other_found)


def is_operation(found: dict[str, Any]) -> bool:
    """Whether the slice is the hold of the shared pack, or of its checkout, or a git that works there."""
    return found["args"].get("pack") == "shared" and (
        found["name"].startswith(("PACK", "BACKEND"))
        or (found["cat"] == "git" and found["args"]["argv"].split()[1] in WRITING)
    )


def make_shared(server: GitServer, base: Path, target: str) -> Shared:
    """Both workspaces, each with a pack of its own besides; `target` is `missing` or `empty`."""
    base.mkdir()
    real = base / "real" / "checkout"
    real.parent.mkdir()
    if target == "empty":
        real.mkdir()
    first, second = Workspace(base, "first"), Workspace(base, "second")
    for workspace in (first, second):
        workspace.declare({"url": server.url("shared"), "ref": "main"}, {"url": server.url("own")})
        (workspace / "shared").symlink_to(real)
    return Shared(server, first, second, real, trace=base / "locks.jsonl")


@pytest.fixture
def upstream(server: GitServer) -> GitServer:
    """The shared repository and another one."""
    server.create("shared", {f"dir-{number}/file": f"{number}\n" for number in range(20)})
    server.create("own", {"file": "1\n"})
    return server


def play(upstream: GitServer, base: Path, target: str, rounds: int) -> None:
    """Cold first, then with news; a file of the user's stays where it is."""
    shared = make_shared(upstream, base, target)
    shared.sync_both(0)
    (shared.real / "users-own").write_text("keep\n")
    with (shared.real / ".git/info/exclude").open("a") as exclude:
        exclude.write("users-own\n")
    for number in range(1, rounds + 1):
        upstream.commit("shared", {f"dir-{number % 20}/file": f"{number}, again\n", f"new-{number}": "\n"})
        shared.sync_both(number)
    assert (shared.real / "users-own").read_text() == "keep\n"


@pytest.mark.parametrize("target", ["missing", "empty"])
def test_two_workspaces_that_share_a_checkout_never_work_on_it_at_once(
    upstream: GitServer, tmp_path: Path, target: str
) -> None:
    play(upstream, tmp_path / target, target, rounds=1)


def test_a_killed_clone_through_a_link_leaves_nothing_behind_after_the_next_sync(
    upstream: GitServer, tmp_path: Path
) -> None:
    """The temporary directory of the clone lies outside of the workspace, beside the place that the link leads to."""
    gate = Gate(tmp_path / "gate")
    ssh = tmp_path / "ssh"  # git calls it with options, the host, and the command for the other side
    ssh.write_text(gate.script('for command; do :; done; [ -e "$0.open" ] && exec sh -c "$command"'))
    ssh.chmod(0o755)
    workspace = Workspace(tmp_path)
    workspace.environ["GIT_SSH_COMMAND"] = str(ssh)
    workspace.declare({"url": f"ssh://here{upstream.path('shared')}", "path": "shared"})
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (workspace / "shared").symlink_to(elsewhere / "checkout")
    with Running(workspace, "sync") as run:
        gate.wait_entered()
        assert len(list(elsewhere.glob(".grex-tmp-*"))) == 1
        run.kill_with_children()
    ssh.with_name("ssh.open").touch()
    assert workspace.sync().packs["shared"]["status"] == "cloned"
    assert sorted(path.name for path in elsewhere.iterdir()) == [".checkout.grex-backend.lock", "checkout"]
    assert git(elsewhere / "checkout", "status", "--porcelain") == ""
    assert list((workspace / ".grex/state").iterdir()) == []


def test_a_link_that_leads_to_itself_or_far_away_is_left_alone(upstream: GitServer, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.declare(*({"url": upstream.url("own"), "path": name} for name in ("loop", "far", "good")))
    (workspace / "loop").symlink_to("loop")
    (workspace / "far").symlink_to(tmp_path / "not/mounted")
    packs = workspace.sync(expect=4).packs
    assert [packs[name]["status"] for name in ("loop", "far", "good")] == ["left", "left", "cloned"]
    assert not (tmp_path / "not").exists()
    assert (workspace / "loop").readlink() == Path("loop")


@pytest.mark.exhaustive
@pytest.mark.parametrize("target", ["missing", "empty"])
def test_two_workspaces_share_a_checkout_again_and_again(upstream: GitServer, tmp_path: Path, target: str) -> None:
    for number in range(4):
        play(upstream, tmp_path / f"{target}-{number}", target, rounds=2)


def test_a_clone_that_another_workspace_is_moving_in_is_waited_for(upstream: GitServer, tmp_path: Path) -> None:
    """Between the first entry and `.git` the place looks like a stranger's directory, but for the lock that is held."""
    shared = make_shared(upstream, tmp_path / "moving", "empty")
    (shared.real / "half").write_text("moved in already\n")
    holding = ["flock", str(shared.real / ".grex-lock"), "sh", "-c", "echo held; cat"]
    with subprocess.Popen(holding, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with Running(shared.first, "sync") as run:
            run.wait_for("waiting")
            (shared.real / "half").unlink()
            other.stdin.close()
            run.finish(expect=0)
    assert (shared.real / "dir-0/file").read_text() == "0\n"


def test_a_directory_with_a_lock_file_and_no_clone_under_way_is_left_alone(upstream: GitServer, tmp_path: Path) -> None:
    shared = make_shared(upstream, tmp_path / "left", "empty")
    (shared.real / "mine").write_text("keep\n")
    (shared.real / ".grex-lock").touch()
    assert shared.first.sync(expect=4).packs["shared"]["code"] == "directory-in-the-way"
    assert (shared.real / "mine").read_text() == "keep\n"
