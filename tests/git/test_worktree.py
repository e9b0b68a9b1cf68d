"""Work trees of one repository: which there are, what only one has, and no lock file taken from under another."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import anyio
import pytest

from grex.git import (
    AnotherGitError,
    GitCommand,
    GitRunner,
    add_work_tree,
    find_git_dirs,
    linked_work_trees,
    registered_at,
    unmerged_count,
)
from grex.git import observe as look
from grex.git.stale_files import remove_stale_files
from grex.locks import BackendLock
from tests.support.git_server import git


@pytest.fixture
def main(tmp_path: Path) -> Path:
    """A repository with one commit, and a work tree `side` beside it."""
    main = tmp_path / "main"
    git(tmp_path, "init", "--quiet", "--initial-branch=main", "main")
    git(main, "commit", "--quiet", "--allow-empty", "-m", "x")
    git(main, "worktree", "add", "--quiet", "-b", "side", str(tmp_path / "side"))
    return main


def test_linked_work_trees_are_known_by_their_places_also_when_they_are_gone(main: Path, tmp_path: Path) -> None:
    own = main / ".git/worktrees/side"
    assert linked_work_trees(main / ".git") == [(own, tmp_path / "side")]
    assert registered_at(main / ".git", tmp_path / "side") == own
    assert registered_at(main / ".git", tmp_path / "other") is None
    (tmp_path / "side").rename(tmp_path / "elsewhere")
    assert linked_work_trees(main / ".git") == [(own, tmp_path / "side")]


@pytest.mark.parametrize("is_usual", [True, False])
def test_a_work_tree_is_what_git_itself_would_have_made(main: Path, tmp_path: Path, is_usual: bool) -> None:
    """By one process, or by `git worktree add` where the repository has settings for single work trees."""
    for number in range(2):
        (main / f"file {number}").write_text(f"{number}\n")
        git(main, "add", ".")
        git(main, "commit", "--quiet", "-m", "x")
    git(main, "config", "branch.autoSetupMerge", "always")
    if not is_usual:
        git(main, "config", "extensions.worktreeConfig", "true")
    sha = git(main, "rev-parse", "HEAD~1")
    place = tmp_path / "deep" / "side"  # another one of that name is there

    async def make() -> int:
        seen: list[GitCommand] = []
        async with await BackendLock.for_checkout(main).acquire_async() as backend:
            runner = GitRunner(os.environ, seen.append)
            await add_work_tree(runner, look(main), place, branch="grex/x", sha=sha, backend=backend)
        return len(seen)

    assert anyio.run(make) == 1
    assert git(place, "symbolic-ref", "HEAD") == "refs/heads/grex/x"
    assert git(place, "rev-parse", "HEAD") == sha
    assert git(place, "status", "--porcelain=v2", "--branch").splitlines()[2:] == []
    assert (place / "file 0").read_text() == "0\n"
    blocks = git(main, "worktree", "list", "--porcelain").split("\n\n")
    assert f"worktree {place}\nHEAD {sha}\nbranch refs/heads/grex/x" in blocks
    assert git(main, "reflog", "show", "grex/x").count("\n") == 0
    git(main, "worktree", "remove", str(place))
    assert not place.exists()
    assert not list((main / ".git/grex").glob("*")) or not is_usual
    git(main, "fsck", "--strict")


def test_commits_that_only_certain_branches_have_are_counted(main: Path, tmp_path: Path) -> None:
    side = tmp_path / "side"
    for _ in range(3):
        git(side, "commit", "--quiet", "--allow-empty", "-m", "mine")
    tip, start = git(side, "rev-parse", "HEAD"), git(main, "rev-parse", "HEAD")

    def unmerged(besides: str, since: str | None = None) -> int:
        async def count() -> int:
            runner = GitRunner(os.environ)
            return await unmerged_count(runner, look(main), [tip], besides=[besides], since=since)

        return anyio.run(count)

    assert unmerged("side") == 3
    assert unmerged("main") == 0
    git(main, "branch", "sider", f"{tip}~1")
    assert unmerged("side") == 1
    git(main, "tag", "kept", tip)
    assert unmerged("side") == 0
    git(main, "tag", "-d", "kept")
    git(main, "branch", "-D", "sider")
    assert unmerged("side", since=f"{git(side, 'rev-parse', 'HEAD~2')}") == 2
    assert start


def test_a_lock_file_is_not_removed_while_git_works_in_another_work_tree(main: Path, tmp_path: Path) -> None:
    """A git there may have made the lock file of a shared ref, and have it open no more."""
    dirs = find_git_dirs(tmp_path / "side")
    assert dirs is not None
    lock = main / ".git/refs/heads/main.lock"
    lock.write_text("")
    ready = ["git", "cat-file", "--batch-check", "--buffer"]
    with subprocess.Popen(ready, cwd=main, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as busy:
        with pytest.raises(AnotherGitError, match="another git is at work"):
            remove_stale_files(dirs, tmp_path / "side", since_ns=0)
        busy.communicate()
    assert remove_stale_files(dirs, tmp_path / "side", since_ns=0)
    assert not lock.exists()
