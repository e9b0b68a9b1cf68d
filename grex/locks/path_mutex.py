"""One first-come-first-served mutex per lock file, for the whole process: tasks, event loops and threads alike.

It stands in front of the kernel lock, so that of all waiters in this process one at a time asks the kernel, in the
order in which they came. An `anyio.Lock` cannot do this: used from two event loops it hangs.

States of a ticket: WAITING -> GRANTED -> GONE, or WAITING -> GONE. `enter` makes it WAITING or GRANTED, `leave` ends it
from either state, and whoever ends a granted ticket passes the grant on in the same step. So a waiter that was
cancelled in the tick of its grant cannot lose the grant: it leaves like any other holder.

Shared tickets (readers of the manifest) are granted together while no exclusive one stands before them; an exclusive
one in the queue holds back the readers behind it, so it is not starved.

A ticket that has to wait gets its number in the line of all processes at once, also while it is not at the front of its
own: first come, first served holds over the machine and not only over processes. So the order of the queue is the order
of its numbers. The mutex takes and returns numbers in the same steps in which it moves its tickets, through `Line`.

Everything is linearised by one small `threading.Lock`, under which nothing waits; of the outside only the line is
called, whose calls return at once. `leave` never blocks on it: it runs in finalisers, which the garbage collector may
start on top of `enter` in the same thread, and in signal handlers. It puts the ticket into a queue, and whoever can
have the lock drains it: the caller, or the thread that holds the lock right now, which looks again after it let go. No
order of these steps leaves a ticket behind.

An entry exists only while a ticket has it, so ten thousand packs leave the registry empty.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from enum import Enum
from typing import Protocol

from grex.locks.line import Line
from grex.locks.protocol import Standing
from grex.locks.tiers import LockKey

__all__ = ["PATH_MUTEXES", "PathMutexes", "Ticket", "TicketState"]


class TicketState(Enum):
    """Where a ticket stands."""

    WAITING = "waiting"
    GRANTED = "granted"
    GONE = "gone"


class Ticket:
    """One attempt's place in the line.

    Attributes:
        key: The lock file.
        wake: Called, from any thread, when the ticket was granted after a wait.
        open_line: Opens this process's line before the file, for its first waiter; None where there is no such thing.
        shared: Whether it is a reader's.
        state: Where it stands in this process.
        number: Its number in the line of all processes; None if it did not have to wait, or there is no line.
        was_queued: Whether it asked for a number.
    """

    __slots__ = ("key", "number", "open_line", "shared", "state", "wake", "was_queued")

    def __init__(
        self,
        key: LockKey,
        wake: Callable[[], None],
        *,
        shared: bool = False,
        open_line: Callable[[], Line | None] = lambda: None,
    ) -> None:
        self.key = key
        self.wake = wake
        self.open_line = open_line
        self.shared = shared
        self.state = TicketState.WAITING
        self.number: int | None = None
        self.was_queued = False

    @property
    def granted(self) -> bool:
        """Whether the mutex is this ticket's."""
        return self.state is TicketState.GRANTED


class _Mutex:
    """The holders, the queue and the line of one key; used under the registry's lock only."""

    __slots__ = ("holders", "line", "numbers", "queue")

    def __init__(self) -> None:
        self.holders: set[Ticket] = set()
        self.queue: OrderedDict[Ticket, None] = OrderedDict()  # O(1) to leave from the middle
        self.line: Line | None = None
        self.numbers = 0  # how many the line has given out

    def admits(self, ticket: Ticket) -> bool:
        return not self.holders or (ticket.shared and all(holder.shared for holder in self.holders))

    def grant(self, ticket: Ticket) -> None:
        ticket.state = TicketState.GRANTED
        self.holders.add(ticket)

    def queue_up(self, ticket: Ticket) -> None:
        ticket.state = TicketState.WAITING
        self.queue[ticket] = None
        self.take_number(ticket)

    def take_number(self, ticket: Ticket) -> None:
        ticket.was_queued = True
        if self.line is None:
            self.line = ticket.open_line()
        if self.line is not None and ticket.number is None:
            ticket.number = self.line.take(shared=ticket.shared)
            self.numbers += ticket.number is not None
            if not self.numbers:
                line, self.line = self.line, None
                line.close()

    def drop_number(self, ticket: Ticket) -> None:
        number, ticket.number = ticket.number, None
        if number is not None and self.line is not None:
            self.numbers -= 1
            line = self.line
            if not self.numbers:
                self.line = None  # it closes with its last number
            line.drop(number)

    def grant_next(self) -> list[Ticket]:
        granted: list[Ticket] = []
        while self.queue:
            head = next(iter(self.queue))
            if not self.admits(head):
                break
            del self.queue[head]
            self.grant(head)
            granted.append(head)
        return granted


class _Latch(AbstractContextManager[bool], Protocol):
    """What is needed of a `threading.Lock`; the tests have one that can be copied."""

    def acquire(self, blocking: bool = True) -> bool:
        """Take it."""

    def release(self) -> None:
        """Give it back."""


