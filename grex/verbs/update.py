"""`grex update`: a sync that resolves tags anew and, with `--force`, installs again what is installed already.

A sync keeps the commit that a tag was resolved to first; an update follows a tag that moved upstream. What somebody
changed by hand of an install is put right only with `--force`, and is kept beside, as `<name>.grex-bak.<utc>`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from grex.engine import Settings
from grex.errors import UsageError
from grex.verbs.sync import SyncReport, SyncRequest, sync

if TYPE_CHECKING:
    from grex.verbs.documents import UpdateDocument

__all__ = ["UpdateReport", "UpdateRequest", "update"]


class UpdateRequest(Struct, frozen=True):
    """What to update, and how.

    Attributes:
        sync: the sync to make of it; its `anew` and `reinstall` are the update's to say.
        force: run the installs of packs that have not changed as well, and replace what was changed by hand.
    """

    sync: SyncRequest
    force: bool = False


class UpdateReport(Struct, frozen=True):
    """What an update did: a sync's report, and whether installs were run again."""

    sync: SyncReport
    forced: bool

    @property
    def exit_code(self) -> int:
        """As a sync's."""
        return self.sync.exit_code

    def to_json(self) -> UpdateDocument:
        """The document of `--json`."""
        return {**self.sync.to_json(), "schema": "grex.update/1", "forced": self.forced}


async def update(request: UpdateRequest, settings: Settings) -> UpdateReport:
    """Update a workspace. Tiers, cancellation and failures: as `sync`.

    Raises:
        UsageError: installs are to be run again and left out at once, or a PACK argument means no pack.
        ManifestError: the root's pack.yaml, the log or the lockfile cannot be used; nothing was changed.
        LockError: the workspace could not be had.
    """
    if request.force and request.sync.no_install:
        raise UsageError("--force and --no-install exclude each other", hint="Give one of them.")
    wanted = replace(request.sync, anew=True, reinstall=request.force)
    return UpdateReport(await sync(wanted, settings), request.force)
