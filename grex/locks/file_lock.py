"""The three ways to run an attempt, behind every lock that has a file.

A task (`acquire_in_task`), a thread (`acquire_in_thread`), and one that does not wait (`try_acquire`). Each is the same
few lines: start, step, sleep, step again, and on any error `Attempt.abandon`. The only places where a task can be
cancelled are before `start` and inside of the sleep, so a cancelled waiter never holds the lock.
"""

from __future__ import annotations

import anyio.lowlevel

from grex.locks.attempt import Attempt
from grex.locks.cancel import CancelToken
from grex.locks.hold import Grant
from grex.locks.policy import WaitPolicy
from grex.locks.target import Target
from grex.locks.waiter import TaskWakeup, ThreadWakeup
from grex.loop import event_loop, has_event_loop

__all__ = ["acquire_in_task", "acquire_in_thread", "try_acquire"]

_DEFAULT_POLICY = WaitPolicy()


async def acquire_in_task(target: Target, policy: WaitPolicy | None = None, token: CancelToken | None = None) -> Grant:
    """Wait in a task of an event loop."""
    if has_event_loop():  # without one nobody is cancelled
        await anyio.lowlevel.checkpoint_if_cancelled()  # who is cancelled already does not take even a free lock
    wakeup = TaskWakeup()
    attempt = Attempt(target, policy or _DEFAULT_POLICY, token, wakeup.set)
    try:
        attempt.start()
        while (grant := attempt.step()) is None:
            await event_loop()
            await wakeup.wait(*attempt.pause())
            attempt.wake()
    except BaseException as error:
        attempt.abandon(error)
        raise
    return grant


def acquire_in_thread(target: Target, policy: WaitPolicy | None = None) -> Grant:
    """Wait in the calling thread, which must not be one that runs an event loop.

    Raises:
        RuntimeError: it is one, and would stand still.
    """
    if has_event_loop():
        raise RuntimeError("a blocking acquire would stop this thread's event loop: use acquire_async")
    wakeup = ThreadWakeup()
    attempt = Attempt(target, policy or _DEFAULT_POLICY, None, wakeup.set)
    try:
        attempt.start()
        while (grant := attempt.step()) is None:
            wakeup.wait(*attempt.pause())
            attempt.wake()
    except BaseException as error:
        attempt.abandon(error)
        raise
    return grant


_NO_WAIT = WaitPolicy(no_wait=True)


def try_acquire(target: Target) -> Grant:
    """Take the lock if it is free; never sleeps, so it may be called anywhere."""
    attempt = Attempt(target, _NO_WAIT, None, _nobody_sleeps)
    try:
        attempt.start()
        return attempt.step_once()
    except BaseException as error:
        attempt.abandon(error)
        raise


def _nobody_sleeps() -> None:
    pass
