"""SIGINT, SIGTERM and SIGHUP: the first one cancels the verb, a later one ends a grex that does not get to its end.

After the first signal running children are ended and brackets are closed; that takes a quarter of a second, and an
impatient second Ctrl-C must not tear it. But a plugin may block the event loop, or shield itself from the cancel, and
then nobody would ever hear a signal again. So a signal that comes two seconds after the first, or later, ends the
process as if nobody had caught it. That is safe at any moment: the kernel gives the locks back, and the next sync puts
right what was left, as after a kill.

Signals reach the event loop through a descriptor that the interpreter writes to whichever handler is set; so the
handler here, which runs even while the event loop stands, comes on top of the one that wakes the event loop.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from types import FrameType

import anyio
from anyio.abc import TaskStatus

__all__ = ["cancel_on_signal", "endings"]

_PATIENCE_S = 2.0
"""How long a second signal is taken for impatience. Ending children takes as long at most."""


async def cancel_on_signal(
    scope: anyio.CancelScope, caught: list[signal.Signals], *, task_status: TaskStatus[None]
) -> None:
    """Cancel the scope at each signal that ends a verb, and note which came."""
    patience = _Patience()
    with anyio.open_signal_receiver(*endings()) as signals:
        for signum in endings():
            signal.signal(signum, patience.hear)
        task_status.started()
        async for found in signals:
            caught.append(found)
            scope.cancel()


def endings() -> list[signal.Signals]:
    """The signals that end a verb in an orderly way: also that of a closed terminal, unless it is to be ignored."""
    wanted = [signal.SIGINT, signal.SIGTERM]
    hangup = getattr(signal, "SIGHUP", None)
    if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:
        wanted.append(hangup)
    return wanted


class _Patience:
    """Knows when the first signal came, and ends the process at a later one."""

    def __init__(self) -> None:
        self._first_s: float | None = None

    def hear(self, signum: int, frame: FrameType | None) -> None:
        """Hear a signal. Runs between two instructions of whatever runs in the main thread."""
        del frame
        now_s = time.monotonic()
        if self._first_s is None:
            self._first_s = now_s
        elif now_s - self._first_s >= _PATIENCE_S:
            name = signal.Signals(signum).name
            with suppress(OSError):  # not `print`: the interrupted code may be in the middle of one
                os.write(2, f"grex: {name} again: ended at once; the next sync puts right what was left.\n".encode())
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)
