"""What a trace file holds, by the rules of its format; and that no run depends on it."""

from __future__ import annotations

import copy
import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grex.progress import (
    ChromeTrace,
    CommandStarted,
    GitProgress,
    HolderSeen,
    LockWait,
    PackFinished,
    PackStarted,
    Slice,
)
from grex.progress.events import Event
from tests.support.trace_format import faults, read_trace

MS = 1_000_000


def lock(path: str, start: int, end: int, permit: str = "", *, mode: str = "exclusive", track: str = "a") -> Slice:
    facts = {"tier": "PACK", "path": path, "mode": mode}
    return Slice("PACK (disk)", "lock", track, start * MS, end * MS, facts, permit)


def wait(path: str, start: int, end: int, permit: str = "", *, track: str = "b", **more: str) -> Slice:
    facts = {"tier": "PACK", "path": path, "mode": "exclusive", **more}
    return Slice("wait PACK", "wait", track, start * MS, end * MS, facts, permit)


def seen(path: str, at: int, pid: int, name: str = "") -> HolderSeen:
    return HolderSeen("PACK", path, pid, name or f"grex exec, pid {pid}", at * MS)


def written(tmp_path: Path, *told: Event) -> list[dict[str, Any]]:
    """The trace of these events, which is in order."""
    trace = ChromeTrace(tmp_path / "t.json", "grex sync")
    for event in told:
        trace(event)
        assert faults(read_trace(tmp_path / "t.json")) == []  # also where nothing more comes
    trace.close()
    records = json.loads((tmp_path / "t.json").read_bytes())
    assert faults(records) == []
    return list(records)


def tracks(records: list[dict[str, Any]]) -> dict[int, str]:
    return {record["tid"]: record["args"]["name"] for record in records if record["name"] == "thread_name"}


def slices(records: list[dict[str, Any]]) -> list[tuple[str, str, float, float]]:
    names = tracks(records)
    return [
        (record["name"], names[record["tid"]], record["ts"], record["dur"]) for record in records if record["ph"] == "X"
    ]


CONTENDED: tuple[Event, ...] = (
    PackStarted("a", "checkout"),
    CommandStarted("a", "hook setup.sh"),
    Slice("git fetch", "git", "a", 11 * MS, 14 * MS, {"argv": "git fetch", "returncode": 0}, "network 1"),
    GitProgress("a", "Receiving objects", 50),
    lock("/a", 10, 20, "network 1"),
    Slice("PERMIT network", "permit", "a", 9 * MS, 21 * MS, {"tier": "PERMIT", "path": "network"}, "network 1"),
    wait("/a", 12, 20, "disk 2"),
    Slice("wait PERMIT disk", "wait", "c", 2 * MS, 30 * MS, {"tier": "PERMIT", "path": "disk"}),
    seen("/d", 22, 7),
    LockWait("PACK", "/d", 1.5, "grex sync, pid 7", 2),
    wait("/d", 21, 40, "disk 1"),
    Slice("MANIFEST", "lock", "workspace", 50 * MS, 51 * MS, {"tier": "MANIFEST", "path": "/"}),
    PackFinished("a", "moved", ""),
)


def test_each_permit_is_a_track_in_order_and_work_nests_in_its_permit(tmp_path: Path) -> None:
    records = written(tmp_path, *CONTENDED)
    assert slices(records)[:3] == [
        ("git fetch", "network 1", 11_000, 3_000),
        ("PACK (disk)", "network 1", 10_000, 10_000),
        ("a", "network 1", 9_000, 12_000),
    ]
    order = {record["tid"]: record["args"]["sort_index"] for record in records if record["name"] == "thread_sort_index"}
    names = tracks(records)
    assert [names[tid] for tid in sorted(order, key=order.__getitem__)] == [
        "workspace",
        "network 1",
        "disk 1",
        "disk 2",
        "locks",
    ]
    processes = {record["pid"]: record["args"]["name"] for record in records if record["name"] == "process_name"}
    assert processes == {os.getpid(): f"grex sync, pid {os.getpid()}", 7: "grex exec, pid 7"}
    instants = [record["name"] for record in records if record["ph"] == "i"]
    assert instants == [
        "checkout begins",
        "hook setup.sh begins",
        "PACK is held by grex exec, pid 7",
        "waiting for PACK",
    ]


def arrows(records: list[dict[str, Any]]) -> list[tuple[tuple[int, str, float], tuple[int, str, float]]]:
    """Where each arrow starts and where it ends: the process, the track and the time in ms."""
    names = tracks(records)
    ends = {(record["ph"], record["id"]): record for record in records if record["ph"] in "sf"}

    def place(record: dict[str, Any]) -> tuple[int, str, float]:
        return record["pid"], names[record["tid"]], record["ts"] / 1000

    return [(place(ends["s", key]), place(found)) for (phase, key), found in ends.items() if phase == "f"]


