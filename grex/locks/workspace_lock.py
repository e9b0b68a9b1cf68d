"""The lock of a whole workspace: one changing verb at a time. File: `<workspace>/.grex.sync.lock`."""

from __future__ import annotations

import os
from pathlib import Path

from grex.locks.file_lock import acquire_in_task, try_acquire
from grex.locks.hold import Hold
from grex.locks.kernel import EXCLUSIVE
from grex.locks.policy import WaitPolicy
from grex.locks.run_context import set_verb
from grex.locks.statistics import LockStatistics, lock_statistics
from grex.locks.target import PlainLockFile, Target
from grex.locks.tiers import Tier

__all__ = ["WORKSPACE_LOCK_FILE_NAME", "WorkspaceHold", "WorkspaceLock"]

WORKSPACE_LOCK_FILE_NAME = ".grex.sync.lock"


class WorkspaceHold(Hold):
    """A workspace that is ours."""

    __slots__ = ()


class WorkspaceLock:
    """The lock of the workspace whose root directory is `path`."""

    __slots__ = ("_target",)

    def __init__(self, path: str | os.PathLike[str]) -> None:
        root = os.path.realpath(path)
        file = PlainLockFile(f"{root}/{WORKSPACE_LOCK_FILE_NAME}")
        self._target = Target(Tier.WORKSPACE, root, file, EXCLUSIVE, workspace=root)

    @property
    def path(self) -> Path:
        """The canonical root of the workspace."""
        return Path(self._target.subject)

    def statistics(self) -> LockStatistics:
        """How much the lock is asked for at this moment; takes nothing, reads the kernel's list of locks."""
        return lock_statistics(self._target)

    async def acquire_async(self, policy: WaitPolicy | None = None, *, verb: str | None = None) -> WorkspaceHold:
        """Wait for the workspace and hold it; `verb` is what holder records of this task say from now on.

        Tier: WORKSPACE. Cancellation: nothing is held afterwards, and nothing of the wait survives.

        Raises:
            LockBusyError: this task or an ancestor holds it (`reentrant`), or it is not free and must not wait.
            LockTimeoutError: it did not come free in time.
            LockDeadlockError: this command was started by one that holds it.
            LockUnavailableError: the lock file cannot be opened or locked.
            TierOrderError: another tier is held.
        """
        if verb is not None:
            set_verb(verb)
        return WorkspaceHold(await acquire_in_task(self._target, policy))

    def try_acquire(self) -> WorkspaceHold:
        """Hold the workspace if it is free.

        Raises:
            LockBusyError: it is not; the error says who holds it.
        """
        return WorkspaceHold(try_acquire(self._target))
