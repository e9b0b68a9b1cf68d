"""What every context of a plugin has: whose machine this is, and where on it the work is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

__all__ = ["Surroundings"]


class Surroundings(Protocol):
    """Where a plugin works. It is taken from here and never from `os`, so that a test can say otherwise."""

    @property
    def home(self) -> Path:
        """The user's home directory."""

    @property
    def workspace(self) -> Path:
        """The workspace root."""

    @property
    def platform(self) -> str:
        """`linux`, `macos` or `windows`."""

    @property
    def environ(self) -> Mapping[str, str]:
        """The variables of the caller."""
