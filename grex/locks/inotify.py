"""The kernel's inotify, as far as a wait for a lock needs it: is something happening to this inode?

Python has no binding, so libc is called by `ctypes` (imported with the first wait). See inotify(7) for the constants
and for `struct inotify_event`. One instance serves a whole event loop (`Inotify.here`) or thread, because a user has
128 of them by default. It is kept for the next one who waits and never closed, because to close one right after its
last watch takes the kernel 14 ms (it waits for the watch to be reaped; measured on Linux 6.18).

Who waits does so on one descriptor together, and a descriptor can be awaited by one task. So the first who waits reads
for all (`FileWatch.fd` is the descriptor for it and None for the others), tells the others what is theirs, and when it
ends wakes one of them, which is the reader from then on.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import struct
import sys
import threading
from collections.abc import Callable
from typing import Any

import anyio.lowlevel

from grex.locks.inheritance import on_fork, remember_descriptor

__all__ = ["SAFETY_S", "FileWatch", "Inotify", "is_there", "why_no_instance"]

IN_ATTRIB = 0x4
IN_CLOSE_WRITE = 0x8
IN_CLOSE_NOWRITE = 0x10
IN_DELETE_SELF = 0x400
IN_MOVE_SELF = 0x800
IN_ONESHOT = 0x80000000
# One event ends a watch: who has the lock then has nothing left to remove, and who has not watches anew.
_MASK = IN_ATTRIB | IN_CLOSE_WRITE | IN_CLOSE_NOWRITE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONESHOT
_Q_OVERFLOW = -1
_EVENT = struct.Struct("iIII")  # wd, mask, cookie, length of the name that follows (none, for a watch on a file)
_BUFFER = 16384

SAFETY_S = 2.0
"""After so long without an event it is tried all the same."""
_FIRST_RETRY_S = 0.001


@functools.cache
def _libc() -> Any:
    """The functions of libc; None where there are none."""
    if sys.platform != "linux":
        return None
    import ctypes  # noqa: PLC0415 - 10 ms, only where somebody waits

    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "inotify_init1"):
        return None
    libc.inotify_add_watch.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)
    return libc


def is_there() -> bool:
    """Whether this system has inotify."""
    return _libc() is not None


def _checked(answer: int) -> int:
    if answer < 0:
        import ctypes  # noqa: PLC0415 - loaded already

        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer


def _open_instance() -> int:
    libc = _libc()
    if libc is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    return _checked(libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))


def why_no_instance() -> str | None:
    """Why no further instance can be had by this user, None where one can; the one that is tried is given back."""
    try:
        os.close(_open_instance())
    except OSError as error:
        return error.strerror or str(error)
    return None


def _add_watch(instance: int, fd: int) -> int:
    # By the descriptor and not by name, so that it is this inode whatever the path leads to by now.
    return _checked(_libc().inotify_add_watch(instance, f"/proc/self/fd/{fd}".encode(), _MASK))


def _remove_watch(instance: int, number: int) -> None:
    _libc().inotify_rm_watch(instance, number)  # EINVAL if the file is gone, and its watch with it


class Inotify:
    """One instance, and who watches by it; used by one event loop or one thread at a time."""

    def __init__(self) -> None:
        self._fd = _open_instance()
        remember_descriptor(self._fd)
        self._place: object = None
        self._watches: dict[int, list[FileWatch]] = {}
        self._reader: FileWatch | None = None

    @staticmethod
    def here() -> Inotify:
        """The instance of this event loop, or of this thread if it runs none.

        Raises:
            OSError: there can be none (EMFILE, ENOSYS).
        """
        place = _place()
        found = _in_use.get(place)
        if found is None:
            try:
                found = _idle.pop()
            except IndexError:
                found = Inotify()
            found._place = place
            _in_use[place] = found
        return found

    def _rest(self) -> None:
        """Be there for whoever waits next, if nobody watches any more, and nobody sleeps on the descriptor still."""
        if not self._watches and self._reader is None and _in_use.get(self._place) is self:
            del _in_use[self._place]
            _idle.append(self)

    def watch(self, fd: int, wake: Callable[[], None]) -> FileWatch:
        """Watch the inode of an open file.

        Raises:
            OSError: the user has no watches left (ENOSPC), or it is not possible here.
        """
        try:
            number = _add_watch(self._fd, fd)
        except OSError:
            self._rest()
            raise
        watch = FileWatch(self, number, wake)
        self._watches.setdefault(number, []).append(watch)
        return watch

    def fd_for(self, watch: FileWatch) -> int | None:
        """The descriptor to wait on, for the one that reads for all."""
        if self._reader is None:
            self._reader = watch
        return self._fd if self._reader is watch else None

    def read(self, by: FileWatch | None = None) -> None:
        """Tell all watches but `by` what there is to tell."""
        try:
            data = os.read(self._fd, _BUFFER)
        except OSError:
            return  # EAGAIN: there is nothing
        for number in self._numbers(data):
            for watch in self._watches.pop(number, ()):
                watch.tell(awake=watch is by)

    def _numbers(self, data: bytes) -> set[int]:
        numbers: set[int] = set()
        offset = 0
        while offset + _EVENT.size <= len(data):
            number, _, _, length = _EVENT.unpack_from(data, offset)
            offset += _EVENT.size + length
            numbers.add(number)
        return set(self._watches) if _Q_OVERFLOW in numbers else numbers

    def end(self, watch: FileWatch) -> None:
        """End a watch; if nobody reads for all now, wake another, which will.

        Nobody does after the end of the reader, and also after the end of one that was woken to be the reader and was
        cancelled before it ran.
        """
        watches = self._watches.get(watch.number)
        if watches is not None and watch in watches:
            watches.remove(watch)
            if not watches:
                del self._watches[watch.number]
                _remove_watch(self._fd, watch.number)
                self.read()  # the queue has a last event for it, and must not grow by one for every wait
        if self._reader is watch or self._reader is None:
            self._reader = None
            for others in self._watches.values():
                with contextlib.suppress(RuntimeError):  # its event loop is closed
                    others[0].wake()
                break
        self._rest()


_in_use: dict[object, Inotify] = {}  # by event loop or thread
_idle: list[Inotify] = []


def _place() -> object:
    """The running event loop, or else this thread."""
    try:
        return anyio.lowlevel.current_token().native_token
    except RuntimeError:
        return threading.get_ident()


def _start_child() -> None:
    _in_use.clear()  # the descriptors are closed with those of all lock files
    _idle.clear()


on_fork(_start_child)


class FileWatch:
    """The watch of one waiter on the inode of its lock file.

    The kernel reports a close just before it frees the locks of the file. So after an event, and at first, it is tried
    again soon, and then less and less often.
    """

    __slots__ = ("_delay_s", "_instance", "_is_spent", "number", "wake")

    def __init__(self, instance: Inotify, number: int, wake: Callable[[], None]) -> None:
        self._instance = instance
        self.number = number
        self.wake = wake
        self._delay_s = _FIRST_RETRY_S
        self._is_spent = False

    @property
    def fd(self) -> int | None:
        """What to wait on besides being woken; None if another watch reads for this one."""
        return self._instance.fd_for(self)

    def tell(self, *, awake: bool) -> None:
        """Something happened to the file, and the watch is over."""
        self._is_spent = True
        if not awake:
            with contextlib.suppress(RuntimeError):  # its event loop is closed
                self.wake()

    def delay_s(self) -> float:
        """How long to sleep if nothing happens."""
        delay = self._delay_s
        self._delay_s = min(SAFETY_S, delay * 2)
        return delay

    def collect(self) -> bool:
        """Take what happened; whether anything did, which was the end of the watch."""
        if not self._is_spent and self.fd is not None:
            self._instance.read(by=self)
        return self._is_spent

    def close(self) -> None:
        """End the watch; may be called again."""
        self._instance.end(self)
