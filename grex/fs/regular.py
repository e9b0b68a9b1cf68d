"""Opening a file that is expected to be a file.

A name inside a workspace can be anything by the time it is opened: a symlink that a pack committed, a FIFO that
blocks whoever reads it, a directory. So the open itself refuses links (`O_NOFOLLOW`), never waits (`O_NONBLOCK`,
which regular files ignore), and the descriptor - not the path, which may have changed since - is asked what it is.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

__all__ = ["open_regular", "read_regular"]

# Windows has none of these; there the check of the descriptor is what remains.
_GUARDS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_BINARY = getattr(os, "O_BINARY", 0)
_CHUNK_BYTES = 1 << 20


def open_regular(path: str | Path, flags: int = os.O_RDONLY, mode: int = 0o666) -> int:
    """Open a regular file and give its descriptor, which the caller closes.

    Args:
        path: the file.
        flags: access mode and creation flags as for `os.open`; the guards are added here.
        mode: permissions of a file that `flags` create, before the umask.

    Raises:
        OSError: as `os.open` does; ELOOP for a symlink, EINVAL for anything else that is no regular file.
    """
    return _open(path, flags, mode)[0]


def _open(path: str | Path, flags: int, mode: int) -> tuple[int, int]:
    fd = os.open(path, flags | _GUARDS | _BINARY, mode)
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return fd, status.st_size


def read_regular(path: str | Path, *, limit_bytes: int | None = None) -> bytes:
    """The bytes of a regular file.

    Args:
        path: the file.
        limit_bytes: refuse a file that is larger, before and while reading it.

    Raises:
        OSError: as `open_regular`; EFBIG for a file over the limit.
    """
    fd, size = _open(path, os.O_RDONLY, 0)
    try:
        chunks: list[bytes] = []
        total = 0
        while limit_bytes is None or total <= limit_bytes:
            # One byte more than is expected, so that an unchanged file is read and its end seen in two calls.
            chunk = os.read(fd, max(size - total + 1, 1) if total <= size else _CHUNK_BYTES)
            if not chunk:
                return b"".join(chunks)
            chunks.append(chunk)
            total += len(chunk)
    finally:
        os.close(fd)
    raise OSError(errno.EFBIG, f"larger than {limit_bytes} bytes", str(path))
