"""A hold on MANIFEST without the lock."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FakeHold"]


@dataclass
class FakeHold:
    """Says that MANIFEST is held, or that it no longer is."""

    active: bool = True
