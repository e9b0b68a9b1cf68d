"""All that a command said, in bounded memory: the beginning is kept there, and the rest in one temporary file.

The file has no name and is one for the whole run, so that neither a kill leaves it behind nor a thousand packs need a
thousand descriptors. Its room is the disk's; a command that writes without end is cut at a limit, and what was left
out is counted.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

__all__ = ["Spill", "Transcript"]

IN_MEMORY_BYTES = 32 << 10
LIMIT_BYTES = 256 << 20
_READ_BYTES = 256 << 10


class Spill:
    """The temporary file; made when something first comes to it, gone with this process or `close`."""

    def __init__(self) -> None:
        self._fd: int | None = None
        self._size = 0

    def write(self, piece: bytes) -> int:
        """Keep some bytes; gives where.

        Raises:
            OSError: there is no room, or no place for such a file.
        """
        if self._fd is None:
            self._fd, name = tempfile.mkstemp(prefix="grex-exec-")
            os.unlink(name)  # noqa: PTH108 - the descriptor is all that is wanted
        at, view = self._size, memoryview(piece)
        while view:
            written = os.pwrite(self._fd, view, self._size)
            self._size += written
            view = view[written:]
        return at

    def read(self, at: int, size: int) -> bytes:
        """The bytes that were kept there."""
        return b"" if self._fd is None else os.pread(self._fd, size, at)

    def close(self) -> None:
        """Give the room back."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


class Transcript:
    """What came on one stream of one command.

    Args:
        spill: for what is over; None keeps nothing and only counts.
        limit_bytes: how much is kept at most.
    """

    def __init__(self, spill: Spill | None, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self._spill = spill
        self._limit = limit_bytes
        self._memory = bytearray()
        self._extents: list[tuple[int, int]] = []
        self.size_bytes = 0
        """All that was written, kept or not."""
        self.kept_bytes = 0
        self._taken_bytes = 0

    def feed(self, piece: bytes) -> None:
        """Hear the next bytes.

        Raises:
            OSError: they cannot be kept.
        """
        self.size_bytes += len(piece)
        if self._spill is None:
            return
        piece = piece[: max(self._limit - self.kept_bytes, 0)]
        if not piece:
            return
        if not self._extents and len(self._memory) + len(piece) <= IN_MEMORY_BYTES:
            self._memory += piece
        else:
            at = self._spill.write(piece)
            if self._extents and sum(self._extents[-1]) == at:
                self._extents[-1] = (self._extents[-1][0], self._extents[-1][1] + len(piece))
            else:
                self._extents.append((at, len(piece)))
        self.kept_bytes += len(piece)

    def pieces(self) -> Iterator[bytes]:
        """What was kept, in its order, in pieces of bounded size."""
        if self._memory:
            yield bytes(self._memory)
        for start, size in self._extents:
            at, end = start, start + size
            while self._spill is not None and at < end and (piece := self._spill.read(at, min(_READ_BYTES, end - at))):
                at += len(piece)
                yield piece

    @property
    def waiting_bytes(self) -> int:
        """How much of what was kept was not taken yet."""
        return self.kept_bytes - self._taken_bytes

    def take(self) -> Transcript:
        """What was kept since the last time, to be told while more comes; it is not in this one any more."""
        part = Transcript(self._spill)
        part.size_bytes = part.kept_bytes = self.waiting_bytes
        part._memory, self._memory = self._memory, part._memory
        part._extents, self._extents = self._extents, part._extents
        self._taken_bytes = self.kept_bytes
        return part

    def forget(self) -> None:
        """Give the memory back: it has been told."""
        self._memory.clear()
        self._extents.clear()
