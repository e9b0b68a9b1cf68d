"""Releases that come on top of something else in the same thread: a finaliser, a signal handler.

The garbage collector and signals can strike between any two lines of an acquire or a release, also while this very
thread has the registry's small lock. So the strike is tried at each line in turn: a trace function counts the lines
that are executed in `grex/locks`, and at the k-th one it strikes.
"""

from __future__ import annotations

import contextlib
import gc
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Generator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import grex.locks
from grex.errors import LockTimeoutError
from grex.locks import PackHold, PackLock
from tests.support.lock_census import Counter
from tests.support.lock_holder import LockHolder

pytestmark = [pytest.mark.invariant("L2"), pytest.mark.invariant("L4")]

ROOM = str(Path(grex.locks.__file__).parent)
PATIENCE_S = 20.0


class Strike:
    """Runs something once, at the k-th line of grex's locks that this thread executes."""

    def __init__(self, line: int, act: Callable[[], object]) -> None:
        self._line = line
        self._act = act
        self._seen = 0
        self.struck = False

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(ROOM):
            return None
        if event == "line":
            self._seen += 1
            if self._seen == self._line:
                self.struck = True
                self._act()
        return self._trace

    @contextlib.contextmanager
    def armed(self) -> Generator[None]:
        """Count the lines of the block."""
        previous = sys.gettrace()
        sys.settrace(self._trace)
        try:
            yield
        finally:
            sys.settrace(previous)


class Ring:
    """Keeps a hold in a cycle, so that only the garbage collector ends it."""

    def __init__(self, hold: PackHold) -> None:
        self.hold = hold
        self.me = self


def hold_for_others(lock: PackLock) -> PackHold:
    """A hold of this process that is in nobody's way in this task."""
    hold = lock.try_acquire()
    hold._grant.frame.deactivate()
    return hold


class Victim:
    """A hold on a pack that a thread waits for, and the way in which it is going to end."""

    def __init__(self, lock: PackLock, by: str) -> None:
        self._lock = lock
        self._by = by
        self._holds: list[PackHold | Ring] = []
        self._waiter = threading.Thread()

    def take(self) -> None:
        """Hold the pack, and let a thread wait for it."""
        hold = hold_for_others(self._lock)
        self._holds.append(hold if self._by == "signal" else Ring(hold))
        self._waiter = threading.Thread(target=lambda: self._lock.acquire(PATIENCE_S).release(), daemon=True)
        self._waiter.start()

    def release(self) -> None:
        """What the signal handler does."""
        if isinstance(one := self._holds.pop(), PackHold):
            one.release()

    def strike(self) -> None:
        """End the hold, here and now."""
        if self._by == "signal":
            signal.raise_signal(signal.SIGUSR1)
        else:
            self._holds.clear()
            gc.collect()

    def is_served(self) -> bool:
        """Whether the thread got the pack."""
        self._waiter.join(PATIENCE_S)
        return not self._waiter.is_alive()


@pytest.fixture
def holds_may_be_forgotten() -> Generator[None]:
    """Say nothing about forgotten holds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield


@pytest.mark.usefixtures("quick_collections", "holds_may_be_forgotten")
@pytest.mark.parametrize("stride", [pytest.param(1, marks=pytest.mark.slow), 9])
@pytest.mark.parametrize("by", ["signal", "finaliser"])
@pytest.mark.parametrize("where", ["free", "held elsewhere"])
def test_a_release_on_top_of_any_line_of_another_acquire_serves_who_waits(
    tmp_path: Path, by: str, where: str, stride: int
) -> None:
    """Told as steps.

    - We hold pack B, and a thread waits for it.
    - We take pack A, which is free, or wait a moment for it in vain; at the k-th line of that B is released.
    - The thread gets B, and in the end nothing is left.
    """
    a, victim = PackLock.open(tmp_path / "a"), Victim(PackLock.open(tmp_path / "b"), by)

    def take_a() -> None:
        with contextlib.suppress(LockTimeoutError), a.acquire(timeout_s=PATIENCE_S if where == "free" else 0.0):
            pass

    with LockHolder("pack", tmp_path / "a") as holder:
        if where == "held elsewhere":
            assert holder.ask("take") == "held"
        previous = signal.signal(signal.SIGUSR1, lambda *_: victim.release())
        try:
            take_a()
            count = Counter()
            before = count()
            line, struck = 1, True
            while struck:
                victim.take()
                one = Strike(line, victim.strike)
                with one.armed():
                    take_a()
                struck = one.struck
                if not struck:
                    victim.strike()
                assert victim.is_served(), f"nobody woke the waiter after a release at line {line}"
                line += stride
            assert count() == before
            assert line > 100
        finally:
            signal.signal(signal.SIGUSR1, previous)
    with LockHolder("pack", tmp_path / "b") as other:
        assert other.ask("try") == "held"


def test_a_hold_that_the_garbage_collector_finds_serves_a_waiter_of_another_process(tmp_path: Path) -> None:
    lock = PackLock.open(tmp_path / "pack")
    ring = [Ring(lock.try_acquire())]
    with LockHolder("pack", tmp_path / "pack") as other:
        assert other.ask("take-aloud") == "waits"
        ring.clear()
        with pytest.warns(ResourceWarning, match=r"test_interrupted\.py:\d+ was never released"):
            gc.collect()
        assert other.answer() == "held"
