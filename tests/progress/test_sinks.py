"""Sinks: what a trace file holds, and that nobody's run depends on who watches it."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from grex.progress import (
    ChromeTrace,
    Collector,
    GitProgress,
    LockWait,
    PackFinished,
    PackStarted,
    Slice,
    Tee,
    null_sink,
)

EVENTS = (
    PackStarted("a", "checkout"),
    Slice("git fetch", "git", "a", 1_000, 4_500, {"argv": "git fetch", "returncode": 0}),
    GitProgress("a", "Receiving objects", 50),
    LockWait("PACK", "/ws/a/.grex-lock", 1.5, "grex sync, pid 7", 2),
    Slice("PACK", "lock", "b", 2_000, 1_000),
    Slice("git checkout", "git", "a", 5_000, 5_000),
    PackFinished("a", "moved", ""),
)


def read(path: Path) -> list[dict[str, Any]]:
    found = json.loads(path.read_bytes())
    assert isinstance(found, list)
    return found


def test_a_trace_is_json_with_one_named_track_for_each_pack(tmp_path: Path) -> None:
    trace = ChromeTrace(tmp_path / "t.json")
    for event in EVENTS:
        trace(event)
    trace.close()
    records = read(tmp_path / "t.json")
    names = {record["tid"]: record["args"]["name"] for record in records if record["ph"] == "M"}
    assert sorted(names.values()) == ["a", "b", "waits"]
    slices = [
        (record["name"], names[record["tid"]], record["ts"], record["dur"]) for record in records if record["ph"] == "X"
    ]
    assert slices == [("git fetch", "a", 1.0, 3.5), ("PACK", "b", 2.0, 0.0), ("git checkout", "a", 5.0, 0.0)]
    (instant,) = [record for record in records if record["ph"] == "i"]
    assert instant["name"] == "waiting for PACK"
    assert instant["args"] == {"path": "/ws/a/.grex-lock", "waited_s": 1.5, "holder": "grex sync, pid 7", "ahead": 2}
    assert {record["pid"] for record in records} == {os.getpid()}


def test_a_trace_that_was_never_closed_lacks_only_its_bracket(tmp_path: Path) -> None:
    trace = ChromeTrace(tmp_path / "t.json")
    for event in EVENTS:
        trace(event)
        assert isinstance(json.loads((tmp_path / "t.json").read_text() + "]"), list)
    trace.close()


def test_a_trace_of_nothing_is_json(tmp_path: Path) -> None:
    ChromeTrace(tmp_path / "t.json").close()
    assert read(tmp_path / "t.json") == []


def test_odd_text_stays_json(tmp_path: Path) -> None:
    trace = ChromeTrace(tmp_path / "t.json")
    trace(Slice('a "b"\n\x1b', "git", "päck", 0, 1, {"path": "\udcff"}))
    trace.close()
    record = read(tmp_path / "t.json")[-1]
    assert (record["name"], record["args"]["path"]) == ('a "b"\n\x1b', "\udcff")


def test_closing_twice_and_writing_after_it_do_nothing(tmp_path: Path) -> None:
    trace = ChromeTrace(tmp_path / "t.json")
    trace.close()
    before = (tmp_path / "t.json").read_bytes()
    trace.close()
    trace(EVENTS[1])
    assert (tmp_path / "t.json").read_bytes() == before


def test_a_write_that_fails_ends_the_trace_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = ChromeTrace(tmp_path / "t.json")
    calls: list[int] = []

    def full(fd: int, data: bytes) -> int:
        calls.append(fd)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("grex.progress.sinks.os.write", full)
        for event in EVENTS:
            trace(event)
        trace.close()
    assert len(calls) == 1
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(calls[0])


def test_a_disk_that_is_full_is_no_failure_of_the_run() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    trace = ChromeTrace(Path("/dev/full"))
    for event in EVENTS:
        trace(event)
    trace.close()


def test_a_place_that_cannot_be_written_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ChromeTrace(tmp_path / "nowhere/t.json")


def test_a_tee_hands_each_event_to_everyone_in_order() -> None:
    one, other = Collector(), Collector()
    tee = Tee(one, other, null_sink)
    for event in EVENTS:
        tee(event)
    assert one.events == other.events == list(EVENTS)
