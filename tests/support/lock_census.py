"""What this process has of the kernel for its locks, counted from outside: the kernel's own lists, not grex's.

The numbers of the ticket format stand here once more, on purpose: what is on the file is an agreement between
processes of different versions, and a test that asked the code for it could not notice that it changed.
"""

from __future__ import annotations

import contextlib
import gc
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from grex.locks.path_mutex import PATH_MUTEXES
from grex.locks.tiers import active_frames

__all__ = ["Census", "Counter", "resident_bytes", "tickets_in_line", "wait_until"]

_TICKET_BASE = 1 << 62
_PID_BITS = 22
_LOCK_FIELDS = 8
_PATIENCE_S = 20.0
_BETWEEN_LOOKS_S = 0.001


@dataclass(frozen=True, slots=True)
class Census:
    """What there is at one moment."""

    descriptors: int
    threads: int
    watches: int
    tickets: int
    mutexes: int
    frames: int


class Counter:
    """Takes censuses that can be compared.

    Threads that are there when it is made do not count: trio keeps idle workers of earlier tests for ten seconds.
    """

    def __init__(self) -> None:
        self._earlier = set(threading.enumerate())

    def __call__(self) -> Census:
        """Count now."""
        gc.collect()  # what earlier tests left in cycles must not go between two counts
        lines = _own_fdinfo()
        return Census(
            descriptors=sum(1 for _ in Path("/proc/self/fd").iterdir()),
            threads=len(set(threading.enumerate()) - self._earlier),
            watches=sum(line.startswith("inotify wd:") for line in lines),
            tickets=len({ticket for line in lines if line.startswith("lock:") for ticket in _parse(line)}),
            mutexes=len(PATH_MUTEXES),
            frames=len(active_frames()),
        )


def _own_fdinfo() -> list[str]:
    """What the kernel says about each descriptor of this process, line by line."""
    lines: list[str] = []
    for info in Path("/proc/self/fdinfo").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the descriptor by which the directory itself is read
            lines += info.read_text("ascii").splitlines()
    return lines


def _parse(line: str) -> set[tuple[int, int, int]]:
    """Inode, number and pid of the tickets in a line of `/proc/locks`, or in one of `fdinfo` about a lock.

    As in "2: OFDLCK ADVISORY  WRITE -1 fe:00:2221090 4611686018439988743 4611686018439988743".
    """
    fields = line.removeprefix("lock:").split()
    if len(fields) != _LOCK_FIELDS or fields[1] != "OFDLCK" or int(fields[6]) < _TICKET_BASE:
        return set()
    first, last = int(fields[6]), _TICKET_BASE if fields[7] == "EOF" else int(fields[7])
    inode = int(fields[5].rsplit(":", 1)[1])
    # Neighbouring bytes that one process locked are listed as one range.
    places = (offset - _TICKET_BASE for offset in range(first, last + 1))
    return {(inode, place >> _PID_BITS, place & ((1 << _PID_BITS) - 1)) for place in places}


def tickets_in_line(lock_file: Path) -> list[tuple[int, int]]:
    """Number and pid of each ticket on a lock file, first in line first.

    The kernel gives its list in pieces. While locks come and go elsewhere one can be missing, or be there twice; so
    this is for a condition that is waited for, or for few locks.
    """
    inode = lock_file.stat().st_ino
    tickets = {ticket for line in Path("/proc/locks").read_text("ascii").splitlines() for ticket in _parse(line)}
    return [(number, pid) for found, number, pid in sorted(tickets) if found == inode]


def resident_bytes() -> int:
    """How much memory this process has of the machine's."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Look until something that another process does is done; TimeoutError after twenty seconds."""
    end = time.monotonic() + _PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"it did not come to pass that {what}")
        time.sleep(_BETWEEN_LOOKS_S)
