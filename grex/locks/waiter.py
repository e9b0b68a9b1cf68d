"""How a wait sleeps, and what wakes it. No thread is ever parked for a lock.

Two questions, kept apart:

- `TaskWakeup`, `ThreadWakeup`: how this very caller sleeps and is woken, from any thread and from signal handlers. A
  task sleeps in its event loop, a plain thread that asked for a blocking acquire in itself.
- `Watch`: when it is worth asking again. The head of the line watches the lock file (`inotify.FileWatch`), everybody
  else the one before it (`PredecessorWatch`); what cannot be watched is polled (`PollingWatch`): after 5 ms, then a
  little later each time, up to 50 ms.

A state is always changed before `set` is called, and looked at after every wait; so a wake-up may come early, late or
twice, but is never needed and missing.
"""

from __future__ import annotations

import math
import os
import select
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Protocol, cast

import anyio
import anyio.lowlevel

from grex.locks import inotify
from grex.locks.file_system import abilities, warn_of_polling
from grex.locks.inheritance import close_descriptor
from grex.locks.inotify import Inotify
from grex.locks.kernel import OpenedFile
from grex.locks.line import connect_to
from grex.locks.tiers import LockKey

__all__ = [
    "LAST_POLL_S",
    "PollingWatch",
    "PredecessorWatch",
    "TaskWakeup",
    "ThreadWakeup",
    "Watch",
    "prepare_to_watch",
    "watch_file",
    "watch_predecessor",
]

FIRST_POLL_S = 0.005
LAST_POLL_S = 0.050
_GROWTH = 1.6


class TaskWakeup:
    """The sleep of a task."""

    __slots__ = ("_is_set", "_post", "_scope")

    def __init__(self) -> None:
        self._scope: anyio.CancelScope | None = None
        self._is_set = False
        self._post: Callable[[Callable[[], None]], object] | None = None

    def set(self) -> None:
        """Wake the task; from any task, thread or signal handler. RuntimeError if its event loop is closed.

        It is posted again though it was set before: a loop that was closed in between never delivered that, and only
        the next post finds out.
        """
        self._is_set = True
        if self._post is not None:
            self._post(self._deliver)

    def _deliver(self) -> None:
        if self._scope is not None and self._is_set:
            self._scope.cancel()

    async def wait(self, at_most_s: float, fd: int | None) -> bool:
        """Sleep until woken, until the descriptor is readable, or so long; whether it was so long."""
        if self._post is None:
            self._post = _poster()
        with anyio.move_on_after(at_most_s) as scope:
            self._scope = scope
            try:
                # The loop is known before the flag is looked at, `set` does it the other way round: one sees the other.
                if not self._is_set:
                    await (anyio.sleep_forever() if fd is None else anyio.wait_readable(fd))
            finally:
                self._scope = None
        woken, self._is_set = self._is_set, False
        return scope.cancelled_caught and not woken


def _poster() -> Callable[[Callable[[], None]], object]:
    """How to run a function in this event loop from outside, without waiting for it.

    `anyio.from_thread` waits for the result and refuses the loop's own thread; both loops have what is needed here.
    """
    native = anyio.lowlevel.current_token().native_token
    post = getattr(native, "call_soon_threadsafe", None) or getattr(native, "run_sync_soon", None)
    if post is None:
        raise RuntimeError(f"{type(native).__name__} has no way to be called from another thread")
    return cast("Callable[[Callable[[], None]], object]", post)


class ThreadWakeup:
    """The sleep of a thread.

    It is woken by `set` only as long as it has nothing to watch, which is as long as it is not at the front of its
    process; what it watches afterwards is a descriptor. A `SimpleQueue`, for its `put` may interrupt its own `get` in a
    signal handler.
    """

    __slots__ = ("_queue",)

    def __init__(self) -> None:
        self._queue: SimpleQueue[None] = SimpleQueue()

    def set(self) -> None:
        """Wake the thread."""
        self._queue.put(None)

    def wait(self, at_most_s: float, fd: int | None) -> bool:
        """Sleep until woken, until the descriptor is readable, or so long; whether it was so long."""
        if fd is not None:
            poll = select.poll()
            poll.register(fd, select.POLLIN)
            return not poll.poll(at_most_s * 1000)
        try:
            self._queue.get(timeout=at_most_s)
        except Empty:
            return True
        return False


class Watch(Protocol):
    """The watch of one waiter on what it waits for."""

    @property
    def fd(self) -> int | None:
        """A descriptor that is readable when something happened; None if there is none for this waiter."""

    def delay_s(self) -> float:
        """How long to sleep before the next try if nothing happens; a little longer each time, if it is a poll."""

    def collect(self) -> bool:
        """Take what happened; whether the watch has told all that it ever will."""

    def close(self) -> None:
        """End the watch; may be called again."""


class PollingWatch:
    """Try again after 5 to 50 ms."""

    __slots__ = ("_delay_s",)

    fd: int | None = None

    def __init__(self) -> None:
        self._delay_s = FIRST_POLL_S

    def delay_s(self) -> float:
        """The next interval."""
        delay = self._delay_s
        self._delay_s = min(LAST_POLL_S, delay * _GROWTH)
        return delay

    def collect(self) -> bool:
        """Nothing ever happens here."""
        return False

    def close(self) -> None:
        """Nothing to end."""


class PredecessorWatch:
    """A connection to the process of the ticket right before; see `line`."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd: int | None = fd

    def delay_s(self) -> float:
        """For ever: its end is what wakes, however it ends, and who waits has a time for a probe besides."""
        return math.inf

    def collect(self) -> bool:
        """Whether the connection has ended."""
        if self.fd is None:
            return True
        try:
            os.read(self.fd, 1)
        except BlockingIOError:
            return False
        except OSError:
            return True  # ECONNRESET: it was not even accepted
        return True

    def close(self) -> None:
        """End the connection; may be called again."""
        fd, self.fd = self.fd, None
        if fd is not None:
            close_descriptor(fd)


def prepare_to_watch() -> None:
    """Load what the head of the line needs, before this waiter is it."""
    inotify.is_there()


def watch_file(opened: OpenedFile, wake: Callable[[], None]) -> Watch:
    """Watch a lock file: what the head of the line does."""
    able = abilities(opened)
    why_not = able.why_not
    if able.watch:
        try:
            return Inotify.here().watch(opened.fd, wake)
        except OSError as error:
            why_not = f"inotify cannot be used ({error.strerror})"
    warn_of_polling(opened.path, why_not)
    return PollingWatch()


def watch_predecessor(key: LockKey, number: int) -> Watch:
    """Watch the process of the ticket right before: what everybody else does."""
    fd = connect_to(key, number)
    return PollingWatch() if fd is None else PredecessorWatch(fd)
