"""`grex locks`: who holds which lock of this workspace and who waits for it, in order.

Takes nothing, opens nothing for writing, makes nothing, and needs no answer from anybody.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from msgspec import Struct

from grex.engine import Settings, find_lock_files
from grex.errors import GrexError
from grex.locks import LockInfo, inspect_locks
from grex.verbs.report import exit_code_of, failure_json
from grex.workspace import Layout

if TYPE_CHECKING:
    from grex.verbs.documents import LockObject, LocksDocument

__all__ = ["LocksReport", "LocksRequest", "locks"]


class LocksRequest(Struct, frozen=True):
    """Which workspace to look at."""

    root: Path


class LocksReport(Struct, frozen=True):
    """The locks that are held now, and what else there is to say of locks.

    Attributes:
        root: The workspace.
        held: The locks that are held, with their holders and their queues.
        others: Locks that nobody holds, or of which it cannot be told, and that have a queue, a note left behind or a
            file that cannot be used.
        errors: What is declared or recorded and could not be read, so that there may be more locks than these.
    """

    root: Path
    held: tuple[LockInfo, ...]
    others: tuple[LockInfo, ...] = ()
    errors: tuple[GrexError, ...] = ()

    @property
    def exit_code(self) -> int:
        """0, or what the errors come to: then the answer may lack something."""
        return exit_code_of(self.errors)

    def to_json(self) -> LocksDocument:
        """The document of `--json`."""
        return {
            "schema": "grex.locks/1",
            "workspace": str(self.root),
            "exit_code": self.exit_code,
            "held": [cast("LockObject", info.to_json()) for info in self.held],
            "others": [cast("LockObject", info.to_json()) for info in self.others],
            "errors": [failure_json(error) for error in self.errors],
        }


async def locks(request: LocksRequest, settings: Settings) -> LocksReport:
    """Look at every lock of a workspace. Tier: none."""
    files = find_lock_files(Layout(request.root), settings.platform)
    found = inspect_locks(files.places)
    return LocksReport(
        request.root,
        held=tuple(info for info in found if info.held),
        others=tuple(info for info in found if not info.held and info.is_noteworthy),
        errors=files.errors,
    )
