"""The trace of a run as a file: the Trace Event Format, in its JSON array form, for Perfetto and `chrome://tracing`.

Format: "Trace Event Format" (Google, public document). What is used of it:

| `ph` | what | here |
|---|---|---|
| `X` | a complete slice, `ts` and `dur` in microseconds | a call, a hold, a wait, a git, a hook, an action, a command |
| `b`, `e` | a slice that belongs to no thread, by `id` | the wait for a permit: many packs wait for the same one |
| `i` | an instant | what began, who was seen to hold a lock: of a killed run it is the last that is known |
| `s`, `f` | the ends of an arrow; each in the slice around its `ts` (`f` has `bp: "e"`) | a lock that went on |
| `M` | names and the order of processes and threads | |

A thread of the format is a *track*: `calls` for the calls of a server, `workspace` for the workspace's own locks,
`network 1..n` and `disk 1..n` for the permits, `no permit 1..n` for what needs none. A process that held a lock which
this run waited for is a process of the trace too, with what is known of its hold: from when it was seen to have it
until the wait was over.

Slices of one track must nest. Those under one permit do, because one task has it. Should a plugin run two things at
once, or where there is no permit, a slice that would cross another one goes to a further track beside it. Every slice
is written when it ends, so what it encloses stands before it in the file, and each track has only to remember what its
next slice may enclose.

In the array form the closing bracket may be missing: whatever a killed run has written can be opened.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from grex.names import redact
from grex.progress.events import CommandStarted, Event, HolderSeen, LockWait, PackStarted, Slice
from grex.progress.permit import current_permit

__all__ = ["ChromeTrace"]

_WORKSPACE = "workspace"
_CALLS = "calls"
_NO_PERMIT = "no permit"
_ORDER = {_CALLS: -1_000_000, _WORKSPACE: 0, "network": 1_000_000, "disk": 2_000_000, _NO_PERMIT: 3_000_000}
_OTHERS = 4_000_000
_BESIDE = 1000
"""How many tracks beside a permit's own fit before the next permit; in the order only."""
_NO_PID = 1 << 22
"""Beyond every pid of Linux: for processes of other machines that have one which is taken here."""

Args = Mapping[str, str | int | float | bool | None]


class _Placed(Struct, frozen=True):
    """A slice in its place, in ns."""

    pid: int
    tid: int
    start_ns: int
    end_ns: int
    args: Args


class _Track:
    """One thread of the trace; `ends` are the slices that a later one may enclose, each with whose it is."""

    def __init__(self, tid: int) -> None:
        self.tid = tid
        self._ends: list[tuple[int, int, str]] = []

    def take(self, start: int, end: int, owner: str, *, is_shared: bool) -> bool:
        """Put a slice here, unless it would cross one, or on a shared track enclose one of somebody else."""
        position = len(self._ends)
        while position and self._ends[position - 1][0] >= start:
            _, last, whose = self._ends[position - 1]
            if last > end or (is_shared and whose != owner):
                return False
            position -= 1
        if position and self._ends[position - 1][1] > start:
            return False
        self._ends[position:] = [(start, end, owner)]
        return True


