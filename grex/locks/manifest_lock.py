"""The lock of what is declared and recorded: root pack.yaml, log and lockfile. File: `<workspace>/.grex.jsonl.lock`.

Readers share it, a writer has it alone, and a writer that waits is not starved by readers who keep coming: within a
process by the order of the path mutex, between processes by the turnstile that `kernel` describes.

A reader opens an existing lock file for reading only, so a workspace on read-only media can be looked at. Where the
file is not there either (a fresh clone of the workspace, mounted read-only) a reader cannot make it, and `is_untouched`
is how it knows that nobody wrote: a writer makes the file before it writes, and the file stays. Untouched before and
after the reading means untouched in between.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from grex.locks.file_lock import acquire_in_task
from grex.locks.guard import is_guarded
from grex.locks.hold import Hold
from grex.locks.kernel import READERS, WRITER, Mode, OpenedFile, lock_failure, open_lock_file
from grex.locks.policy import WaitPolicy
from grex.locks.statistics import LockStatistics, lock_statistics
from grex.locks.target import PlainLockFile, Target
from grex.locks.tiers import Tier

__all__ = ["MANIFEST_LOCK_FILE_NAME", "ManifestHold", "ManifestLock"]

MANIFEST_LOCK_FILE_NAME = ".grex.jsonl.lock"
_LOG_NAME = "grex.jsonl"


class _ReadersFile(PlainLockFile):
    __slots__ = ("_may_create",)

    def __init__(self, path: str, *, may_create: bool) -> None:
        super().__init__(path)
        self._may_create = may_create

    def open(self) -> OpenedFile:
        """Open the file for reading; create it only if it is missing and may be created."""
        opened = open_lock_file(self.path, create=False, read_only=True)
        if opened is not None:
            return opened
        if not self._may_create:
            raise lock_failure(self.path, FileNotFoundError(errno.ENOENT, "it is not there", self.path))
        return super().open()


class ManifestHold(Hold):
    """The manifest, for reading or for writing."""

    __slots__ = ()

    @property
    def mode(self) -> Mode:
        """`x` for a writer, `s` for a reader."""
        return self._grant.target.kernel.mode


class ManifestLock:
    """The lock of the manifest of the workspace whose root directory is `path`."""

    __slots__ = ("_lock_path", "_root")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._root = os.path.realpath(path)
        self._lock_path = f"{self._root}/{MANIFEST_LOCK_FILE_NAME}"

    @property
    def path(self) -> Path:
        """The canonical path of the log, which stands for all that the lock protects."""
        return Path(self._root, _LOG_NAME)

    def is_untouched(self) -> bool:
        """Whether nobody of this machine writes now: the lock was never taken, or its file went when nobody held it."""
        try:
            os.lstat(self._lock_path)
        except FileNotFoundError:
            return not is_guarded(self._lock_path)
        except OSError:
            pass  # it cannot be told
        return False

    def statistics(self) -> LockStatistics:
        """How much the lock is asked for at this moment; takes nothing, reads the kernel's list of locks."""
        file = PlainLockFile(self._lock_path)
        return lock_statistics(Target(Tier.MANIFEST, str(self.path), file, READERS, workspace=self._root))

    async def acquire_shared(self, policy: WaitPolicy | None = None, *, create: bool = True) -> ManifestHold:
        """Wait until nobody writes, and hold the manifest together with other readers.

        Tier: MANIFEST. Cancellation: nothing is held afterwards, and nothing of the wait survives.

        Args:
            policy: How to wait.
            create: Whether a missing lock file may be created. A command that must write nothing says no.

        Raises:
            LockBusyError: this task or an ancestor holds it (`reentrant`), or it is not free and must not wait.
            LockTimeoutError: it did not come free in time.
            LockDeadlockError: this command was started by one that holds it.
            LockUnavailableError: the lock file cannot be opened or locked, or is missing (errno ENOENT).
            TierOrderError: a manifest of another workspace is held.
        """
        file = _ReadersFile(self._lock_path, may_create=create)
        target = Target(Tier.MANIFEST, str(self.path), file, READERS, workspace=self._root)
        return ManifestHold(await acquire_in_task(target, policy))

    async def acquire_exclusive(self, policy: WaitPolicy | None = None) -> ManifestHold:
        """Wait until nobody reads or writes, and hold the manifest alone.

        Tier: MANIFEST. Cancellation: nothing is held afterwards, and nothing of the wait survives.

        Raises:
            LockBusyError: this task or an ancestor holds it (`reentrant`), or it is not free and must not wait.
            LockTimeoutError: it did not come free in time.
            LockDeadlockError: this command was started by one that holds it.
            LockUnavailableError: the lock file cannot be opened or locked.
            TierOrderError: a manifest of another workspace is held.
        """
        file = PlainLockFile(self._lock_path)
        target = Target(Tier.MANIFEST, str(self.path), file, WRITER, workspace=self._root)
        return ManifestHold(await acquire_in_task(target, policy))
