"""Lock files and the kernel's locks on them: open, try, compare, release. Nothing here waits.

**Open** is `O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK` and insists on a regular file, because a pack can ship a symlink, a
FIFO or a directory under the name of its lock. The descriptor is kept from the first try to the release.

**Try** is one non-blocking call on that descriptor. Nothing is awaited between "the kernel granted" and "we own it",
so there is no moment in which a cancelled waiter owns the lock.

**Compare**: after every grant the inode of the descriptor is compared with the one the path leads to now. A lock file
that was renamed or replaced while we waited would otherwise let two holders in, each on a file of its own.

**Release** is unlock, touch, close. The unlock is explicit because a close alone frees nothing while a forked child
still has the description; the touch is for waiters that watch the file, who see no close event in that case either.
It is left out where nobody queues.

One call per kind: `filelock.lock_descriptor` for the exclusive locks, `fcntl.flock` for the one that has readers, which
filelock does not have. Both are flock on Linux. filelock costs 8 ms to import and is therefore imported when the first
lock is tried; who only looks never needs it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable
from typing import Literal, Protocol

from grex.errors import LockError, LockUnavailableError, LockUnsupportedError
from grex.locks.inheritance import close_descriptor, remember_descriptor
from grex.locks.tiers import LockKey

__all__ = [
    "EXCLUSIVE",
    "READERS",
    "WRITER",
    "KernelLock",
    "Mode",
    "OpenedFile",
    "file_key",
    "lock_failure",
    "open_lock_file",
]

Mode = Literal["x", "s"]

_OPEN_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_LAST_STANDARD_FD = 2
_FILE_MODE = 0o666  # the umask decides: a workspace shared by a group needs group-writable lock files
_UNSUPPORTED = frozenset({errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP})
_HINTS = {
    errno.EACCES: "Check who owns the directory; the lock file must be writable for everybody who uses the workspace.",
    errno.EROFS: "The file system is read-only; commands that change something need a writable workspace.",
    errno.ENOSPC: "Free some space on the device.",
    errno.ENOLCK: "The lock service of a network file system may be down; a local disk always works.",
    errno.EMFILE: "Raise the limit of open files (ulimit -n), or lower --jobs.",
    errno.ENFILE: "The system has no file handles left.",
    errno.ENAMETOOLONG: "Shorten the path.",
}


def lock_failure(path: str, error: OSError) -> LockError:
    """The typed error for a lock file that cannot be opened or locked."""
    why = error.strerror or str(error)
    if error.errno in _UNSUPPORTED:
        return LockUnsupportedError(
            f"The lock file {path} cannot be locked: {why}.",
            hint="The file system has no kernel locks. Put the workspace on one that has; grex never goes without.",
            details={"path": path, "errno": error.errno},
        )
    return LockUnavailableError(
        f"The lock file {path} cannot be used: {why}.",
        path=path,
        errno=error.errno,
        hint=_HINTS.get(error.errno or 0),
    )


class OpenedFile:
    """An open lock file; its descriptor is ours until `close`, and so is that of its guard, if it has one.

    Attributes:
        path: Where it was found.
        fd: The descriptor.
        key: Device and inode.
        size: In bytes, when it was opened or last looked at; of a file that is longer than a record, that it is longer.
        guard: The descriptor of the guard; -1 without one.
        is_kept: Whether the inode is kept by a second link, so that it needs no guard.
        was_kept: Whether it was opened by that link.
        has_line: Whether those who wait for it have tickets.
    """

    __slots__ = ("fd", "guard", "has_line", "is_kept", "key", "path", "size", "was_kept")

    def __init__(self, path: str, fd: int, key: LockKey, size: int) -> None:
        self.path = path
        self.fd = fd
        self.key = key
        self.size = size
        self.guard = -1
        self.is_kept = False
        self.was_kept = False
        self.has_line = False

    def is_still_at(self, path: str) -> bool:
        """Whether the path leads to this very file."""
        return file_key(path) == self.key

    def drop_guard(self) -> None:
        """Give the guard up; may be called again."""
        guard, self.guard = self.guard, -1
        if guard >= 0:
            close_descriptor(guard)

    def close(self) -> None:
        """Close the descriptors; may be called again."""
        self.drop_guard()
        fd, self.fd = self.fd, -1
        if fd >= 0:
            close_descriptor(fd)


def file_key(path: str) -> LockKey | None:
    """The key of what stands at the path, not following a symlink there; None if nothing does."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def open_lock_file(path: str, *, create: bool, read_only: bool = False) -> OpenedFile | None:
    """Open a lock file; None if there is none and `create` is false.

    Raises:
        LockUnavailableError: it is no regular file, or cannot be opened.
        FileNotFoundError: its directory is missing.
    """
    flags = _OPEN_FLAGS | (os.O_RDONLY if read_only else os.O_RDWR) | (os.O_CREAT if create else 0)
    try:
        fd = os.open(path, flags, _FILE_MODE)
    except FileNotFoundError:
        if create:
            raise
        return None
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.EISDIR, errno.ENXIO}:
            raise _not_regular(path, error.errno) from error
        raise lock_failure(path, error) from error
    try:
        fd = _above_the_standard_ones(fd)
        found = os.fstat(fd)
    except OSError as error:
        os.close(fd)
        raise lock_failure(path, error) from error
    if not stat.S_ISREG(found.st_mode):
        os.close(fd)
        raise _not_regular(path, None)
    remember_descriptor(fd)
    return OpenedFile(path, fd, (found.st_dev, found.st_ino), found.st_size)


