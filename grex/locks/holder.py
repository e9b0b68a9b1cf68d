"""Who holds a lock: the record that a holder writes into its lock file.

The record is written under the lock in one write and blanked before the release, so a torn or a blank one only means
"unknown". It is a hint and never decides anything but the refusal of a certain deadlock; the kernel's lock is the
truth. A holder that was killed leaves its record behind, and the next one overwrites it.

What is read here was written by another program into a directory that a repository can fill: it is parsed strictly,
capped, and text that is not plainly a name is dropped, so that a record can never put words into our messages.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import time
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from grex.locks import processes
from grex.locks.kernel import OpenedFile
from grex.locks.run_context import current_verb
from grex.locks.tiers import Tier

__all__ = [
    "HolderRecord",
    "empty_record",
    "is_foreign",
    "parse_record",
    "prepare_record",
    "read_record",
    "render_record",
    "write_record",
]

RECORD_VERSION = 1
MAX_RECORD_BYTES = 1024
_RECORD_START = b'{"v":'
_BLANKS = b" \n\0"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,252}")
_BOOT_ID = re.compile(r"[0-9a-f-]{0,36}")
_TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
_TIME = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})Z")
_EPOCH = 1970
_DAYS_BEFORE_EPOCH = 719162  # from the first day of the year 1
_MONTHS, _HOURS, _MINUTES, _FEBRUARY = 12, 24, 60, 2
_MAX_INT = 1 << 62


class HolderRecord(Struct, frozen=True):
    """Who holds a lock, as far as it can be told.

    `kept_by` names living processes that have a dead holder's lock; `program` is what runs where nobody wrote a record.
    """

    pid: int
    boot_id: str
    pid_start: int | None
    host: str
    tier: Tier | None
    verb: str
    acquired_at: str | None
    kept_by: tuple[str, ...] = ()
    program: str = ""

    @property
    def is_local(self) -> bool:
        """Whether the record speaks of this machine."""
        return self.host == processes.host_name()

    @property
    def is_stale(self) -> bool:
        """Whether the process of the record certainly ended: it is gone, or the machine was restarted since."""
        if not self.is_local:
            return False
        if self.boot_id and processes.boot_id() and self.boot_id != processes.boot_id():
            return True
        started = processes.start_time(self.pid)
        if started is None:
            return os.path.isdir("/proc/self")  # noqa: PTH112 - without /proc nothing can be told
        return self.pid_start is not None and started != self.pid_start

    def describe(self, *, is_over: bool = False) -> str:
        """One line: pid, host, verb, since when; and what to think of it.

        Args:
            is_over: Whether nobody holds the lock any more, so that it says when it was taken and not for how long.
        """
        is_stale = self.is_stale
        parts = [f"pid {self.pid} on host {self.host}"]
        if self.verb:
            parts.append(f"grex {self.verb}")
        elif self.program:
            parts.append(self.program)
        if self.acquired_at:
            since = f"for {self._held_for()} (since {self.acquired_at})"
            parts.append(f"taken at {self.acquired_at}" if is_stale or is_over else since)
        text = ", ".join(parts)
        if is_stale:
            text += "; that process has ended"
            text += f", and its lock lives on in {', '.join(self.kept_by)}" if self.kept_by else ""
        elif self.pid == os.getpid() and self.is_local:
            text += "; this very process"
        elif self.is_local and processes.is_stopped(self.pid):
            text += f"; it is stopped (`kill -CONT {self.pid}` continues it)"
        return text

    @property
    def held_for_s(self) -> int | None:
        """For how long it has been held by the clock of this machine; None if the record does not say since when."""
        since = _parse_time(self.acquired_at)
        return None if since is None else max(0, int(time.time() - since))

    def _held_for(self) -> str:
        seconds = self.held_for_s
        if seconds is None:
            return "some time"
        minutes, rest = divmod(seconds, 60)
        return f"{seconds} s" if not minutes else f"{minutes} min {rest} s"

    def kept_alive_by(self, names: tuple[str, ...]) -> HolderRecord:
        """The same record, with the living processes that have the lock's descriptor."""
        return replace(self, kept_by=names)

    def to_json(self) -> dict[str, Any]:
        """The record for `details` of errors and for `--json`."""
        return {
            "pid": self.pid,
            "host": self.host,
            "tier": None if self.tier is None else self.tier.name,
            "verb": self.verb,
            "acquired_at": self.acquired_at,
            "stale": self.is_stale,
            "kept_by": list(self.kept_by),
        }


