"""What is locked and how: the lock file, the kernel's lock on it, its tier, and the thing that it stands for."""

from __future__ import annotations

import os
from typing import Protocol

from msgspec import Struct

from grex.errors import LockUnavailableError
from grex.locks.holder import MAX_RECORD_BYTES, is_foreign
from grex.locks.kernel import KernelLock, OpenedFile, lock_failure, open_lock_file
from grex.locks.protocol import Verdict
from grex.locks.tiers import Tier

__all__ = ["LockFile", "PlainLockFile", "Target", "refuse_foreign_content"]

_NOUNS = {Tier.WORKSPACE: "workspace", Tier.PACK: "pack", Tier.BACKEND: "checkout", Tier.MANIFEST: "manifest"}


class LockFile(Protocol):
    """Where the file of a lock is, and whether an opened one is the right one."""

    @property
    def path(self) -> str:
        """The path of the lock file."""

    def open(self) -> OpenedFile:
        """Open the file, creating it if it may be created."""

    def is_current(self, opened: OpenedFile) -> bool:
        """Whether an opened file, whose lock somebody else has, is what would be opened now."""

    def confirm(self, opened: OpenedFile) -> Verdict:
        """Judge a file whose kernel lock was just granted; says in `is_kept` if a second link keeps the inode."""

    def confirm_guarded(self, opened: OpenedFile) -> Verdict:
        """Judge it once more when its guard was taken too, and make the link that keeps it from now on."""


class PlainLockFile:
    """A lock file that is one name and nothing else."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    def open(self) -> OpenedFile:
        """Open the file, and create it if it is missing."""
        try:
            opened = open_lock_file(self.path, create=True)
        except FileNotFoundError as error:
            raise lock_failure(self.path, error) from error
        if opened is None:
            raise RuntimeError("a file was neither opened nor created, and no error was raised")
        return opened

    def is_current(self, opened: OpenedFile) -> bool:
        """Whether the name still leads to the file."""
        return opened.is_still_at(self.path)

    def confirm(self, opened: OpenedFile) -> Verdict:
        """Whether the name still leads to the file."""
        return Verdict.HELD if opened.is_still_at(self.path) else Verdict.REPLACED

    def confirm_guarded(self, opened: OpenedFile) -> Verdict:
        """The same: who looked for the guard before it was taken found a file that had the name before."""
        return self.confirm(opened)


def refuse_foreign_content(opened: OpenedFile) -> None:
    """Refuse a file that holds something else than a record: writing ours would destroy it.

    Raises:
        LockUnavailableError: it does.
    """
    try:
        # The size too is as it is now: a holder may have died and left a record since the file was opened.
        content = os.pread(opened.fd, MAX_RECORD_BYTES + 1, 0)
    except OSError as error:
        raise lock_failure(opened.path, error) from error
    opened.size = len(content)
    if content and is_foreign(content):
        raise LockUnavailableError(
            f"{opened.path} should be a lock file and holds content that is not grex's.",
            path=opened.path,
            errno=None,
            hint="Move the file away, also out of a repository that tracks it: grex keeps this name for itself.",
        )


class Target(Struct, frozen=True):
    """What is locked, and how."""

    tier: Tier
    subject: str  # the canonical path of the thing, for messages, trace and nested commands
    file: LockFile
    kernel: KernelLock
    workspace: str | None = None
    noun: str | None = None  # what the thing is called, where the tier does not say it

    def name(self) -> str:
        """The thing, as messages call it."""
        return f"{self.noun or _NOUNS[self.tier]} {self.subject}"
