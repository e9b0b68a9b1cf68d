"""Which repository encloses a directory, found by looking rather than by asking git.

git itself would refuse a repository of another owner (`safe.directory`); a file of ours lies in its work tree all
the same. And one process per directory would be most of the time of a sync that has nothing to do.

A work tree has `.git` as a directory, or as a file that points to one (submodules, linked work trees). What all work
trees of a repository share - `info/exclude` is shared - lies in the common directory.
"""

from __future__ import annotations

import os
from pathlib import Path

from grex.fs import canonical, read_regular

__all__ = ["common_dir_of", "enclosing_repository", "exclude_file_of", "git_dir_of"]

_POINTER_LIMIT_BYTES = 64 * 1024


def git_dir_of(directory: Path) -> Path | None:
    """The git directory of a work tree's root, or None if this is no root of a work tree."""
    dot_git = directory / ".git"
    git_dir: Path | None = dot_git if dot_git.is_dir() else None
    if git_dir is None:
        target = _pointer(dot_git, "gitdir: ")
        git_dir = None if target is None else canonical(directory / target)
    # A directory without HEAD is what a killed clone or a stray `.git` leaves; git looks further up then, too.
    return git_dir if git_dir is not None and os.path.lexists(git_dir / "HEAD") else None


def common_dir_of(git_dir: Path) -> Path:
    """The directory that all work trees of a git directory's repository share; mostly itself."""
    target = _pointer(git_dir / "commondir", "")
    return git_dir if target is None else canonical(git_dir / target)


def exclude_file_of(git_dir: Path) -> Path:
    """The `info/exclude` that counts for a git directory."""
    return common_dir_of(git_dir) / "info" / "exclude"


def enclosing_repository(directory: Path) -> tuple[Path, Path] | None:
    """The root of the nearest work tree that holds a directory, or is it, and its common git directory.

    The directory need not exist.
    """
    here = canonical(directory)
    for candidate in (here, *here.parents):
        git_dir = git_dir_of(candidate)
        if git_dir is not None:
            return candidate, common_dir_of(git_dir)
    return None


def _pointer(file: Path, prefix: str) -> str | None:
    """The path that a one-line file of git holds, or None if it is no such file."""
    try:
        text = os.fsdecode(read_regular(file, limit_bytes=_POINTER_LIMIT_BYTES))
    except OSError:
        return None
    target = text.removeprefix(prefix).rstrip("\r\n")
    return target if text.startswith(prefix) and target and "\0" not in target else None
