"""What can be known about locks from outside: nothing is taken, written or created here.

The kernel lists every lock in `/proc/locks` by device and inode, with the pid of the process that took it. The device
there is that of the superblock, which on btrfs and overlayfs is not what `stat` says; the table of mounts has it.
A lock whose taker is dead lives on in a process that inherited the descriptor, for instance git after its grex was
killed: `/proc/<pid>/fd` shows which (of one's own processes; root sees all).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grex.locks import processes
from grex.locks.holder import HolderRecord, read_record
from grex.locks.tiers import Tier

__all__ = ["LockInfo", "find_holder", "inspect_locks"]

_MIN_FIELDS = 6
_MAX_OPENERS = 8


@dataclass(frozen=True, slots=True)
class LockInfo:
    """One lock file as seen from outside; `held` is None where the system does not tell."""

    tier: Tier
    path: Path
    exists: bool
    held: bool | None
    shared: bool
    pids: tuple[int, ...]
    holder: HolderRecord | None
    outlived: bool

    def describe(self) -> str:
        """One line for people."""
        if not self.exists:
            return "free (never taken)"
        if self.held is None:
            return f"unknown; last note: {self.holder.describe()}" if self.holder else "unknown"
        if not self.held:
            return f"free; stale note of {self.holder.describe()}" if self.holder else "free"
        who = self.holder.describe() if self.holder else ", ".join(f"pid {pid}" for pid in self.pids)
        how = "shared" if self.shared else "held"
        return f"{how} by {who}" + ("; outlived by its child" if self.outlived else "")

    def to_json(self) -> dict[str, Any]:
        """For `grex locks --json`."""
        return {
            "tier": self.tier.name,
            "path": str(self.path),
            "exists": self.exists,
            "held": self.held,
            "shared": self.shared,
            "pids": list(self.pids),
            "holder": None if self.holder is None else self.holder.to_json(),
            "outlived": self.outlived,
        }


@dataclass(frozen=True, slots=True)
class _KernelEntry:
    pid: int
    shared: bool


def _superblock(path: str) -> tuple[str, int, tuple[int, int]] | None:
    """Device as `/proc/locks` writes it, inode, and the key, of a file; `O_PATH` opens nothing for real."""
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW)
    except (OSError, AttributeError):
        return None
    try:
        found = os.fstat(fd)
        device = _device_of_mount(fd) or f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}"
    finally:
        os.close(fd)
    return device, found.st_ino, (found.st_dev, found.st_ino)


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


def _kernel_entries() -> dict[tuple[str, int], list[_KernelEntry]] | None:
    """All flocks of the machine by device and inode; None where the system does not list them."""
    try:
        lines = Path("/proc/locks").read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    entries: dict[tuple[str, int], list[_KernelEntry]] = {}
    for line in lines:
        fields = line.split()
        # "1: FLOCK ADVISORY WRITE 5716 fe:00:2147045 0 EOF"; a waiter has "->" as its second field and is left out
        if len(fields) < _MIN_FIELDS or fields[1] != "FLOCK":
            continue
        with contextlib.suppress(ValueError):
            device, inode = fields[5].rsplit(":", 1)
            entry = _KernelEntry(int(fields[4]), fields[3] == "READ")
            entries.setdefault((device, int(inode)), []).append(entry)
    return entries


def _openers(key: tuple[int, int]) -> list[int]:
    """The processes, other than this one, that have the file open, as far as this user may see."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc"):  # noqa: PTH208 - names are all that is wanted
            if not name.isdigit() or int(name) == os.getpid():
                continue
            with contextlib.suppress(OSError):
                for fd in os.listdir(f"/proc/{name}/fd"):  # noqa: PTH208 - see above
                    with contextlib.suppress(OSError):
                        seen = os.stat(f"/proc/{name}/fd/{fd}")  # noqa: PTH116 - one call in a tight loop
                        if (seen.st_dev, seen.st_ino) == key:
                            found.append(int(name))
                            break
            if len(found) >= _MAX_OPENERS:
                break
    return found


def _unrecorded(pid: int) -> HolderRecord:
    """What the kernel alone knows: the pid; the program's name stands in for the verb."""
    return HolderRecord(
        pid=pid,
        boot_id=processes.boot_id(),
        pid_start=processes.start_time(pid),
        host=processes.host_name(),
        tier=None,
        verb="",
        acquired_at=None,
    )


def _with_survivors(record: HolderRecord, key: tuple[int, int]) -> HolderRecord:
    if not record.is_stale:
        return record
    names = [f"{processes.command_name(pid) or 'a process'} (pid {pid})" for pid in _openers(key)]
    return record.kept_alive_by(tuple(names))


def find_holder(path: str) -> HolderRecord | None:
    """Who holds the lock file that somebody waits for: its record, or else what the kernel knows."""
    record = read_record(path)
    if record is not None and not record.is_stale:
        return record
    place = _superblock(path)
    if place is None:
        return record
    device, inode, key = place
    takers = (_kernel_entries() or {}).get((device, inode), [])
    if takers and (record is None or record.pid not in {taker.pid for taker in takers}):
        # Nobody wrote a record, or it is that of somebody long gone: the kernel knows better.
        record = _unrecorded(takers[0].pid)
    return None if record is None else _with_survivors(record, key)


def inspect_locks(paths: Iterable[tuple[Tier, Path]]) -> list[LockInfo]:
    """What `grex locks` shows: for each lock file whether it is held, by whom, and whether its note is stale."""
    entries = _kernel_entries()
    found: list[LockInfo] = []
    for tier, path in paths:
        place = _superblock(str(path))
        record = read_record(str(path)) if place is not None else None
        takers = [] if place is None or entries is None else entries.get(place[:2], [])
        pids = tuple(taker.pid for taker in takers)
        outlived = bool(pids) and all(processes.start_time(pid) is None for pid in pids)
        if place is not None and pids:
            if record is None or record.pid not in pids:
                record = _unrecorded(pids[0])
            record = _with_survivors(record, place[2])
        found.append(
            LockInfo(
                tier=tier,
                path=path,
                exists=place is not None,
                held=None if entries is None else bool(pids),
                shared=any(taker.shared for taker in takers),
                pids=pids,
                holder=record,
                outlived=outlived,
            )
        )
    return found
