"""Judges a lock trace offline: `python -m tests.support.lock_trace_checker FILE`.

Findings: M1 overlap; T1 reversed tier; T2 same tier twice in one task; T3 reversed against an awaiting ancestor;
R1 release without acquire; R2 not innermost first; R3 held at orderly exit; R4 token reused; R5/R6 released as another
lock / by another task; C1/C2 acquire after the end of an attempt / end after its acquire; P1 too many permits;
D1 lock-order cycle; W1 an attempt that neither acquired nor ended before an orderly exit; F1 bad line.

A process that was killed leaves holds without a release. Nothing says when they ended, only that they had not before
its last line; so such a hold lasts until there. (To know when it was killed does not help: a thread may have released
since, and its line waited in memory for another thread that was writing.) A pid that begins to count anew is another
process.
"""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Finding", "TierStatistics", "Verdict", "check_file", "check_lines"]

MAX_LINE_BYTES = 4096
_EVENTS = {"wait", "acquire", "release", "cancel", "timeout", "fail", "exit"}
_ENDINGS = {"cancel", "timeout", "fail"}
_PERMIT = 1
_MANIFEST = 4


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong."""

    code: str
    line: int
    text: str


@dataclass(frozen=True)
class TierStatistics:
    """What happened on one tier."""

    holds: int
    wait_p50_ms: float
    wait_p99_ms: float
    hold_p50_ms: float
    hold_max_ms: float


@dataclass
class Verdict:
    """All findings, and statistics by tier."""

    findings: list[Finding] = field(default_factory=list)
    statistics: dict[int, TierStatistics] = field(default_factory=dict)
    served: dict[int, int] = field(default_factory=dict)
    """How many holds each pid had."""

    @property
    def codes(self) -> list[str]:
        """The codes of all findings, sorted, each once."""
        return sorted({finding.code for finding in self.findings})


@dataclass
class _Event:
    line: int
    process: tuple[int, int]
    fields: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        return self.fields.get(name)

    @property
    def attempt(self) -> tuple[tuple[int, int], str]:
        return self.process, self.fields["tok"]

    @property
    def lock(self) -> tuple[int, str]:
        return self.fields["tier"], self.fields["path"]


def check_file(path: Path) -> Verdict:
    """Judge a trace file."""
    return check_lines(path.read_bytes().splitlines(keepends=True))


def check_lines(lines: Iterable[bytes]) -> Verdict:
    """Judge the lines of a trace, each with its end of line; those of one process in the order in which it wrote."""
    return _Checker().run(lines)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _problem(line: bytes) -> str | dict[str, Any]:
    """The fields of a good line, or what is wrong with it."""
    if len(line) > MAX_LINE_BYTES or not line.endswith(b"\n"):
        return "too long, or cut short"
    try:
        fields = json.loads(line.decode("utf-8"))
    except ValueError as error:
        return f"not JSON: {error}"
    if not isinstance(fields, dict) or fields.get("v") != 1 or fields.get("ev") not in _EVENTS:
        return "not an object of version 1 with a known event"
    if not all(_is_int(fields.get(name)) for name in ("pid", "seq", "ns")):
        return "pid, seq or ns is missing"
    if fields["ev"] == "exit":
        return fields
    if not all(isinstance(fields.get(name), str) for name in ("task", "path", "tok", "mode")):
        return "task, path, tok or mode is missing"
    if not isinstance(fields.get("parent", ""), str) or not _is_int(fields.get("tier")):
        return "parent is no text, or tier no number"
    return _mode_problem(fields)


def _mode_problem(fields: dict[str, Any]) -> str | dict[str, Any]:
    tier = fields["tier"]
    if not 0 <= tier <= _MANIFEST:
        return "unknown tier"
    allowed = {"permit"} if tier == _PERMIT else {"x", "s"} if tier == _MANIFEST else {"x"}
    if fields["mode"] not in allowed:
        return "a mode that the tier does not have"
    if tier == _PERMIT and not _is_int(fields.get("limit")):
        return "a permit without a limit"
    if tier != _PERMIT and not fields["path"].startswith("/"):
        return "a path that is not absolute"
    return fields


class _Checker:
    def __init__(self) -> None:
        self.verdict = Verdict()
        self.events: list[_Event] = []
        self.last_ns: dict[tuple[int, int], int] = {}
        self.waits: dict[tuple[tuple[int, int], str], _Event] = {}
        self.open_waits: dict[tuple[tuple[int, int], str], _Event] = {}
        self.acquired: dict[tuple[tuple[int, int], str], _Event] = {}
        self.ended: set[tuple[tuple[int, int], str]] = set()
        self.released: set[tuple[tuple[int, int], str]] = set()
        self.held: dict[tuple[tuple[int, int], str], _Event] = {}  # in the order of their acquires
        self.parents: dict[tuple[tuple[int, int], str], str] = {}
        self.edges: dict[tuple[int, str], dict[tuple[int, str], _Event]] = defaultdict(dict)
        self.wait_ns: dict[int, list[int]] = defaultdict(list)
        self.hold_ns: dict[int, list[int]] = defaultdict(list)

    def find(self, code: str, event: _Event, text: str) -> None:
        self.verdict.findings.append(Finding(code, event.line, text))

    def run(self, lines: Iterable[bytes]) -> Verdict:
        self.read(lines)
        # At one instant releases come first: an interval ends before its release is recorded.
        self.events.sort(key=lambda event: (event.ns, event.ev == "acquire", event.process, event.seq))
        for event in self.events:
            if event.ev == "exit":
                self.exit(event)
                continue
            if event.parent is not None:
                self.parents[event.process, event.task] = event.parent
            if event.ev == "wait":
                self.wait(event)
            elif event.ev == "acquire":
                self.acquire(event)
            elif event.ev == "release":
                self.release(event)
            else:
                self.end(event)
        self.find_cycle()
        self.count()
        return self.verdict

    def read(self, lines: Iterable[bytes]) -> None:
        lives: dict[int, tuple[int, int]] = {}  # pid -> number of its current life, last seq
        for number, line in enumerate(lines, 1):
            fields = _problem(line)
            if isinstance(fields, str):
                self.verdict.findings.append(Finding("F1", number, fields))
                continue
            life, last = lives.get(fields["pid"], (0, -1))
            if fields["seq"] <= last:
                life += 1
            lives[fields["pid"]] = (life, fields["seq"])
            process = (fields["pid"], life)
            self.last_ns[process] = max(fields["ns"], self.last_ns.get(process, 0))
            self.events.append(_Event(number, process, fields))

    def wait(self, event: _Event) -> None:
        if event.attempt in self.waits:
            self.find("R4", event, f"token {event.tok} is used again")
        self.waits[event.attempt] = self.open_waits[event.attempt] = event

    def end(self, event: _Event) -> None:
        if event.attempt in self.acquired:
            self.find("C2", event, f"{event.ev} of an attempt that had acquired")
        self.ended.add(event.attempt)
        self.open_waits.pop(event.attempt, None)

    def acquire(self, event: _Event) -> None:
        if event.attempt in self.ended:
            self.find("C1", event, "acquire of an attempt that had ended")
        if event.attempt in self.acquired:
            self.find("R4", event, f"token {event.tok} acquires again")
        self.check_overlap(event)
        self.check_order(event)
        self.acquired[event.attempt] = self.held[event.attempt] = event
        self.open_waits.pop(event.attempt, None)
        waited = self.waits.get(event.attempt)
        if waited is not None:
            self.wait_ns[event.tier].append(event.ns - waited.ns)

    def alive(self, at_ns: int) -> Iterable[_Event]:
        """The holds at that time, without those of processes that said nothing any more."""
        # Events come in the order of time, so a hold that is over for one of them is over for all that follow.
        for over in [hold for hold in self.held.values() if self.last_ns[hold.process] < at_ns]:
            del self.held[over.attempt]
        return list(self.held.values())

    def check_overlap(self, event: _Event) -> None:
        same = [hold for hold in self.alive(event.ns) if hold.lock == event.lock]
        if event.tier == _PERMIT:
            here = [hold for hold in same if hold.process == event.process]
            if len(here) >= event.limit:
                self.find("P1", event, f"{len(here) + 1} holds of {event.limit} permits")
            return
        for hold in same:
            if "x" in {hold.mode, event.mode}:
                self.find("M1", event, f"{event.path} is held since line {hold.line}")

    def ancestors(self, event: _Event) -> list[str]:
        chain: list[str] = []
        task: str | None = event.task
        while task is not None and task not in chain:
            chain.append(task)
            task = self.parents.get((event.process, task))
        return chain[1:]

    def check_order(self, event: _Event) -> None:
        above = self.ancestors(event)
        for hold in self.alive(event.ns):
            if hold.process != event.process:
                continue
            if hold.task == event.task:
                if hold.tier == event.tier:
                    self.find("T2", event, f"tier {event.tier} is held since line {hold.line}")
                elif hold.tier > event.tier:
                    self.find("T1", event, f"tier {event.tier} inside of tier {hold.tier} of line {hold.line}")
            elif hold.task in above:
                if hold.tier >= event.tier:
                    self.find("T3", event, f"tier {event.tier} inside of an ancestor's {hold.tier} of line {hold.line}")
            else:
                continue
            self.edges[hold.lock][event.lock] = event

    def release(self, event: _Event) -> None:
        hold = self.held.pop(event.attempt, None)
        if hold is None:
            self.find("R1", event, "release without acquire")
            return
        if (hold.lock, hold.mode) != (event.lock, event.mode):
            self.find("R5", event, f"acquired as {hold.lock} in line {hold.line}")
        if hold.task != event.task:
            self.find("R6", event, f"acquired by {hold.task} in line {hold.line}")
        for inner in self.held.values():
            if (inner.process, inner.task) == (hold.process, hold.task) and inner.ns > hold.ns:
                self.find("R2", event, f"line {inner.line} lies inside and is still held")
        self.hold_ns[event.tier].append(event.ns - hold.ns)

    def exit(self, event: _Event) -> None:
        for hold in [hold for hold in self.held.values() if hold.process == event.process]:
            self.find("R3", event, f"{hold.path} of line {hold.line} is held at exit")
            del self.held[hold.attempt]
        for waited in self.open_waits.values():
            if waited.process == event.process:
                self.find("W1", event, f"the attempt of line {waited.line} on {waited.path} never ended")

    def find_cycle(self) -> None:
        done: set[tuple[int, str]] = set()
        for start in list(self.edges):
            path: list[tuple[int, str]] = []
            stack: list[tuple[tuple[int, str], bool]] = [(start, False)]
            while stack:
                node, leaving = stack.pop()
                if leaving:
                    path.pop()
                    done.add(node)
                elif node in path:
                    event = self.edges[path[-1]][node]
                    self.find("D1", event, f"locks are taken in a circle: {[*path[path.index(node) :], node]}")
                elif node not in done:
                    path.append(node)
                    stack.append((node, True))
                    stack.extend((other, False) for other in self.edges.get(node, {}))

    def count(self) -> None:
        self.verdict.served = dict(Counter(event.pid for event in self.acquired.values()))
        for tier in sorted(self.wait_ns.keys() | self.hold_ns.keys()):
            waits, holds = sorted(self.wait_ns[tier]), sorted(self.hold_ns[tier])
            self.verdict.statistics[tier] = TierStatistics(
                holds=sum(1 for event in self.acquired.values() if event.tier == tier),
                wait_p50_ms=_quantile(waits, 0.5),
                wait_p99_ms=_quantile(waits, 0.99),
                hold_p50_ms=_quantile(holds, 0.5),
                hold_max_ms=_quantile(holds, 1.0),
            )


def _quantile(values: list[int], share: float) -> float:
    return values[min(len(values) - 1, int(len(values) * share))] / 1e6 if values else 0.0


def main() -> int:
    """Print the findings and the statistics of a file; 1 if there are findings."""
    verdict = check_file(Path(sys.argv[1]))
    for finding in verdict.findings:
        print(f"line {finding.line}: {finding.code} {finding.text}")
    for tier, statistics in verdict.statistics.items():
        print(f"tier {tier}: {statistics}")
    return 1 if verdict.findings else 0


if __name__ == "__main__":
    sys.exit(main())
