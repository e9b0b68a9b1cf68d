"""The little of Markdown that the pages of `docs/reference` use, read into blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["Block", "blocks", "cells", "section"]

_HEADING = re.compile(r"^(#+) (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """`text`, `item`, `code` (lines as they are) or `row` (the cells of a table, without its head)."""

    kind: str
    text: str = ""
    cells: tuple[str, ...] = field(default=())


def section(page: str, title: str) -> str:
    """What stands below a heading, up to the next one of its level or above; empty if there is no such heading."""
    found = next((match for match in _HEADING.finditer(page) if match[2] == title), None)
    if found is None:
        return ""
    after = page[found.end() :]
    end = next((match.start() for match in _HEADING.finditer(after) if len(match[1]) <= len(found[1])), len(after))
    return after[:end].strip("\n")


def cells(row: str) -> tuple[str, ...]:
    """The cells of a row of a table."""
    return tuple(cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", row.strip().strip("|")))


def blocks(text: str) -> Iterator[Block]:
    """The blocks of a text."""
    lines = text.splitlines()
    place = 0
    while place < len(lines):
        line = lines[place]
        if line.startswith("```"):
            end = lines.index("```", place + 1)
            yield Block("code", "\n".join(lines[place + 1 : end]))
            place = end + 1
        elif line.startswith("|"):
            end = _end(lines, place, "|")
            for row in lines[place + 2 : end]:
                yield Block("row", cells=cells(row))
            place = end
        elif not line or line.startswith(("#", "<!--")):
            place += 1
        else:
            end = place + 1
            while end < len(lines) and lines[end] and not lines[end].startswith(("- ", "|", "```", "#", "<!--")):
                end += 1
            joined = " ".join(part.strip() for part in lines[place:end])
            is_item = joined.startswith("- ")
            yield Block("item" if is_item else "text", joined.removeprefix("- "))
            place = end


def _end(lines: list[str], place: int, start: str) -> int:
    while place < len(lines) and lines[place].startswith(start):
        place += 1
    return place
