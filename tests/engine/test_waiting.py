"""How long a run waited: overlapping waits count once, and one that ends badly counts as well."""

from __future__ import annotations

import contextlib

import pytest

from grex.engine import waiting as module
from grex.engine.waiting import Waiting
from grex.errors import LockBusyError
from grex.locks import Tier, WaitReport
from grex.locks.holder import HolderRecord


class Clock:
    """Nanoseconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now_ns = 0

    def monotonic_ns(self) -> int:
        """As `time.monotonic_ns`."""
        return self.now_ns

    def pass_s(self, seconds: float) -> None:
        """Let time pass."""
        self.now_ns += int(seconds * 1e9)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


def test_waits_that_overlap_count_once_and_what_lies_between_does_not(clock: Clock) -> None:
    waiting = Waiting()
    first, second = waiting.one(), waiting.one()
    first.__enter__()
    clock.pass_s(1)
    second.__enter__()
    clock.pass_s(2)
    first.__exit__(None, None, None)
    clock.pass_s(4)
    second.__exit__(None, None, None)
    clock.pass_s(8)
    with waiting.one():
        clock.pass_s(16)
    assert waiting.total_s == 23


def test_a_wait_that_fails_counts_and_ends(clock: Clock) -> None:
    waiting = Waiting()
    with contextlib.suppress(LockBusyError), waiting.one():
        clock.pass_s(1)
        raise LockBusyError("it is busy")
    clock.pass_s(2)
    assert waiting.total_s == 1


def test_each_holder_is_named_once() -> None:
    waiting = Waiting()
    for pid in (7, 8, 7):
        holder = HolderRecord(pid, "", None, "vm", Tier.PACK, "sync", None)
        waiting.note(WaitReport(Tier.PACK, "/ws/a", 1.5, holder))
    waiting.note(WaitReport(Tier.PACK, "/ws/a", 1.5, None))
    assert waiting.holders == [7, 8]
