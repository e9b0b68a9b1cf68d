"""The queue of a lock as the kernel shows it, and processes that stand in it in an order that the test decided.

A waiting attempt has a ticket: an open file description lock on one byte far beyond the end of the lock file, whose
offset has its number in the queue and the pid (`grex.locks.line`). `/proc/locks` lists it for everybody to see.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.killing import eventually
from tests.support.lock_holder import Kind, LockHolder, lock_file

__all__ = ["SeenTicket", "WaiterFleet", "flock_waiters", "seen_tickets", "wait_for_ticket"]

_TICKET_BASE = 1 << 62
_PID_BITS = 22


@dataclass(frozen=True, order=True, slots=True)
class SeenTicket:
    """A place in a queue."""

    number: int
    pid: int
    inode: int
    shared: bool


def _lines() -> list[list[str]]:
    return [line.split() for line in Path("/proc/locks").read_text("ascii").splitlines()]


def seen_tickets(*pids: int, inode: int | None = None) -> list[SeenTicket]:
    """The tickets of these processes (of all, if none is named) on this inode (on any), first in line first.

    The kernel gives its list in pieces: while locks come and go elsewhere one can be there twice, or be missing. So it
    is read twice; which tickets there are all the same is a condition for `eventually`.
    """
    found = set()
    for fields in [*_lines(), *_lines()]:
        if fields[1] != "OFDLCK" or int(fields[6]) < _TICKET_BASE:
            continue
        number, pid = divmod(int(fields[6]) - _TICKET_BASE, 1 << _PID_BITS)
        ticket = SeenTicket(number, pid, int(fields[5].rpartition(":")[2]), fields[3] == "READ")
        if ticket.number and (not pids or pid in pids) and inode in {None, ticket.inode}:
            found.add(ticket)
    return sorted(found)


def flock_waiters(inode: int) -> list[int]:
    """The processes that are blocked in a flock on this inode."""
    # "1: -> FLOCK ADVISORY  WRITE 5716 fe:00:2147045 0 EOF" is the line of one that waits
    return [int(fields[5]) for fields in _lines() if fields[1] == "->" and fields[6].endswith(f":{inode}")]


def wait_for_ticket(pid: int) -> None:
    """Wait until a process that does not queue yet does."""
    eventually(lambda: seen_tickets(pid), f"a ticket of pid {pid}")


class WaiterFleet:
    """Processes that want one lock, each known to stand in its queue before the next one asks.

    Args:
        kind: which lock.
        path: what is locked.
        directory: where those who were served are listed; made if it is missing.
    """

    def __init__(self, kind: Kind, path: Path, directory: Path) -> None:
        self._kind: Kind = kind
        self._path = path
        self._directory = directory
        self._started = ExitStack()
        directory.mkdir(exist_ok=True)

    def start(self, count: int, kind: Kind | None = None, **options: Any) -> list[LockHolder]:
        """Start processes that hold nothing yet, on both event loops by turns; `options` are those of `LockHolder`."""
        return [
            self._started.enter_context(
                LockHolder(
                    kind or self._kind,
                    self._path,
                    served=self._directory,
                    **{"backend": ("asyncio", "trio")[number % 2], **options},
                )
            )
            for number in range(count)
        ]

    def start_one(self, kind: Kind | None = None, **options: Any) -> LockHolder:
        """Start one process."""
        return self.start(1, kind, **options)[0]

    def queue(self, waiter: LockHolder, name: str, command: str = "pass") -> None:
        """Let a process ask for the lock under this name, and see it in the queue."""
        before = len(seen_tickets(waiter.pid))
        waiter.send(f"{command} {name}")
        eventually(lambda: len(seen_tickets(waiter.pid)) > before, f"the ticket of {name}")

    def line_up(self, count: int) -> dict[str, LockHolder]:
        """Let so many processes queue one after the other; the keys are their names, and first come first.

        The one that was started last comes first, so that an order by pid would be the wrong one.
        """
        waiters = {f"waiter-{number}": waiter for number, waiter in enumerate(reversed(self.start(count)), 1)}
        for name, waiter in waiters.items():
            self.queue(waiter, name)
        return waiters

    def assert_nobody_else(self, *inside: str, for_s: float) -> None:
        """Nobody is served besides these, for a stretch of time: what does not happen has no event to wait for."""
        until = time.monotonic() + for_s
        while time.monotonic() < until:
            assert sorted(self.served) == sorted(inside)
            time.sleep(0.02)

    def all_pass(self, waiters: dict[str, LockHolder]) -> None:
        """Wait until each of them was served, whatever the order."""
        assert {name: waiter.answer() for name, waiter in waiters.items()} == {
            name: f"passed {name}" for name in waiters
        }

    @property
    def lock_file(self) -> Path:
        """The lock file that they want."""
        return lock_file(self._kind, self._path)

    @property
    def served(self) -> list[str]:
        """The names in the order in which the lock was had; two at once fail the test."""
        try:
            text = (self._directory / "served").read_text()
        except FileNotFoundError:
            return []
        lines = [line.partition(" ") for line in text.splitlines()]
        assert [word for word, _, _ in lines if word != "served"] == [], lines
        return [name for _, _, name in lines]

    def __enter__(self) -> Self:
        """No process yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End all of them."""
        self._started.__exit__(kind, error, traceback)
