"""How long a run has waited for locks that others held, and for whom."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager

from grex.locks import WaitReport

__all__ = ["Waiting"]

_NANOSECONDS = 1_000_000_000


class Waiting:
    """Counts the time in which at least one task of a run waited; waits that overlap count once.

    Attributes:
        holders: the processes that were waited for, first come first, as far as they were told.
    """

    def __init__(self) -> None:
        self.holders: list[int] = []
        self._waiters = 0
        self._since_ns = 0
        self._total_ns = 0

    @property
    def total_s(self) -> float:
        """The time so far, in seconds."""
        return self._total_ns / _NANOSECONDS

    @contextmanager
    def one(self) -> Generator[None]:
        """Count the block, in which one task waits, also if it is cancelled or fails."""
        if not self._waiters:
            self._since_ns = time.monotonic_ns()
        self._waiters += 1
        try:
            yield
        finally:
            self._waiters -= 1
            if not self._waiters:
                self._total_ns += time.monotonic_ns() - self._since_ns

    def note(self, report: WaitReport) -> None:
        """Remember who is waited for."""
        if report.holder is not None and report.holder.pid not in self.holders:
            self.holders.append(report.holder.pid)
