"""The log `grex.jsonl`: read as a whole, appended to, never edited.

A log is a sequence of lines that end in LF. What was acknowledged is a prefix of it, always:

- An append is one write and one flush, under MANIFEST, of whole lines. If either fails, the file is cut back to the
  length that it had, and the failure is reported: nothing was recorded.
- A kill or a power cut can leave a part of that write. What is cut is the *last* line, and bytes after the last LF
  tell that. Such a **torn tail** is not damage: readers report it and go on, and the next append first moves it to
  the trash (durably, before it is cut off) and then writes. A tail that parses is a whole event that lacks its LF
  only - no proper prefix of a JSON object is JSON - so it counts, and the next append completes it.
- Anything else that is no event is damage in the middle: somebody edited the file, or the disk lies. It is an error
  with its line number, and nothing is written.

Holds are passed in, not taken: who records something usually reads, decides and writes under one MANIFEST.

Rejected: a checksum per line (a line that parses and passes its types has never been seen torn, and people and `jq`
read the file); rewriting the whole file for each append (cost grows with history); SQLite (one file that a human
cannot read or mend).
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from grex.errors import CorruptLogError, ManifestError
from grex.fs import fsync_dir, open_regular, read_regular, replace_file, utc_stamp
from grex.manifest.compact import compact
from grex.manifest.events import Event, parse_line, render_line

__all__ = ["AppendReport", "CompactReport", "Log", "LogContents", "ManifestWriteHold", "require_hold"]

_BACKWARDS_BYTES = 64 * 1024


class ManifestWriteHold(Protocol):
    """The time during which the caller holds MANIFEST exclusively."""

    @property
    def active(self) -> bool:
        """Whether it still does."""
        ...


def require_hold(hold: ManifestWriteHold) -> None:
    """Insist that MANIFEST is held; forgetting it is a bug in the caller.

    Raises:
        RuntimeError: the hold has been released.
    """
    if not hold.active:
        raise RuntimeError("log, lockfile and root pack.yaml are written only while MANIFEST is held")


class LogContents(Struct, frozen=True):
    """What a log holds.

    Attributes:
        events: every event, oldest first.
        torn_tail: the bytes of a last line that a crash cut off, or None.
        size_bytes: the length of the file.
    """

    events: Sequence[Event]
    torn_tail: bytes | None
    size_bytes: int


class AppendReport(Struct, frozen=True):
    """What an append did.

    Attributes:
        events: how many events it recorded.
        size_bytes: the length of the file now.
        torn: where the bytes of a torn last line were moved to, or None.
    """

    events: int
    size_bytes: int
    torn: Path | None


class CompactReport(Struct, frozen=True):
    """What a compaction did: lines and bytes, before and after."""

    events_before: int
    events_after: int
    size_bytes_before: int
    size_bytes_after: int


class Log:
    """A log file.

    Args:
        path: the file; it need not exist.
        trash_dir: where a torn last line is moved; made when it is needed.
    """

    def __init__(self, path: Path, trash_dir: Path) -> None:
        self._path = path
        self._trash_dir = trash_dir

    def read(self) -> LogContents:
        """Every event; a log that is not there is empty.

        Raises:
            CorruptLogError: a line in the middle is no event.
            SchemaVersionError: a newer grex wrote here.
            ManifestError: the file cannot be read, or is no regular file.
        """
        try:
            data = read_regular(self._path)
        except FileNotFoundError:
            return LogContents((), None, 0)
        except OSError as error:
            raise self._unusable("read", error) from error
        lines = data.split(b"\n")
        tail = lines.pop()
        file = str(self._path)
        events = [parse_line(line, number, file=file) for number, line in enumerate(lines, start=1)]
        torn: bytes | None = None
        if tail:
            completed = self._parse_tail(tail, len(lines) + 1)
            if completed is None:
                torn = tail
            else:
                events.append(completed)
        return LogContents(events, torn, len(data))

    def append(self, events: Sequence[Event], *, hold: ManifestWriteHold, durable: bool = True) -> AppendReport:
        """Record events, all or none; they are durable when this returns.

        A torn last line is healed first. No events: nothing is touched.

        Args:
            events: what to record.
            hold: MANIFEST, held exclusively.
            durable: whether to flush. A bracket that is opened survives the death of this process without it, and the
                next durable append of the same pack step flushes it as well: one flush a step, not one a line.

        Raises:
            ManifestError: nothing was recorded; the file cannot be opened, or the disk is full or broken.
            ValueError: an event cannot be a line; nothing was touched.
        """
        require_hold(hold)
        block = b"".join([render_line(event) for event in events])
        if not block:
            return AppendReport(0, self._size(), None)
        fd = self._open()
        try:
            torn, ends_in_lf = self._heal(fd)
            if not ends_in_lf:
                block = b"\n" + block
            length = os.fstat(fd).st_size
            _write(fd, block, length, durable=durable)
        except OSError as error:
            raise self._unusable("written", error) from error
        finally:
            os.close(fd)
        return AppendReport(len(events), length + len(block), torn)

    def heal(self, *, hold: ManifestWriteHold) -> Path | None:
        """Move a torn last line to the trash, without recording anything; gives its new place.

        Raises:
            ManifestError: the file cannot be opened, or the disk is full or broken.
        """
        require_hold(hold)
        if not self._size():
            return None
        fd = self._open()
        try:
            torn, ends_in_lf = self._heal(fd)
            if not ends_in_lf:
                _write(fd, b"\n", os.fstat(fd).st_size, durable=True)
            elif torn is not None:
                os.fsync(fd)
        except OSError as error:
            raise self._unusable("written", error) from error
        finally:
            os.close(fd)
        return torn

    def compact(self, *, hold: ManifestWriteHold) -> CompactReport:
        """Rewrite the log with the lines that its fold needs, in one atomic step; an equal one is left alone.

        Raises:
            CorruptLogError: the log is damaged; nothing was changed.
            SchemaVersionError: a newer grex wrote here; nothing was changed.
            ManifestError: the file cannot be read or replaced; nothing was changed.
        """
        require_hold(hold)
        before = self.read()  # first: a log that is damaged in its middle is not touched at its end either
        kept = compact(before.events)
        self.heal(hold=hold)
        if len(kept) >= len(before.events):
            return CompactReport(len(before.events), len(before.events), before.size_bytes, before.size_bytes)
        data = b"".join([render_line(event) for event in kept])
        try:
            replace_file(self._path, data)
        except OSError as error:
            raise self._unusable("replaced", error) from error
        return CompactReport(len(before.events), len(kept), before.size_bytes, len(data))

    def _open(self) -> int:
        # Appending by flag as well as by lock: whatever happens to the lock, no write lands on another's bytes.
        flags = os.O_RDWR | os.O_APPEND
        try:
            try:
                return open_regular(self._path, flags)
            except FileNotFoundError:
                fd = open_regular(self._path, flags | os.O_CREAT | os.O_EXCL)
            try:
                fsync_dir(self._path.parent)  # before anything is written: if it fails, nothing was recorded
            except BaseException:
                os.close(fd)
                raise
        except OSError as error:
            raise self._unusable("written", error) from error
        return fd

    def _size(self) -> int:
        try:
            return self._path.lstat().st_size
        except OSError:  # whoever opens it next says what is wrong
            return 0

    def _parse_tail(self, tail: bytes, line_no: int) -> Event | None:
        """The event on a last line without LF, or None if the line is torn."""
        try:
            return parse_line(tail, line_no, file=str(self._path))
        except CorruptLogError:
            return None

    def _heal(self, fd: int) -> tuple[Path | None, bool]:
        """Cut off a torn tail after keeping it; tells where it is kept, and whether the file now ends in LF.

        The cut is durable with the flush of the caller.
        """
        length = os.fstat(fd).st_size
        tail = _tail(fd, length)
        if not tail:
            return None, True
        line_no = read_regular(self._path).count(b"\n") + 1  # for the message, should a newer grex have written here
        if self._parse_tail(tail, line_no) is not None:
            return None, False
        kept = self._keep(tail)
        os.ftruncate(fd, length - len(tail))
        return kept, True

    def _keep(self, tail: bytes) -> Path:
        if not self._trash_dir.is_dir():
            self._trash_dir.mkdir(parents=True, exist_ok=True)
            fsync_dir(self._trash_dir.parent)
        kept = self._trash_dir / f"torn-log-{utc_stamp()}.bin"
        while kept.exists():  # MANIFEST is held, so nobody takes the name meanwhile
            kept = self._trash_dir / f"torn-log-{utc_stamp()}.bin"
        replace_file(kept, tail)
        return kept

    def _unusable(self, participle: str, error: OSError) -> ManifestError:
        reason = "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror or str(error)
        return ManifestError(
            f"{self._path}: the log cannot be {participle}: {reason}",
            hint=_HINTS.get(
                error.errno or 0, "Check the file, its directory and the disk, then run the command again."
            ),
            details={"file": str(self._path), "errno": error.errno},
        )


_HINTS = {
    errno.ENOSPC: "Free some space, then run the command again.",
    errno.EDQUOT: "Free some space, then run the command again.",
    errno.ELOOP: "Replace the link by the file itself; grex does not write through links.",
}


def _write(fd: int, block: bytes, length: int, *, durable: bool) -> None:
    """One write, one flush; or the file as it was.

    A short write means a full disk: going on with the rest would fail, and leave more to cut back. After a failed
    flush the kernel may have dropped the pages, so flushing once more would report a lie.
    """
    try:
        written = os.write(fd, block)
        if written != len(block):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # noqa: TRY301 - both failures are cut back below
        if durable:
            os.fsync(fd)
    except BaseException:
        # If the disk refuses even this, whole lines that are there count, and a torn one is healed next time: it is
        # the first failure that says what is wrong.
        with contextlib.suppress(OSError):
            os.ftruncate(fd, length)
        raise


def _tail(fd: int, length: int) -> bytes:
    """The bytes after the last LF, read backwards: a long history costs an append nothing."""
    found: list[bytes] = []
    start = length
    while start > 0:
        size = min(_BACKWARDS_BYTES, start)
        start -= size
        os.lseek(fd, start, os.SEEK_SET)
        _, lf, after = os.read(fd, size).rpartition(b"\n")
        found.append(after)
        if lf:
            break
    return b"".join(reversed(found))
