"""Writes what follows from the code: the manual pages, and the generated parts of `docs/reference`."""

from __future__ import annotations

__all__: list[str] = []
