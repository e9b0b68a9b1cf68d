"""`grex fork` by the command line, and forks and their workspace at work at once: nothing collides, nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from grex.exclude import read_block
from grex.verbs.documents import DOCUMENTS
from tests.support.git_server import GitServer, git
from tests.support.lock_trace_checker import check_file
from tests.support.workspace import Run, Workspace, pack_yaml

ROUNDS = 5
PACKS = ("a", "a/in", "b")


def made(tmp_path: Path) -> tuple[GitServer, Workspace]:
    """A workspace with a repository of its own, in which `a` declares the pack `a/in`."""
    server = GitServer(tmp_path / "up")
    server.create("in", {"file": "1\n"})
    server.create("a", {"file": "1\n", ".grex/pack.yaml": pack_yaml("a", children=[{"url": server.url("in")}])})
    server.create("b", {"file": "1\n"})
    workspace = Workspace(tmp_path)
    workspace.declare({"url": server.url("a")}, {"url": server.url("b")})
    git(workspace.root, "init", "--quiet", "--initial-branch=main")
    workspace.grex("sync", "--quiet")
    git(workspace.root, "add", ".grex/pack.yaml")
    git(workspace.root, "commit", "--quiet", "-m", "workspace")
    return server, workspace


def checked(run: Run, name: str) -> Run:
    TypeAdapter(DOCUMENTS[name]).validate_json(run.stdout)
    return run


def test_a_fork_is_made_listed_and_removed_by_the_command_line(tmp_path: Path) -> None:
    """By paths that start where the person is; `ls` and `rm` are words, and `./ls` is a directory."""
    _, workspace = made(tmp_path)
    done = checked(workspace.grex("fork", "--json", "../topic", "--branch", "topic/x", "b"), "fork")
    assert done.packs["b"]["branch"] == "topic/x"
    topic = tmp_path / "topic"
    assert "\nClean: 1 pack" in workspace.grex("status", "--fail-on-drift", cwd=topic).stdout
    (topic / "b/new").write_text("new\n")
    said = workspace.grex("fork", "ls").stdout
    assert said == f"{topic}  topic/x  ok  1 pack edited\n"
    refused = checked(workspace.grex("fork", "rm", "../topic", "--json", expect=4), "fork-rm").document
    assert [(pack["path"], pack["untracked"]) for pack in refused["packs"]] == [("b", 1)]
    assert "b: 1 untracked file" in workspace.grex("fork", "rm", ".", expect=4, cwd=topic).stdout
    gone = workspace.grex("fork", "rm", "../topic", "--force").stdout
    assert "is in .grex/trash/" in gone
    assert not topic.exists()
    assert workspace.grex("fork", "./ls", "--quiet", cwd=tmp_path, GREX_WORKSPACE=str(workspace.root)).code == 0
    listed = checked(workspace.grex("fork", "ls", "--json"), "fork-ls").document
    assert [Path(fork["directory"]).name for fork in listed["forks"]] == ["ls"]
    for wrong in (
        ("fork", "ls", "--force"),
        ("fork", "rm"),
        ("fork", "rm", "x", "--branch", "b"),
        ("fork", "y", "--force"),
    ):
        assert workspace.grex(*wrong, expect=2).stderr


class Crowd:
    """What several threads do in forks and their workspace, and what came of it."""

    def __init__(self, server: GitServer, workspace: Workspace) -> None:
        self.server, self.workspace = server, workspace
        self.committed: dict[tuple[Path, str], list[str]] = {}
        self.failed: list[str] = []

    def grex(self, *words: str, cwd: Path | None = None) -> None:
        done = self.workspace.grex(*words, cwd=cwd, expect=None)
        if done.code:
            self.failed.append(f"{cwd} {words}: {done.stdout} {done.stderr}")

    def work_in_workspace(self) -> None:
        for _ in range(ROUNDS):
            self.grex("sync")

    def work_in_fork(self, root: Path) -> None:
        for number in range(ROUNDS):
            for pack in PACKS:
                (root / pack / f"{root.name}-{number}").write_text(f"{number}\n")
                git(root / pack, "add", ".")
                git(root / pack, "commit", "--quiet", "-m", f"{root.name} {number}")
                self.committed.setdefault((root, pack), []).append(git(root / pack, "rev-parse", "HEAD"))
            self.grex("sync", cwd=root)

    def move_upstream(self) -> None:
        for number in range(ROUNDS * 2):
            for name in ("b", "in"):
                self.server.commit(name, {"file": f"up {number}\n"})

    def come_and_go(self, directory: Path) -> None:
        for _ in range(ROUNDS):
            self.grex("fork", "--quiet", str(directory))
            self.grex("fork", "rm", str(directory))

    def check_commits(self) -> None:
        for (root, pack), shas in self.committed.items():
            assert git(root / pack, "symbolic-ref", "HEAD") == f"refs/heads/grex/{root.name}"
            assert git(root / pack, "rev-list", f"-{len(shas)}", "HEAD").split() == shas[::-1]

    def check_repositories(self, forks: int) -> None:
        for pack in PACKS:
            checkout = self.workspace / pack
            git(checkout, "fsck", "--strict", "--no-dangling")
            assert git(checkout, "rev-parse", "HEAD") == git(checkout, "rev-parse", "origin/main")
            assert git(checkout, "worktree", "list").count("\n") == forks
        assert {"/a", "/b", ".grex-lock", "/grex.jsonl"} <= set(read_block(self.workspace / ".git/info/exclude"))
        assert {"/in", ".grex-lock"} <= set(read_block(self.workspace / "a/.git/info/exclude"))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_forks_and_their_workspace_commit_and_sync_at_once(tmp_path: Path) -> None:
    """Two forks, the workspace, an upstream that moves, and a fork that comes and goes, all in separate processes.

    Afterwards every commit is on the branch on which it was made, no sync has failed, every repository is whole, the
    blocks hide all that they should, and the locks were held in order and by one at a time.
    """
    server, workspace = made(tmp_path)
    trace = tmp_path / "locks.jsonl"
    workspace.environ |= {"GREX_LOCK_TRACE": str(trace)}
    crowd = Crowd(server, workspace)
    first, second = tmp_path / "x", tmp_path / "y"
    for fork in (first, second):
        workspace.grex("fork", "--quiet", str(fork))
    works: list[Callable[[], None]] = [
        crowd.work_in_workspace,
        partial(crowd.work_in_fork, first),
        partial(crowd.work_in_fork, second),
        crowd.move_upstream,
        partial(crowd.come_and_go, tmp_path / "z"),
    ]
    with ThreadPoolExecutor(len(works)) as pool:
        for future in [pool.submit(work) for work in works]:
            future.result()
    assert crowd.failed == []
    for root in (workspace.root, first, second):
        assert workspace.sync(cwd=root).code == 0
        assert workspace.grex("status", "--fail-on-drift", cwd=root).stdout.count("Clean: ")
    crowd.check_commits()
    crowd.check_repositories(forks=2)
    assert check_file(trace).findings == []
    listed = workspace.grex("fork", "ls", "--json").document["forks"]
    assert [(Path(fork["directory"]).name, fork["state"]) for fork in listed] == [("x", "ok"), ("y", "ok")]
