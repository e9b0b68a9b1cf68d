"""The one spelling of a moment in a file name."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["utc_stamp"]


def utc_stamp() -> str:
    """This moment, as text that sorts by time and is allowed in a file name everywhere: `20261120T101530.123456Z`."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