def test_an_arrow_leads_from_who_gave_a_lock_back_to_who_got_it(tmp_path: Path) -> None:
    here = os.getpid()
    assert arrows(written(tmp_path, *CONTENDED)) == [
        ((here, "network 1", 19.999999), (here, "disk 2", 19.999999)),
        ((7, "locks", 39.999999), (here, "disk 1", 39.999999)),
    ]


@pytest.mark.parametrize(
    ("told", "sources"),
    [
        ([lock("/a", 1, 5), wait("/a", 6, 9)], []),  # it was free before anybody waited
        ([lock("/other", 1, 8), wait("/a", 6, 9)], []),
        ([lock("/a", 1, 8), wait("/a", 6, 9, ended="lock.timeout")], []),  # somebody else got it
        ([lock("/a", 1, 8), wait("/a", 6, 9)], [None]),
        ([lock("/a", 1, 3), lock("/a", 4, 8), wait("/a", 2, 9)], [None]),
        ([seen("/a", 7, 5), wait("/a", 6, 9)], [5]),
        ([seen("/a", 7, 5), wait("/a", 6, 9, ended="lock.timeout")], [5]),
        ([seen("/a", 3, 5), wait("/a", 6, 9)], []),  # that was another wait
        ([lock("/a", 1, 7), seen("/a", 8, 5), wait("/a", 6, 9)], [5]),  # from us to it, from it to us
        ([seen("/a", 3, 5), lock("/a", 4, 7), wait("/a", 2, 9)], [None]),
        ([seen("/a", 7, os.getpid()), wait("/a", 6, 9)], []),
        ([seen("/a", 2, 5), seen("/a", 4, 5), seen("/a", 6, 6), wait("/a", 1, 9)], [6]),
    ],
)
def test_who_is_the_source_of_a_wait(tmp_path: Path, told: list[Event], sources: list[int | None]) -> None:
    found = arrows(written(tmp_path, *told))
    assert [start[0] for start, _ in found] == [os.getpid() if pid is None else pid for pid in sources]


def test_readers_do_not_wait_for_readers(tmp_path: Path) -> None:
    assert arrows(written(tmp_path, lock("/a", 1, 8, mode="shared"), wait("/a", 2, 9, mode="shared"))) == []
    assert len(arrows(written(tmp_path, lock("/a", 1, 8, mode="shared"), wait("/a", 2, 9)))) == 1


def test_what_is_known_of_a_hold_elsewhere_is_drawn_from_its_sight_to_the_next(tmp_path: Path) -> None:
    told = seen("/a", 2, 5), seen("/a", 4, 5), seen("/a", 6, 6), seen("/b", 5, 6), wait("/a", 1, 9), wait("/b", 1, 8)
    records = written(tmp_path, *told)
    held = [(record["pid"], record["ts"], record["dur"]) for record in records if record["name"] == "PACK held"]
    assert held == [(5, 2_000, 4_000), (6, 6_000, 3_000), (6, 5_000, 3_000)]


def test_the_same_pid_on_another_machine_is_another_process(tmp_path: Path) -> None:
    there = seen("/a", 2, 5, "grex sync, pid 5 on far"), wait("/a", 1, 9), seen("/b", 2, 5), wait("/b", 1, 9)
    records = written(tmp_path, *there)
    processes = {record["args"]["name"]: record["pid"] for record in records if record["name"] == "process_name"}
    assert processes["grex sync, pid 5 on far"] == 5
    assert processes["grex exec, pid 5"] >= 1 << 22


def test_what_crosses_stands_beside(tmp_path: Path) -> None:
    """At once under one permit, and without one, where nothing encloses what is another pack's."""
    one = Slice("one", "action", "a", 1 * MS, 5 * MS, {}, "disk 1")
    two = Slice("two", "action", "a", 3 * MS, 7 * MS, {}, "disk 1")
    three = Slice("three", "git", "p", 3 * MS, 7 * MS)
    four = Slice("four", "git", "q", 2 * MS, 8 * MS)
    five = Slice("five", "git", "p", 1 * MS, 9 * MS)
    six = Slice("six", "git", "q", 9 * MS, 10 * MS)
    records = written(tmp_path, one, two, three, four, five, six)
    assert {name: track for name, track, _, _ in slices(records)} == {
        "one": "disk 1",
        "two": "disk 1 (2)",
        "three": "no permit 1",
        "four": "no permit 2",
        "five": "no permit 1",
        "six": "no permit 1",
    }


SOME = st.tuples(st.integers(0, 30), st.integers(0, 10), st.sampled_from("abc"), st.sampled_from(["", "disk 1"]))


