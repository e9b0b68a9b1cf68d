"""A witness of exclusion that trusts neither the locks it watches nor what they say about themselves.

One file, two bytes for each lock, and POSIX record locks on them: a kernel primitive of another kind than the `flock`
that grex takes, on a file that nobody renames or deletes. Whoever believes to hold a lock takes its first byte without
waiting; if that fails, somebody else believes the same at this moment.

The kernel frees these locks when a process dies, and it does so *before* it frees any flock of that process (record
locks go when descriptors are closed, flocks when the last reference to the open file does, which an exiting task puts
off until all of its descriptors are closed). So a kill needs no allowance: who gets a dead holder's lock finds the
witness free. Forks do not inherit them either.

Record locks belong to a process, so what happens within one is judged by a table in front of them.

The second byte of a lock stands for its children: programs that inherited the lock's descriptor and work under it.
They share the byte, and outlive their parent if that is killed; who holds the lock must find the byte free of others.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Literal

__all__ = ["OverlapError", "Witness"]

_BYTES_PER_LOCK = 2
_PROBE_BYTE = 1 << 32
# struct flock of 64-bit Linux: type, whence, start, len, pid, padding.
_FLOCK = struct.Struct("hhqqi4x")

Mode = Literal["x", "s"]


class OverlapError(AssertionError):
    """Two holders at once."""


class Witness:
    """The witness file, as one process sees it; make one for each process, for closing it would free all its locks."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._mutex = threading.Lock()
        self._inside: dict[int, dict[str, Mode]] = {}

    def enter(self, number: int, mode: Mode, who: str) -> None:
        """Say that `who` holds lock `number` from now on.

        Raises:
            OverlapError: somebody else does as well.
        """
        with self._mutex:
            here = self._inside.setdefault(number, {})
            if here and "x" in {mode, *here.values()}:
                raise OverlapError(f"{who} ({mode}) is not alone: {here} of the same process, pid {os.getpid()}")
            if not here:
                self._take(number * _BYTES_PER_LOCK, mode, who)
            here[who] = mode
        if mode == "x":
            try:
                self.check_no_children(number, who)
            except OverlapError:
                self.leave(number, who)
                raise

    def leave(self, number: int, who: str) -> None:
        """Say that `who` does not hold lock `number` any more."""
        with self._mutex:
            here = self._inside[number]
            del here[who]
            if not here:
                fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, number * _BYTES_PER_LOCK)

    @contextlib.contextmanager
    def inside(self, number: int, mode: Mode, who: str) -> Generator[None]:
        """Hold the witness for the time of the block; afterwards no child of anybody is at work either."""
        self.enter(number, mode, who)
        try:
            yield
            if mode == "x":
                self.check_no_children(number, who)
        finally:
            self.leave(number, who)

    def check_no_children(self, number: int, who: str) -> None:
        """Insist that no program works under this lock at this moment; for its holder.

        Raises:
            OverlapError: one does.
        """
        found = self.child_at_work(number)
        if found is not None:
            raise OverlapError(f"{who} (x) is not alone: a child of an earlier holder, pid {found}, is at work")

    def child_at_work(self, number: int) -> int | None:
        """A program that works under this lock at this moment, if one does."""
        return self._holder(number * _BYTES_PER_LOCK + 1, fcntl.F_WRLCK)

    def device(self) -> str:
        """The file's device as `/proc/locks` writes it, which may be another than `stat` says."""
        fcntl.lockf(self._fd, fcntl.LOCK_SH, 1, _PROBE_BYTE)
        try:
            mine = (str(os.getpid()), str(os.fstat(self._fd).st_ino))
            for line in Path("/proc/locks").read_text("ascii").splitlines():
                fields = line.split()
                device, _, inode = fields[5].rpartition(":")
                if (fields[4], inode) == mine:
                    return device
        finally:
            fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, _PROBE_BYTE)
        raise AssertionError("the kernel does not list a lock that is held")

    @contextlib.contextmanager
    def working_for(self, number: int, parent: int) -> Generator[None]:
        """Be a child that works under a lock that the process `parent` took, whether or not that still lives.

        Raises:
            OverlapError: another process than the parent holds the lock, at the beginning or at the end.
        """
        who = f"the child {os.getpid()} of pid {parent}"
        self._take(number * _BYTES_PER_LOCK + 1, "s", who)
        try:
            self._check_holder(number, parent, who)
            yield
            self._check_holder(number, parent, who)
        finally:
            fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, number * _BYTES_PER_LOCK + 1)

    def _check_holder(self, number: int, parent: int, who: str) -> None:
        found = self._holder(number * _BYTES_PER_LOCK, fcntl.F_WRLCK)
        if found not in {None, parent}:
            raise OverlapError(f"{who} is at work while pid {found} holds the lock")

    def _take(self, at: int, mode: Mode, who: str) -> None:
        try:
            fcntl.lockf(self._fd, (fcntl.LOCK_EX if mode == "x" else fcntl.LOCK_SH) | fcntl.LOCK_NB, 1, at)
        except (BlockingIOError, PermissionError) as error:
            found = self._holder(at, fcntl.F_WRLCK)
            raise OverlapError(f"{who} ({mode}) in pid {os.getpid()} is not alone: pid {found}") from error

    def _holder(self, at: int, kind: int) -> int | None:
        """The process whose record lock would be in the way of one of this kind."""
        answer = fcntl.fcntl(self._fd, fcntl.F_GETLK, _FLOCK.pack(kind, os.SEEK_SET, at, 1, 0))
        found, _, _, _, pid = _FLOCK.unpack(answer)
        return None if found == fcntl.F_UNLCK else int(pid)
