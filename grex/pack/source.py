"""Reading the files under `.grex/` of a checkout, which its author chose and not we.

A checkout can hold anything under these names. A symlink would let a repository show us a file of its reader's
(`.grex/pack.yaml -> ~/.netrc`, quoted in the error message), a FIFO would stop us for ever, and a device would never
end. So only regular files in a real directory are read, and no more of them than the limit and one byte, by which the
reader sees that there was more.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from grex.pack.yaml_events import MAX_BYTES

__all__ = ["RefusedFileError", "read_pack_file"]

# Names that Windows lacks; symlinks and FIFOs in a work tree are not to be had there either.
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


class RefusedFileError(Exception):
    """Something is there that is not to be read; `reason` is the whole sentence about it."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


def read_pack_file(root: Path, name: str) -> bytes | None:
    """Return the bytes of a file of a checkout, or None where there is none; at most `MAX_BYTES` and one.

    Args:
        root: the checkout.
        name: the file's path from there, whose directories may not be symlinks either.

    Raises:
        RefusedFileError: it is no regular file, or cannot be read.
    """
    directory, _, _ = name.rpartition("/")
    parent = os.fspath(root)  # texts and not paths: asked for every pack of every run
    for part in directory.split("/"):
        parent += f"/{part}"
        try:
            mode = os.lstat(parent).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _unreadable(error) from error
        if stat.S_ISLNK(mode):
            raise RefusedFileError(f"the directory {part} is a symbolic link", "put a real directory in its place")
        if not stat.S_ISDIR(mode):
            return None
    try:
        descriptor = os.open(f"{root}/{name}", _FLAGS)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.EMLINK}:  # EMLINK is what the BSDs say
            raise RefusedFileError("the file is a symbolic link", "put a regular file in its place") from error
        if error.errno == errno.ENXIO:
            raise RefusedFileError("this is a socket", "put a regular file in its place") from error
        raise _unreadable(error) from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise RefusedFileError("this is no regular file", "put a regular file in its place")
        return _read_at_most(descriptor, MAX_BYTES + 1)
    except OSError as error:
        raise _unreadable(error) from error
    finally:
        os.close(descriptor)


def _read_at_most(descriptor: int, limit: int) -> bytes:
    pieces: list[bytes] = []
    while limit > 0 and (piece := os.read(descriptor, limit)):
        pieces.append(piece)
        limit -= len(piece)
    return b"".join(pieces)


def _unreadable(error: OSError) -> RefusedFileError:
    return RefusedFileError(f"the file cannot be read: {error.strerror}", "check its permissions")
