"""Where events go: nowhere, into a list, to several places, or into a trace file.

A sink never raises into the run and never waits: what a run does must not depend on whether anyone watches it.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Protocol

from grex.progress.events import Event, LockWait, Slice

__all__ = ["ChromeTrace", "Collector", "Sink", "Tee", "null_sink"]


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


class ChromeTrace:
    """Writes slices in the Trace Event Format, JSON array form, that Perfetto and chrome://tracing open.

    Format: "Trace Event Format" (Google, public document); complete events (`ph` "X") with `ts` and `dur` in
    microseconds, one `tid` per track, named by a metadata event (`ph` "M"). In the array form the closing bracket is
    optional, so the trace of a killed run opens too. A write that fails ends the trace and nothing else.
    """

    def __init__(self, path: Path) -> None:
        # Opened at once: a path that cannot be written is the caller's mistake and is said before the run starts.
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        self._tracks: dict[str, int] = {}
        self._pid = os.getpid()
        self._first = True
        self._write(b"[\n")

    def __call__(self, event: Event, /) -> None:
        """Write the slice, or an instant for a wait that was reported; other events are not part of a trace."""
        if isinstance(event, Slice):
            self._record(
                {
                    "ph": "X",
                    "name": event.name,
                    "cat": event.category,
                    "ts": event.start_ns / 1000,
                    "dur": max(event.end_ns - event.start_ns, 0) / 1000,
                    "pid": self._pid,
                    "tid": self._track(event.track),
                    "args": dict(event.args),
                }
            )
        elif isinstance(event, LockWait):
            self._record(
                {
                    "ph": "i",
                    "s": "p",
                    "name": f"waiting for {event.tier}",
                    "cat": "wait",
                    "ts": _now_us(),
                    "pid": self._pid,
                    "tid": self._track("waits"),
                    "args": {
                        "path": event.path,
                        "waited_s": event.waited_s,
                        "holder": event.holder,
                        "ahead": event.ahead,
                    },
                }
            )

    def close(self) -> None:
        """Close the array and the file; further events are dropped."""
        if self._fd < 0:
            return
        self._write(b"\n]\n")
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _track(self, name: str) -> int:
        tid = self._tracks.get(name)
        if tid is None:
            tid = self._tracks[name] = len(self._tracks) + 1
            self._record(
                {"ph": "M", "name": "thread_name", "pid": self._pid, "tid": tid, "args": {"name": name}},
            )
        return tid

    def _record(self, record: dict[str, object]) -> None:
        text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
        lead = b"" if self._first else b",\n"
        self._first = False
        self._write(lead + text.encode("utf-8", "backslashreplace"))

    def _write(self, data: bytes) -> None:
        if self._fd < 0:
            return
        try:
            os.write(self._fd, data)
        except OSError:  # a full disk must not change what the run does
            os.close(self._fd)
            self._fd = -1


def _now_us() -> float:
    return time.monotonic_ns() / 1000
