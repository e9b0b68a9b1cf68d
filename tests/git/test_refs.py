"""Reading HEAD and refs without a process: as git reads them, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from grex.git import GitDirs, Head, RefsUnreadableError, find_git_dirs, observe, read_head, read_ref
from tests.support.git_server import git


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "repository"
    git(tmp_path, "init", "--quiet", "--initial-branch=main", str(path))
    git(path, "commit", "--quiet", "--allow-empty", "-m", "one")
    return path


def dirs_of(path: Path) -> GitDirs:
    dirs = find_git_dirs(path)
    assert dirs is not None
    return dirs


def test_head_is_a_branch_detached_or_unborn(repository: Path) -> None:
    sha = git(repository, "rev-parse", "HEAD")
    assert read_head(dirs_of(repository)) == Head("refs/heads/main", sha)
    git(repository, "checkout", "--quiet", "--detach")
    assert read_head(dirs_of(repository)) == Head(None, sha)
    git(repository, "checkout", "--quiet", "--orphan", "new/one")
    head = read_head(dirs_of(repository))
    assert head == Head("refs/heads/new/one", None)
    assert head.branch == "new/one"


def test_loose_packed_and_symbolic_refs_are_found(repository: Path) -> None:
    first = git(repository, "rev-parse", "HEAD")
    git(repository, "tag", "-a", "-m", "t", "annotated")
    tag = git(repository, "rev-parse", "annotated")
    git(repository, "branch", "dir/a")
    git(repository, "pack-refs", "--all")
    git(repository, "commit", "--quiet", "--allow-empty", "-m", "two")
    second = git(repository, "rev-parse", "HEAD")
    git(repository, "update-ref", "refs/remotes/origin/main", first)
    git(repository, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    dirs = dirs_of(repository)
    assert read_ref(dirs, "refs/heads/main") == second  # the loose one counts, not the packed one
    assert read_ref(dirs, "refs/heads/dir/a") == first
    assert read_ref(dirs, "refs/tags/annotated") == tag
    assert read_ref(dirs, "refs/remotes/origin/HEAD") == first
    for missing in ("refs/heads/nope", "refs/heads/dir", "refs/heads/main/x", "refs/heads/ain", "refs/tags/main"):
        assert read_ref(dirs, missing) is None


def test_a_worktree_has_its_own_head_and_shared_branches(repository: Path, tmp_path: Path) -> None:
    git(repository, "worktree", "add", "--quiet", "-b", "side", str(tmp_path / "side"))
    state = observe(tmp_path / "side")
    assert (state.kind, state.head, state.head_branch) == ("checkout", "branch", "side")
    assert state.head_sha == git(repository, "rev-parse", "main")
    assert state.git_dir == repository / ".git/worktrees/side"
    assert state.common_dir == repository / ".git"


@pytest.mark.parametrize(
    "content", [b"garbage\n", b"", b"ref: ../../etc/passwd\n", b"ref: refs/heads/.invalid\n", b"ref: refs/heads/loop\n"]
)
def test_a_head_that_is_odd_is_left_to_git(repository: Path, content: bytes) -> None:
    (repository / ".git/refs/heads/loop").write_text("ref: refs/heads/loop\n")
    (repository / ".git/HEAD").write_bytes(content)
    with pytest.raises(RefsUnreadableError):
        read_head(dirs_of(repository))
    assert observe(repository).head == "unreadable"


def test_a_fifo_as_a_ref_is_not_waited_for(repository: Path) -> None:
    os.mkfifo(repository / ".git/refs/heads/pipe")
    with pytest.raises(RefsUnreadableError):
        read_ref(dirs_of(repository), "refs/heads/pipe")
    (repository / ".git/packed-refs").unlink(missing_ok=True)
    os.mkfifo(repository / ".git/packed-refs")
    with pytest.raises(RefsUnreadableError):
        read_ref(dirs_of(repository), "refs/heads/nope")


def test_a_name_that_leads_out_of_the_repository_is_refused(repository: Path) -> None:
    for name in ("../HEAD", "refs/../../x", "config", "/etc/passwd"):
        with pytest.raises(RefsUnreadableError):
            read_ref(dirs_of(repository), name)
