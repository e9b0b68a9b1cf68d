"""Prints what commands of `grex exec` said, while others still run: byte for byte, pack by pack.

What a command wrote to standard output goes there, what it wrote to standard error goes there, each below a line with
the path of the pack. Where both lead to one place, one line is enough. The bytes are not touched: the user has typed
the command, and sees what it would have shown.

While the verb runs, descriptor 1 leads to standard error (`output_kept_for_the_report`), so a copy is kept. A reader
that does not read must not stand still the event loop, for others are held up then; so nothing is written to a pipe
before it has room.
"""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

import anyio
from anyio.lowlevel import checkpoint

from grex.cli.streams import READER_GONE_EXIT_CODE, is_one_place

if TYPE_CHECKING:
    from grex.engine.commanding import CommandOutcome
    from grex.engine.transcript import Transcript

__all__ = ["OutputPrinter"]

_PIPE_BYTES = 4096
"""What fits into a pipe that is ready to be written to (PIPE_BUF)."""


class OutputPrinter:
    """A context manager around the run; outside of it, nothing may be told.

    Args:
        quiet: print no lines with paths, and add no line ends.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._is_one_place = is_one_place(sys.stdout, sys.stderr)
        self._out = self._err = -1
        self._is_reader_gone = False
        self._path: str | None = None
        self._headed: set[int] = set()
        self._ends: dict[int, bytes] = {}

    def __enter__(self) -> Self:
        """Keep the streams as they are now."""
        sys.stdout.flush()
        self._out, self._err = os.dup(1), os.dup(2)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Let them go."""
        os.close(self._out)
        os.close(self._err)

    def exit_code(self, code: int) -> int:
        """The exit code of the call: that of the report, unless nobody has read all of the output."""
        return READER_GONE_EXIT_CODE if self._is_reader_gone else code

    async def tell(self, outcome: CommandOutcome) -> bool:
        """Print what a command said; gives whether there is still somebody who reads."""
        if outcome.path != self._path:
            self._path = outcome.path
            self._headed.clear()
            self._ends.clear()
        try:
            await self._print(self._out, outcome, outcome.out)
            await self._print(self._err, outcome, outcome.err)
        except OSError:  # `grex exec -- git log | head -1`, or a disk that is full
            self._is_reader_gone = True
        return not self._is_reader_gone

    async def _print(self, fd: int, outcome: CommandOutcome, transcript: Transcript | None) -> None:
        if transcript is None or not transcript.size_bytes:
            return
        place = self._out if self._is_one_place else fd
        if place not in self._headed and not self._quiet:
            await self._write(fd, os.fsencode(f"==> {outcome.path} <==\n"))
        self._headed.add(place)
        for piece in transcript.pieces():
            await self._write(fd, piece)
            self._ends[fd] = piece[-1:]
        if self._quiet or outcome.is_part:
            return
        cut = transcript.size_bytes - transcript.kept_bytes
        if self._ends.get(fd, b"\n") != b"\n":
            await self._write(fd, b"\n")
        if cut:
            await self._write(fd, f"... {cut} more bytes were not kept\n".encode())

    async def _write(self, fd: int, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                await anyio.wait_writable(fd)
            except (OSError, ValueError):  # a regular file, which is always ready and cannot be waited for
                await checkpoint()
                view = view[os.write(fd, view) :]
            else:
                view = view[os.write(fd, view[:_PIPE_BYTES]) :]
