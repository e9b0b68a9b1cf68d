"""When a waiter that hears nothing tries the lock out of turn, by a clock that only the test moves.

The line before it belongs to another process, which is pretended and does not run: the lock is free, and it is not
taken.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from grex.locks import PACK_LOCK_FILE_NAME, PackLock, wait_clock
from grex.locks.attempt import Attempt
from grex.locks.inotify import SAFETY_S
from grex.locks.kernel import open_lock_file
from grex.locks.line import KernelLine
from grex.locks.protocol import Ask
from tests.support.no_timers import UNREPORTED

pytestmark = pytest.mark.invariant("L5")

OTHER_PID = (1 << 22) - 1  # the greatest there can be, so hardly anybody's


class Clock:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        """What it shows."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """What the waiters look at."""
    made = Clock()
    monkeypatch.setattr(wait_clock, "time", made)
    return made


@pytest.fixture
def lock(tmp_path: Path) -> PackLock:
    """The lock of a pack that nobody holds."""
    return PackLock.open(tmp_path / "pack")


@pytest.fixture
def other(lock: PackLock, monkeypatch: pytest.MonkeyPatch) -> Generator[KernelLine]:
    """The line of a process that does not run."""
    opened = open_lock_file(str(lock.path / PACK_LOCK_FILE_NAME), create=False)
    assert opened is not None
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: OTHER_PID)
        line = KernelLine(opened)
    opened.close()
    yield line
    line.close()


@contextmanager
def waiting(lock: PackLock) -> Generator[Attempt]:
    """An attempt that has queued and would sleep now."""
    attempt = Attempt(lock._target, UNREPORTED, None, lambda: None)
    try:
        attempt.start()
        assert attempt.step() is None
        yield attempt
    finally:
        if attempt._protocol.ask is not Ask.DONE:
            attempt.abandon(TimeoutError())


@pytest.mark.parametrize(("before", "intervals"), [(1, 1), (2, 2), (5, 5), (7, 5)])
def test_of_many_waiters_the_one_behind_the_head_looks_first_whether_it_runs(
    lock: PackLock, other: KernelLine, clock: Clock, before: int, intervals: int
) -> None:
    """All of them at once would wake each other and the head at every turn of the safety interval."""
    for _ in range(before):
        assert other.take(shared=False) is not None
    with waiting(lock) as attempt:
        assert attempt.pause()[0] == intervals * SAFETY_S
        clock.now += intervals * SAFETY_S - 0.5
        attempt.wake()
        assert attempt.step() is None
        assert attempt.pause()[0] == 0.5


def test_who_found_the_lock_free_out_of_turn_looks_again_a_second_later_and_takes_it(
    lock: PackLock, other: KernelLine, clock: Clock
) -> None:
    """It gave the lock back, which woke the head: one that runs takes it within that second."""
    assert other.take(shared=False) is not None
    with waiting(lock) as attempt:
        clock.now += SAFETY_S
        attempt.wake()
        assert attempt.step() is None
        assert attempt.pause()[0] == 1.0
        clock.now += 1.0
        attempt.wake()
        grant = attempt.step()
        assert grant is not None
        grant.release()
