"""What log and lockfile hold when they are not in order: every line is looked at, and nothing is raised.

`Log.read` and `read_lockfile` refuse a file at its first bad line, because nothing may be done on half of what was
recorded. Whoever is to say what is wrong wants to see all of it, with the number of each line, and what could be kept.
Nothing here writes.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from msgspec import Struct, field

from grex.errors import CorruptLogError, GrexError, LockfileError, SchemaVersionError
from grex.fs import read_regular
from grex.manifest.events import Event, parse_line
from grex.manifest.lockfile import LockLine, parse_lock_line

__all__ = ["BadLine", "LineProblem", "LockfileScan", "LogScan", "scan_lockfile", "scan_log"]

LineProblem = Literal["damaged", "newer", "merge"]


class BadLine(Struct, frozen=True):
    """A line that cannot be used: its number from 1, what kind of trouble it is, and the error that says it."""

    number: int
    problem: LineProblem
    error: GrexError


class LogScan(Struct, frozen=True):
    """A log, line by line.

    Attributes:
        is_there: whether there is a file.
        unreadable: why it cannot be read at all, as a clause.
        events: those of the good lines, oldest first.
        bad: the lines that cannot be used; the torn end is none of them.
        torn_bytes: the length of a last line that a crash cut off.
        size_bytes: the length of the file.
    """

    is_there: bool
    unreadable: str | None = None
    events: Sequence[Event] = ()
    bad: Sequence[BadLine] = ()
    torn_bytes: int = 0
    size_bytes: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether everything that was recorded can be read."""
        return self.unreadable is None and not self.bad


class LockfileScan(Struct, frozen=True):
    """A lockfile, line by line; of a path that is there twice, neither line is among `lines`."""

    is_there: bool
    unreadable: str | None = None
    lines: Mapping[str, LockLine] = field(default_factory=dict)
    bad: Sequence[BadLine] = ()
    data: bytes = b""

    @property
    def is_whole(self) -> bool:
        """Whether everything that was resolved can be read."""
        return self.unreadable is None and not self.bad


def scan_log(path: Path) -> LogScan:
    """Look at every line of a log."""
    data = _read(path)
    if not isinstance(data, bytes):
        return LogScan(is_there=data is not None, unreadable=data)
    lines = data.split(b"\n")
    tail = lines.pop()
    events: list[Event] = []
    bad: list[BadLine] = []
    for number, line in enumerate(lines, start=1):
        try:
            events.append(parse_line(line, number, file=path.name))
        except SchemaVersionError as error:
            bad.append(BadLine(number, "newer", error))
        except CorruptLogError as error:
            bad.append(BadLine(number, "damaged", error))
    torn_bytes = 0
    if tail:
        try:
            events.append(parse_line(tail, len(lines) + 1, file=path.name))
        except SchemaVersionError as error:
            bad.append(BadLine(len(lines) + 1, "newer", error))
        except CorruptLogError:
            torn_bytes = len(tail)
    return LogScan(is_there=True, events=events, bad=bad, torn_bytes=torn_bytes, size_bytes=len(data))


def scan_lockfile(path: Path) -> LockfileScan:
    """Look at every line of a lockfile.

    What stands between the markers of an unfinished merge is in `bad` as one line, that of the first marker: which of
    the two sides is wanted, no line says.
    """
    data = _read(path)
    if not isinstance(data, bytes):
        return LockfileScan(is_there=data is not None, unreadable=data)
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    found: dict[str, LockLine] = {}
    first_at: dict[str, int] = {}
    bad: list[BadLine] = []
    in_conflict = False
    for number, line in enumerate(lines, start=1):
        if in_conflict:
            in_conflict = not line.startswith(b">>>>>>>")
            continue
        try:
            parsed = parse_lock_line(line, number, file=path.name)
        except SchemaVersionError as error:
            bad.append(BadLine(number, "newer", error))
        except LockfileError as error:
            in_conflict = line.startswith(b"<<<<<<<")
            bad.append(BadLine(number, "merge" if in_conflict else "damaged", error))
        else:
            if parsed.path in first_at:
                found.pop(parsed.path, None)
                what = f"{path.name}:{number}: the line repeats {parsed.path!r}, which line {first_at[parsed.path]} has"
                bad.append(BadLine(number, "damaged", LockfileError(what)))
            else:
                first_at[parsed.path] = number
                found[parsed.path] = parsed
    return LockfileScan(is_there=True, lines=found, bad=bad, data=data)


def _read(path: Path) -> bytes | str | None:
    """The bytes of a file; None where there is none, and why where it cannot be read."""
    try:
        return read_regular(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        return "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror or str(error)
