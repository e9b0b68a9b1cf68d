"""The kernel's own list of locks, `/proc/locks`, read without taking, opening or making anything.

    1: FLOCK  ADVISORY  WRITE 5716 fe:00:2147045 0 EOF          a lock that is held, and who took it
    1: -> FLOCK  ADVISORY  WRITE 5720 fe:00:2147045 0 EOF       a process that sleeps in the kernel until it is free
    2: OFDLCK ADVISORY  READ -1 fe:00:2147045 4611... 4611...   a ticket: its order and its pid are in the offset

A lock is listed by device and inode. The device is that of the superblock, which on btrfs and overlayfs is not what
`stat` says; the table of mounts has it.

The kernel hands a long list out a page at a time and finds its place again by counting, so while locks come and go on
the machine an entry that stays can be missed or come twice. A list of more than one page is therefore read until it
comes out the same twice, at most a few times, and all that was seen counts. It is a picture, never a decision.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct, field

from grex.locks.ticket import TicketNumber, parse_ticket
from grex.locks.tiers import LockKey

__all__ = [
    "FlockEntry",
    "LockFinder",
    "LockPlace",
    "LockTable",
    "TicketEntry",
    "has_lock_open",
    "has_ticket",
    "parse_lock_table",
    "read_lock_table",
    "render_device",
]

_LINE = re.compile(
    r"\d+:\s+(?P<waits>->\s+)?(?P<kind>FLOCK|OFDLCK)\s+\S+\s+(?P<mode>READ|WRITE)\s+(?P<pid>-?\d+)"
    r"\s+(?P<device>[0-9a-f]+:[0-9a-f]+):(?P<inode>\d+)\s+(?P<start>\d+)\s+\S+\s*"
)

_READ_BYTES = 1 << 16
_MAX_READINGS = 4


class LockPlace(NamedTuple):
    """A file as the kernel's list names it: the device of its superblock, in hexadecimal, and its inode."""

    device: str
    inode: int


class FlockEntry(NamedTuple):
    """One whole-file lock: the process that took it, or that sleeps in the kernel until it gets it."""

    pid: int
    shared: bool


class TicketEntry(NamedTuple):
    """One place in the line for a lock; `offset` is the byte that stands for it."""

    number: TicketNumber
    shared: bool
    offset: int


class LockTable(Struct, frozen=True):
    """What one reading of the list said; the tickets of a lock are in the order in which they are served."""

    flocks: dict[LockPlace, tuple[FlockEntry, ...]] = field(default_factory=dict)
    blocked: dict[LockPlace, tuple[FlockEntry, ...]] = field(default_factory=dict)
    tickets: dict[LockPlace, tuple[TicketEntry, ...]] = field(default_factory=dict)

    def holders_of(self, place: LockPlace) -> tuple[FlockEntry, ...]:
        """Who took the lock."""
        return self.flocks.get(place, ())

    def blocked_on(self, place: LockPlace) -> tuple[FlockEntry, ...]:
        """Who sleeps in the kernel for it without a ticket: other programs, such as `flock(1)`."""
        return self.blocked.get(place, ())

    def queue_of(self, place: LockPlace) -> tuple[TicketEntry, ...]:
        """Who waits for it, first come first."""
        return self.tickets.get(place, ())


def parse_lock_table(text: str) -> LockTable:
    """The list as the kernel writes it; lines of other kinds of locks are left out."""
    flocks: dict[LockPlace, dict[FlockEntry, None]] = {}
    blocked: dict[LockPlace, dict[FlockEntry, None]] = {}
    tickets: dict[LockPlace, set[TicketEntry]] = {}
    for line in text.splitlines():
        found = _LINE.fullmatch(line)
        if found is None:
            continue
        place = LockPlace(found["device"], int(found["inode"]))
        shared = found["mode"] == "READ"
        if found["kind"] == "FLOCK":
            into = blocked if found["waits"] else flocks
            into.setdefault(place, {})[FlockEntry(int(found["pid"]), shared)] = None
        elif not found["waits"]:
            offset = int(found["start"])
            number = parse_ticket(offset)
            if number is not None:
                tickets.setdefault(place, set()).add(TicketEntry(number, shared, offset))
    return LockTable(
        {place: tuple(entries) for place, entries in flocks.items()},
        {place: tuple(entries) for place, entries in blocked.items()},
        {place: tuple(sorted(entries)) for place, entries in tickets.items()},
    )