class ChromeTrace:
    """A sink that writes a trace. A write that fails ends the trace and nothing else.

    Args:
        path: the file, which is replaced. It is opened at once: a path that cannot be written is the caller's mistake,
            and is said before the run starts.
        process: what the run is called: `grex sync`.

    Raises:
        OSError: the file cannot be made.
    """

    def __init__(self, path: Path, process: str = "grex") -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        self._pid = os.getpid()
        self._is_first = True
        self._tracks: dict[tuple[int, str], list[_Track]] = {}
        self._count = 0
        self._last_id = 0
        self._seen: dict[tuple[str, str], list[HolderSeen]] = {}
        self._released: dict[tuple[str, str], _Placed] = {}
        self._pids: dict[str, int] = {}
        self._write(b"[")
        self._name_process(self._pid, f"{process}, pid {self._pid}", 0)

    def __call__(self, event: Event, /) -> None:
        """Write what the event says; what passes quickly (output, percentages) is not part of a trace."""
        match event:
            case Slice():
                self._slice(event)
            case HolderSeen():
                if event.pid != self._pid:
                    self._seen.setdefault((event.tier, event.path), []).append(event)
                    facts: Args = {"path": event.path, "holder": event.name}
                    self._instant(f"{event.tier} is held by {event.name}", "wait", facts, event.at_ns)
            case LockWait():
                waited_s = round(event.waited_s, 3)
                facts = {
                    "path": event.path,
                    "waited_s": waited_s,
                    "holder": event.holder,
                    "ahead": event.ahead,
                }
                self._instant(f"waiting for {event.tier}", "wait", facts)
            case PackStarted():
                self._instant(f"{event.doing} begins", "pack", {"pack": event.pack})
            case CommandStarted():
                self._instant(f"{event.label} begins", "command", {"pack": event.pack})
            case _:
                pass

    def close(self) -> None:
        """Close the array and the file; further events are dropped."""
        if self._fd < 0:
            return
        self._write(b"\n]\n")
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    # -- slices -------------------------------------------------------------------------------------------------------

    def _slice(self, event: Slice) -> None:
        tier, path = event.args.get("tier"), str(event.args.get("path", ""))
        name, args = event.name, {"pack": event.track, **event.args}
        if event.category == "permit":
            name = event.track  # the track says which permit it is; who had it is what one looks for
        if tier == "PERMIT" and event.category == "wait":
            self._wait_for_permit(event, args)
            return
        if event.category == "call":
            alone = replace(event, track=str(event.start_ns))  # one call does not cause what another one does meanwhile
            tid = self._place(self._pid, _CALLS, alone, is_shared=True)
        elif event.permit:
            tid = self._place(self._pid, event.permit, event, is_shared=False)
        elif event.track == _WORKSPACE:
            tid = self._place(self._pid, _WORKSPACE, event, is_shared=False)
        else:
            tid = self._place(self._pid, _NO_PERMIT, event, is_shared=True)
        placed = _Placed(self._pid, tid, event.start_ns, event.end_ns, event.args)
        key = (str(tier), path)
        if event.category == "wait":
            source = self._source(key, event)
            if source is not None:
                args["handed_over_by"] = source[0]
            self._complete(placed, name, event.category, args)
            if source is not None:
                self._arrow(f"{tier} handed over", source[1], placed)
            return
        self._complete(placed, name, event.category, args)
        if event.category == "lock" and tier is not None:
            self._released[key] = placed

    def _place(self, pid: int, group: str, event: Slice, *, is_shared: bool) -> int:
        """The thread on which the slice nests with all others: the group's first one, if it fits there."""
        start, end = event.start_ns, max(event.end_ns, event.start_ns)
        tracks = self._tracks.setdefault((pid, group), [])
        for track in tracks:
            if track.take(start, end, event.track, is_shared=is_shared):
                return track.tid
        track = _Track(self._add_track(pid, group, len(tracks)))
        tracks.append(track)
        track.take(start, end, event.track, is_shared=is_shared)
        return track.tid

    def _wait_for_permit(self, event: Slice, args: Args) -> None:
        found = {"name": event.name, "cat": "wait", "id": self._next_id(), "pid": self._pid, "tid": self._first_track()}
        self._record({"ph": "b", **found, "ts": _us(event.start_ns), "args": _without_credentials(args)})
        self._record({"ph": "e", **found, "ts": _us(event.end_ns)})

    def _complete(self, placed: _Placed, name: str, category: str, args: Args) -> None:
        self._record(
            {
                "ph": "X",
                "name": redact(name),
                "cat": category,
                "ts": _us(placed.start_ns),
                "dur": _us(max(placed.end_ns - placed.start_ns, 0)),
                "pid": placed.pid,
                "tid": placed.tid,
                "args": _without_credentials(args),
            }
        )

    # -- who handed a lock over ---------------------------------------------------------------------------------------

    def _source(self, key: tuple[str, str], wait: Slice) -> tuple[str, _Placed] | None:
        """Whose hold this wait was for: the last one seen in another process, or one of this run that ended meanwhile.

        Holds of other processes are written here: nothing was known of their end before.
        """
        seen = [one for one in self._seen.pop(key, []) if one.at_ns >= wait.start_ns]
        ours = self._released.get(key)
        if ours is not None and (
            ours.end_ns < wait.start_ns  # it was free again before anybody waited
            or "ended" in wait.args  # somebody else got it
            or (ours.args.get("mode") == "shared" == wait.args.get("mode"))  # readers do not wait for readers
        ):
            ours = None
        last: _Placed | None = None
        for position, one in enumerate(seen):
            if position and seen[position - 1].name == one.name:
                continue  # seen again
            until = next((other.at_ns for other in seen[position + 1 :] if other.name != one.name), wait.end_ns)
            last = self._foreign(one, until)
        if last is not None and (ours is None or seen[-1].at_ns > ours.end_ns):
            return seen[-1].name, last
        return None if ours is None else (f"pid {self._pid}, this run", ours)

    def _foreign(self, seen: HolderSeen, until_ns: int) -> _Placed:
        pid = self._pids.get(seen.name)
        if pid is None:
            taken = {self._pid, *self._pids.values()}
            pid = self._pids[seen.name] = seen.pid if seen.pid not in taken else _NO_PID + len(taken)
            self._name_process(pid, seen.name, len(self._pids))
        held = Slice(f"{seen.tier} held", "lock", seen.path, seen.at_ns, max(until_ns, seen.at_ns))
        tid = self._place(pid, "locks", held, is_shared=True)
        placed = _Placed(pid, tid, held.start_ns, held.end_ns, {})
        told = "from when it was seen to have the lock until the wait was over"
        facts: Args = {"tier": seen.tier, "path": seen.path, "holder": seen.name, "drawn": told}
        self._complete(placed, held.name, "lock", facts)
        return placed

    def _arrow(self, name: str, source: _Placed, target: _Placed) -> None:
        """Both ends lie inside of their slices, for at its end a slice is not the enclosing one any more."""
        starts, ends = (max(one.end_ns - 1, one.start_ns) for one in (source, target))
        if starts > ends:
            return  # a hold that took no time, in the last nanosecond of the wait
        arrow = {"name": name, "cat": "handover", "id": self._next_id()}
        self._record({"ph": "s", **arrow, "ts": _us(starts), "pid": source.pid, "tid": source.tid})
        self._record({"ph": "f", "bp": "e", **arrow, "ts": _us(ends), "pid": target.pid, "tid": target.tid})

    # -- records ------------------------------------------------------------------------------------------------------

    def _instant(self, name: str, category: str, args: Args, at_ns: int | None = None) -> None:
        where = {"pid": self._pid, "tid": self._first_track(current_permit() or _WORKSPACE)}
        text = {"name": redact(name), "cat": category, "args": _without_credentials(args)}
        self._record({"ph": "i", "s": "t", "ts": _us(time.monotonic_ns() if at_ns is None else at_ns), **where, **text})

    def _first_track(self, group: str = _WORKSPACE) -> int:
        tracks = self._tracks.setdefault((self._pid, group), [])
        if not tracks:
            tracks.append(_Track(self._add_track(self._pid, group, 0)))
        return tracks[0].tid

    def _add_track(self, pid: int, group: str, beside: int) -> int:
        """A further thread, named and in its place: `network 2`, and `network 2 (2)` beside it."""
        self._count += 1
        tid = self._count
        kind, _, number = group.rpartition(" ")
        order = _ORDER[group] + beside if group in _ORDER else _ORDER.get(kind, _OTHERS) + beside
        if kind in _ORDER and number.isdigit():
            order += int(number) * _BESIDE
        is_counted = group in (_CALLS, _NO_PERMIT)
        name = f"{group} {beside + 1}" if is_counted else f"{group} ({beside + 1})" if beside else group
        for key, value in (("thread_name", {"name": name}), ("thread_sort_index", {"sort_index": order})):
            self._record({"ph": "M", "name": key, "pid": pid, "tid": tid, "args": value})
        return tid

    def _name_process(self, pid: int, name: str, order: int) -> None:
        for key, value in (("process_name", {"name": name}), ("process_sort_index", {"sort_index": order})):
            self._record({"ph": "M", "name": key, "pid": pid, "tid": 0, "args": value})

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def _record(self, record: dict[str, Any]) -> None:
        text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
        lead = b"\n" if self._is_first else b",\n"
        self._is_first = False
        self._write(lead + text.encode("utf-8", "backslashreplace"))

    def _write(self, data: bytes) -> None:
        if self._fd < 0:
            return
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError:  # a full disk must not change what the run does
            os.close(self._fd)
            self._fd = -1


def _us(time_ns: int) -> float:
    return time_ns / 1000


def _without_credentials(args: Args) -> dict[str, Any]:
    return {key: redact(value) if isinstance(value, str) else value for key, value in args.items()}
