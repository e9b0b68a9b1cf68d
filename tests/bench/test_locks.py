"""The benchmark of the locks, with few rounds and few processes: it runs, and it counts what it says it counts."""

from __future__ import annotations

import fcntl
import importlib
import os
import re
import struct
from pathlib import Path
from typing import Any

import pytest

from bench.locks import TABLES, crew
from bench.locks.contenders import CONTENDERS, missing
from bench.locks.crew import Crew, Line, Worker, queue_length
from bench.locks.figures import Order, inversions, judge, percentile

_FLOCK = struct.Struct("hhqqi4x")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for tickets where there are none: nothing here depends on the order of arrival."""
    monkeypatch.setattr(crew, "_TICKETS_SHOW_WITHIN_S", 0.05)


def test_inversions_are_pairs_in_the_wrong_order() -> None:
    assert inversions([1, 2, 3]) == 0
    assert inversions([3, 1, 2]) == 2
    assert inversions([3, 2, 1]) == 3


def test_an_order_counts_all_runs_and_is_known_only_if_each_was() -> None:
    order = Order()
    order.add([2, 1], is_known=True)
    order.add([3, 2, 1], is_known=True)
    assert str(order) == "4"
    order.add([1, 2], is_known=False)
    order.add([1, 2], is_known=True)
    assert str(order) == "~4"


def test_a_percentile_is_a_sample_and_the_greatest_one_of_few() -> None:
    assert percentile(range(1, 201), 0.99) == 198
    assert percentile([5, 7], 0.99) == 7
    assert percentile([5], 0.5) == 5


def test_a_bar_is_met_up_to_itself(capsys: pytest.CaptureFixture[str]) -> None:
    judge("a", 0.2, 0.2)
    judge("b", 0.21, 0.2, " ms")
    judge("c", 1234, 0)
    assert capsys.readouterr().out.splitlines() == [
        "  a: 0.2 (bar 0.2): met",
        "  b: 0.21 ms (bar 0.2 ms): NOT met",
        "  c: 1234 (bar 0): NOT met",
    ]


def test_the_queue_is_who_is_blocked_and_who_has_a_ticket(tmp_path: Path) -> None:
    """Told as steps.

    - Two processes are blocked in flock behind a holder: two are queued, the holder is not.
    - A lock on a byte far beyond the end of the file is a ticket; one near its beginning is not.
    """
    flock = CONTENDERS["flock"]
    with Worker() as holder, Crew(2) as waiting:
        holder.say("use", "flock", str(tmp_path))
        holder.hear("ready")
        waiting.use("flock", tmp_path)
        holder.hold()
        line = Line(flock, tmp_path)
        for worker in waiting.workers:
            line.join(worker, "pass")
        assert queue_length(flock.lock_file(tmp_path)) == 2
        assert line.order_is_known
        holder.say("release")
        for worker in waiting.workers:
            worker.hear("passed")
    file = tmp_path / "file"
    fd = os.open(file, os.O_RDWR | os.O_CREAT)
    for offset, queued in ((0, 0), ((1 << 62) + 7, 1)):
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, offset, 1, 0))
        assert queue_length(file) == queued
    os.close(fd)


@pytest.mark.parametrize("key", sorted(CONTENDERS.keys() - missing().keys()))
@pytest.mark.usefixtures("impatient")
def test_every_contender_excludes_another_process(key: str, tmp_path: Path) -> None:
    with Worker() as holder, Worker() as waiter:
        for worker in (holder, waiter):
            worker.say("use", key, str(tmp_path))
            worker.hear("ready")
        if key == "reader":  # readers share
            holder.hold()
            waiter.hold()
            return
        holder.hold()
        Line(CONTENDERS[key], tmp_path).join(waiter, "take")
        holder.say("release")
        (released,) = holder.hear("released")
        (held,) = waiter.hear("held")
        assert held > released


SIZES: dict[str, dict[str, Any]] = {
    "uncontended": {"batch": 3},
    "handoff": {"each": 1, "waited_s": (0, 0)},
    "crowd": {"waiters": 3, "wait_s": 0.05},
    "cancelling": {"each": 2, "waits": 150},
    "killed": {"waiters": 2},
}
ROWS = {"uncontended": 17, "handoff": 12, "crowd": 13, "cancelling": 3, "killed": 6}
BARS = {"uncontended": 3, "handoff": 6, "crowd": 19, "cancelling": 10, "killed": 6}


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
@pytest.mark.usefixtures("impatient")
def test_a_table_has_a_figure_for_each_contender_and_a_verdict_for_each_bar(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    importlib.import_module(f"bench.locks.{name}").run(tmp_path, 1, **SIZES[name])
    printed = capsys.readouterr().out
    table = printed.split("\n\n")[0].splitlines()[3:]
    rows = [line for line in table if "(bar" not in line and re.search(r"  +\d", line)]
    left_out = printed.count("left out:")
    assert len(rows) + left_out == ROWS[name], printed
    assert len(re.findall(r"\(bar .*\): (?:NOT )?met$", printed, re.MULTILINE)) == BARS[name], printed
