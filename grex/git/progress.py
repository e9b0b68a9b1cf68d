"""git's own progress lines as values.

git rewrites one line in place (`Receiving objects:  45% (9/20), 1.2 MiB | 3 MiB/s` and a carriage return). A server's
lines arrive with the prefix `remote: `. Only the stage and the numbers are taken, so a server cannot put words into
our display.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from msgspec import Struct

__all__ = ["GitProgress", "ProgressParser"]

_STAGES = {
    b"Counting objects": "counting",
    b"Compressing objects": "compressing",
    b"Receiving objects": "receiving",
    b"Resolving deltas": "resolving",
    b"Updating files": "checking out",
    b"Filtering content": "filtering",
}
_LINE = re.compile(
    rb"(?:remote: )?([A-Z][a-z]+ [a-z]+): +(\d{1,3})% \((\d{1,12})/(\d{1,12})\)"
    rb"(?:, [\d.]{1,12} (?:bytes|[KMG]iB) \| ([\d.]{1,12}) (bytes|[KMG]iB)/s)?"
)
_BYTES = {b"bytes": 1, b"KiB": 1 << 10, b"MiB": 1 << 20, b"GiB": 1 << 30}
_LONGEST_LINE = 4096


class GitProgress(Struct, frozen=True):
    """How far one stage of one git command is."""

    stage: str
    """`counting`, `compressing`, `receiving`, `resolving`, `checking out` or `filtering`."""
    percent: int
    done: int
    total: int
    bytes_per_s: int | None = None
    """How fast it comes, of stages in which something does, as git rounds it."""


class ProgressParser:
    """Turns pieces of standard error into `GitProgress`; lines may be cut anywhere between two pieces."""

    def __init__(self, sink: Callable[[GitProgress], None]) -> None:
        self._sink = sink
        self._rest = b""
        self._last: GitProgress | None = None

    def feed(self, piece: bytes) -> None:
        """Take the next piece and tell the sink of what is new in it."""
        *lines, rest = re.split(rb"[\r\n]", self._rest + piece)
        self._rest = rest[-_LONGEST_LINE:]
        for line in lines:
            match = _LINE.match(line)
            if match is None or match[1] not in _STAGES:
                continue
            progress = GitProgress(
                _STAGES[match[1]], min(int(match[2]), 100), int(match[3]), int(match[4]), _rate(match[5], match[6])
            )
            if progress != self._last:
                self._last = progress
                self._sink(progress)


def _rate(number: bytes | None, unit: bytes) -> int | None:
    """Bytes a second; None where git tells none, or nothing that is a number."""
    try:
        return None if number is None else int(float(number) * _BYTES[unit])
    except ValueError:
        return None