@given(st.lists(SOME, max_size=40))
def test_slices_of_a_track_nest_whatever_comes(tmp_path_factory: pytest.TempPathFactory, told: list[Any]) -> None:
    """In the order of their ends, as they are told."""
    path = tmp_path_factory.getbasetemp() / "some.json"
    trace = ChromeTrace(path)
    for start, length, name, permit in sorted(told, key=lambda one: one[0] + one[1]):
        trace(wait("/a", start, start + length, permit, track=name))
        trace(lock("/a", start, start + length, permit, track=name))
    trace.close()
    assert faults(read_trace(path)) == []


def _without(key: str, phase: str) -> Callable[[list[dict[str, Any]]], None]:
    def change(records: list[dict[str, Any]]) -> None:
        del next(record for record in records if record["ph"] == phase)[key]

    return change


def _with(key: str, value: object, phase: str) -> Callable[[list[dict[str, Any]]], None]:
    def change(records: list[dict[str, Any]]) -> None:
        next(record for record in records if record["ph"] == phase)[key] = value

    return change


def _drop(phase: str, name: str = "") -> Callable[[list[dict[str, Any]]], None]:
    def change(records: list[dict[str, Any]]) -> None:
        records.remove(next(record for record in records if record["ph"] == phase and name in record["name"]))

    return change


@pytest.mark.parametrize(
    "change",
    [
        *(_without(key, "X") for key in ("name", "cat", "ts", "dur", "pid", "tid")),
        _without("s", "i"),
        _without("id", "s"),
        _without("id", "b"),
        _without("bp", "f"),
        _with("ts", "12", "X"),
        _with("dur", -1, "X"),
        _with("tid", 1.5, "X"),
        _with("ph", "Y", "X"),
        _with("bp", "x", "f"),
        _with("args", {"a": []}, "X"),
        _with("tid", 99, "X"),  # a track without a name
        _with("dur", 9_500.0, "X"),  # crosses what is around it
        _with("ts", 1.0, "f"),  # before its start
        _with("ts", 9e9, "s"),
        _with("ts", 1.0, "e"),
        _with("name", "other", "s"),
        _with("id", 77, "s"),
        *(_drop(phase) for phase in "sfbe"),
        _drop("M", "process_name"),
        _drop("M", "thread_name"),
        _drop("M", "thread_sort_index"),
    ],
)
def test_the_checker_sees_what_is_wrong(tmp_path: Path, change: Callable[[list[dict[str, Any]]], None]) -> None:
    records = written(tmp_path, *CONTENDED)
    changed = copy.deepcopy(records)
    change(changed)
    assert changed != records
    assert faults(changed)


def test_credentials_are_in_no_record(tmp_path: Path) -> None:
    url = "https://u:hunter2@h.example/x"
    told = (
        Slice(f"git {url}", "git", "a", 1, 2, {"argv": f"git fetch {url}", "n": 1}),
        CommandStarted("a", f"hook {url}"),
        LockWait("PACK", url, 1, url),
        HolderSeen("PACK", url, 9, f"grex {url}", 3),
    )
    written(tmp_path, *told)
    assert "hunter2" not in (tmp_path / "t.json").read_text()
    assert "h.example" in (tmp_path / "t.json").read_text()


def test_a_trace_of_nothing_is_one_of_a_process(tmp_path: Path) -> None:
    assert {record["ph"] for record in written(tmp_path)} == {"M"}


def test_odd_text_stays_json(tmp_path: Path) -> None:
    records = written(tmp_path, Slice('a "b"\n\x1b', "git", "päck", 0, 1, {"path": "\udcff"}))
    assert (records[-1]["name"], records[-1]["args"]["path"]) == ('a "b"\n\x1b', "\udcff")


def test_closing_twice_and_writing_after_it_do_nothing(tmp_path: Path) -> None:
    trace = ChromeTrace(tmp_path / "t.json")
    trace.close()
    before = (tmp_path / "t.json").read_bytes()
    trace.close()
    trace(CONTENDED[2])
    assert (tmp_path / "t.json").read_bytes() == before


def test_a_write_that_fails_ends_the_trace_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = ChromeTrace(tmp_path / "t.json")
    calls: list[int] = []

    def full(fd: int, data: bytes) -> int:
        calls.append(fd)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        for event in CONTENDED:
            trace(event)
        trace.close()
    assert len(calls) == 1
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(calls[0])


def test_a_write_that_takes_only_a_part_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:7]))
    assert len(written(tmp_path, *CONTENDED)) > len(CONTENDED)


def test_a_disk_that_is_full_is_no_failure_of_the_run() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    trace = ChromeTrace(Path("/dev/full"))
    for event in CONTENDED:
        trace(event)
    trace.close()


def test_a_place_that_cannot_be_written_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ChromeTrace(tmp_path / "nowhere/t.json")
