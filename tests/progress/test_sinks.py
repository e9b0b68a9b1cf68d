"""Sinks: who is told, and in which order."""

from __future__ import annotations

from grex.progress import Collector, GitProgress, PackFinished, PackStarted, Tee, null_sink

EVENTS = PackStarted("a", "checkout"), GitProgress("a", "Receiving objects", 50), PackFinished("a", "moved", "")


def test_a_tee_hands_each_event_to_everyone_in_order() -> None:
    one, other = Collector(), Collector()
    tee = Tee(one, other, null_sink)
    for event in EVENTS:
        tee(event)
    assert one.events == other.events == list(EVENTS)
