"""Checkouts that were moved to another path: what their repositories have to be told.

A checkout is whole wherever it lies, but for linked work trees: a work tree and its repository know each other by
absolute paths. `git worktree repair` mends both directions, and is told of the work trees that moved along.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from grex.git.command import BackendHold, GitRunner
from grex.git.observe import CheckoutState

__all__ = ["is_at_work", "repair_worktrees"]


def is_at_work(state: CheckoutState) -> bool:
    """Whether a git of somebody's seems to be writing in a checkout at this moment."""
    return os.path.lexists(state.dirs.own / "index.lock")


async def repair_worktrees(
    runner: GitRunner, state: CheckoutState, *, old: Path, new: Path, backend: BackendHold
) -> bool:
    """Let a checkout that was moved and its linked work trees find each other again; does nothing where there are none.

    It may be done again. Cancellation: git has ended; what it had not mended is mended by doing it again.

    Args:
        runner: runs git.
        state: the checkout, where it is now.
        old: the directory that was moved, by its old path; the checkout, or one around it.
        new: the same by its new path.
        backend: the held BACKEND lock.

    Returns:
        Whether there was anything to mend.

    Raises:
        GitError: git could not mend it.
    """
    if not stat.S_ISDIR((state.real / ".git").lstat().st_mode):
        # In a linked work tree, git finds its repository by itself and tells it where the work tree is now.
        await _repair(runner, state.real, (), backend)
        return True
    trees = _moved_along(state.dirs.common, old, new)
    if trees is None:
        return False
    await _repair(runner, state.real, trees, backend)
    return True


async def _repair(runner: GitRunner, cwd: Path, trees: Sequence[Path], backend: BackendHold) -> None:
    await runner.run(["worktree", "repair", *(str(tree) for tree in trees)], cwd=cwd, write=backend)


def _moved_along(common: Path, old: Path, new: Path) -> list[Path] | None:
    """The linked work trees that lie in the directory that was moved, where they are now; None if it has none."""
    try:
        names = sorted(os.listdir(common / "worktrees"))  # noqa: PTH208 - names are what is wanted
    except (FileNotFoundError, NotADirectoryError):
        return None
    found: list[Path] = []
    for name in names:
        try:
            text = (common / "worktrees" / name / "gitdir").read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            continue
        tree = Path(text.strip()).parent
        if tree.is_relative_to(old):
            found.append(new / tree.relative_to(old))
    return [tree for tree in found if tree.is_dir()] if names else None
