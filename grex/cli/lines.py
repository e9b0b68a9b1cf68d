"""The line about one pack: the same words as the run goes on and in the report, so that nobody reads two as one more.

Where progress and report come out in one place (a terminal, `2>&1`), each pack has its line there once: what went well
as it happens, and what somebody has to look at in the report, where its hint is and nothing scrolls it away.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from grex.cli.colours import cells, in_role, plain, role_of

__all__ = ["LINE_WIDTH", "fitted", "is_for_the_report", "pack_line", "step_lines"]

LINE_WIDTH = 80
"""Where nobody knows how wide the place is that lines come out in."""
_STATUS_WIDTH = 12

_FOR_THE_REPORT = frozenset(
    # What was taken away is told where it is said how it comes back.
    {"left", "failed", "not-reached", "planned", "untrusted", "kept", "removed", "unlinked", "absent"}
)


def pack_line(status: str, pack: str, text: str) -> str:
    """What became of a pack; its name stands there once, also where a message begins with it."""
    text = text.removeprefix(f"{pack}: ").removeprefix(f"{pack} is ")
    lead = in_role(role_of(status), f"{status:<{_STATUS_WIDTH}}")
    return f"{lead} {pack}: {text}" if text else f"{lead} {pack}"


def is_for_the_report(status: str) -> bool:
    """Whether a line of this status waits for the report where both come out in one place."""
    return status in _FOR_THE_REPORT


def step_lines(status: str, pack: str, told: Sequence[str], width: int | None) -> list[str]:
    """What became of a pack: on one line where that has room for it, else with each thing on a line of its own.

    Args:
        status: what became of it.
        pack: the pack.
        told: the things to say.
        width: of the terminal; None where it goes elsewhere.
    """
    line = pack_line(status, pack, "; ".join(told))
    if len(told) < 2 or cells(line) <= (width or LINE_WIDTH):  # noqa: PLR2004 - one thing has its line anyway
        return [line]
    texts = (told[0].removeprefix(f"{pack}: "), *told[1:])
    return [pack_line(status, pack, ""), *(f"{'':<{_STATUS_WIDTH}} {text}" for text in texts)]


def fitted(lines: Iterable[str], width: int | None) -> list[str]:
    """Lines broken where a terminal would break them, below where their text begins.

    Words, and so paths, stay whole, and so does a command in backticks, which is there to be copied. What commands said
    (behind a bar) stays as it is, and so does everything that goes elsewhere than to a terminal: programs read it by
    lines.
    """
    if width is None:
        return list(lines)
    found: list[str] = []
    for line in lines:
        bare = plain(line)
        if cells(bare) <= width or _SAID.match(bare):
            found.append(line)
            continue
        begins = _BEGIN.match(bare)
        found += _broken(line, width, " " * (begins.end() if begins is not None else 2))
    return found


def _broken(line: str, width: int, indent: str) -> list[str]:
    """A line as several: its blanks stay as they are, but for those at which it is broken."""
    found, built, used = [], "", 0
    for blank, word in _WORD.findall(line):
        wide = cells(word)
        if used + len(blank) + wide > width and built.strip():
            found.append(built.rstrip())
            built, used = indent + word, len(indent) + wide
        else:
            built, used = built + blank + word, used + len(blank) + wide
    return [*found, built]


# A command in backticks is one word, with what stands around it.
_WORD = re.compile(r"( *)((?:`[^`]*`|[^ ])+)")
_SAID = re.compile(r" *\| |[^ |]+ \| ")
# The column of statuses, or the indentation of what stands below a line; a hint is indented below its own word.
_BEGIN = re.compile(rf"(?=.{{{_STATUS_WIDTH}}} )[a-z-]+ +| +(?:hint: )?")