class PathMutexes:
    """The registry of all path mutexes of a process."""

    def __init__(self, guard: _Latch | None = None) -> None:
        self._lock: _Latch = guard or threading.Lock()
        self._mutexes: dict[LockKey, _Mutex] = {}
        self._leaving: deque[Ticket] = deque()

    def __len__(self) -> int:
        """How many mutexes are held or waited for."""
        return len(self._mutexes)

    def enter(self, ticket: Ticket, *, may_wait: bool = True) -> Standing:
        """Grant the ticket if nobody is in its way, else queue it, or with `may_wait=False` end it."""
        with self._lock:
            mutex = self._mutexes.get(ticket.key)
            if mutex is None:
                mutex = self._mutexes[ticket.key] = _Mutex()
            if not mutex.queue and mutex.admits(ticket):
                mutex.grant(ticket)
                standing = Standing.FRONT
            elif may_wait:
                mutex.queue_up(ticket)
                standing = Standing.QUEUED
            else:
                ticket.state = TicketState.GONE
                standing = Standing.REFUSED
        if standing is Standing.QUEUED:
            self.prod(ticket)
        if self._leaving:
            self._drain()
        return standing

    def queue(self, ticket: Ticket) -> bool:
        """Give a granted ticket a number at the end of the line; whether it still is at the front of this process.

        It is not if others queued while it tried: their numbers are lower by then, so it goes behind them. They arrived
        while it did, so either order is that of their arrival.
        """
        granted: list[Ticket] = []
        with self._lock:
            mutex = self._mutexes.get(ticket.key)
            if mutex is None or not ticket.granted:
                return False
            if mutex.queue:
                mutex.holders.discard(ticket)
                mutex.queue_up(ticket)
                granted = mutex.grant_next()
            else:
                mutex.take_number(ticket)
        self._wake(granted)
        self._drain()
        return ticket.granted

    def retire(self, ticket: Ticket) -> None:
        """Give the number of a ticket back whose lock was granted by the kernel; the mutex stays held."""
        with self._lock:
            mutex = self._mutexes.get(ticket.key)
            if mutex is not None:
                mutex.drop_number(ticket)
        self._drain()

    def look(self, ticket: Ticket, anybody: Callable[[], int | None]) -> int | None:
        """The nearest number of another process that is in the way of a ticket; None if there is none.

        Args:
            ticket: A granted one.
            anybody: Asked for a newcomer in a process that has no line: some ticket in its way.
        """
        with self._lock:
            mutex = self._mutexes.get(ticket.key)
            line = None if mutex is None else mutex.line
            if ticket.number is not None:
                before = None if line is None else line.before(ticket.number, shared=ticket.shared)
            elif ticket.was_queued:
                before = None  # there is no line that it could be in, so nobody is before it
            else:
                before = anybody() if line is None else line.anybody(shared=ticket.shared)
        if self._leaving:
            self._drain()
        return before

    def count_before(self, ticket: Ticket) -> int:
        """How many tickets of other processes are before this one."""
        with self._lock:
            mutex = self._mutexes.get(ticket.key)
            line = None if mutex is None else mutex.line
            count = 0 if line is None or ticket.number is None else line.count_before(ticket.number)
        self._drain()
        return count

    def prod(self, ticket: Ticket) -> None:
        """Wake those that are before a waiting ticket at the front of this process.

        Nothing to do for them, but for one whose event loop was closed under it, which would keep the front for ever.
        """
        with self._lock:
            mutex = self._mutexes.get(ticket.key)
            front = [] if mutex is None else list(mutex.holders)
        self._wake(front)
        self._drain()

    def counts(self, key: LockKey) -> tuple[int, int]:
        """How many tickets of this process hold the mutex of a key (or are the one that tries), and how many wait."""
        with self._lock:
            mutex = self._mutexes.get(key)
            counts = (0, 0) if mutex is None else (len(mutex.holders), len(mutex.queue))
        self._drain()
        return counts

    def leave(self, ticket: Ticket) -> None:
        """End a ticket, granted or waiting, and pass a grant on; never blocks, may be called again."""
        self._leaving.append(ticket)
        self._drain()

    def _drain(self) -> None:
        while self._leaving and self._lock.acquire(blocking=False):
            granted: list[Ticket] = []
            try:
                while self._leaving:
                    granted += self._end(self._leaving.popleft())
            finally:
                self._lock.release()
            self._wake(granted)

    def _wake(self, granted: list[Ticket]) -> None:
        for ticket in granted:
            try:
                ticket.wake()
            except RuntimeError:
                # Its event loop is closed: nobody will ever come for this grant, so it goes to the next in line.
                self._leaving.append(ticket)

    def _end(self, ticket: Ticket) -> list[Ticket]:
        mutex = self._mutexes.get(ticket.key)
        if ticket.state is TicketState.GONE or mutex is None:
            return []
        ticket.state = TicketState.GONE
        mutex.holders.discard(ticket)
        mutex.queue.pop(ticket, None)
        mutex.drop_number(ticket)
        # Also when a waiter left: an exclusive one may have held back the readers behind it.
        granted = mutex.grant_next()
        if not mutex.holders and not mutex.queue:
            del self._mutexes[ticket.key]
        return granted

    def start_over(self) -> None:
        """Forget everybody: what a forked child does, in which the other threads do not exist."""
        self._lock = threading.Lock()  # the old one may have been held by a thread that is not here
        for mutex in self._mutexes.values():
            if mutex.line is not None:
                mutex.line.forget()  # its descriptors were closed with those of all lock files
        self._mutexes = {}
        self._leaving = deque()


PATH_MUTEXES = PathMutexes()
"""The one registry of this process."""
