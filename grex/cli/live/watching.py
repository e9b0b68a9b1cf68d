"""Whether a call has a live view, and the one that it has."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from grex.cli.colours import has_colours
from grex.cli.live.model import LiveModel
from grex.cli.live.painter import LiveView

if TYPE_CHECKING:
    from grex.cli.call import Call

__all__ = ["watch"]

_LINES = 24
"""Where the terminal does not say how many it has."""


def watch(call: Call) -> LiveView:
    """The live view of a call whose standard error is a terminal."""
    fd = sys.stderr.fileno()

    def size() -> tuple[int, int]:
        found = os.get_terminal_size(fd)
        asked = call.environ.get("COLUMNS", "")
        columns = int(asked) if asked.isascii() and asked.isdecimal() and int(asked) else found.columns
        return max(min(columns, found.columns or columns), 1), found.lines or _LINES

    is_ascii = (sys.stderr.encoding or "").lower().replace("-", "") != "utf8"
    model = LiveModel(call.verb, time.monotonic(), is_ascii=is_ascii)
    return LiveView(model, fd, has_colours=has_colours(sys.stderr, call.colour, call.environ), size=size)
