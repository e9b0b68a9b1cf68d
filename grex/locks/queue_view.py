"""The line before a lock as anybody can see it: who waits, in which order, without any of them being asked.

A ticket says in its offset when it was taken and by which process. Everybody could write such a byte, and in another
pid namespace the same number is another process, so a name is believed only where the process itself shows the ticket
among its open files; root sees all, others their own processes. Since when a waiter waits is nowhere written: the
start of its process is not it.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from grex.locks import processes
from grex.locks.kernel_table import FlockEntry, LockFinder, LockPlace, LockTable, has_ticket, read_lock_table
from grex.locks.lock_paths import standing_path

__all__ = ["LockProcess", "QueuedWaiter", "lock_process", "pids_ahead", "queue_before"]


class LockProcess(Struct, frozen=True):
    """A process that the kernel's list names at a lock.

    `ended` where there is no such process any more, `stopped` where it stands still, as after Ctrl-Z.
    """

    pid: int
    command: str
    shared: bool
    ended: bool
    stopped: bool = False

    def describe(self) -> str:
        """Pid and program, for people."""
        return f"pid {self.pid}{f' {self.command}' if self.command else ''}{' (stopped)' if self.stopped else ''}"

    def to_json(self) -> dict[str, Any]:
        """For `grex locks --json`."""
        return {
            "pid": self.pid,
            "command": self.command,
            "shared": self.shared,
            "ended": self.ended,
            "stopped": self.stopped,
        }


def lock_process(entry: FlockEntry) -> LockProcess:
    """The process behind an entry of the kernel's list."""
    return LockProcess(
        pid=entry.pid,
        command=processes.command_summary(entry.pid),
        shared=entry.shared,
        ended=processes.start_time(entry.pid) is None,
        stopped=processes.is_stopped(entry.pid),
    )


class QueuedWaiter(Struct, frozen=True):
    """One waiter in the line.

    Attributes:
        place: 1 is served next.
        seq: The number that it took when it came.
        pid: Its process, by its ticket.
        command: The program and its verb; empty where that process certainly has not this ticket.
        shared: Whether it waits to read.
        verified: Whether the process shows the ticket among its open files.
        stopped: Whether the process stands still, as after Ctrl-Z; others pass it, a few seconds later each.
    """

    place: int
    seq: int
    pid: int
    command: str
    shared: bool
    verified: bool
    stopped: bool = False

    def describe(self) -> str:
        """One line for people."""
        wants = ("waiting to read" if self.shared else "waiting") + ("; stopped" if self.stopped else "")
        doubt = "" if self.verified else "; the pid is what its ticket says"
        return f"{self.place}. pid {self.pid}{f' {self.command}' if self.command else ''} ({wants}{doubt})"

    def to_json(self) -> dict[str, Any]:
        """For `grex locks --json`."""
        return {
            "place": self.place,
            "seq": self.seq,
            "pid": self.pid,
            "command": self.command,
            "shared": self.shared,
            "verified": self.verified,
            "stopped": self.stopped,
        }


def queue_before(table: LockTable, place: LockPlace) -> tuple[QueuedWaiter, ...]:
    """The line before the lock at that place, first come first."""
    waiters: list[QueuedWaiter] = []
    for position, (number, shared, offset) in enumerate(table.queue_of(place), start=1):
        shown = has_ticket(number.pid, place, offset)
        command = "" if shown is False else processes.command_summary(number.pid)
        stopped = shown is not False and processes.is_stopped(number.pid)
        waiters.append(
            QueuedWaiter(position, number.seq, number.pid, command, shared, verified=shown is True, stopped=stopped)
        )
    return tuple(waiters)


def pids_ahead(file: str | int, number: int) -> tuple[int, ...] | None:
    """Whose tickets of this machine come before the one with this offset, first come first; None if it cannot be told.

    Args:
        file: The lock file: a descriptor of it, or its path.
        number: The offset of one's own ticket, as `render_ticket` makes it.
    """
    found = LockFinder().find(standing_path(file) if isinstance(file, str) else file)
    table = read_lock_table()
    if found is None or table is None:
        return None
    return tuple(entry.number.pid for entry in table.queue_of(found[0]) if entry.offset < number)
