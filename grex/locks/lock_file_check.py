"""What is wrong with a lock file, for those who only look: the reasons for which an acquire would refuse it.

A repository can ship anything under the name of a lock file, and a restored backup may have lost its owner. A file that
is missing is no problem: whoever takes the lock makes it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

from grex.locks.holder import MAX_RECORD_BYTES, is_foreign

__all__ = ["find_problem"]

_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
)


def find_problem(path: str) -> str | None:
    """Why the lock whose file has this path cannot be taken, as a clause; None if nothing speaks against it."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"it cannot be looked at ({error.strerror})"
    if not stat.S_ISREG(found.st_mode):
        kind = next((name for is_so, name in _KINDS if is_so(found.st_mode)), "a device")
        return f"it is {kind}, where a lock file should be: remove what stands there"
    if not _may(path, os.R_OK):
        return "it may not be read by this user (Permission denied)"
    if not _may(path, os.W_OK) and not _is_read_only(path):
        return "it may not be written by this user (Permission denied)"
    if found.st_size and _is_foreign(path):
        return "it holds content that is not grex's: move the file away"
    return None


def _may(path: str, mode: int) -> bool:
    """Whether an open would be allowed; nothing is opened, for its close would wake those who watch the file."""
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def _is_read_only(path: str) -> bool:
    """Whether the whole file system is: then nobody takes a lock there that needs a writable file."""
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def _is_foreign(path: str) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False  # gone, or another file, since it was looked at
    try:
        content = os.pread(fd, MAX_RECORD_BYTES, 0)
    except OSError:
        return False
    finally:
        os.close(fd)
    return bool(content) and is_foreign(content)
