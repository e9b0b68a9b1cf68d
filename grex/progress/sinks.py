"""Where events go: nowhere, into a list, or to several places; `chrome_trace` writes them into a file.

A sink never raises into the run and never waits: what a run does must not depend on whether anyone watches it.
"""

from __future__ import annotations

from typing import Protocol

from grex.progress.events import Event

__all__ = ["Collector", "Sink", "Tee", "null_sink"]


class Sink(Protocol):
    """Anything that takes events: a function of one argument is a sink."""

    def __call__(self, event: Event, /) -> None:
        """Take one event, at once and without raising."""


def null_sink(event: Event, /) -> None:
    """Let the event go unseen."""
    del event


class Collector:
    """Keeps every event, in the order in which they came."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event, /) -> None:
        """Keep the event."""
        self.events.append(event)


class Tee:
    """Hands each event to several sinks in turn."""

    def __init__(self, *sinks: Sink) -> None:
        self._sinks = sinks

    def __call__(self, event: Event, /) -> None:
        """Hand the event on."""
        for sink in self._sinks:
            sink(event)
