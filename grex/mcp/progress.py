"""What a run says while it runs, as progress notifications: the newest, ten a second at most, never after the end.

The run only leaves word of what happened; a task of its own tells the client, at the pace at which the client reads.
So a client that does not read slows nobody down, and is told less.

The protocol wants the value to grow with each notification. It is the number of packs that are finished; between two of
them it grows by less and less, and stays below the next.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import anyio

from grex.progress import (
    CommandStarted,
    Event,
    FetchProgress,
    GitProgress,
    LockWait,
    PackFinished,
    PacksFound,
    PackStarted,
    PluginBlocks,
)

__all__ = ["Progress", "Tell", "reporting"]

_PAUSE_S = 0.1
_STEP = 0.01

_LOCKS = {"WORKSPACE": "the workspace", "PACK": "pack", "BACKEND": "git in", "MANIFEST": "the manifest of"}

Tell = Callable[[float, float | None, str], Awaitable[None]]
"""Sends one notification: the value, the total if it is known, and a message."""

T = TypeVar("T")


class Progress:
    """A sink that keeps what is newest of one call, and tells it.

    Args:
        root: the workspace; paths of messages start there.
        tell: sends a notification.
    """

    def __init__(self, root: Path, tell: Tell) -> None:
        self._root = root
        self._tell = tell
        self._total: int | None = None
        self._thread = threading.get_ident()
        self._finished: set[str] = set()
        self._message: str | None = None
        self._changed = anyio.Event()
        self._value = -1.0

    def __call__(self, event: Event, /) -> None:
        """Take note of an event; those that are only for a trace, and what commands say, are no progress."""
        if isinstance(event, PackFinished):
            self._finished.add(event.pack)
        elif isinstance(event, PacksFound):
            self._total = event.count
        message = self._said(event)
        if message is None:
            return
        self._message = message
        if threading.get_ident() == self._thread:  # a plugin that blocks is seen by a thread, while nothing can be told
            self._changed.set()

    async def run(self) -> None:
        """Tell the client, for ever. Cancellation: at any time, and nothing is told afterwards."""
        while True:
            await self._changed.wait()
            self._changed = anyio.Event()
            message, self._message = self._message, None
            finished = float(len(self._finished))
            value = finished if finished > self._value else self._value + (finished + 1 - self._value) * _STEP
            if message is None or value <= self._value:
                continue
            self._value = value
            total = None if self._total is None else float(max(self._total, len(self._finished)))
            await self._tell(value, total, message)
            await anyio.sleep(_PAUSE_S)

    def _said(self, event: Event) -> str | None:
        match event:
            case PackStarted(pack, doing):
                return f"{doing} {pack}"
            case PackFinished(pack, status, text):
                return f"{status} {pack}: {text}" if text else f"{status} {pack}"
            case CommandStarted(pack, label):
                return f"running {label} in {pack}"
            case LockWait():
                return self._waiting(event)
            case GitProgress(pack, stage, percent):
                return f"{pack}: {stage} {percent} %"
            case FetchProgress(pack, label, received, total):
                return f"{pack}: {label}, {received}{'' if total is None else f' of {total}'} bytes"
            case PluginBlocks():
                return f"plugin {event.plugin} has let nothing else run for {event.blocked_s:.0f} s, at {event.place}"
        return None

    def _waiting(self, wait: LockWait) -> str:
        path = Path(wait.path)
        place = str(path.relative_to(self._root)) if path.is_relative_to(self._root) else wait.path
        what = _LOCKS.get(wait.tier, wait.tier.lower())
        if wait.tier != "WORKSPACE":
            what = f"{what} {place}"
        ahead = f", {wait.ahead} before this one" if wait.ahead else ""
        return f"waiting for {what}, held by {wait.holder or 'somebody'}, {wait.waited_s:.0f} s{ahead}"


async def reporting(progress: Progress, work: Callable[[], Awaitable[T]]) -> T:
    """Do the work, and tell how it goes on meanwhile. When this ends, in whatever way, nothing more is told."""
    found: list[T] = []
    failed: list[Exception] = []
    async with anyio.create_task_group() as group:
        group.start_soon(progress.run)
        try:
            found.append(await work())
        except Exception as error:  # noqa: BLE001 - passed on as it is, and not as a group of one
            failed.append(error)
        group.cancel_scope.cancel()
    for failure in failed:
        raise failure
    return found[0]
