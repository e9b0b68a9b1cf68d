"""What is held, and the one way to give it up.

A `Grant` is what is held; a `Hold` is the user's handle on it. They are two objects because the grant is referenced by
the registry of live grants, and the handle must not be: its collection is how a forgotten release is noticed.

Release is the reverse of acquire: the record is blanked, the kernel's lock freed, the path mutex passed on, the tier
frame ended. Each step is taken whatever happened to the one before it, none of them waits, and taking the grant out of
the registry is a single step; so a release may be called twice, from another thread, by a finaliser or by a signal
handler. A forked child starts with no grants at all.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from pathlib import Path
from types import TracebackType
from typing import Self

from grex.errors import LockInheritedError, TierOrderError
from grex.locks.holder import empty_record
from grex.locks.inheritance import on_fork
from grex.locks.kernel import KernelLock, OpenedFile
from grex.locks.line import first_in_line
from grex.locks.path_mutex import PATH_MUTEXES, Ticket
from grex.locks.target import Target
from grex.locks.tiers import Frame, Tier, leave_tier, start_generation
from grex.locks.trace import AttemptTrace

__all__ = ["Grant", "Hold", "InheritedHold", "give_up", "unlock"]


class Grant:
    """A lock that is held."""

    __slots__ = ("frame", "opened", "pid", "target", "ticket", "trace")

    def __init__(self, target: Target, opened: OpenedFile, ticket: Ticket, frame: Frame, trace: AttemptTrace) -> None:
        self.target = target
        self.opened = opened
        self.ticket = ticket
        self.frame = frame
        self.trace = trace
        self.pid = os.getpid()
        _live[id(self)] = self

    @property
    def active(self) -> bool:
        """Whether it is still held, in this process."""
        return id(self) in _live and self.pid == os.getpid()

    def check_process(self) -> None:
        """Refuse to be used in a forked child.

        Raises:
            LockInheritedError: this is one.
        """
        if self.pid != os.getpid():
            raise LockInheritedError(
                f"The hold on {self.target.name()} belongs to pid {self.pid} and was used in its forked child.",
                hint="A fork inherits no locks: take the lock anew in the child.",
                details={"path": self.target.subject, "pid": self.pid},
            )

    def release(self) -> None:
        """Give the lock up: record, kernel lock, path mutex, tier frame; once, however often it is called.

        Raises:
            LockInheritedError: this is a forked child.
            TierOrderError: a lock inside of this one is still held; this one was released all the same.
        """
        self.check_process()
        if _live.pop(id(self), None) is None:
            return  # taking it out is a single step, so of two threads only one comes past here
        self.trace.release()
        error: TierOrderError | None = None
        try:
            if self.target.kernel.mode == "x":
                empty_record(self.opened)
        finally:
            error = give_up(self.target.kernel, self.opened, self.ticket, self.frame, is_locked=True)
        if error is not None:
            raise error


_live: dict[int, Grant] = {}


def _start_child() -> None:
    _live.clear()
    PATH_MUTEXES.start_over()
    start_generation()


on_fork(_start_child)


def unlock(kernel: KernelLock, opened: OpenedFile) -> None:
    """Free the guard and the kernel's lock, and touch the file if anybody queues; its descriptor stays open."""
    opened.drop_guard()  # first: who finds the lock free must not find the guard taken
    with contextlib.suppress(OSError):  # closing follows, and frees the lock as well
        kernel.unlock(opened.fd)
    with contextlib.suppress(OSError):
        if opened.has_line and first_in_line(opened.fd) is not None:
            os.utime(opened.fd)  # the event for the head of the line, which has taken its ticket before it tried


def give_up(
    kernel: KernelLock, opened: OpenedFile | None, ticket: Ticket | None, frame: Frame | None, *, is_locked: bool
) -> TierOrderError | None:
    """The one way down, for releases and for attempts that end without a hold."""
    try:
        if opened is not None:
            if is_locked:
                unlock(kernel, opened)
            opened.close()
    finally:
        try:
            if ticket is not None:
                PATH_MUTEXES.leave(ticket)
        finally:
            error = None if frame is None else leave_tier(frame)
    return error


class Hold:
    """The time during which a lock is ours; a context manager, plain and async.

    One that is collected while it is active gives the lock back, with a `ResourceWarning` that says where it was taken.
    """

    __slots__ = ("__weakref__", "_grant")

    def __init__(self, grant: Grant) -> None:
        self._grant = grant

    @property
    def path(self) -> Path:
        """The canonical path of what is locked."""
        return Path(self._grant.target.subject)

    @property
    def tier(self) -> Tier:
        """The tier that is held."""
        return self._grant.target.tier

    @property
    def active(self) -> bool:
        """Whether the lock is still held, in this process."""
        return self._grant.active

    def release(self) -> None:
        """Give the lock up; once or many times.

        Raises:
            LockInheritedError: this is a forked child of the holder.
            TierOrderError: a lock inside of this one is still held; this one was released all the same.
        """
        self._grant.release()

    def require_active(self) -> None:
        """Refuse to go on without the lock.

        Raises:
            LockInheritedError: this is a forked child of the holder.
            RuntimeError: the lock was released.
        """
        self._grant.check_process()
        if not self._grant.active:
            raise RuntimeError(f"the hold on {self._grant.target.name()} was used after its release")

    def __enter__(self) -> Self:
        """Enter a hold that is active."""
        self.require_active()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Release it."""
        self.release()

    async def __aenter__(self) -> Self:
        """Enter a hold that is active."""
        self.require_active()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Release it."""
        self.release()  # nothing to wait for, so nothing that a cancellation could interrupt

    def __del__(self) -> None:
        """Free a hold that was forgotten, and say so."""
        grant = getattr(self, "_grant", None)
        if grant is None or not grant.active:
            return
        with contextlib.suppress(TierOrderError):
            grant.release()
        warnings.warn(
            f"{grant.frame.describe()} was never released; it was freed when its hold was collected",
            ResourceWarning,
            stacklevel=2,
            source=self,
        )


class InheritedHold(Hold):
    """A hold that the git children which write inherit: a grex that is killed alone leaves it held until they end."""

    __slots__ = ()

    @property
    def fd(self) -> int:
        """The descriptor for `pass_fds` of these children.

        Raises:
            LockInheritedError: this is a forked child of the holder.
            RuntimeError: the lock was released; the number may be another file by now.
        """
        self.require_active()
        return self._grant.opened.fd
