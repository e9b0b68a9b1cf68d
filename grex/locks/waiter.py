"""How a wait sleeps, and what wakes it. No thread is ever parked for a lock.

Two questions, kept apart:

- `Wakeup`: how this very caller sleeps and is woken, from any thread and from signal handlers. A task sleeps in its
  event loop (`TaskWakeup`), a plain thread that asked for a blocking acquire in itself (`ThreadWakeup`).
- `Waiter`: when it is worth asking the kernel again. The one here, `PollingWaiter`, says after 5 ms, then a little
  later each time, up to 50 ms. It works on every file system, and bounds what a holder's death costs a waiter to one
  interval. One that is woken by the kernel calls `wake` when the lock file is touched or closed, and answers
  `delay_s` with a slow safety interval; nothing else has to change.

A state is always changed before `Wakeup.set` is called, and looked at after every wait; so a wake-up may come early,
late or twice, but is never needed and missing.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Protocol, cast

import anyio
import anyio.lowlevel

from grex.locks.kernel import OpenedFile

__all__ = ["PollingWaiter", "TaskWakeup", "ThreadWakeup", "Waiter", "Wakeup", "Watch"]

FIRST_DELAY_S = 0.005
LAST_DELAY_S = 0.050
_GROWTH = 1.6


class Wakeup(Protocol):
    """What ends a sleep early."""

    def set(self) -> None:
        """Wake the sleeper; from any task, thread or signal handler. RuntimeError if its event loop is gone."""


class TaskWakeup:
    """The sleep of a task."""

    __slots__ = ("_event", "_is_set", "_post")

    def __init__(self) -> None:
        self._event: anyio.Event | None = None
        self._is_set = False
        self._post: Callable[[Callable[[], None]], object] | None = None

    def set(self) -> None:
        """Wake the task; RuntimeError if its event loop is closed."""
        if self._is_set:
            return
        self._is_set = True
        if self._post is not None:
            self._post(self._deliver)

    def _deliver(self) -> None:
        if self._event is not None:
            self._event.set()

    async def wait(self, at_most_s: float) -> None:
        """Sleep until woken, at most so long."""
        if self._post is None:
            self._post = _poster()
        self._event = anyio.Event()
        # The loop is known before the flag is looked at, and `set` does it the other way round: one sees the other.
        if not self._is_set:
            with anyio.move_on_after(at_most_s):
                await self._event.wait()
        self._is_set = False


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
    """The sleep of a thread; a `SimpleQueue`, for its `put` may interrupt its own `get` in a signal handler."""

    __slots__ = ("_queue",)

    def __init__(self) -> None:
        self._queue: SimpleQueue[None] = SimpleQueue()

    def set(self) -> None:
        """Wake the thread."""
        self._queue.put(None)

    def wait(self, at_most_s: float) -> None:
        """Sleep until woken, at most so long."""
        try:
            self._queue.get(timeout=at_most_s)
        except Empty:
            return


class Watch(Protocol):
    """The watch of one waiter on one opened lock file."""

    def delay_s(self) -> float:
        """How long to sleep before the next try if nothing wakes us."""

    def close(self) -> None:
        """End the watch; may be called again."""


class Waiter(Protocol):
    """A way to learn that a lock file may have come free."""

    def watch(self, opened: OpenedFile, wake: Callable[[], None]) -> Watch:
        """Begin to watch, before the try whose failure would be waited for: nothing in between is missed."""


class _PollingWatch:
    __slots__ = ("_delay_s",)

    def __init__(self) -> None:
        self._delay_s = FIRST_DELAY_S

    def delay_s(self) -> float:
        delay = self._delay_s
        self._delay_s = min(LAST_DELAY_S, delay * _GROWTH)
        return delay

    def close(self) -> None:
        pass


class PollingWaiter:
    """Try again after 5 to 50 ms."""

    def watch(self, opened: OpenedFile, wake: Callable[[], None]) -> Watch:
        """Begin to count intervals."""
        del opened, wake  # polling needs neither
        return _PollingWatch()
