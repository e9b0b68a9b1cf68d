"""Time limits for plugins: on their own code only, and the clock stands still while grex works for them.

A limit counts from the moment at which the plugin's code begins, and anew each time that something it asked of grex is
done: waiting for locks and permits (`ctx.hold`), an action (`hold.run`, `ctx.run`, `ctx.plan`), a command. All of these
have limits of their own or none on purpose. So a limit never depends on how long the work of others takes.

Which limit is running is known to the context of the task (`ContextVar`), so that grex's side of a call finds it
without being handed it through the plugin; tasks that a plugin starts inherit it.

A limit ends what can be cancelled. Code that blocks the event loop cannot be; `grex.engine.watchdog` says so.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import anyio

from grex.errors import PluginError
from grex.plugin import ActionType, Pack, PackType

__all__ = ["Limit", "current_limit", "limited", "limited_call", "not_counted"]

_AGAIN = "Run it again; if it hangs again, report it to the authors of the plugin."


class Limit:
    """A deadline that moves: infinite while grex works, `limit_s` from now when the plugin's code goes on."""

    def __init__(self, limit_s: float | None) -> None:
        self._limit_s = math.inf if limit_s is None else limit_s
        self._stops = 0
        self.scope = anyio.CancelScope()
        self.take_back: list[Callable[[Exception], Awaitable[None]]] = []
        """What is to be done about holds that were left because this limit cancelled them."""
        self._start()

    def stop(self) -> None:
        """Let the clock stand."""
        self._stops += 1
        self.scope.deadline = math.inf

    def go_on(self) -> None:
        """Let the clock run again, from the beginning."""
        self._stops -= 1
        if not self._stops:
            self._start()

    def _start(self) -> None:
        self.scope.deadline = anyio.current_time() + self._limit_s


_CURRENT: ContextVar[Limit | None] = ContextVar("plugin_limit", default=None)


def current_limit() -> Limit | None:
    """The limit under which the plugin's code runs that called this."""
    return _CURRENT.get()


@contextmanager
def not_counted() -> Generator[None]:
    """Let the clock of the plugin that called stand while grex works for it."""
    limit = _CURRENT.get()
    if limit is None:
        yield
        return
    limit.stop()
    try:
        yield
    finally:
        limit.go_on()


@contextmanager
def limited(implementation: ActionType[Any], pack: str, limit_s: float | None) -> Generator[None]:
    """End an action's own code that takes too long.

    Raises:
        PluginError: it did.
    """
    with _bounded(limit_s) as limit:
        yield
    if limit.scope.cancelled_caught:
        raise PluginError(
            f"{pack}: the action {implementation.name!r} ({_class_of(implementation)}) did not end within {limit_s:g} s"
            " and was cancelled",
            hint=f"{_AGAIN} One that needs longer says so in its `limit_s`.",
        )


@contextmanager
def limited_call(pack_type: PackType, pack: Pack, call: str) -> Generator[Limit]:
    """End a lifecycle call that does nothing but its own work for too long.

    Raises:
        PluginError: it did.
    """
    limit_s = pack_type.limit_s(pack)
    with _bounded(limit_s) as limit:
        yield limit
    if limit.scope.cancelled_caught:
        raise PluginError(
            f"{pack.path}: `{call}` of the pack type {pack.type!r} ({_class_of(pack_type)}) did nothing that grex could"
            f" see for {limit_s:g} s and was cancelled",
            hint=f"{_AGAIN} One that needs longer says so in its `limit_s`.",
        )


@contextmanager
def _bounded(limit_s: float | None) -> Generator[Limit]:
    limit = Limit(limit_s)
    token = _CURRENT.set(limit)
    try:
        with limit.scope:
            yield limit
    finally:
        _CURRENT.reset(token)


def _class_of(plugin: object) -> str:
    return f"{type(plugin).__module__}.{type(plugin).__qualname__}"
