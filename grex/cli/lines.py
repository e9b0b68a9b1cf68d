"""The line about one pack: the same words as the run goes on and in the report, so that nobody reads two as one more.

Where progress and report come out in one place (a terminal, `2>&1`), each pack has its line there once: what went well
as it happens, and what somebody has to look at in the report, where its hint is and nothing scrolls it away.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence

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
    return f"{status:<{_STATUS_WIDTH}} {pack}: {text}" if text else f"{status:<{_STATUS_WIDTH}} {pack}"


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
    if len(told) < 2 or len(line) <= (width or LINE_WIDTH):  # noqa: PLR2004 - one thing has its line anyway
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
        if len(line) <= width or _SAID.match(line):
            found.append(line)
            continue
        begins = _BEGIN.match(line)
        indent = " " * (begins.end() if begins is not None else 2)
        kept = _COMMAND.sub(lambda command: command.group().replace(" ", _BLANK), line)
        broken = textwrap.wrap(kept, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
        found += [part.replace(_BLANK, " ") for part in broken]
    return found


_COMMAND = re.compile(r"`[^`]*`")
_BLANK = "\0"
_SAID = re.compile(r" *\| |[^ |]+ \| ")
# The column of statuses, or the indentation of what stands below a line; a hint is indented below its own word.
_BEGIN = re.compile(rf"(?=.{{{_STATUS_WIDTH}}} )[a-z-]+ +| +(?:hint: )?")
