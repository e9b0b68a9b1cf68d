"""The lock of one pack: `<pack>/.grex-lock`, one inode for the life of the pack.

The file lies in a work tree, where `git clean -fdx` in a build hook may remove its name while somebody holds it. A new
file under that name would let a second holder in. So once the pack has a git directory of its own the file is
hard-linked as `<git dir>/grex-lock`, and that link is the truth:

- who opens the lock opens the kept link if there is one, else the name;
- who won it and finds the name missing restores it by a link, never by a new file;
- who won it and finds *another* file under the name (a copied directory, a stranger's `touch`) also locks that one, for
  somebody may hold it; if nobody does, the name is replaced by the link; if somebody does, that is contention.

The link is made by whoever wins the lock of a pack that has none yet, and by `PackHold.link_into` for a clone that is
about to be moved in. Only a real directory `.git` counts: a `.git` file leads to a directory that this room knows
nothing about, and a symlink may be shared by two packs.

A waiter whose pack was moved away in the meantime finds no directory, raises `PackGoneError` and creates nothing.

A pack without a git directory has the guard of all other lock files instead (`guard`), and the link is made under it.

Not protected: a pack whose git directory is removed together with its lock file while it is held.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from pathlib import Path
from typing import Self

from grex.errors import LockUnavailableError, PackGoneError
from grex.locks.cancel import CancelToken
from grex.locks.file_lock import acquire_in_task, acquire_in_thread, try_acquire
from grex.locks.hold import Hold
from grex.locks.kernel import EXCLUSIVE, OpenedFile, file_key, lock_failure, open_lock_file
from grex.locks.lock_paths import KEPT_LINK_NAME
from grex.locks.policy import WaitPolicy
from grex.locks.protocol import Verdict
from grex.locks.statistics import LockStatistics, lock_statistics
from grex.locks.target import Target, refuse_foreign_content
from grex.locks.tiers import Tier

__all__ = ["KEPT_LINK_NAME", "PACK_LOCK_FILE_NAME", "PackHold", "PackLock"]

PACK_LOCK_FILE_NAME = ".grex-lock"
_TEMPORARY_PREFIX = ".grex-tmp-"


class _PackLockFile:
    __slots__ = ("_git_dir", "_kept", "_pack", "path")

    def __init__(self, pack: str) -> None:
        self._pack = pack
        self._git_dir = f"{pack}/.git"
        self._kept = f"{pack}/.git/{KEPT_LINK_NAME}"
        self.path = f"{pack}/{PACK_LOCK_FILE_NAME}"

    def _has_git_dir(self) -> bool:
        try:
            return stat.S_ISDIR(os.lstat(self._git_dir).st_mode)
        except OSError:
            return False

    def is_there(self) -> bool:
        """Whether there is nothing to make: a regular file has the name. The acquire judges whether it will do."""
        try:
            return stat.S_ISREG(os.lstat(self.path).st_mode)
        except OSError:
            return False

    def open(self) -> OpenedFile:
        """Open the kept link or the name; create the file, but never the directory.

        Raises:
            PackGoneError: the directory is not there.
        """
        opened = open_lock_file(self._kept, create=False) if self._has_git_dir() else None
        if opened is not None:
            opened.path = self.path  # messages speak of the file that people see
            opened.was_kept = True
            return opened
        try:
            opened = open_lock_file(self.path, create=True)
        except FileNotFoundError as error:
            raise PackGoneError(
                f"The pack {self._pack} is gone: its directory is not there any more.",
                hint="It was removed or moved meanwhile; run the command again.",
                details={"path": self._pack},
            ) from error
        if opened is None:
            raise RuntimeError("a file was neither opened nor created, and no error was raised")
        return opened

    def is_current(self, opened: OpenedFile) -> bool:
        """Whether the kept link, or the name where there is none, leads to the file."""
        kept = file_key(self._kept) if self._has_git_dir() else None
        return (kept or file_key(self.path)) == opened.key

    def confirm(self, opened: OpenedFile) -> Verdict:
        """Compare name, kept link and descriptor, and heal what can be healed under the lock."""
        named = file_key(self.path)
        if opened.was_kept and named == opened.key == file_key(self._kept):
            opened.is_kept = True  # by far the most common case: it is what was opened, and all is well
            return Verdict.HELD
        kept = file_key(self._kept) if self._has_git_dir() else None
        if kept is None:
            return Verdict.HELD if named == opened.key else Verdict.REPLACED
        if kept != opened.key:
            return Verdict.REPLACED
        opened.is_kept = True
        if named == kept:
            return Verdict.HELD
        if named is None:
            return self._restore_name()
        return self._replace_name()

    def confirm_guarded(self, opened: OpenedFile) -> Verdict:
        """Make the link of a pack that has a git directory by now and no link.

        Under the guard, for the pack may be held by somebody who won it before it had a git directory, and whose file
        was swept away since: a link made without the guard would let everybody in who comes after it.
        """
        if self._has_git_dir():
            with contextlib.suppress(OSError):  # a file system without hard links has only the name
                os.link(self.path, self._kept, follow_symlinks=False)
        return self.confirm(opened)

    def _restore_name(self) -> Verdict:
        try:
            os.link(self._kept, self.path, follow_symlinks=False)
        except FileExistsError:
            return Verdict.REPLACED  # somebody else put a file there this very moment: judge again
        except OSError as error:
            raise lock_failure(self.path, error) from error
        return Verdict.HELD

    def _replace_name(self) -> Verdict:
        other = open_lock_file(self.path, create=False)
        if other is None:
            return Verdict.REPLACED
        try:
            if not EXCLUSIVE.try_lock(other.fd):
                return Verdict.BUSY
            refuse_foreign_content(other)
            temporary = f"{self._pack}/{_TEMPORARY_PREFIX}{secrets.token_hex(8)}"
            os.link(self._kept, temporary, follow_symlinks=False)
            os.rename(temporary, self.path)  # noqa: PTH104 - the same call as its neighbours
        except FileNotFoundError:
            return Verdict.REPLACED  # a `git clean` swept our link away before it had its name: judge again
        except OSError as error:
            raise lock_failure(self.path, error) from error
        finally:
            other.close()  # its lock was ours alone, and no child has the descriptor
        return Verdict.HELD


def _make_directory(pack: str) -> None:
    try:
        os.makedirs(pack, exist_ok=True)  # noqa: PTH103 - a string is what the calls beside it take
    except OSError as error:
        raise LockUnavailableError(
            f"The directory {pack} of the pack cannot be made: {error.strerror or error}.",
            path=pack,
            errno=error.errno,
            hint="Check who owns the directory in which it would lie, and that there is room and no file in its place.",
        ) from error


class PackHold(Hold):
    """A pack that is ours."""

    __slots__ = ()

    def link_into(self, git_dir: str | os.PathLike[str]) -> None:
        """Keep this lock's inode in a git directory, best in that of a clone *before* it is moved into the pack.

        Then there is no moment at which the pack has a git directory and no kept link.

        Raises:
            LockUnavailableError: another file stands under the link's name, or no link can be made.
        """
        self.require_active()
        opened = self._grant.opened
        kept = os.path.join(git_dir, KEPT_LINK_NAME)  # noqa: PTH118 - a string is what the calls below take
        try:
            os.link(self._grant.target.file.path, kept, follow_symlinks=False)
        except FileExistsError:
            pass  # judged below: it may be our own link
        except OSError as error:
            raise lock_failure(kept, error) from error
        if file_key(kept) != opened.key:
            raise LockUnavailableError(
                f"{kept} is another file than the lock of the pack {self.path}.",
                path=kept,
                errno=errno.EEXIST,
                hint="Remove it: grex keeps this name in a git directory for the pack's lock.",
            )


class PackLock:
    """The lock of one pack; reusable, takes nothing by itself."""

    __slots__ = ("_target",)

    def __init__(self, target: Target) -> None:
        self._target = target

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Make sure that the pack's directory and its lock file are there; truncates and takes nothing.

        Raises:
            LockUnavailableError: they cannot be made, or something else stands in their place.
        """
        given = os.fspath(path)
        pack = os.path.realpath(given)
        try:
            if os.path.islink(given) and not os.path.exists(given):  # noqa: PTH110, PTH114 - strings, as above
                raise FileNotFoundError(errno.ENOENT, "it is a symlink that leads nowhere", given)
            file = _PackLockFile(pack)
            if not file.is_there():
                _make_directory(pack)
                file.open().close()
        except OSError as error:
            raise lock_failure(given, error) from error
        return cls(Target(Tier.PACK, pack, file, EXCLUSIVE))

    @property
    def path(self) -> Path:
        """The canonical path of the pack."""
        return Path(self._target.subject)

    def statistics(self) -> LockStatistics:
        """How much the lock is asked for at this moment; takes nothing, reads the kernel's list of locks."""
        return lock_statistics(self._target)

    async def acquire_async(self, policy: WaitPolicy | None = None) -> PackHold:
        """Wait for the pack and hold it.

        Tier: PACK. Cancellation: nothing is held afterwards, and nothing of the wait survives.

        Raises:
            LockBusyError: this task or an ancestor holds the pack (`reentrant`), or it is not free and must not wait.
            LockTimeoutError: it did not come free in time.
            LockDeadlockError: its holder waits for this process.
            LockUnavailableError: the lock file cannot be opened or locked.
            PackGoneError: the pack's directory vanished.
            TierOrderError: a tier is held that is not below PACK.
        """
        return PackHold(await acquire_in_task(self._target, policy))

    async def acquire_cancellable(self, token: CancelToken, policy: WaitPolicy | None = None) -> PackHold:
        """Wait for the pack until the token fires; as `acquire_async` otherwise.

        Raises:
            LockCancelledError: the token fired, before the call or during the wait; a free lock is not taken either.
        """
        return PackHold(await acquire_in_task(self._target, policy, token))

    def try_acquire(self) -> PackHold:
        """Hold the pack if it is free.

        Raises:
            LockBusyError: it is not; the error says who holds it.
        """
        return PackHold(try_acquire(self._target))

    def acquire(self, timeout_s: float | None = None) -> PackHold:
        """Wait in the calling thread, which must not run an event loop.

        Raises:
            RuntimeError: it does.
            LockTimeoutError: the pack did not come free in time.
        """
        return PackHold(acquire_in_thread(self._target, WaitPolicy(timeout_s=timeout_s)))
