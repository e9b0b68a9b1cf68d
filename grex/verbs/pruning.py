"""`sync --prune`: moves the checkouts that nobody declares any more to the trash, once what they installed is undone.

Only what is provably nobody's loss goes: the log says that grex made it, and it is clean and fully pushed. Each pack is
judged by itself, the deepest first; one that stays keeps those in whose directory it lies, and no other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from grex.engine import RunContext, Session, Survey
from grex.engine.removal import PRUNE, RemovalOutcome, Removals
from grex.engine.standing import stand
from grex.engine.survey import undeclared
from grex.engine.teardown import TeardownOutcome, prepare_teardown, refuse_committed_log, run_teardown
from grex.errors import PackError
from grex.manifest import prune_event
from grex.verbs.asking import TrustQuestion, ask_for_trust

__all__ = ["prune", "teardown_failed"]


async def prune(
    session: Session, found: Survey, declared: Collection[str], *, ask_trust: TrustQuestion | None, dry_run: bool
) -> dict[str, RemovalOutcome]:
    """Take away what nobody declares; gives what became of each, by path.

    Tiers: WORKSPACE is held, or nothing in a dry run; each pack takes the others. Cancellation: what was moved is in
    the trash and recorded; the log learns of it from the next sync.

    Args:
        session: the open workspace.
        found: the packs that are declared and known.
        declared: their paths, with those that inactive packs declare; none of these goes.
        ask_trust: asks about what a teardown would run.
        dry_run: only say what would be done.
    """
    going = set(undeclared(session.layout, session.folded.packs, declared))
    removals = Removals(
        session,
        verb=PRUNE,
        why="no pack declared it any more (`grex sync --prune`)",
        staying=set(declared),
        leaving=going,
    )
    kept = await removals.judge_all()
    torn = await _tear_down(session, found, going - set(kept), ask_trust=ask_trust, dry_run=dry_run)
    kept |= {path: teardown_failed(path, outcome) for path, outcome in torn.items() if outcome.error is not None}
    if dry_run:
        planned = {
            path: RemovalOutcome(path=path, status="planned", code="trash", text="move it to the trash")
            for path in going
        }
        return planned | kept
    outcomes = await removals.take_away(kept)
    events = [
        prune_event(path, trash=outcome.trash)
        for path, outcome in sorted(outcomes.items())
        if outcome.is_gone and path in session.folded.packs
    ]
    await session.record("log", events)
    await session.read_records()
    return outcomes


async def _tear_down(
    session: Session, found: Survey, wanted: Collection[str], *, ask_trust: TrustQuestion | None, dry_run: bool
) -> Mapping[str, TeardownOutcome]:
    context = RunContext(session, dry_run=dry_run, tears_down=True)
    plan = prepare_teardown(session, context, stand(session, found), wanted)
    if any(step.needs_trust for step in plan.steps):
        refuse_committed_log(session)
    if not dry_run:
        await ask_for_trust(session, ask_trust, plan.steps)
    return await run_teardown(session, context, plan, fail_fast=False)


def teardown_failed(path: str, outcome: TeardownOutcome) -> RemovalOutcome:
    """A pack that stays because what it has installed does."""
    why = outcome.error.message if outcome.error is not None else ""
    error = PackError(
        f"{path} was kept: what it has installed could not be taken back: {why.removeprefix(f'{path}: ')}",
        hint="Mend that and run this again; `grex rm --skip-teardown` leaves what is installed as it is.",
        details={"reason": "teardown-failed"},
    )
    return RemovalOutcome(
        path=path, status="kept", code="teardown-failed", text=error.message, hint=error.hint, error=error
    )
