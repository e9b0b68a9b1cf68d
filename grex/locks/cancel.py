"""A token that ends waits from anywhere: another task, another thread, a signal handler.

Cancellation by the async library needs no token; this one is for callers who are outside of any event loop, such as a
signal handler or the thread of a mount.

There is no mutex in here, on purpose. A signal handler runs on top of whatever its thread was doing, so any mutex that
a waiter takes could be the one that `fire` would wait for. Instead the order of two single operations decides:
`fire` sets the flag and then calls everybody, `subscribe` adds itself and then looks at the flag. Whichever way they
interleave the callback is called; it may be called twice, and must not mind.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from itertools import count

__all__ = ["CancelToken"]


class CancelToken:
    """Fired once, for good; every wait that was given the token ends with `LockCancelledError`."""

    __slots__ = ("_callbacks", "_fired", "_numbers")

    def __init__(self) -> None:
        self._fired = False
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._numbers = count()

    @property
    def fired(self) -> bool:
        """Whether the token was fired."""
        return self._fired

    def fire(self) -> None:
        """End every wait that was given this token, and refuse every later one; may be called again."""
        self._fired = True
        for callback in list(self._callbacks.values()):
            with contextlib.suppress(RuntimeError):  # its event loop is closed, and the others wait all the same
                callback()

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have `callback` called when the token fires, at once if it has; gives what takes it back."""
        number = next(self._numbers)
        self._callbacks[number] = callback
        if self._fired:
            callback()

        def unsubscribe() -> None:
            self._callbacks.pop(number, None)

        return unsubscribe