def _read_pages() -> tuple[bytes, ...]:
    """The list once, by the pages in which the kernel hands it out; each of them is true by itself."""
    fd = os.open("/proc/locks", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return tuple(iter(lambda: os.read(fd, _READ_BYTES), b""))
    finally:
        os.close(fd)


def read_lock_table() -> LockTable | None:
    """The list as it is now; None where the system has none."""
    readings: list[tuple[bytes, ...]] = []
    try:
        while len(readings) < _MAX_READINGS:
            pages = _read_pages()
            is_settled = len(pages) <= 1 or pages in readings
            readings.append(pages)
            if is_settled:
                break
        return parse_lock_table(b"".join(page for pages in dict.fromkeys(readings) for page in pages).decode("ascii"))
    except (OSError, UnicodeDecodeError):
        return None


class LockFinder:
    """Finds files in the list; the device of each file system is looked up once."""

    __slots__ = ("_devices",)

    def __init__(self) -> None:
        self._devices: dict[int, str] = {}

    def find(self, file: str | int) -> tuple[LockPlace, LockKey] | None:
        """Where the list has this file, a path or a descriptor, and its key; None if there is no such file.

        A path is opened with `O_PATH`, which opens nothing for real, and a symlink there is not followed.
        """
        if isinstance(file, int):
            return self._place_of(file)
        try:
            fd = os.open(file, os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW)
        except (OSError, AttributeError):
            return None
        try:
            return self._place_of(fd)
        finally:
            os.close(fd)

    def _place_of(self, fd: int) -> tuple[LockPlace, LockKey] | None:
        try:
            found = os.fstat(fd)
        except OSError:
            return None
        device = self._devices.get(found.st_dev)
        if device is None:
            device = self._devices[found.st_dev] = _device_of_mount(fd) or render_device(found.st_dev)
        return LockPlace(device, found.st_ino), (found.st_dev, found.st_ino)


def render_device(number: int) -> str:
    """A device number as the list writes it."""
    return f"{os.major(number):02x}:{os.minor(number):02x}"


def _device_of_mount(fd: int) -> str | None:
    with contextlib.suppress(OSError, ValueError, IndexError, KeyError):
        lines = Path(f"/proc/self/fdinfo/{fd}").read_text("ascii").splitlines()
        mount = dict(line.split(":", 1) for line in lines)["mnt_id"].strip().encode("ascii")
        for line in Path("/proc/self/mountinfo").read_bytes().splitlines():
            columns = line.split(b" ", 3)
            if columns[0] == mount:
                major, minor = columns[2].decode("ascii").split(":")
                return f"{int(major):02x}:{int(minor):02x}"
    return None


def _open_files(pid: int) -> list[str] | None:
    """The descriptors of a process; None if this user may not see them."""
    try:
        return os.listdir(f"/proc/{pid}/fdinfo")  # noqa: PTH208 - names are all that is wanted
    except OSError:
        return None


def _locks_of(pid: int, descriptor: str) -> LockTable:
    """The locks that the process has by that open file."""
    try:
        text = Path(f"/proc/{pid}/fdinfo/{descriptor}").read_text("ascii")
    except (OSError, UnicodeDecodeError):
        return LockTable()  # closed meanwhile
    lines = [line.removeprefix("lock:").strip() for line in text.splitlines() if line.startswith("lock:")]
    return parse_lock_table("\n".join(lines)) if lines else LockTable()


def has_ticket(pid: int, place: LockPlace, offset: int) -> bool | None:
    """Whether the process really has that ticket; None if this user may not see its open files."""
    descriptors = _open_files(pid)
    if descriptors is None:
        return None
    return any(ticket.offset == offset for name in descriptors for ticket in _locks_of(pid, name).queue_of(place))


def has_lock_open(pid: int, place: LockPlace, key: LockKey) -> bool:
    """Whether the process has, by an open file with that key, the lock at that place of the list.

    Also by one that it inherited. And this is how the two names of one file are known to belong together where `stat`
    and the list name its device differently.
    """
    for name in _open_files(pid) or ():
        with contextlib.suppress(OSError):
            seen = os.stat(f"/proc/{pid}/fd/{name}")  # noqa: PTH116 - a link that leads to no path
            if (seen.st_dev, seen.st_ino) == key and _locks_of(pid, name).holders_of(place):
                return True
    return False
