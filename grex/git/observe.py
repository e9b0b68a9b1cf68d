"""What is at a pack's path, found without a process.

`observe` reads a handful of small files and decides nothing. A planner judges what it returns, and asks again after
every lock it has waited for. Where the files cannot say (a ref storage of another kind, a damaged HEAD), `head` is
`unreadable`, and `grex.git.status.ask_head` asks git.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Literal

from msgspec import Struct

from grex.git.move_in import holds_only_packs
from grex.git.records import CompletionRecord, MoveNote, read_note, read_record
from grex.git.refs import GitDirs, RefsUnreadableError, find_git_dirs, read_head

__all__ = ["CheckoutState", "Operation", "observe", "running_operation"]

Operation = Literal["rebase", "am", "merge", "cherry-pick", "revert", "bisect"]

_PACK_LOCK = ".grex-lock"
_SAMPLE = 10
_OPERATIONS: tuple[tuple[str, Operation], ...] = (
    ("rebase-merge", "rebase"),
    ("rebase-apply/applying", "am"),
    ("rebase-apply", "rebase"),
    ("MERGE_HEAD", "merge"),
    ("CHERRY_PICK_HEAD", "cherry-pick"),
    ("REVERT_HEAD", "revert"),
    ("sequencer", "cherry-pick"),
    ("BISECT_LOG", "bisect"),
)


class CheckoutState(Struct, frozen=True):
    """What stood at a path when it was looked at."""

    path: Path
    """As it was asked for."""
    real: Path
    """Where it leads; the same unless a symlink is on the way."""
    is_symlink: bool
    """Whether the last component of the path is a symlink."""
    kind: Literal["absent", "empty", "checkout", "directory", "other"]
    """`empty` holds nothing but the pack's lock file and other packs; `directory` holds something else and is no
    checkout; `other` is no directory at all, or a symlink that leads nowhere."""
    entries: tuple[str, ...] = ()
    """Of a `directory`, some of the names in it."""
    git_dir: Path | None = None
    common_dir: Path | None = None
    head: Literal["branch", "detached", "unborn", "unreadable"] | None = None
    head_branch: str | None = None
    head_sha: str | None = None
    operation: Operation | None = None
    """What a user has begun and not finished."""
    record: CompletionRecord | None = None
    note: MoveNote | None = None

    @property
    def dirs(self) -> GitDirs:
        """The git directories.

        Raises:
            ValueError: this is no checkout.
        """
        if self.git_dir is None or self.common_dir is None:
            raise ValueError(f"'{self.path}' is no checkout")
        return GitDirs(self.git_dir, self.common_dir)


def observe(path: Path, *, is_plain: bool = False, is_brief: bool = False) -> CheckoutState:
    """Look at a pack's path.

    Args:
        path: where to look.
        is_plain: whether the caller knows that no symlink is on the way, nor at its end.
        is_brief: of a checkout, only see that it is one: its HEAD, its record and what is begun there are not read, and
            stand as those of a checkout that cannot be read.

    Raises:
        OSError: the path cannot be looked at (a parent that may not be read, a broken disk).
    """
    real = path if is_plain else Path(os.path.realpath(path))
    try:
        is_symlink = stat.S_ISLNK(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return CheckoutState(path, real, is_symlink=False, kind="absent")
    dirs = find_git_dirs(real)
    if dirs is not None and is_brief:
        return CheckoutState(
            path,
            real,
            is_symlink=is_symlink,
            kind="checkout",
            git_dir=dirs.own,
            common_dir=dirs.common,
            head="unreadable",
        )
    if dirs is not None:
        return _observe_checkout(path, real, dirs, is_symlink=is_symlink)
    try:
        names = sorted(os.listdir(real))  # noqa: PTH208 - names are what is wanted
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise
        return CheckoutState(path, real, is_symlink=is_symlink, kind="other")
    content = tuple(name for name in names if name != _PACK_LOCK)
    kind: Literal["directory", "empty"] = "empty" if holds_only_packs(real, content) else "directory"
    return CheckoutState(path, real, is_symlink=is_symlink, kind=kind, entries=content[:_SAMPLE])


def _observe_checkout(path: Path, real: Path, dirs: GitDirs, *, is_symlink: bool) -> CheckoutState:
    kind: Literal["branch", "detached", "unborn", "unreadable"]
    branch = sha = None
    try:
        head = read_head(dirs)
    except RefsUnreadableError:
        kind = "unreadable"
    else:
        branch, sha = head.branch, head.sha
        kind = "detached" if head.ref is None else "unborn" if sha is None else "branch"
    return CheckoutState(
        path=path,
        real=real,
        is_symlink=is_symlink,
        kind="checkout",
        git_dir=dirs.own,
        common_dir=dirs.common,
        head=kind,
        head_branch=branch,
        head_sha=sha,
        operation=running_operation(dirs.own),
        record=read_record(dirs.own),
        note=read_note(dirs.own),
    )


def running_operation(git_dir: Path) -> Operation | None:
    """What a user has begun in this checkout and not finished."""
    try:
        names = set(os.listdir(git_dir))  # noqa: PTH208 - one call instead of a look at each name
    except OSError:
        return None
    for name, operation in _OPERATIONS:
        first, _, rest = name.partition("/")
        if first in names and (not rest or os.path.lexists(git_dir / name)):
            return operation
    return None
