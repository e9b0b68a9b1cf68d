"""One first-come-first-served mutex per lock file, for the whole process: tasks, event loops and threads alike.

It stands in front of the kernel lock, so that of all waiters in this process one at a time asks the kernel, in the
order in which they came. An `anyio.Lock` cannot do this: used from two event loops it hangs.

States of a ticket: WAITING -> GRANTED -> GONE, or WAITING -> GONE. `enter` makes it WAITING or GRANTED, `leave` ends it
from either state, and whoever ends a granted ticket passes the grant on in the same step. So a waiter that was
cancelled in the tick of its grant cannot lose the grant: it leaves like any other holder.

Shared tickets (readers of the manifest) are granted together while no exclusive one stands before them; an exclusive
one in the queue holds back the readers behind it, so it is not starved.

Everything is linearised by one small `threading.Lock` under which nothing waits and nothing is called. `leave` never
blocks on it: it runs in finalisers, which the garbage collector may start on top of `enter` in the same thread, and in
signal handlers. It puts the ticket into a queue, and whoever can have the lock drains it: the caller, or the thread
that holds the lock right now, which looks again after it let go. No order of these steps leaves a ticket behind.

An entry exists only while a ticket has it, so ten thousand packs leave the registry empty.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from enum import Enum

from grex.locks.tiers import LockKey

__all__ = ["PATH_MUTEXES", "PathMutexes", "Ticket", "TicketState"]


class TicketState(Enum):
    """Where a ticket stands."""

    WAITING = "waiting"
    GRANTED = "granted"
    GONE = "gone"


class Ticket:
    """One attempt on one mutex; `wake` is called, from any thread, when it was granted after a wait."""

    __slots__ = ("key", "shared", "state", "wake")

    def __init__(self, key: LockKey, wake: Callable[[], None], *, shared: bool = False) -> None:
        self.key = key
        self.wake = wake
        self.shared = shared
        self.state = TicketState.WAITING

    @property
    def granted(self) -> bool:
        """Whether the mutex is this ticket's."""
        return self.state is TicketState.GRANTED


class _Mutex:
    """The holders and the queue of one key; used under the registry's lock only."""

    __slots__ = ("holders", "queue")

    def __init__(self) -> None:
        self.holders: set[Ticket] = set()
        self.queue: OrderedDict[Ticket, None] = OrderedDict()  # O(1) to leave from the middle

    def admits(self, ticket: Ticket) -> bool:
        return not self.holders or (ticket.shared and all(holder.shared for holder in self.holders))

    def grant(self, ticket: Ticket) -> None:
        ticket.state = TicketState.GRANTED
        self.holders.add(ticket)

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


class PathMutexes:
    """The registry of all path mutexes of a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._mutexes: dict[LockKey, _Mutex] = {}
        self._leaving: deque[Ticket] = deque()

    def __len__(self) -> int:
        """How many mutexes are held or waited for."""
        return len(self._mutexes)

    def enter(self, ticket: Ticket, *, may_wait: bool = True) -> None:
        """Grant the ticket if nobody is in its way, else queue it, or with `may_wait=False` end it."""
        with self._lock:
            mutex = self._mutexes.get(ticket.key)
            if mutex is None:
                mutex = self._mutexes[ticket.key] = _Mutex()
            if not mutex.queue and mutex.admits(ticket):
                mutex.grant(ticket)
            elif may_wait:
                mutex.queue[ticket] = None
            else:
                ticket.state = TicketState.GONE
        self._drain()

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
        # Also when a waiter left: an exclusive one may have held back the readers behind it.
        granted = mutex.grant_next()
        if not mutex.holders and not mutex.queue:
            del self._mutexes[ticket.key]
        return granted

    def start_over(self) -> None:
        """Forget everybody: what a forked child does, in which the other threads do not exist."""
        self._lock = threading.Lock()  # the old one may have been held by a thread that is not here
        self._mutexes = {}
        self._leaving = deque()


PATH_MUTEXES = PathMutexes()
"""The one registry of this process."""
