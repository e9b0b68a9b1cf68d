"""The lock of one checkout against git: `<parent>/.<name>.grex-backend.lock`, beside the checkout, never in it.

It is the one lock whose descriptor git inherits: when grex alone is killed, its git children go on writing, and the
kernel keeps the lock until the last of them has ended. Pass `BackendHold.fd` to children that write by `pass_fds` and
nowhere else: that makes it inheritable in the child only, while the descriptor of this process stays close-on-exec.
On the normal path all children have ended before the release, which unlocks for them too.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

from grex.locks.file_lock import acquire_in_task, try_acquire
from grex.locks.hold import InheritedHold
from grex.locks.kernel import EXCLUSIVE
from grex.locks.policy import WaitPolicy
from grex.locks.statistics import LockStatistics, lock_statistics
from grex.locks.target import PlainLockFile, Target
from grex.locks.tiers import Tier

__all__ = ["BACKEND_LOCK_SUFFIX", "BackendHold", "BackendLock", "backend_lock_path"]

BACKEND_LOCK_SUFFIX = ".grex-backend.lock"


def backend_lock_path(checkout: str | os.PathLike[str]) -> Path:
    """Where the lock file of a checkout lies."""
    real = Path(os.path.realpath(checkout))
    return real.parent / f".{real.name}{BACKEND_LOCK_SUFFIX}"


class BackendHold(InheritedHold):
    """A checkout that git may write to."""

    __slots__ = ()


class BackendLock:
    """The lock of one checkout."""

    __slots__ = ("_target",)

    def __init__(self, target: Target) -> None:
        self._target = target

    @classmethod
    def for_checkout(cls, real_dir: str | os.PathLike[str]) -> Self:
        """The lock of the checkout in `real_dir`; symlinks are followed, so that aliases share it."""
        path = backend_lock_path(real_dir)
        file = PlainLockFile(str(path))
        return cls(Target(Tier.BACKEND, os.path.realpath(real_dir), file, EXCLUSIVE))

    @property
    def path(self) -> Path:
        """The canonical path of the checkout."""
        return Path(self._target.subject)

    def statistics(self) -> LockStatistics:
        """How much the lock is asked for at this moment; takes nothing, reads the kernel's list of locks."""
        return lock_statistics(self._target)

    async def acquire_async(self, policy: WaitPolicy | None = None) -> BackendHold:
        """Wait for the checkout and hold it.

        Tier: BACKEND. Cancellation: nothing is held afterwards, and nothing of the wait survives.

        Raises:
            LockBusyError: this task or an ancestor holds it (`reentrant`), or it is not free and must not wait.
            LockTimeoutError: it did not come free in time.
            LockDeadlockError: its holder waits for this process.
            LockUnavailableError: the lock file cannot be opened or locked.
            TierOrderError: a tier is held that is not below BACKEND.
        """
        return BackendHold(await acquire_in_task(self._target, policy))

    def try_acquire(self) -> BackendHold:
        """Hold the checkout if it is free.

        Raises:
            LockBusyError: it is not; the error says who holds it.
        """
        return BackendHold(try_acquire(self._target))
