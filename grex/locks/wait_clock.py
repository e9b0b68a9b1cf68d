"""When a wait has something to do although nothing happened: its end, the next report, the next probe.

Times are those of `time.monotonic`, in seconds.
"""

from __future__ import annotations

import math
import time

from grex.locks import held
from grex.locks.inotify import SAFETY_S
from grex.locks.policy import WaitPolicy

__all__ = ["WaitClock"]

_LONGEST_SLEEP_S = 3600.0
_MOST_PATIENT = 5  # times the safety interval
_KICK_S = 1.0  # what a head of the line that was woken has to take the lock before it counts as suspended


class WaitClock:
    """The clock of one attempt."""

    __slots__ = ("_deadline", "_next_probe", "_next_report", "_patience_s", "_report_every_s", "_started", "_timeout_s")

    def __init__(self, policy: WaitPolicy) -> None:
        self._started = time.monotonic()
        timeout_s = policy.timeout_s
        if timeout_s is None:
            timeout_s = held.NESTED_TIMEOUT_S if held.is_nested() else math.inf
        self._timeout_s = timeout_s
        self._deadline = self._started + timeout_s
        self._next_report = self._started + policy.first_report_s
        self._report_every_s = policy.report_every_s
        self._next_probe = math.inf
        self._patience_s = SAFETY_S

    @property
    def timeout_s(self) -> float:
        """The limit of the attempt; infinite without one."""
        return self._timeout_s

    def waited_s(self) -> float:
        """For how long the attempt has lasted."""
        return time.monotonic() - self._started

    def is_over(self) -> bool:
        """Whether there is no time left."""
        return time.monotonic() >= self._deadline

    def is_report_due(self) -> bool:
        """Whether it is time to say something; the next one is due later then."""
        now = time.monotonic()
        if now < self._next_report:
            return False
        self._next_report = now + self._report_every_s
        return True

    def probe_never(self) -> None:
        """Be the head of the line, which tries by itself."""
        self._next_probe = math.inf

    def probe_in_turn(self, waiters_before: int) -> None:
        """Be behind somebody else: the nearer to the head the sooner, for of many one right behind it is enough."""
        self._patience_s = SAFETY_S * min(max(1, waiters_before), _MOST_PATIENT)
        self._next_probe = time.monotonic() + self._patience_s

    def probe_again_soon(self) -> None:
        """Have found the lock free, and woken the head with that."""
        self._next_probe = time.monotonic() + _KICK_S

    def is_probe_due(self) -> bool:
        """Whether the lock should be tried out of turn; the next time is a patience later then."""
        now = time.monotonic()
        if now < self._next_probe:
            return False
        self._next_probe = now + self._patience_s
        return True

    def sleep_s(self, at_most_s: float) -> float:
        """How long to sleep if nothing happens."""
        until = min(self._deadline, self._next_report, self._next_probe) - time.monotonic()
        return min(max(min(until, at_most_s), 0.0), _LONGEST_SLEEP_S)
