"""What lies in a checkout and nowhere else: one repository for each kind of work."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from grex.git import GitRunner, LocalWork, find_work, is_linked_worktree, nested_repositories, observe
from tests.support.git_server import GitServer, git


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    server = GitServer(tmp_path / "up")
    server.create("a", {"f": "1\n", ".gitignore": "built\n"})
    git(tmp_path, "clone", "--quiet", server.url("a"), "clone")
    return tmp_path / "clone"


def work(checkout: Path, *known: str) -> LocalWork:
    async def find() -> LocalWork:
        return await find_work(GitRunner(os.environ), observe(checkout), known)

    return anyio.run(find)


def commit(checkout: Path, *, message: str = "mine") -> str:
    git(checkout, "commit", "--quiet", "--allow-empty", "-m", message)
    return git(checkout, "rev-parse", "HEAD")


def on_a_branch(clone: Path) -> None:
    git(clone, "checkout", "--quiet", "-b", "topic")
    commit(clone)
    git(clone, "checkout", "--quiet", "main")


def stash(clone: Path) -> None:
    (clone / "f").write_text("2\n")
    git(clone, "stash")


def merge(clone: Path) -> None:
    (clone / ".git/MERGE_HEAD").write_text(git(clone, "rev-parse", "HEAD") + "\n")


def detached(clone: Path) -> None:
    git(clone, "checkout", "--quiet", "--detach")
    commit(clone)


def tag(clone: Path) -> None:
    detached(clone)
    git(clone, "tag", "mine")
    git(clone, "checkout", "--quiet", "main")


KINDS: dict[str, tuple[Callable[[Path], object], str]] = {
    "an edit": (lambda clone: (clone / "f").write_text("2\n"), "has edited files: f"),
    "an untracked file": (lambda clone: (clone / "new").write_text(""), "has untracked files: new"),
    "a stash": (stash, "has 1 stash"),
    "a commit on the branch": (commit, "has commits that are not pushed, on main"),
    "a commit on another branch": (on_a_branch, "has commits that are not pushed, on topic"),
    "a commit on no branch": (detached, "has commits that are not pushed, on a detached HEAD"),
    "a commit that only a tag has": (tag, "has commits that are not pushed, on tags/mine"),
    "a merge": (merge, "has a merge in progress"),
    "a work tree": (
        lambda clone: git(clone, "worktree", "add", "--quiet", "--detach", str(clone.parent / "tree")),
        "has other work trees:",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_work_is_found_and_named(kind: str, clone: Path) -> None:
    make, told = KINDS[kind]
    make(clone)
    assert (work(clone).first() or "").startswith(told)


def test_a_clone_and_what_it_ignores_is_no_work(clone: Path) -> None:
    (clone / "built").write_text("much")
    git(clone, "branch", "same")
    assert work(clone).first() is None


def test_a_commit_that_is_known_to_be_elsewhere_is_no_work(clone: Path) -> None:
    detached(clone)
    sha = git(clone, "rev-parse", "HEAD")
    assert work(clone).unpushed
    assert not work(clone, sha, "0" * 40).unpushed


def test_tags_that_came_with_the_clone_are_no_work(tmp_path: Path) -> None:
    server = GitServer(tmp_path / "up")
    server.create("a", {"f": "1\n"})
    git(server.work("a"), "checkout", "--quiet", "--detach")
    commit(server.work("a"))
    server.tag("a", "v1")
    git(tmp_path, "clone", "--quiet", server.url("a"), "clone")
    assert git(tmp_path / "clone", "tag") == "v1"
    assert work(tmp_path / "clone").first() is None


def test_work_in_a_submodule_counts_also_when_its_work_tree_is_gone(clone: Path, tmp_path: Path) -> None:
    other = GitServer(tmp_path / "other")
    other.create("s", {"g": "1\n"})
    git(clone, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", other.url("s"), "sub")
    git(clone, "commit", "--quiet", "-m", "sub")
    git(clone, "push", "--quiet")
    assert work(clone).first() is None
    commit(clone / "sub")
    git(clone, "commit", "--quiet", "-am", "sub")
    git(clone, "push", "--quiet")
    found = work(clone)
    assert found.submodules == (("sub", "has commits that are not pushed, on main"),)
    git(clone, "submodule", "--quiet", "deinit", "--force", "sub")
    assert work(clone).submodules == (("sub", "has commits that are not pushed, on main"),)


def test_repositories_that_nobody_declared_are_found_wherever_they_lie(clone: Path) -> None:
    for path in ("built/deep/mine", "pack"):
        (clone / path).mkdir(parents=True)
        git(clone / path, "init", "--quiet")
    assert nested_repositories(observe(clone), ["pack"]) == ["built/deep/mine"]


def test_a_linked_work_tree_is_known(clone: Path, tmp_path: Path) -> None:
    git(clone, "worktree", "add", "--quiet", "--detach", str(tmp_path / "tree"))
    assert is_linked_worktree(observe(tmp_path / "tree"))
    assert not is_linked_worktree(observe(clone))
    (clone / ".git").rename(tmp_path / "git")
    (clone / ".git").symlink_to("../git")  # which would lead nowhere from another directory
    assert is_linked_worktree(observe(clone))
