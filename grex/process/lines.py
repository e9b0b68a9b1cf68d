"""What a command writes, as lines fit to be shown while it runs.

Both streams of a command become lines of bounded length, and of bounded number: so many in a second, so many in all.
What is over is counted and not looked at, so a child that floods its pipes is slowed down by little more than reading
them, and nothing of it is kept. Gaps are told, and how much was not shown is told at the end.

A line that is rewritten with carriage returns (a progress bar) is what stands there in the end. A line without an end
is shown when the command is over. A line is made fit *before* it is cut, and from more than is shown, so that the cut
does not take away by what a credential is known.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, TypeAlias

from grex.names import clean, redact

__all__ = ["CommandLines", "Stream"]

Stream: TypeAlias = Literal["stdout", "stderr"]

LINE_CHARACTERS = 400
LINES_AT_ALL = 1000
LINES_A_SECOND = 100
_KEPT_BYTES = 4096  # of a line that is still being written
_SECOND_NS = 1_000_000_000


class CommandLines:
    """Hears both streams of one command and tells its lines.

    Args:
        tell: is given each line with the stream that it came from.
        at_all: how many lines are told of this command.
        a_second: how many of them within one second.
        clock_ns: what time it is.
    """

    def __init__(
        self,
        tell: Callable[[str, Stream], None],
        *,
        at_all: int = LINES_AT_ALL,
        a_second: int = LINES_A_SECOND,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._tell = tell
        self._at_all = at_all
        self._a_second = a_second
        self._clock_ns = clock_ns
        self._second_began_ns = clock_ns()
        self._in_this_second = 0
        self._told = 0
        self._left_out = 0
        self._in_this_gap = 0
        self._open: dict[Stream, _Line] = {"stdout": _Line(), "stderr": _Line()}

    def stdout(self, piece: bytes) -> None:
        """Hear a piece of standard output."""
        self._hear("stdout", piece)

    def stderr(self, piece: bytes) -> None:
        """Hear a piece of standard error."""
        self._hear("stderr", piece)

    def finish(self) -> None:
        """Tell the lines that were never ended, and how many were not told."""
        for stream, line in self._open.items():
            if line.has_text and self._has_room():
                self._show(line.take(), stream)
            elif line.has_text:
                self._left_out += 1
        if self._left_out:
            lines = "line of output is" if self._left_out == 1 else "lines of output are"
            self._tell(f"… {self._left_out} {lines} not shown", "stderr")

    def _hear(self, stream: Stream, piece: bytes) -> None:
        line = self._open[stream]
        start = 0
        while (end := piece.find(b"\n", start)) >= 0:
            if not self._has_room():
                ends = piece.count(b"\n", start)
                self._left_out += ends
                self._in_this_gap += ends
                line.clear()
                start = piece.rfind(b"\n") + 1
                break
            line.add(piece, start, end)
            self._show(line.take(), stream)
            start = end + 1
        line.add(piece, start, len(piece))

    def _has_room(self) -> bool:
        if self._told >= self._at_all:
            return False
        if self._in_this_second < self._a_second:
            return True
        now_ns = self._clock_ns()
        if now_ns - self._second_began_ns < _SECOND_NS:
            return False
        self._second_began_ns, self._in_this_second = now_ns, 0
        return True

    def _show(self, text: str, stream: Stream) -> None:
        if self._in_this_gap:
            self._tell("…", "stderr")
            self._in_this_gap = 0
        if not self._in_this_second:
            self._second_began_ns = self._clock_ns()
        self._tell(text, stream)
        self._told += 1
        self._in_this_second += 1
        if self._told == self._at_all:
            self._tell("… further output is not shown", "stderr")


class _Line:
    """A line that is being written: its beginning, or what stands there since the last carriage return."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._goes_back = False  # a carriage return was the last; `\r\n` is an end of line like any other

    @property
    def has_text(self) -> bool:
        return bool(self._data)

    def clear(self) -> None:
        self._data.clear()
        self._goes_back = False

    def add(self, piece: bytes, start: int, end: int) -> None:
        if end > start and piece.endswith(b"\r", start, end):
            self._write(piece, start, end - 1)
            self._goes_back = True
        elif end > start:
            self._write(piece, start, end)

    def take(self) -> str:
        text = bytes(self._data).decode("utf-8", "replace")
        self.clear()
        return clean(redact(clean(text, _KEPT_BYTES)), LINE_CHARACTERS)

    def _write(self, piece: bytes, start: int, end: int) -> None:
        end = start + len(piece[start:end].rstrip(b"\r"))
        if end == start:
            return
        if self._goes_back:
            self._data.clear()
            self._goes_back = False
        back = piece.rfind(b"\r", start, end)
        if back >= 0:
            self._data.clear()
            start = back + 1
        self._data += piece[start : min(end, start + max(_KEPT_BYTES - len(self._data), 0))]
