"""The lock of one mirror in the shared cache of objects: `<mirror>.lock`, beside it.

Its tier is that of the manifest, the last one, so it is taken while PACK and BACKEND of a checkout are held, and
whoever holds it takes no further lock: what it may wait for is git and the network. Everybody who waits for it
therefore waits for somebody who gets on without them. Like BACKEND it is inherited by the git processes that write to
the mirror, so a grex that is killed alone leaves it held until they have ended.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

from grex.locks.file_lock import acquire_in_task, try_acquire
from grex.locks.hold import InheritedHold
from grex.locks.kernel import EXCLUSIVE, lock_failure
from grex.locks.policy import WaitPolicy
from grex.locks.target import PlainLockFile, Target
from grex.locks.tiers import Tier

__all__ = ["MirrorHold", "MirrorLock"]


class MirrorHold(InheritedHold):
    """A mirror that nobody else reads or changes meanwhile."""

    __slots__ = ()


class MirrorLock:
    """The lock of one mirror."""

    __slots__ = ("_target",)

    def __init__(self, target: Target) -> None:
        self._target = target

    @classmethod
    def for_mirror(cls, path: str | os.PathLike[str]) -> Self:
        """The lock of the mirror at `path`, which need not exist; symlinks are followed, so that aliases share it."""
        real = os.path.realpath(path)
        return cls(Target(Tier.MANIFEST, real, PlainLockFile(f"{real}.lock"), EXCLUSIVE, noun="mirror"))

    @property
    def path(self) -> Path:
        """The canonical path of the mirror."""
        return Path(self._target.subject)

    async def acquire_async(self, policy: WaitPolicy | None = None) -> MirrorHold:
        """Wait for the mirror and hold it.

        Tier: MANIFEST. Cancellation: nothing is held afterwards, and nothing of the wait survives.

        Raises:
            LockBusyError: this task or an ancestor holds it (`reentrant`), or it is not free and must not wait.
            LockTimeoutError: it did not come free in time.
            LockUnavailableError: the lock file or its directory cannot be made, opened or locked.
            TierOrderError: the manifest, a shared file or another mirror is held.
        """
        self._make_directory()
        return MirrorHold(await acquire_in_task(self._target, policy))

    def try_acquire(self) -> MirrorHold:
        """Hold the mirror if it is free.

        Raises:
            LockBusyError: it is not; the error says who holds it.
            LockUnavailableError: as `acquire_async`.
        """
        self._make_directory()
        return MirrorHold(try_acquire(self._target))

    def _make_directory(self) -> None:
        directory = self.path.parent
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise lock_failure(self._target.file.path, error) from error
