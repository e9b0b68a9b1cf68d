"""`grex fork ls`: the forks of this workspace, and how they stand.

Recipe: read the records, look into each fork. Nothing is written and no lock is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from grex.engine import Session, Settings
from grex.engine.fork_places import located
from grex.engine.fork_work import ForkState, ForkWork, fork_state, look_into
from grex.manifest import ForkRecord, read_fork_records
from grex.verbs.fork import home_of

if TYPE_CHECKING:
    from grex.verbs.documents import ForkListDocument, ForkWorkObject

__all__ = ["ForkListReport", "ForkListRequest", "ListedFork", "fork_ls", "work_json"]


ShownState = Literal["ok", "half-made", "half-removed", "gone", "damaged"]
_SHOWN: Mapping[ForkState, ShownState] = {
    "ok": "ok",
    "making": "half-made",
    "removing": "half-removed",
    "gone": "gone",
    "damaged": "damaged",
}


class ForkListRequest(Struct, frozen=True):
    """Of which workspace; one of its forks means the same."""

    root: Path


class ListedFork(Struct, frozen=True):
    """A fork: its record, its state, what is wrong with it, and what is in its packs."""

    record: ForkRecord
    state: ForkState
    text: str
    packs: tuple[ForkWork, ...]

    @property
    def shown_state(self) -> ShownState:
        """The state, as people are told."""
        return _SHOWN[self.state]


class ForkListReport(Struct, frozen=True):
    """The forks of a workspace, the oldest first; `notes` tells of records that cannot be read."""

    root: Path
    forks: tuple[ListedFork, ...]
    notes: tuple[str, ...] = ()
    exit_code: int = 0

    def to_json(self) -> ForkListDocument:
        """The document of `--json`."""
        return {
            "schema": "grex.fork-ls/1",
            "workspace": str(self.root),
            "exit_code": self.exit_code,
            "forks": [
                {
                    "directory": fork.record.directory,
                    "source": fork.record.source,
                    "branch": fork.record.branch,
                    "provider": fork.record.provider,
                    "created_at": fork.record.created_at,
                    "state": fork.shown_state,
                    "text": fork.text,
                    "packs": [work_json(pack) for pack in fork.packs],
                }
                for fork in self.forks
            ],
            "notes": list(self.notes),
        }


def work_json(work: ForkWork) -> ForkWorkObject:
    """What there is of a pack in a fork, as it stands in the documents."""
    return {
        "path": work.path,
        "branch": work.branch,
        "present": work.is_there,
        "ahead": work.ahead,
        "edited": work.edited,
        "untracked": work.untracked,
        "unmerged": work.unmerged,
        "operation": work.operation,
        "text": work.text,
    }


async def fork_ls(request: ForkListRequest, settings: Settings) -> ForkListReport:
    """List the forks. Tiers: none.

    Raises:
        ManifestError: this is a fork, and what says whose cannot be read.
    """
    session = Session.open(request.root, settings)
    home = Session.open(home_of(session).root, settings)
    records, damaged = read_fork_records(home.layout.state_dir)
    forks: list[ListedFork] = []
    for record in (located(home.layout, one) for one in records):
        state, mark, text = fork_state(record)
        packs = await look_into(home, record, mark) if state != "damaged" else []
        missing = [pack.path for pack in packs if not pack.is_there]
        wrong = [pack for pack in packs if pack.text]
        if state == "ok" and (missing or wrong):
            state = "damaged"
            text = f"{missing[0]} is not there" if missing else f"{wrong[0].path}: {wrong[0].text}"
        forks.append(ListedFork(record, state, text, tuple(packs)))
    return ForkListReport(home.layout.root, tuple(forks), tuple(damaged), 3 if damaged else 0)
