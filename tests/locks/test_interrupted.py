"""Releases that come on top of something else in the same thread: a finaliser, a signal handler.

The garbage collector and signals can strike between any two lines of an acquire or a release, also while this very
thread has the registry's small lock. So the strike is tried at each line in turn: a trace function counts the lines that
are executed in `grex/locks`, and at the k-th one it strikes.
"""

from __future__ import annotations

import contextlib
import gc
import signal
import sys
import threading
import warnings
from collections.abc import Callable
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
    def armed(self) -> Any:
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
    a, b = PackLock.open(tmp_path / "a"), PackLock.open(tmp_path / "b")
    holds: list[PackHold | Ring] = []

    def release() -> None:
        if isinstance(one := holds.pop(), PackHold):
            one.release()

    def strike() -> None:
        if by == "signal":
            signal.raise_signal(signal.SIGUSR1)
        else:
            holds.clear()
            gc.collect()

    def take_a() -> None:
        if where == "free":
            with a.try_acquire():
                pass
        else:
            with contextlib.suppress(LockTimeoutError), a.acquire(timeout_s=0.0):
                pass

    with LockHolder("pack", tmp_path / "a") as holder, warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        if where == "held elsewhere":
            assert holder.ask("take") == "held"
        previous = signal.signal(signal.SIGUSR1, lambda *_: release())
        try:
            take_a()
            count = Counter()
            before = count()
            lines = 1 - stride
            struck = True
            gc.freeze()  # the collections below have to look at little
            while struck:
                lines += stride
                hold = hold_for_others(b)
                holds.append(hold if by == "signal" else Ring(hold))
                del hold
                waiter = threading.Thread(target=lambda: b.acquire(PATIENCE_S).release(), daemon=True)
                waiter.start()
                one = Strike(lines, strike)
                with one.armed():
                    take_a()
                struck = one.struck
                if not struck:
                    strike()
                waiter.join(PATIENCE_S)
                assert not waiter.is_alive(), f"nobody woke the waiter after a release at line {lines}"
            assert count() == before
            assert lines > 100
        finally:
            gc.unfreeze()
            signal.signal(signal.SIGUSR1, previous)
    with LockHolder("pack", tmp_path / "b") as other:
        assert other.ask("try") == "held"


def test_a_hold_that_the_garbage_collector_finds_serves_a_waiter_of_another_process(tmp_path: Path) -> None:
    lock = PackLock.open(tmp_path / "pack")
    ring = [Ring(lock.try_acquire())]
    with LockHolder("pack", tmp_path / "pack") as other:
        other.send("take")
        with pytest.warns(ResourceWarning, match=r"test_interrupted\.py:\d+ was never released"):
            ring.clear()
            gc.collect()
        assert other.answer() == "held"
