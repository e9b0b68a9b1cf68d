"""What the texts of reports are made of: columns, broken lines, numbers of things."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from grex.cli.colours import cells

__all__ = ["WIDTH", "aligned", "counted", "note_lines", "wrapped"]

WIDTH = 80


def aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Columns padded to their widest cell, the last one as it is."""
    if not rows:
        return []
    widths = [max(cells(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    padded = (
        [*(cell + " " * (width - cells(cell)) for cell, width in zip(row, widths, strict=False)), row[-1]]
        for row in rows
    )
    return ["  ".join(row).rstrip() for row in padded]


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number of things: `1 pack`, `2 packs`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def note_lines(notes: Sequence[str]) -> list[str]:
    """Notes of a whole report, a line each."""
    return [f"note: {note}." for note in notes]


def wrapped(text: str, width: int, indent: str = "") -> list[str]:
    """A long line as several that a narrow terminal shows as they are; words, and so paths and ids, stay whole."""
    return textwrap.wrap(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
