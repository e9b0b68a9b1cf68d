"""What the live view shows: events and the time go in, lines come out. It knows no terminal and no clock.

- The first line has the totals: of the phase that goes on, how many packs are done of how many that are known by now.
- Below it, a line for each pack that is worked at (one that has a permit, waits for a lock, or runs a command), as a
  tree: in the order of paths, below the pack in whose directory it lies. Packs that wait for a permit are counted.
- Where the lines are too few, those that take longest are shown, for they are what one wants to know of, and the last
  line says how many more there are. Lines stay in the order of paths, so that they do not jump about.

What a pack does is known from its last event: a permit begins its work and ends it, a stage of git or a command
replaces what was there before. A wait ends with `LockHad`, or with the pack.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from msgspec import Struct, field

from grex.cli.colours import Role, cells
from grex.names import clean
from grex.progress import (
    CommandStarted,
    Event,
    FetchProgress,
    GitProgress,
    LockHad,
    LockWait,
    PackFinished,
    PackStarted,
    PermitReturned,
    PermitTaken,
    PluginBlocks,
)

__all__ = ["MOST_LINES", "LiveModel", "Span"]

MOST_LINES = 20
"""More is no more to look at; what was said before should stay in sight."""

Span: TypeAlias = tuple[Role | None, str]

_SLOW_S = 10.0
_NARROW = 60
_SHORT_TEXT = 15
_CALLS = {"install": "installing", "update": "updating", "sync": "syncing", "teardown": "tearing down"}
_DOING = {
    ("checkout", "network"): "asking the remote",
    ("checkout", "disk"): "checking out",
    ("fetch", "network"): "fetching",
    ("push", "network"): "pushing",
    ("switch", "disk"): "switching",
    ("remove", "disk"): "removing",
}
_LOCKS = {
    "WORKSPACE": "the workspace",
    "PACK": "the pack",
    "BACKEND": "its git",
    "MANIFEST": "the manifest",
    "CACHE": "the cache",
    "FILE": "a file",
}
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


class _Wait(Struct):
    """A wait for a lock: `since_s` is when it began."""

    tier: str
    holder: str | None
    since_s: float
    ahead: int | None


class _Pack(Struct):
    """What is known of a pack; `since_s` is when it was given its permit, None while it has none.

    `is_begun` is that it is somewhere between its `PackStarted` and its `PackFinished`.
    """

    path: str
    doing: str = ""
    status: str | None = None
    is_begun: bool = False
    kind: str = ""
    since_s: float | None = None
    stage: str = ""
    command: str = ""
    blocks: str = ""
    waits: dict[tuple[str, str], _Wait] = field(default_factory=dict)

    @property
    def begun_s(self) -> float | None:
        """Since when there is something to tell of it; None where there is nothing."""
        return min((wait.since_s for wait in self.waits.values()), default=self.since_s)


class _Row(Struct):
    """A line about a pack: its place in the tree, what it does, and for how long, in seconds."""

    tree: str
    what: str
    role: Role | None
    age_s: float | None
    is_slow: bool = False


class LiveModel:
    """Knows what goes on.

    Args:
        verb: what the totals begin with.
        begun_s: when the run began, on the clock whose time the other calls are given.
        is_ascii: draw with ASCII characters only.
    """

    def __init__(self, verb: str, begun_s: float, *, is_ascii: bool = False) -> None:
        self._verb = verb
        self._begun_s = begun_s
        self._tree = ("|- ", "`- ", "|  ", "..") if is_ascii else ("├─ ", "└─ ", "│  ", "…")
        self._packs: dict[str, _Pack] = {}
        self._own = _Pack("")
        self._phase = ""
        self._widest = 0
        self._started: Counter[str] = Counter()
        self._done: Counter[str] = Counter()
        self._attention: Counter[str] = Counter()

    def take(self, event: Event, now_s: float) -> None:
        """Learn from an event that came at `now_s`."""
        if isinstance(event, PackStarted):
            self._phase = event.doing
            self._started[event.doing] += 1
            pack = self._pack(event.pack)
            pack.doing, pack.is_begun = event.doing, True
        elif isinstance(event, PackFinished):
            self._finish(event)
        elif isinstance(event, PermitTaken):
            pack = self._pack(event.pack)
            pack.since_s, pack.kind = now_s, event.kind
        elif isinstance(event, PermitReturned):
            pack = self._pack(event.pack)
            pack.since_s, pack.stage, pack.command, pack.blocks = None, "", "", ""
            pack.waits.clear()  # of one that was cancelled, or given up
        elif isinstance(event, GitProgress):
            rate = "" if event.bytes_per_s is None else f", {_amount(event.bytes_per_s)}/s"
            self._worked(event.pack, now_s).stage = f"{event.stage} {event.percent}%{rate}"
        elif isinstance(event, FetchProgress):
            of = f" of {_amount(event.total_bytes)}" if event.total_bytes is not None else ""
            done = f"{_amount(event.received_bytes)}{of}"
            self._worked(event.pack, now_s).stage = f"downloading {clean(event.label)}: {done}"
        elif isinstance(event, CommandStarted):
            pack = self._worked(event.pack, now_s)
            pack.stage, pack.command = "", clean(event.label)
        elif isinstance(event, PluginBlocks):
            self._pack(event.pack).blocks = f"{clean(event.plugin)} lets nothing else run, at {clean(event.place)}"
        elif isinstance(event, LockWait):
            wait = _Wait(event.tier, event.holder, now_s - event.waited_s, event.ahead)
            self._pack(event.pack).waits[event.tier, event.path] = wait
        elif isinstance(event, LockHad):
            self._pack(event.pack).waits.pop((event.tier, event.path), None)

    def lines(self, columns: int, rows: int, now_s: float) -> list[list[Span]]:
        """What to show on a terminal of that size: at most `rows - 1` lines, each shorter than it is wide.

        The last row is for the cursor, and for what somebody types.
        """
        room = max(1, min(rows - 1, MOST_LINES))
        width = max(columns - 1, 1)
        shown = [self._totals(width, now_s)]
        at_work = [pack for pack in (self._own, *self._packs.values()) if pack.begun_s is not None]
        queued = sum(1 for pack in self._packs.values() if pack.begun_s is None and pack.is_begun)
        room -= 1
        if queued or len(at_work) > room:
            room -= 1  # for the line that counts the others
        chosen = sorted(at_work, key=_longest_first)[: max(room, 0)]
        shown += self._drawn(self._rows(chosen, room, now_s), width)
        hidden = len(at_work) - len(chosen)
        if (hidden or queued) and rows > 2:  # noqa: PLR2004 - there is a line for it
            parts = ((hidden, "more at work"), (queued, "in line"))
            told = "+ " + ", ".join(f"{count} {what}" for count, what in parts if count)
            shown.append([("dim", _cut(told, width, self._tree[3]))])
        return shown

    def _pack(self, path: str) -> _Pack:
        if not path:
            return self._own
        pack = self._packs.get(path)
        if pack is None:
            pack = self._packs[path] = _Pack(path)
        return pack

    def _worked(self, path: str, now_s: float) -> _Pack:
        """The pack of an event that comes only from one that is worked at."""
        pack = self._pack(path)
        if pack.since_s is None:
            pack.since_s = now_s
        return pack

    def _finish(self, event: PackFinished) -> None:
        pack = self._pack(event.pack)
        self._done[pack.doing] += 1
        if event.status in ("left", "failed", "untrusted"):
            self._attention[event.status] += 1
        self._packs[event.pack] = _Pack(event.pack, pack.doing, event.status)

    def _totals(self, width: int, now_s: float) -> list[Span]:
        """The first line: what does not fit is left out from the end, but never the time."""
        done, begun = self._done[self._phase], self._started[self._phase]
        named = f"{self._phase} " if self._phase not in ("", self._verb) else ""
        waiting = sum(1 for pack in (self._own, *self._packs.values()) if pack.waits)
        spans: list[Span] = [("heading", self._verb)]
        if done or begun:
            spans.append((None, f": {named}{done} of {max(begun, done)}"))
        counts: tuple[tuple[int, str, Role], ...] = (
            (self._attention["failed"], "failed", "error"),
            (self._attention["left"], "left alone", "attention"),
            (self._attention["untrusted"], "untrusted", "attention"),
            (waiting, "waiting for a lock", "attention"),
        )
        for count, what, colour in counts:
            if count:
                spans += [(None, ", "), (colour, f"{count} {what}")]
        age = _duration(now_s - self._begun_s)
        used = len(age) + 2
        kept: list[Span] = []
        for role, text in spans:
            if used + cells(text) > width and kept:
                break
            kept.append((role, _cut(text, width, self._tree[3])))
            used += cells(text)
        if kept[-1][1] == ", ":
            kept.pop()
        blank = width - sum(cells(text) for _, text in kept) - len(age)
        return [*kept, (None, " " * blank), ("dim", age)] if blank > 0 else kept

    def _rows(self, chosen: Sequence[_Pack], room: int, now_s: float) -> list[_Row]:
        """The packs as a tree, with those in whose directory they lie where there is room for these too."""
        by_path = {pack.path: pack for pack in chosen if pack.path}
        around = {above: self._packs[above] for path in by_path for above in _above(path) if above in self._packs}
        if len({*by_path, *around}) + sum(1 for pack in chosen if not pack.path) <= room:
            by_path = {**around, **by_path}
        ordered = sorted(by_path, key=lambda path: path.split("/"))
        parent = {path: next((above for above in _above(path) if above in by_path), None) for path in ordered}
        last = {above: path for path, above in parent.items()}  # in order, so the last one stays
        found = [self._row(pack, "(workspace)", now_s) for pack in chosen if not pack.path]
        middle, end, line, _ = self._tree
        indents: dict[str | None, str] = {None: ""}
        for path in ordered:
            above = parent[path]
            is_last = last[above] == path
            if above is None:
                drawn, below = "", ""
            else:
                drawn = indents[above] + (end if is_last else middle)
                below = indents[above] + ("   " if is_last else line)
            indents[path] = below
            name = path if above is None else path[len(above) + 1 :]
            found.append(self._row(by_path[path], drawn + name, now_s))
        return found

    def _row(self, pack: _Pack, tree: str, now_s: float) -> _Row:
        if pack.begun_s is None:
            return _Row(tree, pack.status or "in line", "dim", None)
        age_s = now_s - pack.begun_s
        if pack.waits:
            wait = min(pack.waits.values(), key=lambda one: one.since_s)
            lock = _LOCKS.get(wait.tier, wait.tier)
            told = f"waits: {_who(wait.holder)}, has {lock}" if wait.holder else f"waits for {lock}, holder unknown"
            return _Row(tree, told + (f"; {wait.ahead} before it" if wait.ahead else ""), "attention", age_s)
        if pack.blocks:
            return _Row(tree, pack.blocks, "error", age_s)
        doing = _CALLS.get(pack.doing) or _DOING.get((pack.doing, pack.kind)) or pack.doing or "at work"
        what = pack.stage or (f"{_CALLS.get(pack.doing, 'running')}: {pack.command}" if pack.command else doing)
        return _Row(tree, what, None, age_s, is_slow=age_s >= _SLOW_S)

    def _drawn(self, rows: Sequence[_Row], width: int) -> list[list[Span]]:
        """Rows in columns: the tree, what is done, and on the right for how long."""
        more = self._tree[3]
        ages = [("slow " if row.is_slow else "") + ("" if row.age_s is None else _duration(row.age_s)) for row in rows]
        room = width - max(map(len, ages), default=0) - 2
        # What was once so wide stays so wide: columns that move with every pack cannot be read.
        widest = self._widest = max(self._widest, *(cells(row.tree) for row in rows), 0)
        # Where there is little room for both, as much of what is done as `receiving 45%`.
        column = min(widest, max(room - _SHORT_TEXT if width < _NARROW else room // 2, 1))
        drawn: list[list[Span]] = []
        for row, age in zip(rows, ages, strict=True):
            gap = "  "
            tree = _padded(_cut_front(row.tree, column, more), column) + gap
            what = _cut(row.what, max(room - cells(tree), 0), more)
            blank = width - cells(tree) - cells(what) - len(age)
            spans: list[Span] = [("dim" if row.role == "dim" else None, tree), (row.role, what)]
            drawn.append([*spans, (None, " " * max(blank, 0)), ("attention" if row.is_slow else "dim", age)])
        return drawn


def _longest_first(pack: _Pack) -> tuple[float, str]:
    """The order in which packs get the lines that there are; what the run itself waits for comes before all."""
    return (-1.0 if not pack.path else pack.begun_s or 0.0, pack.path)


def _above(path: str) -> Iterable[str]:
    """The directories that a path lies in, the nearest first."""
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _who(holder: str) -> str:
    """A holder in short: pid and verb; the rest of what is said about it does not fit on a line."""
    pid, *rest = holder.split(", ")
    verb = next((part.split(";")[0] for part in rest if part.startswith("grex ")), "")
    short = pid.partition(" on host ")[0].split(";")[0]
    return f"{short}, {verb}" if verb else short


def _duration(seconds: float) -> str:
    whole = max(int(seconds), 0)
    if whole < 60:  # noqa: PLR2004 - a minute
        return f"{whole} s"
    if whole < 3600:  # noqa: PLR2004 - an hour
        return f"{whole // 60}:{whole % 60:02} min"
    return f"{whole // 3600}:{whole // 60 % 60:02} h"


def _amount(size_bytes: int) -> str:
    size, unit = float(size_bytes), 0
    while size >= 1000 and unit < len(_UNITS) - 1:  # noqa: PLR2004 - three digits, as git has them
        size, unit = size / 1024, unit + 1
    return f"{size_bytes} bytes" if not unit else f"{size:.1f} {_UNITS[unit]}"


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cells(text))


def _cut(text: str, width: int, more: str) -> str:
    """The text, cut at its end to that many columns."""
    if cells(text) <= width:
        return text
    room = width - len(more)
    kept = 0
    while kept < len(text) and (room := room - cells(text[kept])) >= 0:
        kept += 1
    return text[:kept] + more if width >= len(more) else ""


def _cut_front(text: str, width: int, more: str) -> str:
    """The text, cut at its front: the end of a path tells more than its beginning."""
    if cells(text) <= width:
        return text
    room = width - len(more)
    start = len(text)
    while start and (room := room - cells(text[start - 1])) >= 0:
        start -= 1
    return more + text[start:] if width >= len(more) else ""
