"""Whether anything happens in a tree: every change that the kernel tells of, from when the watch begins."""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["TreeWatch"]

_CHANGES = 0x2 | 0x4 | 0x40 | 0x80 | 0x100 | 0x200
"""IN_MODIFY, IN_ATTRIB, IN_MOVED_FROM, IN_MOVED_TO, IN_CREATE, IN_DELETE."""
_EVENT = struct.Struct("iIII")


class TreeWatch:
    """Watches every directory that there is below `root` when the block begins; what is made later shows as made."""

    def __init__(self, root: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        self._names: dict[int, str] = {}
        for directory, _, _ in os.walk(root):
            number = libc.inotify_add_watch(self._fd, os.fsencode(directory), _CHANGES)
            assert number >= 0, directory
            self._names[number] = os.path.relpath(directory, root)

    def changes(self) -> list[str]:
        """What has changed since this was last asked, by path."""
        found = []
        try:
            data = os.read(self._fd, 1 << 16)
        except BlockingIOError:
            return []
        while data:
            number, _, _, length = _EVENT.unpack_from(data)
            name = data[_EVENT.size : _EVENT.size + length].rstrip(b"\0")
            found.append(os.path.normpath(os.path.join(self._names.get(number, "?"), os.fsdecode(name))))  # noqa: PTH118
            data = data[_EVENT.size + length :]
        return found

    def __enter__(self) -> Self:
        """Watching."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Watch no longer."""
        os.close(self._fd)
