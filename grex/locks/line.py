"""The line before a lock file, over all processes of this machine: tickets for the order, connections for the wake-up.

**Tickets.** A process that has waiters on a lock file opens it once more and locks one byte for each of them, far
beyond the file's end, where `ticket` says which. These are open file description locks: all of one process belong to
one description, through which only those of others are seen; the kernel frees them with the process. Readers take
theirs as read locks and everybody else as write locks, so to ask for what is in the way of a reader is to ask what a
read lock would conflict with. The arrival is that of Lamport's bakery: take a number that is higher than all in sight.
Two that arrive at once may take the same, and the pid decides; who finished arriving before another began is before it.

**Connections.** Each of these processes listens on an abstract Unix socket whose name is made of the file and the pid.
A waiter connects to the process of the ticket right before its own and waits for the end of that connection. Who drops
a ticket frees the byte first, and then ends all connections of that line; who dies has them ended by the kernel. So
one waiter is woken, the next in line, and there is no message that could be lost with its sender (the queue lock of
Craig, Landin and Hagersten, with the kernel's cleaning up in the place of a shared memory). The sockets carry no
data. They belong to the network namespace: across containers that share a file but no network the connection fails, and
that wait is polled.

Nothing here waits, and nothing raises for want of order: a line that cannot be had costs order and never exclusion.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import struct
from typing import Protocol

from grex.locks.inheritance import close_descriptor, remember_descriptor
from grex.locks.kernel import OpenedFile
from grex.locks.ticket import PID_BITS, TICKET_BASE, parse_ticket, render_ticket
from grex.locks.tiers import LockKey

__all__ = ["NEVER_THERE", "KernelLine", "Line", "connect_to", "first_in_line", "has_tickets"]

# struct flock of 64-bit Linux: type, whence, start, len, pid (which must be 0 for this kind of lock), padding.
_FLOCK = struct.Struct("hhqqi4x")
_NO_CONFLICT = struct.pack("h", fcntl.F_UNLCK)  # how the answer begins
_SEQUENCE = 1 << PID_BITS  # from one sequence number to the next
_BUSY = frozenset({errno.EAGAIN, errno.EACCES})
NEVER_THERE = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})
"""Errors of a kernel or file system that does not have these locks; others may pass."""
_MAX_COLLISIONS = 64
_BACKLOG = 4096
"""Connections that nobody accepts before a ticket is dropped: those of all readers behind a writer, and of all waiters
that came and gave up meanwhile. Who is beyond that, or beyond `net.core.somaxconn`, polls."""

has_tickets = hasattr(fcntl, "F_OFD_SETLK")
"""Whether this system has open file description locks."""


class Line(Protocol):
    """The line before one lock file, as one process sees it."""

    def take(self, *, shared: bool) -> int | None:
        """Take a ticket behind all that are there; None if it cannot be had."""

    def drop(self, number: int) -> None:
        """Give a ticket back, and wake those who watch this process; the last one closes the line."""

    def before(self, number: int, *, shared: bool) -> int | None:
        """The nearest ticket of another process before `number` that is in its way."""

    def anybody(self, *, shared: bool) -> int | None:
        """Some ticket of another process that a newcomer has to go behind; None if there is none."""

    def count_before(self, number: int) -> int:
        """How many tickets of other processes are before `number`."""

    def close(self) -> None:
        """Give everything back."""

    def forget(self) -> None:
        """Be without descriptors, which were closed elsewhere: what happens in a forked child."""


def _conflict(fd: int, start: int, end: int | None, *, shared: bool) -> int | None:
    """Some ticket in `[start, end)` that another description has and that is in the way, if any.

    Whoever may open the file can lock other ranges of it or all of it: a backup, a file server for one of its clients.
    That is no ticket. It may hide some, for the kernel tells of one lock only; this costs order and nothing else.
    """
    length = 0 if end is None else end - start  # 0 means: however far
    if end is not None and length <= 0:
        return None
    kind = fcntl.F_RDLCK if shared else fcntl.F_WRLCK
    answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _FLOCK.pack(kind, os.SEEK_SET, start, length, 0))
    return _ticket_in(answer)


def _ticket_in(answer: bytes) -> int | None:
    found, _, first, size, _ = _FLOCK.unpack(answer)
    return None if found == fcntl.F_UNLCK or size != 1 else first


def _highest(fd: int, start: int, end: int | None, *, shared: bool) -> int | None:
    """The highest ticket in `[start, end)`, in a number of calls that grows with the logarithm of their number."""
    top = _conflict(fd, start, end, shared=shared)
    if top is None:
        return None
    leap = _SEQUENCE
    while (found := _conflict(fd, top + 1, end, shared=shared)) is not None:
        top = found
        while (end is None or top + leap < end) and (found := _conflict(fd, top + leap, end, shared=shared)):
            top = found
            leap *= 2
        leap = max(_SEQUENCE, leap // 2)
    return top


def _count(fd: int, start: int, end: int) -> int:
    total = 0
    ranges = [(start, end)]
    while ranges:
        low, high = ranges.pop()
        found = _conflict(fd, low, high, shared=False)
        if found is not None:
            total += 1
            ranges += [(low, found), (found + 1, high)]
    return total


_ANYBODY = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, TICKET_BASE, 0, 0)
_ANY_WRITER = _FLOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, TICKET_BASE, 0, 0)


def first_in_line(fd: int, *, shared: bool = False) -> int | None:
    """Some ticket that a newcomer, on a descriptor without tickets, has to go behind; None if there is none."""
    answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _ANY_WRITER if shared else _ANYBODY)
    # Asked at every acquire and every release, so the answer is taken apart only if there is one.
    return None if answer.startswith(_NO_CONFLICT) else _ticket_in(answer)


def _address(key: LockKey, pid: int) -> str:
    return f"\0grex-lock/{key[0]:x}:{key[1]:x}/{pid}"


def connect_to(key: LockKey, number: int) -> int | None:
    """A descriptor that is readable when the process of this ticket drops one or dies; None if it cannot be had."""
    ticket = parse_ticket(number)
    if ticket is None:
        return None
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as connection:
            connection.setblocking(False)
            connection.connect(_address(key, ticket.pid))
            fd = connection.detach()
    except (OSError, AttributeError):
        return None
    remember_descriptor(fd)
    return fd


class KernelLine:
    """The line of a process that has waiters; made for the first of them, closed with the last one."""

    __slots__ = ("_fd", "_key", "_listener", "_numbers", "_pid")

    def __init__(self, opened: OpenedFile) -> None:
        # A description of its own, of this very file whatever its name leads to now.
        path = f"/proc/self/fd/{opened.fd}"
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # readers' tickets need no more
        remember_descriptor(self._fd)
        self._key = opened.key
        self._pid = os.getpid()
        self._numbers: set[int] = set()
        self._listener = self._listen()  # before any ticket: who sees a ticket finds somebody who listens

    def _listen(self) -> int:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as listener:
                listener.setblocking(False)
                listener.bind(_address(self._key, self._pid))
                listener.listen(_BACKLOG)
                fd = listener.detach()
        except (OSError, AttributeError):
            return -1  # those behind us poll
        remember_descriptor(fd)
        return fd

    def _set(self, kind: int, number: int) -> None:
        fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, _FLOCK.pack(kind, os.SEEK_SET, number, 1, 0))

    def take(self, *, shared: bool) -> int | None:
        """Take a ticket behind all that are there; None if it cannot be had."""
        try:
            return self._take(shared=shared)
        except (OSError, ValueError):
            return None

    def _take(self, *, shared: bool) -> int | None:
        last = max(_highest(self._fd, TICKET_BASE, None, shared=False) or 0, max(self._numbers, default=0))
        seq = (last - TICKET_BASE) // _SEQUENCE if last else 0
        for _ in range(_MAX_COLLISIONS):
            seq += 1
            number = render_ticket(seq, self._pid)
            try:
                self._set(fcntl.F_RDLCK if shared else fcntl.F_WRLCK, number)
            except OSError as error:
                if error.errno not in _BUSY:
                    raise
                continue  # a process of another pid namespace that has our number
            self._numbers.add(number)
            return number
        return None

    def drop(self, number: int) -> None:
        """Give a ticket back, and wake those who watch this process; the last one closes the line."""
        self._numbers.discard(number)
        # One by one also where all is closed afterwards, which frees nothing of which somebody has a copy: a program
        # that another thread forked this moment, or a library without the knowledge of Python.
        with contextlib.suppress(OSError):
            self._set(fcntl.F_UNLCK, number)
        self._hang_up()
        if not self._numbers:
            self.close()

    def _hang_up(self) -> None:
        """End all connections; who still watches another ticket of this process connects anew."""
        if self._listener < 0:
            return
        # Also where the listener is closed afterwards: somebody may be between a fork and an exec with a copy of it.
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=self._listener)
        listener.setblocking(False)  # a program may have made another default for every new object
        try:
            while True:
                listener.accept()[0].close()
        except OSError as error:
            listener.detach()
            if self._numbers and error.errno == errno.EAGAIN:  # these were all
                return
        # Nobody waits here any more, or no descriptor is left for an accept: with the listener end its connections.
        close_descriptor(self._listener)
        self._listener = self._listen() if self._numbers else -1

    def before(self, number: int, *, shared: bool) -> int | None:
        """The nearest ticket of another process before `number` that is in its way."""
        try:
            return _highest(self._fd, TICKET_BASE, number, shared=shared)
        except OSError:
            return None

    def anybody(self, *, shared: bool) -> int | None:
        """Some ticket of another process that a newcomer has to go behind; None if there is none."""
        try:
            return first_in_line(self._fd, shared=shared)
        except OSError:
            return None

    def count_before(self, number: int) -> int:
        """How many tickets of other processes are before `number`."""
        try:
            return _count(self._fd, TICKET_BASE, number)
        except OSError:
            return 0

    def close(self) -> None:
        """Give everything back."""
        fd, self._fd = self._fd, -1
        listener, self._listener = self._listener, -1
        # The tickets first: who is woken by the end of a connection must not find them any more.
        for descriptor in (fd, listener):
            if descriptor >= 0:
                close_descriptor(descriptor)

    def forget(self) -> None:
        """Be without descriptors, which were closed elsewhere: what happens in a forked child."""
        self._fd = self._listener = -1
        self._numbers.clear()
