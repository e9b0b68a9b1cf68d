"""Says who blocks the event loop: a plugin that sleeps or computes without awaiting stops every pack of the run.

Nothing can end such code from the inside. What can be done is to say who it is and where it stands, so that nobody
waits for an hour without knowing for what. While code of third parties may run, a task sets a mark every now and then,
and a thread looks whether it still does. When it does not, the thread looks at the stack of the event loop's thread: a
running coroutine stands there with everyone who awaits it, `plugin_code` among them, which knows pack and plugin.

What is asked before that (`has_install`, `needs_trust`, `claims`) is no coroutine, and neither is an import. There the
pack is known to `asking`, and the plugin is the first on the stack that is neither grex nor Python's own.

A workspace without third parties has neither the task nor the thread.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Generator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType
from typing import TypeVar

import anyio

from grex.progress import PluginBlocks, Sink

__all__ = ["Watchdog", "plugin_code"]

AFTER_S = 10.0

T = TypeVar("T")


async def plugin_code(plugin: object, pack: str, work: Awaitable[T]) -> T:  # noqa: ARG001 - read from the frame
    """Await what a plugin does, so that its pack and itself can be told from the stack."""
    return await work


class Watchdog:
    """Looks after the event loop of one run.

    Args:
        sink: where it is told, from another thread.
        after_s: how long the event loop has to stand before it is told.
    """

    def __init__(self, sink: Sink, *, after_s: float = AFTER_S) -> None:
        self.after_s = after_s
        self._sink = sink
        self._calls = 0
        self._mark = 0.0
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._third_parties = False
        self._asked: str | None = None
        self._looks_at_asking = False

    def expect_third_parties(self) -> None:
        """Say that code of third parties is about to be imported, and may run from now on."""
        self._third_parties = True
        if self._asked is not None and not self._looks_at_asking:
            self._looks_at_asking = True
            self._begin()

    @contextmanager
    def asking(self, pack: str) -> Generator[None]:
        """Look after a block that asks the plugins of one pack and in which nothing is awaited; blocks may nest."""
        outer = self._asked
        self._asked = pack
        self._mark = time.monotonic()
        if self._third_parties:
            self.expect_third_parties()
        try:
            yield
        finally:
            self._asked = outer
            self._mark = time.monotonic()
            if outer is None and self._looks_at_asking:
                self._looks_at_asking = False
                self._end()

    @asynccontextmanager
    async def watching(self) -> AsyncGenerator[None]:
        """Look after the event loop for the block; blocks may overlap. What the block raises goes on as it is."""
        failure: Exception | None = None
        self._begin()
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._beat)
                try:
                    yield
                except Exception as error:  # noqa: BLE001 - raised again below, outside the task group
                    failure = error
                tasks.cancel_scope.cancel()
        finally:
            self._end()
        if failure is not None:
            raise failure

    async def _beat(self) -> None:
        while True:
            self._mark = time.monotonic()
            await anyio.sleep(self.after_s / 10)

    def _begin(self) -> None:
        self._calls += 1
        self._mark = time.monotonic()
        if self._thread is None:
            self._over = threading.Event()
            self._thread = threading.Thread(
                target=self._look, args=(threading.get_ident(), self._over), name="grex watchdog", daemon=True
            )
            self._thread.start()

    def _end(self) -> None:
        self._calls -= 1
        if not self._calls and self._thread is not None:
            self._over.set()
            self._thread.join()
            self._thread = None

    def _look(self, loop_thread: int, over: threading.Event) -> None:
        told = 0.0
        looked = time.monotonic()
        while not over.wait(self.after_s / 10):
            now, before = time.monotonic(), looked
            looked = now
            # A process that was stopped, or a machine that is overloaded, delays this thread as well.
            if now - before > self.after_s / 2 or now - self._mark < self.after_s or told == self._mark:
                continue
            told = self._mark
            innermost = sys._current_frames().get(loop_thread)  # noqa: SLF001 - documented
            self._sink(_describe(innermost, now - self._mark, self._asked))


def _describe(innermost: FrameType | None, blocked_s: float, asked: str | None) -> PluginBlocks:
    """Who runs, by the nearest `plugin_code` on the stack, and the innermost place in that plugin's own package."""
    pack, plugin, package = asked or "", "a plugin", ""
    frame = innermost
    while frame is not None and frame.f_code is not plugin_code.__code__:
        frame = frame.f_back
    if frame is not None:
        kind = type(frame.f_locals["plugin"])
        pack, plugin = frame.f_locals["pack"], f"{kind.__module__}.{kind.__qualname__}"
        package = kind.__module__.partition(".")[0]
    elif asked is not None:
        plugin, package = _who_is_asked(innermost)
    place = innermost
    while place is not None and _package(place) != package:
        place = place.f_back
    place = place or innermost
    where = "an unknown place" if place is None else f"{place.f_code.co_filename}:{place.f_lineno}"
    return PluginBlocks(pack, plugin, where, blocked_s)


def _who_is_asked(innermost: FrameType | None) -> tuple[str, str]:
    """The class, or the module, whose code grex has called, and its package."""
    found = None
    frame = innermost
    while frame is not None and _package(frame) != "grex":
        if _package(frame) not in sys.stdlib_module_names:
            found = frame
        frame = frame.f_back
    if found is None:
        return "a plugin", ""
    own = found.f_locals.get("self")
    kind = type(own)
    name = found.f_globals.get("__name__", "") if own is None else f"{kind.__module__}.{kind.__qualname__}"
    return name, _package(found)


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
