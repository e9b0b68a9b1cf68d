"""Takes away what finds a lock free without having been told, so that a wake-up that gets lost is a test that hangs."""

from __future__ import annotations

import pytest

from grex.locks import WaitPolicy, inotify, wait_clock, waiter

__all__ = ["NEVER_S", "UNREPORTED", "take_safety_interval_away", "take_timers_away"]

NEVER_S = 1000.0
"""Longer than any test."""

UNREPORTED = WaitPolicy(first_report_s=NEVER_S)
"""A wait that does not look up to report itself."""


def take_safety_interval_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody look within a test's time who was told nothing."""
    for module in (inotify, wait_clock):
        monkeypatch.setattr(module, "SAFETY_S", NEVER_S)


def take_timers_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no retry after an event, no safety interval and no poll come within a test's time."""
    take_safety_interval_away(monkeypatch)
    monkeypatch.setattr(inotify, "_FIRST_RETRY_S", NEVER_S)
    monkeypatch.setattr(waiter, "FIRST_POLL_S", NEVER_S)
    monkeypatch.setattr(waiter, "LAST_POLL_S", NEVER_S)
