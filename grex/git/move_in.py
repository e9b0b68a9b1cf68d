"""Moving a finished clone into the pack's directory, entry by entry, `.git` last.

The directory is there already and stays the same one, for it holds the pack's lock file. So the clone's entries are
moved in one at a time, and the last, `.git`, is the commit point: before it there is no checkout, after it there is a
complete one. The caller writes the list of entries into a durable note first, so that a kill in between can be carried
on (`resume_move`).

Nothing is overwritten, ever. `plan_move` finds what is in the way before the first move. A file is moved by making a
hard link and removing the old name, which the kernel refuses if the new name exists, so a file that appears in between
is safe as well; a directory is moved by rename, which the kernel refuses onto anything but an empty directory. If that
happens midway, what was moved goes back.

A directory that exists on both sides is entered instead of moved only if everything in the existing one belongs to
grex: nested packs, and lock and temporary files beside them. Anything else in it is somebody's and in the way.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from grex.errors import FetchError
from grex.fs import TEMP_PREFIX, fsync_dir
from grex.git.errors import FilesInTheWayError, shown_paths

__all__ = ["holds_only_packs", "move_in", "plan_move", "resume_move"]

_GIT = ".git"
_PACK_MARKS = (".git", ".grex-lock")
_BACKEND_SUFFIX = ".grex-backend.lock"
_NO_HARD_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV)


def plan_move(temp: Path, target: Path) -> tuple[str, ...]:
    """The entries to be moved, in order, as paths with `/` below both directories; `.git` is the last.

    Raises:
        FilesInTheWayError: some of them exist already; nothing was moved.
        OSError: a directory cannot be read.
    """
    entries: list[str] = []
    in_the_way: list[str] = []
    _plan(temp, target, "", entries, in_the_way)
    if os.path.lexists(target / _GIT):
        in_the_way.append(_GIT)
    if in_the_way:
        raise _refusal(target, in_the_way)
    return (*entries, _GIT)


def _plan(temp: Path, target: Path, prefix: str, entries: list[str], in_the_way: list[str]) -> None:
    for name in sorted(os.listdir(temp / prefix)):  # noqa: PTH208 - names are what is wanted
        entry = prefix + name
        if entry == _GIT:
            continue
        if not os.path.lexists(target / entry):
            entries.append(entry)
        elif _is_directory(temp / entry) and _is_directory(target / entry) and _is_ours(target / entry):
            _plan(temp, target, entry + "/", entries, in_the_way)
        else:
            in_the_way.append(entry)


def holds_only_packs(directory: Path, names: Sequence[str]) -> bool:
    """Whether these names in a directory are packs and what grex puts beside them, which a clone can go around."""
    return all(name != _GIT and _belongs_to_grex(directory / name) for name in names)


def _belongs_to_grex(path: Path) -> bool:
    if path.name.endswith(_BACKEND_SUFFIX) or path.name.startswith(TEMP_PREFIX) or _is_pack(path):
        return True
    return _is_directory(path) and _is_ours(path)


def _is_ours(directory: Path) -> bool:
    """Whether a directory that is no pack itself holds nothing but packs and what grex puts beside them."""
    if _is_pack(directory):
        return False  # this clone tracks files inside another pack
    pending = [directory]
    while pending:
        for path in pending.pop().iterdir():
            if path.name.endswith(_BACKEND_SUFFIX) or path.name.startswith(TEMP_PREFIX) or _is_pack(path):
                continue
            if not _is_directory(path):
                return False
            pending.append(path)
    return True


def _is_pack(path: Path) -> bool:
    return _is_directory(path) and any(os.path.lexists(path / mark) for mark in _PACK_MARKS)


def move_in(temp: Path, target: Path, entries: Sequence[str]) -> None:
    """Move the planned entries; afterwards the target is a checkout and `temp` is gone.

    The names are durable when it returns. If it raises, what it had moved is back in `temp`.

    Raises:
        FilesInTheWayError: something has appeared in the way.
        FetchError: the file system would not move something.
    """
    _move_all(temp, target, entries)


def resume_move(temp: Path, target: Path, entries: Sequence[str]) -> None:
    """Carry on a move that was killed, by the entries of its note: forward, or back if something is in the way.

    Once `.git` is in its place, only the remains in `temp` are left to remove. Going back takes every entry that is
    not in `temp`; what a user has edited meanwhile goes back with it. So after a failure `temp` belongs into the
    trash, not into nothing.

    Raises:
        FilesInTheWayError: something has appeared in the way; nothing of the clone is in the target any more.
        FetchError: the file system would not move something.
    """
    if not os.path.lexists(temp / _GIT) and os.path.lexists(target / _GIT):
        _remove_emptied(temp, entries)
        return
    _move_all(temp, target, entries)


def _move_all(temp: Path, target: Path, entries: Sequence[str]) -> None:
    for entry in entries:
        _check_entry(entry)
    inner = [entry for entry in entries if entry != _GIT]
    try:
        for entry in inner:
            _move(temp / entry, target / entry)
        # The entries must be durable before `.git` is, or a power cut could leave a repository without its files.
        for directory in sorted({os.path.dirname(entry) for entry in inner}):  # noqa: PTH120 - entries are texts
            fsync_dir(target / directory)
        _move(temp / _GIT, target / _GIT)
        fsync_dir(target)
    except OSError as error:
        _move_back(temp, target, inner)
        if isinstance(error, FileExistsError):
            raise _refusal(target, [os.path.relpath(error.filename2 or error.filename, target)]) from error
        raise FetchError(
            f"'{target}' could not be filled: {error.strerror or error}", hint="Check the disk, then run this again."
        ) from error
    _remove_emptied(temp, entries)


def _move(source: Path, destination: Path) -> None:
    """Move one entry without overwriting; one that has been moved already is left where it is.

    Raises:
        FileExistsError: something else has the name.
        OSError: it could not be moved.
    """
    try:
        status = source.lstat()
    except FileNotFoundError:
        return
    if stat.S_ISDIR(status.st_mode):
        _rename(source, destination)
        return
    try:
        os.link(source, destination, follow_symlinks=False)
    except FileExistsError:
        # Killed between link and unlink: both names are the same file.
        if not os.path.samestat(destination.lstat(), status):
            raise
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        _rename(source, destination)
        return
    source.unlink()


def _rename(source: Path, destination: Path) -> None:
    if os.path.lexists(destination):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(source), None, str(destination))
    source.rename(destination)


def _move_back(temp: Path, target: Path, entries: Sequence[str]) -> None:
    for entry in reversed(entries):
        if not os.path.lexists(temp / entry):
            try:
                _move(target / entry, temp / entry)
            except OSError:
                continue  # the first failure is the one to report; what stays is in the caller's note
    fsync_dir(target)


def _remove_emptied(temp: Path, entries: Sequence[str]) -> None:
    """Remove the directories of the clone that were entered instead of moved, if they are empty as they should be."""
    entered = {str(parent) for entry in entries for parent in PurePosixPath(entry).parents}
    for directory in sorted(entered, key=len, reverse=True):
        # One that is gone was removed before a kill; one that is not empty is for the caller to judge.
        with contextlib.suppress(OSError):
            (temp / directory).rmdir()


def _check_entry(entry: str) -> None:
    path = PurePosixPath(entry)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise FetchError(
            f"a move note names '{entry}', which is not below the pack",
            hint="Move the note out of .grex/state, then run this again.",
        )


def _refusal(target: Path, entries: Sequence[str]) -> FilesInTheWayError:
    return FilesInTheWayError(
        f"'{target}' already holds {shown_paths(entries)}, which the clone would have to overwrite",
        paths=entries,
        hint="Move these away or remove them, then run this again.",
    )


def _is_directory(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False
