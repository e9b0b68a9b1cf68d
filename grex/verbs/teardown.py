"""`grex teardown`: takes back what installing packs did.

Recipe: hold WORKSPACE, read the records, look at the packs, plan, ask for trust while holding no permit and no pack,
tear down, report. What is torn down is no longer installed; the next sync installs it again.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from grex.engine import ROOT, RunContext, Session, Settings, survey
from grex.engine.choosing import choose
from grex.engine.exclusive import exclusive
from grex.engine.standing import stand
from grex.engine.teardown import TeardownOutcome, prepare_teardown, refuse_committed_log, run_teardown
from grex.verbs.asking import ask_for_trust
from grex.verbs.report import exit_code_of, failure_json
from grex.verbs.request import PacksRequest

if TYPE_CHECKING:
    from grex.verbs.documents import TeardownDocument

__all__ = ["TeardownReport", "TeardownRequest", "teardown"]


class TeardownRequest(PacksRequest, frozen=True):
    """What to tear down, and how."""


class TeardownReport(Struct, frozen=True):
    """What a teardown did, packs sorted by path; those with nothing to take back are not in it."""

    root: Path
    dry_run: bool
    packs: tuple[TeardownOutcome, ...]
    elapsed_s: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0, or what the failures come to."""
        return exit_code_of(pack.error for pack in self.packs)

    def to_json(self) -> TeardownDocument:
        """The document of `--json`."""
        return {
            "schema": "grex.teardown/1",
            "workspace": str(self.root),
            "dry_run": self.dry_run,
            "exit_code": self.exit_code,
            "packs": [
                {
                    "path": pack.path,
                    "status": pack.status,
                    "changes": list(pack.changes),
                    "notes": list(pack.notes),
                    "error": failure_json(pack.error),
                }
                for pack in self.packs
            ],
            "elapsed_s": round(self.elapsed_s, 3),
            "notes": list(self.notes),
        }


async def teardown(request: TeardownRequest, settings: Settings) -> TeardownReport:
    """Tear down.

    Tiers: all, in order. Cancellation: no new step starts, running commands are ended with their groups, brackets are
    closed as cancelled; what was not undone is still in the log, and the next teardown goes on from there.

    Raises:
        ManifestError: the root's pack.yaml, the log or the lockfile cannot be used; nothing was changed.
        UsageError: a PACK argument means no pack, or a filter nothing.
        LockError: the workspace could not be had.
    """
    session = Session.open(request.root, settings)
    async with exclusive(session, dry_run=request.dry_run):
        return await _teardown(session, request)


async def _teardown(session: Session, request: TeardownRequest) -> TeardownReport:
    started = time.monotonic()
    found = survey(session.layout, session.settings.platform, check_type=session.check_type)
    known = {*session.folded.packs, ROOT}
    # What is installed can be taken back whether its group is on or not.
    chosen = await choose(session, found, request.packs, request.filters, known=known, keeps_inactive=True)
    wanted = None if chosen.is_all else chosen.paths | ({ROOT} if chosen.has_root else set())
    context = RunContext(session, dry_run=request.dry_run, tears_down=True)
    plan = prepare_teardown(session, context, stand(session, found), wanted)
    if any(step.needs_trust for step in plan.steps):
        refuse_committed_log(session)
    if not request.dry_run:
        await ask_for_trust(session, request.ask_trust, plan.steps)
    outcomes = await run_teardown(session, context, plan, fail_fast=request.fail_fast)
    if not request.dry_run and all(outcome.error is None for outcome in outcomes.values()):
        await session.compact_log()  # not after a failure, which may name a line of it
    packs = tuple(outcomes[path] for path in sorted(outcomes))
    return TeardownReport(session.layout.root, request.dry_run, packs, time.monotonic() - started, chosen.notes)
