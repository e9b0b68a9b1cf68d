"""When calls begin: one after the other, each when what began before has come to rest and the client has been heard.

A call has to read manifests and to walk the tree before it first waits for a lock, a permit or a process. If all calls
of a burst did that at once, whatever the client says next would be heard after all of them: a ping, and the word that
takes a call back. So a call that has come stands in a queue, where it costs next to nothing and can be taken back,
until the event loop is quiet: for some rounds in a row it did next to no work, and no line lay unread.

Rejected: so many calls at once, each from its beginning to its end. The calls that have begun may all wait for what one
that has not begun would bring about, or only for long, and `status` has to be answered meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import anyio
import anyio.lowlevel

__all__ = ["Pace"]

_ROUNDS = 16
"""More than a ping takes from its line to its answer."""

_QUIET_S = 0.001
_PATIENCE_S = 0.1
"""Who stands first begins after this time in any case: a server that is always busy has to get on as well."""


class Pace:
    """Lets calls begin.

    Args:
        is_heard: whether all that the client has said is read.
        clock: gives seconds.
    """

    def __init__(self, is_heard: Callable[[], bool], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._is_heard = is_heard
        self._clock = clock
        self._first = anyio.Lock()

    async def turn(self) -> None:
        """Wait until one more call may begin, in the order of asking. Cancellation: at any time."""
        async with self._first:
            start = then = self._clock()
            quiet = 0
            while quiet < _ROUNDS and then - start < _PATIENCE_S:
                await anyio.lowlevel.checkpoint()
                now = self._clock()
                quiet = quiet + 1 if now - then < _QUIET_S and self._is_heard() else 0
                then = now
