"""What a killed checkout may have left of the files that differ between its two commits, and what becomes of each.

Decided from the state of the files, without git. One that is older than the note of the checkout was not written by it,
so it is right or the user's edit, and stays. One that holds exactly the old or the new bytes is known. Everything else
is half-written, or the user's edit of after the kill, which cannot be told apart: it is to be kept before it is
replaced.

A path that leads through a symlink is not followed, and a directory that stands where a file belongs is left: taking
it away would take along whatever else is in it.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Sequence

from msgspec import Struct

from grex.git.edits import blob_id
from grex.git.index import GITLINK, REGULAR, SYMLINK

__all__ = ["Change", "Side", "Work", "drop_blocked", "remove_file", "side_of", "sort_out"]

_FORMAT = 0o170000


class Side(Struct, frozen=True):
    """A path in one of the two commits."""

    mode: int
    oid: bytes


_NOTHING = Side(0, b"")


class Change(Struct, frozen=True):
    """A path that differs between them."""

    path: bytes
    wanted: Side | None
    """On the side to be restored."""
    other: Side | None


class Work(Struct):
    """What is to be done, sorted from the state of the files."""

    rescue: list[bytes]
    remove: list[bytes]
    write: list[bytes]
    left: list[bytes]


def side_of(mode: bytes, oid: bytes) -> Side | None:
    """A path in a commit, by what git prints of it; None where it is not there."""
    number = int(mode, 8)
    return Side(number, bytes.fromhex(oid.decode("ascii"))) if number else None


def sort_out(root: bytes, changes: Iterable[Change], since_ns: int) -> Work:
    """Decide from the state of each file what is to be done with it."""
    work = Work([], [], [], [])
    for change in changes:
        wanted = change.wanted
        if (wanted or change.other or _NOTHING).mode & _FORMAT == GITLINK:
            continue  # a submodule's content is not written by a checkout of ours
        status = _status(root, change.path)
        if status is None:
            if wanted is not None:
                work.write.append(change.path)
            continue
        if status.st_ctime_ns < since_ns:
            continue
        if stat.S_ISDIR(status.st_mode):
            if wanted is not None:
                work.write.append(change.path)  # if it is empty by then; else it is left
        elif not stat.S_ISREG(status.st_mode) and not stat.S_ISLNK(status.st_mode):
            work.left.append(change.path)
        else:
            _sort_file(root, change, status, work)
    return work


def _sort_file(root: bytes, change: Change, status: os.stat_result, work: Work) -> None:
    found = _side_on_disk(root, change, status)
    if found == change.wanted:
        return
    if found not in (change.wanted, change.other):
        work.rescue.append(change.path)
    (work.remove if change.wanted is None else work.write).append(change.path)


def _side_on_disk(root: bytes, change: Change, status: os.stat_result) -> Side | None:
    """What the file would be in a commit, were it added byte by byte."""
    like = (change.wanted or change.other or _NOTHING).oid
    oid = blob_id(root + b"/" + change.path, status, like)
    if stat.S_ISLNK(status.st_mode):
        return Side(SYMLINK, oid)
    return Side(REGULAR | (0o755 if status.st_mode & 0o100 else 0o644), oid)


def _status(root: bytes, path: bytes) -> os.stat_result | None:
    """The status of a path below the root; None if it is not there, or lies behind a symlink."""
    if _blocking_parent(root, path) is not None:
        return None
    try:
        return os.lstat(root + b"/" + path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _blocking_parent(root: bytes, path: bytes) -> bytes | None:
    """The first directory of the path that is something else than a directory; one that is missing does not count."""
    position = path.find(b"/")
    while position >= 0:
        try:
            if not stat.S_ISDIR(os.lstat(root + b"/" + path[:position]).st_mode):
                return path[:position]
        except FileNotFoundError:
            return None
        position = path.find(b"/", position + 1)
    return None


def remove_file(root: bytes, path: bytes) -> None:
    """Remove a file, and the directories that are empty without it."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(root + b"/" + path)  # noqa: PTH108 - bytes
    parent = path.rpartition(b"/")[0]
    while parent:
        try:
            os.rmdir(root + b"/" + parent)  # noqa: PTH106 - bytes
        except OSError:
            return
        parent = parent.rpartition(b"/")[0]


def drop_blocked(root: bytes, paths: Sequence[bytes], left: list[bytes]) -> list[bytes]:
    """The paths that can be written without taking away something else; the others are added to `left`.

    `checkout-index --force` would remove a whole directory that stands in the way, and a file in place of a parent.
    """
    free = []
    for path in paths:
        full = root + b"/" + path
        if _blocking_parent(root, path) is not None:
            left.append(path)
            continue
        if os.path.isdir(full) and not os.path.islink(full):  # noqa: PTH112, PTH114 - bytes
            try:
                os.rmdir(full)  # noqa: PTH106 - bytes
            except OSError:
                left.append(path)
                continue
        free.append(path)
    return free