def _above_the_standard_ones(fd: int) -> int:
    """The descriptor, or another of the same description if it is 0, 1 or 2, because the process was started without.

    What any library writes on standard error would be written into the lock file, and a child that is to inherit the
    lock by such a number has its own standard stream there.
    """
    if fd > _LAST_STANDARD_FD:
        return fd
    higher = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _LAST_STANDARD_FD + 1)
    os.close(fd)
    return higher


def _not_regular(path: str, number: int | None) -> LockUnavailableError:
    return LockUnavailableError(
        f"{path} should be a lock file and is no regular file.",
        path=path,
        errno=number,
        hint="Remove what stands there, also from a repository that tracks it: grex keeps this name for itself.",
    )


class KernelLock(Protocol):
    """One way to lock an open file."""

    @property
    def mode(self) -> Mode:
        """`x` for exclusive, `s` for shared."""

    def prepare(self) -> None:
        """Load what a try needs, up to 50 ms the first time: while somebody waits, and not when the turn comes."""

    def try_lock(self, fd: int) -> bool:
        """Lock without waiting; whether it is ours now. OSError if it cannot be tried."""

    def unlock(self, fd: int) -> None:
        """Give it up; the descriptor stays open."""


class _Exclusive:
    """The whole-file exclusive lock of every tier but the manifest's."""

    mode: Mode = "x"

    def __init__(self) -> None:
        self._lock: Callable[[int], bool] | None = None
        self._unlock: Callable[[int], None] | None = None

    def _load(self) -> tuple[Callable[[int], bool], Callable[[int], None]]:
        from filelock import lock_descriptor, unlock_descriptor  # noqa: PLC0415 - 8 ms, only where a lock is taken

        def lock(fd: int) -> bool:
            return lock_descriptor(fd, blocking=False)

        self._lock, self._unlock = lock, unlock_descriptor
        return lock, unlock_descriptor

    def prepare(self) -> None:
        self._load()

    def try_lock(self, fd: int) -> bool:
        return (self._lock or self._load()[0])(fd)

    def unlock(self, fd: int) -> None:
        (self._unlock or self._load()[1])(fd)


class _Manifest:
    """The lock that readers share; the line before it keeps a stream of readers from starving a writer."""

    def __init__(self, mode: Mode) -> None:
        self.mode = mode

    def prepare(self) -> None:
        pass

    def try_lock(self, fd: int) -> bool:
        try:
            fcntl.flock(fd, (fcntl.LOCK_SH if self.mode == "s" else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def unlock(self, fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_UN)


EXCLUSIVE: KernelLock = _Exclusive()
READERS: KernelLock = _Manifest("s")
WRITER: KernelLock = _Manifest("x")
