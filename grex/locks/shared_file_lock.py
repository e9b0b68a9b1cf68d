"""The lock of one file that several workspaces write to: a shell's startup file, or a repository's `info/exclude`.

The lock file of the first is `<state directory>/files/<hash of the file's real path>.lock`, since beside the file it
would be litter in somebody's home. That of the second lies in the git directory, where everybody finds it who writes.
The tier is that of the manifest, the last one: who holds it waits for nothing, and who waits for it holds neither the
manifest nor another such file. A run with another state directory is not kept out of the first kind.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Self

from grex.locks.file_lock import acquire_in_task
from grex.locks.hold import Hold
from grex.locks.kernel import EXCLUSIVE, lock_failure
from grex.locks.policy import WaitPolicy
from grex.locks.target import PlainLockFile, Target
from grex.locks.tiers import Tier

__all__ = ["SharedFileHold", "SharedFileLock"]

_DIRECTORY = "files"
_NAME_DIGITS = 32


class SharedFileHold(Hold):
    """A file that nobody else writes to meanwhile."""

    __slots__ = ()


class SharedFileLock:
    """The lock of one file."""

    __slots__ = ("_target",)

    def __init__(self, target: Target) -> None:
        self._target = target

    @classmethod
    def for_file(cls, path: str | os.PathLike[str], state_dir: Path) -> Self:
        """The lock of the file at `path`, which need not exist; symlinks are followed, so that aliases share it."""
        real = os.path.realpath(path)
        name = hashlib.sha256(os.fsencode(real)).hexdigest()[:_NAME_DIGITS]
        file = PlainLockFile(f"{os.path.realpath(state_dir)}/{_DIRECTORY}/{name}.lock")
        return cls(Target(Tier.MANIFEST, real, file, EXCLUSIVE, noun="file"))

    @classmethod
    def at(cls, lock_file: Path, *, protects: Path) -> Self:
        """The lock of a file whose lock file has a place of its own; its directory is made if it is missing."""
        return cls(
            Target(Tier.MANIFEST, os.path.realpath(protects), PlainLockFile(str(lock_file)), EXCLUSIVE, noun="file")
        )

    @property
    def path(self) -> Path:
        """The canonical path of the file that is protected."""
        return Path(self._target.subject)

    async def acquire_async(self, policy: WaitPolicy | None = None) -> SharedFileHold:
        """Wait for the file and hold it.

        Tier: MANIFEST. Cancellation: nothing is held afterwards, and nothing of the wait survives.

        Raises:
            LockBusyError: this task or an ancestor holds it (`reentrant`), or it is not free and must not wait.
            LockTimeoutError: it did not come free in time.
            LockUnavailableError: the lock file cannot be made, opened or locked.
            TierOrderError: the manifest or another such file is held.
        """
        directory = Path(self._target.file.path).parent
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise lock_failure(self._target.file.path, error) from error
        return SharedFileHold(await acquire_in_task(self._target, policy))
