"""What the page shows of a trace: its slices, waits, marks and arrows by track, with times from the first event on.

A trace is a file that anybody may have written or cut: only what has the shape that is needed is taken of it, and the
rest is left out. The format is that of `grex.progress.chrome_trace`.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, TypeAlias

from typing_extensions import TypedDict

from grex.errors import UsageError

__all__ = ["Timeline", "read_timeline"]

_MOST_BYTES = 256 << 20
_NEVER = 1e15

_Event: TypeAlias = dict[str, Any]
_Args: TypeAlias = dict[str, str | float | bool | None]


class _Track(TypedDict):
    name: str
    process: str


class Timeline(TypedDict):
    """A run; times are in microseconds since its first event, and a track is its position in `tracks`."""

    tracks: list[_Track]
    slices: list[tuple[int, float, float, str, str, _Args]]
    """Track, start, length, name, category, args."""
    waits: list[tuple[float, float, str]]
    """Start, end and name of what waited for a permit."""
    marks: list[tuple[int, float, str, _Args]]
    arrows: list[tuple[int, float, int, float, str]]
    """Track and time of the start, track and time of the finish, name."""


def read_timeline(path: Path) -> Timeline:
    """The run that a trace tells of.

    Raises:
        UsageError: the file cannot be read, or is no trace.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UsageError(
                f"the trace {path} is larger than {_MOST_BYTES >> 20} MiB, which no page can show",
                hint="Open it in Perfetto.",
            )
        text = path.read_text("utf-8", "surrogateescape").strip()
    except OSError as error:
        raise UsageError(
            f"the trace {path} cannot be read: {error.strerror or error}", hint="Write one with `grex --trace FILE`."
        ) from error
    return _timeline([event for event in _events(path, text) if isinstance(event, dict)])


def _events(path: Path, text: str) -> list[Any]:
    try:
        # The bracket, and of the trace of a full disk the rest of the last line, may be missing.
        found = _parsed(text) or _parsed(text + "]") or _parsed(text[: max(text.rfind(",\n"), 0)] + "]")
    except RecursionError:
        found = None
    if found is None:
        raise UsageError(f"{path} is no trace", hint="Write one with `grex --trace FILE VERB`.")
    return found


def _parsed(text: str) -> list[Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    if isinstance(found, dict):  # the other form that the format has
        found = found.get("traceEvents")
    return found if isinstance(found, list) else None


class _Tracks:
    """Where each thread of the trace stands on the page."""

    def __init__(self, events: list[_Event]) -> None:
        said: dict[tuple[str, int, int], Any] = {}
        used: set[tuple[int, int]] = set()
        for event in events:
            where = _thread(event)
            args = event.get("args")
            if where is None:
                continue
            if event.get("ph") == "M" and isinstance(args, dict):
                name = str(event.get("name"))
                key = (name, where[0], where[1] if name.startswith("thread") else 0)
                said[key] = args.get("sort_index" if name.endswith("index") else "name")
            elif event.get("ph") in ("X", "i"):
                used.add(where)

        def order(where: tuple[int, int]) -> tuple[float, ...]:
            pid, tid = where
            keys = (("process_sort_index", pid, 0), ("thread_sort_index", pid, tid))
            return *(_number(said.get(key)) or 0.0 for key in keys), pid, tid

        threads = sorted(used, key=order)
        self.shown: list[_Track] = [
            {
                "name": str(said.get(("thread_name", pid, tid), tid)),
                "process": str(said.get(("process_name", pid, 0), pid)),
            }
            for pid, tid in threads
        ]
        self._positions = {where: position for position, where in enumerate(threads)}

    def of(self, event: _Event) -> int | None:
        where = _thread(event)
        return None if where is None else self._positions.get(where)


def _timeline(events: list[_Event]) -> Timeline:
    tracks = _Tracks(events)
    timed = [(event, at) for event in events if event.get("ph") != "M" and (at := _number(event.get("ts"))) is not None]
    first = min((at for _, at in timed), default=0.0)
    found: Timeline = {"tracks": tracks.shown, "slices": [], "waits": [], "marks": [], "arrows": []}
    begun: dict[str, float] = {}
    sources: dict[str, tuple[int, float]] = {}
    for event, absolute in timed:
        track, at, name = tracks.of(event), round(absolute - first, 3), str(event.get("name"))
        key = f"{type(event.get('id')).__name__} {event.get('id')}"
        phase = event.get("ph")
        if phase == "X" and track is not None:
            length = _number(event.get("dur")) or 0.0
            found["slices"].append((track, at, max(length, 0.0), name, str(event.get("cat")), _args(event)))
        elif phase == "i" and track is not None:
            found["marks"].append((track, at, name, _args(event)))
        elif phase == "b":
            begun[key] = at
        elif phase == "e" and key in begun:
            found["waits"].append((begun.pop(key), at, name))
        elif phase == "s" and track is not None:
            sources[key] = (track, at)
        elif phase == "f" and track is not None and key in sources:
            found["arrows"].append((*sources.pop(key), track, at, name))
    found["slices"].sort(key=lambda one: (one[0], one[1], -one[2]))
    return found


def _thread(event: _Event) -> tuple[int, int] | None:
    pid, tid = event.get("pid"), event.get("tid")
    return (pid, tid) if isinstance(pid, int) and isinstance(tid, int) else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and abs(value) < _NEVER else None


def _args(event: _Event) -> _Args:
    args = event.get("args")
    if not isinstance(args, dict):
        return {}
    shown: _Args = {}
    for key, value in args.items():
        if isinstance(value, float) and not math.isfinite(value):
            continue
        if value is None or isinstance(value, str | int | float):
            shown[str(key)] = value
    return shown
