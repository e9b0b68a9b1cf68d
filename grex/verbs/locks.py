"""`grex locks`: who holds which lock of this workspace and who waits for it, in order.

Takes nothing, opens nothing for writing, makes nothing, and needs no answer from anybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from grex.engine import Settings, survey
from grex.errors import GrexError
from grex.fs import canonical
from grex.locks import LockInfo, Tier, inspect_locks
from grex.names import PACK_LOCK_NAME
from grex.workspace import Layout, backend_lock_for

if TYPE_CHECKING:
    from grex.verbs.documents import LockObject, LocksDocument

__all__ = ["LocksReport", "LocksRequest", "locks"]


@dataclass(frozen=True, slots=True)
class LocksRequest:
    """Which workspace to look at."""

    root: Path


@dataclass(frozen=True, slots=True)
class LocksReport:
    """The locks that are held now, and what else there is to say of locks.

    Attributes:
        root: The workspace.
        held: The locks that are held, with their holders and their queues.
        others: Locks that nobody holds, or of which it cannot be told, and that have a queue or a note left behind.
        exit_code: What the command ends with.
    """

    root: Path
    held: tuple[LockInfo, ...]
    others: tuple[LockInfo, ...] = ()
    exit_code: int = 0

    def to_json(self) -> LocksDocument:
        """The document of `--json`."""
        return {
            "schema": "grex.locks/1",
            "workspace": str(self.root),
            "exit_code": self.exit_code,
            "held": [cast("LockObject", info.to_json()) for info in self.held],
            "others": [cast("LockObject", info.to_json()) for info in self.others],
        }


async def locks(request: LocksRequest, settings: Settings) -> LocksReport:
    """Look at every lock of a workspace. Tier: none."""
    layout = Layout(request.root)
    wanted: list[tuple[Tier, Path]] = [(Tier.WORKSPACE, layout.workspace_lock), (Tier.MANIFEST, layout.manifest_lock)]
    try:
        paths = [node.path for node in survey(layout, settings.platform).nodes()]
    except GrexError:
        paths = []  # broken declarations must not hide who holds the workspace
    for path in (".", *paths):
        root = layout.root if path == "." else layout.pack_dir(path)
        wanted.append((Tier.PACK, root / PACK_LOCK_NAME))
        if path != ".":
            wanted.append((Tier.BACKEND, backend_lock_for(canonical(root))))
    found = inspect_locks(wanted)
    return LocksReport(
        request.root,
        held=tuple(info for info in found if info.held),
        others=tuple(info for info in found if not info.held and info.is_noteworthy),
    )
