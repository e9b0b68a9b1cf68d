"""The rules of the Trace Event Format, as far as grex uses it, written down apart from what writes it.

The format is a public document of Google ("Trace Event Format"); readers are Perfetto and `chrome://tracing`. What is
demanded beyond it is marked *ours*: a reader would accept less, and show it under a number, or not where it belongs.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from pathlib import Path
from typing import Any, TypeAlias

__all__ = ["Event", "faults", "read_trace"]

Event: TypeAlias = dict[str, Any]

_METADATA = {
    "process_name": ("name", str),
    "process_sort_index": ("sort_index", int),
    "thread_name": ("name", str),
    "thread_sort_index": ("sort_index", int),
}
_PHASES = {"X", "i", "b", "e", "s", "f", "M"}
_SCOPES = {"g", "p", "t"}
_SCALARS = (str, int, float, bool, type(None))


def read_trace(path: Path) -> list[Event]:
    """The events of a trace; the closing bracket of the array may be missing, and nothing else."""
    text = path.read_text("utf-8", "surrogateescape").rstrip()
    found = json.loads(text if text.endswith("]") else text + "]")
    assert isinstance(found, list)
    return found


def faults(events: list[Event]) -> list[str]:
    """What is not as the format says, each in a sentence; a trace that is in order has none."""
    found = [fault for position, event in enumerate(events) for fault in _one(position, event)]
    if found:
        return found  # without its keys an event cannot be compared with others
    return [*_names(events), *_nesting(events), *_pairs(events), *_arrows(events)]


def _ns(us: float) -> int:
    return round(us * 1000)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _one(position: int, event: Event) -> list[str]:
    where = f"event {position} ({event.get('ph')} {event.get('name')!r})"
    phase = event.get("ph")
    if phase not in _PHASES:
        return [f"{where}: a phase that is not used"]
    wrong = []
    if not isinstance(event.get("name"), str) or not event["name"]:
        wrong.append("no name")
    wrong += [f"no whole {key}" for key in ("pid", "tid") if type(event.get(key)) is not int or event[key] < 0]
    if phase == "M":
        key, kind = _METADATA.get(event.get("name", ""), ("", str))
        if not key or type(event.get("args", {}).get(key)) is not kind:
            wrong.append("metadata that is not known, or without its value")
        return [f"{where}: {what}" for what in wrong]
    if not _is_number(event.get("ts")) or event["ts"] < 0:
        wrong.append("no time in microseconds")
    if not isinstance(event.get("cat"), str) or not event["cat"]:
        wrong.append("no category")
    wrong += _of_phase(event)
    args = event.get("args", {})
    if not isinstance(args, dict) or not all(isinstance(value, _SCALARS) for value in args.values()):
        wrong.append("args that are no simple values")
    return [f"{where}: {what}" for what in wrong]


def _of_phase(event: Event) -> list[str]:
    phase, wrong = event["ph"], []
    if phase == "X" and (not _is_number(event.get("dur")) or event["dur"] < 0):
        wrong.append("no duration in microseconds")
    if phase == "i" and event.get("s") not in _SCOPES:
        wrong.append("an instant without a scope")
    if phase in "besf" and type(event.get("id")) not in (int, str):
        wrong.append("no id")
    if phase == "f" and event.get("bp", "e") != "e":
        wrong.append("a binding point that there is not")
    return wrong


def _names(events: list[Event]) -> list[str]:
    """Ours: each track and each process that is used has one name, and threads an order."""
    wrong = []
    said: dict[tuple[str, int, int], int] = defaultdict(int)
    for event in events:
        if event["ph"] == "M":
            said[event["name"], event["pid"], event["tid"] if event["name"].startswith("thread") else 0] += 1
    wrong += [f"{key} is said {count} times" for key, count in said.items() if count > 1]
    for pid, tid in sorted({(event["pid"], event["tid"]) for event in events if event["ph"] != "M"}):
        keys = (("process_name", pid, 0), ("thread_name", pid, tid), ("thread_sort_index", pid, tid))
        wrong += [f"{key} is not said" for key in keys if key not in said]
    return wrong


def _slices(events: list[Event]) -> dict[tuple[int, int], list[tuple[int, int, str]]]:
    tracks: dict[tuple[int, int], list[tuple[int, int, str]]] = defaultdict(list)
    for event in events:
        if event["ph"] == "X":
            start = _ns(event["ts"])
            tracks[event["pid"], event["tid"]].append((start, start + _ns(event["dur"]), event["name"]))
    return tracks


def _nesting(events: list[Event]) -> list[str]:
    """Slices of one track lie within each other or after each other."""
    wrong = []
    for where, slices in _slices(events).items():
        around: list[tuple[int, int, str]] = []
        for start, end, name in sorted(slices, key=lambda one: (one[0], -one[1])):
            while around and around[-1][1] <= start and around[-1][:2] != (start, end):
                around.pop()
            if around and end > around[-1][1]:
                wrong.append(f"{name!r} crosses {around[-1][2]!r} on {where}")
            around.append((start, end, name))
    return wrong


def _pairs(events: list[Event]) -> list[str]:
    """Each asynchronous slice has one beginning and one end, which is not before it."""
    found: dict[tuple[Any, ...], list[tuple[str, float]]] = defaultdict(list)
    for event in events:
        if event["ph"] in "be":
            found[event["pid"], event["cat"], event["id"], event["name"]].append((event["ph"], event["ts"]))
    wrong = []
    for key, ends in found.items():
        times = dict(ends)
        if len(ends) != 2 or set(times) != {"b", "e"}:
            wrong.append(f"{key} has not one beginning and one end")
        elif times["e"] < times["b"]:
            wrong.append(f"{key} ends before it begins")
    return wrong


def _arrows(events: list[Event]) -> list[str]:
    """Each arrow has a start and a finish, in this order in time, and a slice around either."""
    slices = _slices(events)
    found: dict[Any, list[Event]] = defaultdict(list)
    for event in events:
        if event["ph"] in "sf":
            found[event["id"]].append(event)
    wrong = []
    for key, ends in found.items():
        by_phase = {end["ph"]: end for end in ends}
        if len(ends) != 2 or set(by_phase) != {"s", "f"}:
            wrong.append(f"arrow {key} has not one start and one finish")
            continue
        start, finish = by_phase["s"], by_phase["f"]
        if (start["name"], start["cat"]) != (finish["name"], finish["cat"]):
            wrong.append(f"the ends of arrow {key} are not called alike")
        if _ns(finish["ts"]) < _ns(start["ts"]):
            wrong.append(f"arrow {key} finishes before it starts")
        if finish.get("bp") != "e":
            wrong.append(f"arrow {key} would point at the slice after the one that is meant")
        for end in ends:
            at, here = _ns(end["ts"]), slices.get((end["pid"], end["tid"]), [])
            if not any(first <= at < last or first == at == last for first, last, _ in here):
                wrong.append(f"no slice lies around the end {end['ph']} of arrow {key}")
    return wrong
