"""`grex fork rm DIR`: takes a fork away, if nothing would be lost with it; with `--force`, keeping what would.

Recipe: find the record, hold the fork's WORKSPACE, look into every pack, refuse or remove, report. How, says
`grex.engine.unforking`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from grex.engine import Session, Settings
from grex.engine.fork_places import located
from grex.engine.fork_work import ForkWork, fork_state, look_into
from grex.engine.holds import Holds
from grex.engine.reforking import fork_coming_back
from grex.engine.unforking import Removal, remove_fork
from grex.errors import PackError, UsageError
from grex.fs import canonical
from grex.manifest import ForkRecord, read_fork_records
from grex.verbs.fork import home_of
from grex.verbs.fork_ls import work_json
from grex.verbs.report import exit_code_of, failure_json

if TYPE_CHECKING:
    from grex.verbs.documents import ForkRemovalDocument

__all__ = ["ForkRemovalReport", "ForkRemovalRequest", "fork_rm"]


class ForkRemovalRequest(Struct, frozen=True):
    """Which fork to remove; `force` also one with work in it, which is kept."""

    root: Path
    directory: Path
    force: bool = False


class ForkRemovalReport(Struct, frozen=True):
    """What became of a fork.

    Attributes:
        root: the workspace that has, or had, the record.
        directory: where the fork is, or was.
        is_removed: whether it is gone, its record with it.
        packs: what there was in each; where it was refused, those for which.
        removal: what is kept of it, and what could not be done.
        text: why nothing was done, or what was left.
    """

    root: Path
    directory: Path
    is_removed: bool
    packs: tuple[ForkWork, ...]
    removal: Removal
    text: str = ""

    @property
    def hint(self) -> str | None:
        """What to do where it was left as it is; None where it was not."""
        if self.is_removed:
            return None
        if self.removal.errors:
            return "The same command goes on with it."
        for pack in self.packs:
            if pack.is_refused:  # by force as well, so that it is no way
                return f"See to {pack.path} first, then remove the fork."
        return "Commit and merge it, or keep it and remove the fork all the same with --force."

    @property
    def exit_code(self) -> int:
        """0; 4 where it was refused, or something could not be done."""
        return exit_code_of(self.removal.errors.values()) or (0 if self.is_removed else PackError.exit_code)

    def to_json(self) -> ForkRemovalDocument:
        """The document of `--json`."""
        removal = self.removal
        return {
            "schema": "grex.fork-rm/1",
            "workspace": str(self.root),
            "directory": str(self.directory),
            "removed": self.is_removed,
            "exit_code": self.exit_code,
            "packs": [work_json(pack) for pack in self.packs],
            "kept_branches": dict(sorted(removal.kept_branches.items())),
            "rescue_refs": {path: list(refs) for path, refs in sorted(removal.rescues.items())},
            "trash": None if removal.trash is None else str(removal.trash),
            "errors": [failure_json(removal.errors[path]) for path in sorted(removal.errors)],
            "text": self.text,
            "hint": self.hint,
        }


async def fork_rm(request: ForkRemovalRequest, settings: Settings) -> ForkRemovalReport:
    """Remove a fork.

    Tiers: the fork's WORKSPACE; for each pack PERMIT and PACK while it is looked at, BACKEND while git forgets it.
    Cancellation: the fork is there as a whole or not at all; the same call again goes on.

    Raises:
        UsageError: no fork of this workspace is there.
        LockError: the fork's workspace could not be had.
        PackError: it could not be moved away.
    """
    session = Session.open(request.root, settings)
    home = Session.open(home_of(session).root, settings)
    directory = canonical(request.directory.parent) / request.directory.name
    records = [located(home.layout, one) for one in read_fork_records(home.layout.state_dir)[0]]
    places = {str(directory), str(canonical(directory))}
    record = next((record for record in records if record.directory in places), None)
    if record is None:
        raise UsageError(
            f"{request.directory} is no fork of {home.layout.root}", hint="`grex fork ls` lists the forks."
        )
    stamp = fork_coming_back(home, Path(record.directory))
    if stamp is not None:
        raise PackError(
            f"the fork {record.directory} was being brought back from the trash when that was killed",
            hint="`grex doctor --fix` in the workspace goes on with it; then remove it.",
            details={"trash": stamp},
        )
    if fork_state(record)[0] not in ("ok", "making", "removing") or not os.path.lexists(record.directory):
        return await _remove(home, record, request, None)
    fork = Session.open(Path(record.directory), settings)
    async with fork.holds.workspace():
        return await _remove(home, record, request, fork.holds)


async def _remove(
    home: Session, record: ForkRecord, request: ForkRemovalRequest, holds: Holds | None
) -> ForkRemovalReport:
    directory = Path(record.directory)
    state, mark, text = fork_state(record)
    is_ours = state != "damaged" and os.path.lexists(directory)
    if state == "damaged" and not request.force:
        return ForkRemovalReport(home.layout.root, directory, is_removed=False, packs=(), removal=Removal(), text=text)
    found = await look_into(home, record, mark, holds)
    refused = [work for work in found if work.is_refused or (work.is_work and not request.force)] if is_ours else []
    if refused:
        return ForkRemovalReport(
            home.layout.root, directory, is_removed=False, packs=tuple(refused), removal=Removal(), text="it has work"
        )
    try:
        removal = await remove_fork(home, record, mark, found, is_ours=is_ours)
    except OSError as error:
        raise PackError(
            f"the fork {directory} could not be taken away: {error.strerror or error} ({error.filename or directory})",
            hint="Check the permissions there, then run it again.",
        ) from error
    left = "the directory is not this fork's any more, and was left" if state == "damaged" else ""
    return ForkRemovalReport(
        home.layout.root,
        directory,
        is_removed=not removal.errors,
        packs=tuple(work for work in found if work.is_work),
        removal=removal,
        text=left,
    )
