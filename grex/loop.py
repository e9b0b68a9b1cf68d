"""The event loop of a look: begun when something first waits, so that a call that waits for nothing has none.

Importing and starting one costs a fifth of a short call, and a look at a quiet workspace (`grex status`, `grex path`)
waits for nothing: the lock is free, and files are read. So a front end may begin a verb without a loop (`begin`). The
few places below it that wait or start processes ask for the loop first (`event_loop`); there the verb stops, and goes
on in the loop from where it stood. Where a loop runs already, which is so for every verb that changes
something and in every server, asking for it does nothing.

Rejected: beginning the verb once more in a loop, where it turns out that it needs one. It would look at everything
twice in just those workspaces where looking takes long.
"""

from __future__ import annotations

import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, TypeVar, cast

import anyio.lowlevel

__all__ = ["begin", "event_loop", "has_event_loop"]

R = TypeVar("R")
T = TypeVar("T")


def has_event_loop() -> bool:
    """Whether an event loop runs in this thread."""
    try:
        anyio.lowlevel.current_token()
    except RuntimeError:
        return False
    return True


@types.coroutine
def event_loop() -> Generator[object, None, None]:
    """See that an event loop runs from here on.

    To be awaited before the first thing that needs one, and where nothing is half done: not inside of a task group.
    """
    if not has_event_loop():
        yield event_loop


def begin(work: Coroutine[Any, Any, T], go_on: Callable[[Awaitable[T]], R]) -> T | R:
    """Run a coroutine without an event loop, to its end or until it asks for one.

    Args:
        work: the coroutine.
        go_on: is given what is left of it, to be awaited in an event loop that this function starts.

    Raises:
        RuntimeError: it waits for something and has not asked for the loop.
    """
    try:
        asked = work.send(None)
    except StopIteration as ended:
        return cast("T", ended.value)
    if asked is not event_loop:
        work.close()
        raise RuntimeError(f"{work!r} waits without an event loop")
    return go_on(_rest(work))


@types.coroutine
def _rest(begun: Coroutine[Any, Any, T]) -> Generator[object, Any, T]:
    """A coroutine that was begun, as one to await; Python awaits only what has not begun."""
    return (yield from begun.__await__())
