"""The end of what the commands of each pack said, for the report of a run whose point is what they say.

Bounded for each pack, one command after the other, what went to standard output before what went to standard error;
without what acts on a terminal and without credentials.
"""

from __future__ import annotations

from grex.names import clean, redact
from grex.process import Finished, clip_text

__all__ = ["Said"]

_LIMIT_BYTES = 64 << 10


class Said:
    """What was said, by pack."""

    def __init__(self) -> None:
        self._lines: dict[str, list[str]] = {}

    def add(self, pack: str, finished: Finished) -> None:
        """Keep what a command of that pack said."""
        lines = self._lines.setdefault(pack, [])
        for stream in (finished.stdout, finished.stderr):
            text = redact(clip_text(stream, _LIMIT_BYTES))
            lines += [clean(line, _LIMIT_BYTES) for line in text.splitlines()]
        size = 0
        for number, line in enumerate(reversed(lines)):
            size += len(line.encode()) + 1
            if size > _LIMIT_BYTES:
                del lines[: len(lines) - number]
                break

    def texts(self) -> dict[str, str]:
        """By pack, what its commands said."""
        return {pack: "\n".join(lines) for pack, lines in self._lines.items()}
