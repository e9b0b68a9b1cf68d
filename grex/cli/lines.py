"""The line about one pack: the same words as the run goes on and in the report, so that nobody reads two as one more.

Where progress and report come out in one place (a terminal, `2>&1`), each pack has its line there once: what went well
as it happens, and what somebody has to look at in the report, where its hint is and nothing scrolls it away.
"""

from __future__ import annotations

__all__ = ["is_for_the_report", "pack_line"]

_FOR_THE_REPORT = frozenset({"left", "failed", "not-reached", "planned", "untrusted"})


def pack_line(status: str, pack: str, text: str) -> str:
    """What became of a pack; its name stands there once, also where a message begins with it."""
    text = text.removeprefix(f"{pack}: ")
    return f"{status:<12} {pack}: {text}" if text else f"{status:<12} {pack}"


def is_for_the_report(status: str) -> bool:
    """Whether a line of this status waits for the report where both come out in one place."""
    return status in _FOR_THE_REPORT
