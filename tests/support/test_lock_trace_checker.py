"""The checker finds what it is there to find: one bad trace for each finding."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.lock_trace_checker import check_lines


class Trace:
    """Builds a trace line by line."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self._seq: dict[int, int] = {}

    def say(self, event: str, tok: str = "1", **changes: Any) -> Trace:
        """Add a line; the defaults are an exclusive pack in task t of pid 7."""
        fields: dict[str, Any] = {"v": 1, "ev": event, "pid": 7, "task": "t", "tier": 2, "mode": "x", "path": "/p"}
        fields.update(tok=tok, ns=len(self.lines) * 10, **changes)
        if fields["tier"] == 1:
            fields = {"limit": 1, **fields, "mode": "permit", "path": "permits:disk"}
        if event == "exit":
            fields = {name: fields[name] for name in ("v", "ev", "pid", "ns")}
        self._seq[fields["pid"]] = fields["seq"] = changes.get("seq", self._seq.get(fields["pid"], 0) + 1)
        self.lines.append(json.dumps(fields).encode() + b"\n")
        return self

    def hold(self, tok: str = "1", **changes: Any) -> Trace:
        """Add `wait` and `acquire`."""
        return self.say("wait", tok, **changes).say("acquire", tok, **changes)

    def codes(self) -> list[str]:
        """What the checker finds."""
        return check_lines(self.lines).codes


BAD: dict[str, Trace] = {
    "M1": Trace().hold("1").hold("2", pid=8).say("release", "1").say("release", "2", pid=8),
    "T1": Trace().hold("1").hold("2", tier=0, path="/w").say("release", "2", tier=0, path="/w").say("release"),
    "T2": Trace().hold("1").hold("2", path="/q").say("release", "2", path="/q").say("release"),
    "T3": Trace()
    .hold("1")
    .hold("2", task="u", parent="t", path="/q")
    .say("release", "2", task="u", parent="t", path="/q")
    .say("release"),
    "R1": Trace().say("wait").say("release"),
    "R2": Trace().hold("1").hold("2", tier=3).say("release", "1").say("release", "2", tier=3),
    "R3": Trace().hold("1").say("exit"),
    "R4": Trace().hold("1").say("release", "1").hold("1").say("release", "1"),
    "R5": Trace().hold("1").say("release", "1", path="/q"),
    "R6": Trace().hold("1").say("release", "1", task="u"),
    "C1": Trace().say("wait").say("cancel").say("acquire").say("release"),
    "C2": Trace().hold("1").say("cancel").say("release"),
    "W1": Trace().say("wait").say("exit"),
    "P1": Trace()
    .hold("1", tier=1)
    .hold("2", tier=1, task="u")
    .say("release", "1", tier=1)
    .say("release", "2", tier=1, task="u"),
}


@pytest.mark.parametrize("code", BAD)
def test_each_finding_is_found_and_nothing_else(code: str) -> None:
    assert BAD[code].codes() == [code]


def test_a_circle_of_locks_is_found() -> None:
    trace = Trace()
    for first, second, task in (("/a", "/b", "t"), ("/b", "/a", "u")):
        trace.hold(f"{task}1", path=first, task=task).hold(f"{task}2", path=second, task=task)
        trace.say("release", f"{task}2", path=second, task=task).say("release", f"{task}1", path=first, task=task)
    assert "D1" in trace.codes()


@pytest.mark.parametrize(
    "line",
    [
        b"{}\n",
        b"not json\n",
        b"[]\n",
        b'{"v":1,"ev":"exit","pid":1,"seq":1,"ns":1}',
        b'{"v":2,"ev":"exit","pid":1,"seq":1,"ns":1}\n',
        b'{"v":1,"ev":"exit","pid":true,"seq":1,"ns":1}\n',
        Trace().say("wait", tier=5).lines[0],
        Trace().say("wait", mode="s").lines[0],
        Trace().say("wait", tier=1, limit=None).lines[0],
        Trace().say("wait", path="relative").lines[0],
        Trace().say("wait", path="/" + "x" * 5000).lines[0],
    ],
)
def test_a_bad_line_is_found(line: bytes) -> None:
    assert check_lines([line]).codes == ["F1"]


def test_readers_overlap_and_a_writer_does_not() -> None:
    manifest: dict[str, Any] = {"tier": 4, "path": "/log"}
    readers = Trace().hold("1", mode="s", **manifest).hold("2", mode="s", pid=8, **manifest)
    assert readers.codes() == []
    readers.hold("3", pid=9, **manifest)
    readers.say("release", "1", mode="s", **manifest).say("release", "2", mode="s", pid=8, **manifest)
    assert readers.codes() == ["M1"]


def test_a_process_that_was_killed_held_until_its_last_line_only() -> None:
    assert Trace().hold("1").hold("2", pid=8).say("release", "2", pid=8).codes() == []


def test_a_wait_that_a_kill_ended_is_not_one_that_was_left_open() -> None:
    trace = Trace().say("wait").say("wait", "2", pid=8).say("cancel", "2", pid=8).say("exit", pid=8)
    assert trace.codes() == []


def test_holds_are_counted_by_process() -> None:
    trace = Trace().hold("1").say("release", "1").hold("2", pid=8).say("release", "2", pid=8).hold("3")
    assert check_lines(trace.lines).served == {7: 2, 8: 1}


def test_a_pid_that_comes_again_is_another_process() -> None:
    trace = Trace().hold("1").hold("2", pid=8).say("release", "2", pid=8)
    trace.say("wait", "9", seq=1).say("acquire", "9").say("release", "9")
    assert trace.codes() == []


def test_good_nesting_and_statistics() -> None:
    trace = Trace().hold("1", tier=0, path="/w").hold("2", task="u", parent="t")
    trace.say("release", "2", task="u", parent="t").say("release", "1", tier=0, path="/w").say("exit")
    verdict = check_lines(trace.lines)
    assert verdict.findings == []
    assert verdict.statistics[2].holds == 1
    assert verdict.statistics[2].hold_max_ms == pytest.approx(1e-5)