def _parse_time(text: str | None) -> int | None:
    """Seconds since 1970. By hand: `strptime` costs everybody who waits 3 ms of imports."""
    found = _TIME.fullmatch(text or "")
    if found is None:
        return None
    year, month, day, hour, minute, second = map(int, found.groups())
    if not (year >= _EPOCH and 1 <= month <= _MONTHS and 1 <= day <= _days_of(year, month)):
        return None
    if hour >= _HOURS or minute >= _MINUTES or second > _MINUTES:  # 60 is a leap second
        return None
    before = year - 1
    days = before * 365 + before // 4 - before // 100 + before // 400 - _DAYS_BEFORE_EPOCH
    days += sum(_days_of(year, earlier) for earlier in range(1, month)) + day - 1
    return ((days * _HOURS + hour) * _MINUTES + minute) * _MINUTES + second


def _days_of(year: int, month: int) -> int:
    if month == _FEBRUARY:
        return 29 if year % 4 == 0 and (year % 100 or year % 400 == 0) else 28
    return 30 if month in {4, 6, 9, 11} else 31


@functools.lru_cache(maxsize=8)
def _record_head(pid: int, tier: Tier, verb: str) -> bytes:
    record = {
        "v": RECORD_VERSION,
        "pid": pid,
        "boot_id": processes.boot_id(),
        "pid_start": processes.own_start_time(),
        "host": processes.host_name(),
        "tier": int(tier),
        "verb": verb,
    }
    return json.dumps(record, separators=(",", ":")).encode("ascii").removesuffix(b"}") + b',"acquired_at":"'


def prepare_record(tier: Tier) -> None:
    """Find out, while somebody waits, what the record will say: the first one of a process takes 0.2 ms."""
    render_record(tier)


def render_record(tier: Tier) -> bytes:
    """The record of this process, for a lock of that tier that was won just now."""
    head = _record_head(os.getpid(), tier, current_verb())  # all of a run that does not change
    return head + time.strftime(_TIME_FORMAT, time.gmtime()).encode("ascii") + b'"}'


def parse_record(data: bytes) -> HolderRecord | None:
    """The record in the bytes of a lock file; None if it is empty, torn or not one of ours."""
    if not data.startswith(_RECORD_START):
        return None
    try:
        record = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or record.get("v") != RECORD_VERSION:
        return None
    pid, tier = _as_int(record.get("pid")), _as_int(record.get("tier"))
    if pid is None or pid == 0:
        return None
    acquired_at = record.get("acquired_at")
    return HolderRecord(
        pid=pid,
        boot_id=_as_name(record.get("boot_id"), _BOOT_ID),
        pid_start=_as_int(record.get("pid_start")),
        host=_as_name(record.get("host"), _NAME) or "unknown",
        tier=Tier(tier) if tier is not None and tier <= max(Tier) else None,
        verb=_as_name(record.get("verb"), _NAME),
        acquired_at=acquired_at if isinstance(acquired_at, str) and _parse_time(acquired_at) is not None else None,
    )


def _as_int(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MAX_INT else None


def _as_name(value: object, pattern: re.Pattern[str]) -> str:
    return value if isinstance(value, str) and pattern.fullmatch(value) else ""


def is_foreign(data: bytes) -> bool:
    """Whether the bytes are certainly not what grex left in a lock file: then they are somebody's content.

    A record that a crash cut short is a beginning of one; a power failure may leave zeros instead.
    """
    data = data.rstrip(_BLANKS)
    return not data.startswith(_RECORD_START) and not _RECORD_START.startswith(data)


def write_record(opened: OpenedFile, tier: Tier) -> None:
    """Say in a lock file that was won who has it; a failure changes nothing, for the record is only a hint.

    It is written over what there is, and never made shorter: to cut a file and let it grow again costs ten times as
    much as to write over it, at every acquire.
    """
    with contextlib.suppress(OSError):
        if opened.size > MAX_RECORD_BYTES:
            os.ftruncate(opened.fd, 0)
            opened.size = 0
        record = render_record(tier).ljust(opened.size)
        opened.size = os.pwrite(opened.fd, record, 0)


def empty_record(opened: OpenedFile) -> None:
    """Take the record back, still under the lock: what is left is blank."""
    if opened.size:
        with contextlib.suppress(OSError):
            os.pwrite(opened.fd, b" " * (opened.size - 1) + b"\n", 0)


def read_record(file: str | int) -> HolderRecord | None:
    """The record in a lock file; None if it cannot be read.

    A path is opened for reading only, and a symlink there is not followed. Its closing is an event for those who watch
    the file; who has a descriptor gives that one and wakes nobody.
    """
    if isinstance(file, int):
        return _record_of(file)
    try:
        fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        return _record_of(fd)
    finally:
        os.close(fd)


def _record_of(fd: int) -> HolderRecord | None:
    try:
        return parse_record(os.pread(fd, MAX_RECORD_BYTES, 0))
    except OSError:
        return None
