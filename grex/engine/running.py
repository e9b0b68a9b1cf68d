"""Runs one name over packs: a hook, or the declared actions of one kind; in the order of `depends_on`, in parallel.

Two packs that want one place are refused before anything is run, as in an install; what is asked about is what the
actions of that kind claim. WORKSPACE is not held: a sync may go on beside it. What a pack is planned with is therefore
looked at again once it is held (`RunContext.rereads`): a checkout that was moved meanwhile fails, and the log is read
again, so that an action knows what is its own work.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

from msgspec import Struct, field
from msgspec.structs import replace

from grex.engine.calling import call_pack_type
from grex.engine.claims import Claimant, claims_of, conflicts, taken, what_is_left
from grex.engine.context import RunContext
from grex.engine.dependencies import find_needs
from grex.engine.install import would_run
from grex.engine.installable import examine
from grex.engine.lifecycle import Phase, Step, StepOutcome, asking, is_allowed, run_steps, trust_lines
from grex.engine.session import Session
from grex.engine.standing import Standing
from grex.errors import GrexError
from grex.plugin import Claim, Outcome, Pack

__all__ = ["RunOutcome", "RunPlan", "RunStatus", "RunStep", "prepare_run", "run_name"]

RunStatus = Literal["ran", "unchanged", "skipped", "failed", "untrusted", "not-reached", "planned"]
RunOutcome = StepOutcome[RunStatus]


class RunStep(Step, frozen=True):
    """One run in one pack."""

    name: str


class RunPlan(Struct, frozen=True):
    """The steps, sorted by path; the packs that cannot be asked, with the reason; and every name that there is."""

    steps: tuple[RunStep, ...] = ()
    refused: Mapping[str, GrexError] = field(default_factory=dict)
    names: frozenset[str] = frozenset()


def prepare_run(
    session: Session,
    context: RunContext,
    standing: Standing,
    wanted: Collection[str],
    name: str,
    *,
    active: Collection[str],
) -> RunPlan:
    """Which packs have something of that name, with what each would run.

    Args:
        session: the open workspace.
        context: what pack types are given.
        standing: the packs as they are.
        wanted: the packs that were asked for.
        name: what is to be run.
        active: the packs that are declared and active here; what they claim, nobody else may take.
    """
    needs = find_needs(session, list(standing.present.values()))
    refused = {path: error for path, error in standing.refused.items() if path in wanted}
    steps: list[RunStep] = []
    names: set[str] = set()
    for path in sorted(set(standing.present) & set(wanted)):
        found = standing.present[path]
        spec = found.spec
        if spec is None:
            continue
        pack = Pack(path, session.layout.pack_dir(path), spec.name, spec.type, spec, found.commit)
        try:
            with asking(session, path, spec):
                pack_type = session.registry.pack_type(spec.type)
                offered = pack_type.run_names(context, pack)
                names.update(offered)
                if name not in offered:
                    continue
                refusal = needs.circles.get(path) or standing.unrecorded.get(path)
                if refusal is not None:
                    refused[path] = refusal
                    continue
                lines = trust_lines(pack_type.run_needs_trust(context, pack, name), pack)
            steps.append(RunStep(pack, pack_type, found.trust_key, lines, (), name))
        except GrexError as error:
            refused[path] = error
    refused.update(_in_conflict(session, context, standing, steps, active))
    steps = [step for step in steps if step.pack.path not in refused]
    having = {*refused, *(step.pack.path for step in steps)}
    ordered = (replace(step, after=needs.before(step.pack.path, having)) for step in steps)
    return RunPlan(tuple(ordered), refused, frozenset(names))


def _in_conflict(
    session: Session, context: RunContext, standing: Standing, steps: Sequence[RunStep], active: Collection[str]
) -> dict[str, GrexError]:
    """Why packs cannot run it: it wants what another pack, it itself or grex wants, or has left there."""
    wrong: dict[str, GrexError] = {}
    asked: dict[str, tuple[Claim, ...]] = {}
    for step in steps:
        try:
            with asking(session, step.pack.path, step.pack.spec):
                asked[step.pack.path] = context.claims_of_kind(step.pack, step.name)
        except GrexError as error:
            wrong[step.pack.path] = error
    if not any(asked.values()):
        return wrong
    claimants: list[Claimant] = []
    would: dict[str, tuple[tuple[str, ...], str | None]] = {
        step.pack.path: (step.needs_trust, step.trust_key) for step in steps
    }
    for path in sorted({*active, *asked} & set(standing.present)):
        found = standing.present[path]
        if found.spec is None:
            continue
        claims = asked.get(path, ())
        try:
            with asking(session, path, found.spec):
                installable = examine(session, found)
                if installable is not None:
                    more = claims_of(context, installable.pack_type, installable.pack)
                    named = () if set(claims) <= set(more) else {claim.what for claim in claims}
                    claims = (*claims, *(one for one in more if one not in claims and one.what not in named))
                    if path not in would:
                        would[path] = would_run(context, installable), found.trusted_as
        except GrexError:  # an install would say what is wrong with it
            would.setdefault(path, ((), found.trusted_as))
        claimants.append(Claimant(path, claims))
    newcomers = [Claimant(path, claims) for path, claims in asked.items()]
    told = {**taken(newcomers, what_is_left(session, claimants))}
    told.update(
        conflicts(claimants, lambda path: is_allowed(session, *would[path]), session.layout.records, only=asked)
    )
    wrong.update((path, error) for path, error in told.items() if path in asked)
    return wrong


async def run_name(session: Session, context: RunContext, plan: RunPlan, *, fail_fast: bool) -> dict[str, RunOutcome]:
    """Run every step of the plan; see `run_steps`."""
    return await run_steps(_Running(session, context), plan.steps, plan.refused, fail_fast=fail_fast)


class _Running(Phase[RunStep, RunStatus]):
    again = "run it again"

    def doing(self, step: RunStep) -> str:
        """`run` and the name."""
        return f"run {step.name}"

    async def call(self, step: RunStep) -> Outcome:
        """`run`."""
        return await call_pack_type(self.context, step.pack_type, "run", step.pack, name=step.name)

    async def conclude(self, step: RunStep, outcome: Outcome) -> RunOutcome:
        """Say it; what is to be recorded, the actions have recorded."""
        path = step.pack.path
        if self.context.dry_run:
            return StepOutcome(path, "planned", outcome.changes or (f"{step.name}: nothing to change",), outcome.notes)
        status: RunStatus = "ran" if outcome.status == "changed" else "unchanged"
        return StepOutcome(path, status, outcome.changes, outcome.notes)
