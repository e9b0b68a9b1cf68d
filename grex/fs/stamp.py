"""The one spelling of a moment in a file name."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["parse_stamp", "utc_stamp"]

_FORMAT = "%Y%m%dT%H%M%S.%fZ"


def utc_stamp() -> str:
    """This moment, as text that sorts by time and is allowed in a file name everywhere: `20261120T101530.123456Z`."""
    return datetime.now(UTC).strftime(_FORMAT)


def parse_stamp(text: str) -> datetime | None:
    """The moment that a name speaks of; None where it is no stamp, to the letter."""
    try:
        moment = datetime.strptime(text, _FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None
    return moment if moment.strftime(_FORMAT) == text else None
