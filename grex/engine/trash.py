"""The workspace's trash: what was moved away whole, and comes back as it was.

`.grex/trash/<utc>/<pack path>` is what was moved, `.grex/trash/<utc>.json` says what it was (`TrashRecord`). The record
is written before the move, and the move is one rename in the file system: no byte, mode or time changes, and at every
moment the thing is whole in exactly one of its two places. Where a rename cannot do it (another file system is mounted
there), nothing is moved: a copy that is killed would be a half one.

Taking something out for good begins with a rename as well, to a name that is never restored from; so what a kill left
of it is removed by the next sweep, and nobody can bring back a part. Nothing here follows a symbolic link.

Callers hold WORKSPACE. What else lies in the trash (torn ends of the log, clones that were taken back) has no record
and goes by its name.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath

import anyio.to_thread
from msgspec import Struct
from msgspec.structs import replace

from grex.errors import ManifestError, PackError
from grex.fs import (
    TEMP_PREFIX,
    copy_durably,
    fsync_dir,
    make_stamp_dir,
    parse_stamp,
    remove_tree,
    rename_whole,
    safe_join,
)
from grex.manifest import (
    TrashRecord,
    read_trash_record,
    remove_trash_record,
    trash_record_path,
    write_trash_record,
)
from grex.workspace import Layout

__all__ = ["Trash", "Trashed", "Unreadable", "size_bytes"]

_STAMP = re.compile(r"(?:torn-log-|lockfile-|note-)?(\d{8}T\d{6}\.\d{6}Z)(?:\.bin|\.json)?", re.ASCII)
_CANNOT_RENAME = (errno.EXDEV, errno.EBUSY)


class Trashed(Struct, frozen=True):
    """One thing in the trash that has a record.

    Attributes:
        record: what it was.
        content: where it lies; of files, the directory that they lie in.
    """

    record: TrashRecord
    content: Path

    @property
    def is_there(self) -> bool:
        """Whether anything of it is still in the trash."""
        return os.path.lexists(self.content)


class Unreadable(Struct, frozen=True):
    """A record that cannot be used, and why, as the end of a sentence that begins with it."""

    path: Path
    reason: str


class Trash:
    """The trash of one workspace."""

    def __init__(self, layout: Layout) -> None:
        self._dir = layout.trash_dir
        self._root = layout.root

    def shown(self, stamp: str, path: str) -> str:
        """Where something lies, from the workspace root."""
        return os.path.relpath(self._dir / stamp / path, self._root)

    # --- putting away --------------------------------------------------------------------------------------------

    def put_away(self, source: Path, record: TrashRecord) -> TrashRecord:
        """Move all that stands at a pack's place; gives the record as it was written.

        Args:
            source: the pack's path; a link is moved itself.
            record: what it is; its stamp is found here.

        Raises:
            PackError: it cannot be moved in one piece; it is where it was.
            OSError: the same.
        """
        source.lstat()
        record, made = self._begin(record)
        target = safe_join(made, record.path)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            self._rename(source, target, record.path)
        except BaseException:
            self._forget(record)
            raise
        self._make_durable(target)
        fsync_dir(source.parent)
        return record

    def put_files_away(self, checkout: Path, record: TrashRecord) -> TrashRecord | None:
        """Move some files or directories of a checkout (`record.entries`); None where all of them are gone already.

        Raises:
            PackError: one of them cannot be moved in one piece; what was moved before it is in the trash, recorded.
            OSError: the same.
        """
        record, made = self._begin(record)
        moved = 0
        try:
            for entry in record.entries:
                source = safe_join(checkout, entry)
                target = safe_join(made, f"{record.path}/{entry}")
                if not os.path.lexists(source):
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                self._rename(source, target, f"{record.path}/{entry}")
                self._make_durable(target)
                fsync_dir(source.parent)
                moved += 1
        finally:
            if not moved:
                self._forget(record)
        return record if moved else None

    def copy_away(self, source: Path, record: TrashRecord) -> TrashRecord:
        """Copy what is on another file system; gives the record as it was written. The original is the caller's.

        The record comes last: what a kill leaves of a copy is nothing that could be brought back, and is swept in time.

        Args:
            source: what is to be copied.
            record: what it is; its stamp is found here. Of `files`, the copy is the one entry.

        Raises:
            ManifestError: the trash is a symbolic link.
            OSError: it cannot be copied.
        """
        self._check_directory()
        made = make_stamp_dir(self._dir)
        record = replace(record, stamp=made.name)
        target = safe_join(made, "/".join((record.path, *record.entries)))
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            copy_durably(source, target)
            self._make_durable(target)
            write_trash_record(self._dir, record)
        except BaseException:
            remove_tree(made)
            raise
        return record

    def _check_directory(self) -> None:
        if self._dir.is_symlink():
            raise ManifestError(
                f"{self._dir} is a symbolic link, and grex moves nothing through it",
                hint="Remove the link; a directory is made when it is needed.",
            )

    def _begin(self, record: TrashRecord) -> tuple[TrashRecord, Path]:
        self._check_directory()
        made = make_stamp_dir(self._dir)
        record = replace(record, stamp=made.name)
        try:
            write_trash_record(self._dir, record)
        except BaseException:
            with contextlib.suppress(OSError):
                made.rmdir()
            raise
        return record, made

    def _rename(self, source: Path, target: Path, name: str) -> None:
        try:
            rename_whole(source, target)
        except OSError as error:
            if error.errno not in _CANNOT_RENAME:
                raise
            raise PackError(
                f"{name} cannot be moved to the trash in one piece: it is on another file system than {self._dir}, "
                "or one is mounted there",
                hint="Unmount it, or move it away by hand; nothing was copied, and it is where it was.",
            ) from error

    def _make_durable(self, target: Path) -> None:
        above = target.parent
        while above != self._dir.parent:
            fsync_dir(above)
            above = above.parent

    def _forget(self, record: TrashRecord) -> None:
        """Take the record of something back that is not in the trash, with the directories that were made for it."""
        with contextlib.suppress(OSError):  # the first failure is the one to report; a later run takes them away
            self.remove_emptied(record)
            remove_trash_record(self._dir, record.stamp)

    # --- looking -------------------------------------------------------------------------------------------------

    def listed(self) -> tuple[list[Trashed], list[Unreadable]]:
        """What lies there with a record, the newest first, and the records that cannot be used.

        Raises:
            OSError: the trash cannot be read; one that is not there is empty.
        """
        found: list[Trashed] = []
        damaged: list[Unreadable] = []
        for name in self._names():
            stamp = name.removesuffix(".json")
            if stamp == name or parse_stamp(stamp) is None:
                continue
            try:
                record = read_trash_record(self._dir, stamp)
            except ValueError as error:
                damaged.append(Unreadable(trash_record_path(self._dir, stamp), str(error)))
                continue
            if record is not None:
                found.append(Trashed(record, self.content(record)))
        found.sort(key=lambda one: one.record.stamp, reverse=True)
        return found, damaged

    def content(self, record: TrashRecord) -> Path:
        """Where what a record speaks of lies."""
        return self._dir / record.stamp / record.path

    def _names(self) -> list[str]:
        if self._dir.is_symlink():
            return []
        try:
            return sorted(os.listdir(self._dir))  # noqa: PTH208 - names are what is wanted
        except (FileNotFoundError, NotADirectoryError):
            return []

    # --- taking out ----------------------------------------------------------------------------------------------

    def update(self, record: TrashRecord) -> None:
        """Replace a record."""
        write_trash_record(self._dir, record)

    def remove_emptied(self, record: TrashRecord) -> None:
        """Remove the directories that were made for a move, if they are empty; nothing of what was moved is touched."""
        top = self._dir / record.stamp
        if not _is_directory(top):
            return
        places = [f"{record.path}/{entry}" for entry in record.entries] or [record.path]
        above = {parent for place in places for parent in PurePosixPath(place).parents}
        for directory in sorted(above, key=lambda one: len(one.parts), reverse=True):
            with contextlib.suppress(OSError):
                (top / directory).rmdir()

    def drop_copied(self, record: TrashRecord) -> None:
        """Remove what lies there of something that was copied back to its place. It goes as a whole first.

        Raises:
            OSError: it cannot be removed.
        """
        content = self.content(record)
        if os.path.lexists(content):
            doomed = self._dir / f"{TEMP_PREFIX}{record.stamp}"
            content.rename(doomed)
            fsync_dir(content.parent)
            remove_tree(doomed)

    def close(self, record: TrashRecord) -> None:
        """Forget something that has left the trash."""
        self.remove_emptied(record)
        remove_trash_record(self._dir, record.stamp)

    def drop_strays(self) -> None:
        """Take away the records of what is not in the trash, and empty directories: a kill left them.

        A record that was written before a move which never came, or that has outlived what it speaks of. One with
        `restoring` is left to whoever finishes that.
        """
        for trashed in self.listed()[0]:
            if trashed.record.restoring is None and not trashed.is_there:
                self.close(trashed.record)
        for name in self._names():
            path = self._dir / name
            if parse_stamp(name) is not None and not trash_record_path(self._dir, name).exists():
                with contextlib.suppress(OSError):  # it is not empty, or no directory
                    path.rmdir()

    async def sweep(self, keep_days: int, *, now: datetime | None = None) -> list[str]:
        """Remove for good what has lain there for longer; gives the names of what went.

        Cancellation: what is being removed is removed to its end; nothing further is begun.

        Args:
            keep_days: how many days things are kept.
            now: this moment.

        Raises:
            OSError: something cannot be removed; the next sweep goes on from there.
        """
        limit = (now or datetime.now(UTC)) - timedelta(days=keep_days)
        gone: list[str] = []
        for name in self._names():
            path = self._dir / name
            if name.startswith(TEMP_PREFIX) and _is_directory(path):  # a sweep was killed in here
                await anyio.to_thread.run_sync(remove_tree, path)
                continue
            moved_at = self._moved_at(name)
            if moved_at is None or moved_at > limit:
                continue
            if name.endswith(".json"):
                if not os.path.lexists(self._dir / name.removesuffix(".json")):
                    path.unlink(missing_ok=True)
            elif name.endswith(".bin"):
                if stat.S_ISREG(path.lstat().st_mode):
                    path.unlink(missing_ok=True)
                    gone.append(name)
            elif _is_directory(path):
                doomed = self._dir / f"{TEMP_PREFIX}{name}"
                path.rename(doomed)
                fsync_dir(self._dir)
                await anyio.to_thread.run_sync(remove_tree, doomed)
                trash_record_path(self._dir, name).unlink(missing_ok=True)
                gone.append(name)
        if gone:
            fsync_dir(self._dir)
        return gone

    def _moved_at(self, name: str) -> datetime | None:
        """Since when something lies there: by its record, else by its name; None for what grex did not put there."""
        found = _STAMP.fullmatch(name)
        if found is None:
            return None
        named = parse_stamp(found[1])
        if name.endswith(".bin"):
            return named
        try:
            record = read_trash_record(self._dir, found[1])
            return named if record is None else datetime.fromisoformat(record.moved_at)
        except ValueError:
            return named


def _is_directory(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def size_bytes(path: Path) -> int:
    """How many bytes the files of something hold; links and what cannot be read count nothing."""
    total = 0
    if not _is_directory(path):
        with contextlib.suppress(OSError):
            total = path.lstat().st_size if path.is_file() and not path.is_symlink() else 0
        return total
    stack = [os.fspath(path)]
    while stack:
        with contextlib.suppress(OSError), os.scandir(stack.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    stack.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    total += entry.stat(follow_symlinks=False).st_size
    return total
