"""Installs packs: decides which need it, asks for trust, orders by `depends_on`, runs pack types in parallel.

`prepare` is the plan (pure but for reading the packs' files), `run` executes exactly that plan; a dry run prints it.
How the steps run beside and after each other is `lifecycle`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from msgspec import Struct, field
from msgspec.structs import replace

from grex.engine.calling import call_pack_type
from grex.engine.claims import Claimant, claims_of, conflicts, taken, what_is_left
from grex.engine.context import RunContext
from grex.engine.dependencies import find_needs
from grex.engine.graph import Node
from grex.engine.installable import Installable, Present, examine
from grex.engine.lifecycle import (
    Phase,
    Step,
    StepOutcome,
    asking,
    is_allowed,
    run_steps,
    trust_lines,
    untrusted_steps,
)
from grex.engine.session import Session
from grex.errors import GrexError, PackSpecError, UnknownActionError, UnknownPackTypeError
from grex.manifest import install_failed_event, installed_event
from grex.names import clean, redact
from grex.pack import Mark, PackSpec, Problems, raise_problems
from grex.plugin import Outcome
from grex.plugin.decoding import decode_actions
from grex.plugin.failures import with_last_line

__all__ = [
    "InstallOutcome",
    "InstallPlan",
    "InstallStatus",
    "InstallStep",
    "examine_all",
    "prepare",
    "run",
    "untrusted",
    "would_run",
]

InstallMode = Literal["install", "update", "sync"]
InstallStatus = Literal["installed", "updated", "synced", "skipped", "failed", "untrusted", "not-reached", "planned"]
InstallOutcome = StepOutcome[InstallStatus]
_WHY_CHARACTERS = 400
_DONE: Mapping[InstallMode, InstallStatus] = {"install": "installed", "update": "updated", "sync": "synced"}


class InstallStep(Step, frozen=True):
    """One lifecycle call of the install phase.

    `mode` is which: `sync` where nothing changed and the pack type wants to be called all the same.
    """

    mode: InstallMode
    actions_hash: str


class InstallPlan(Struct, frozen=True):
    """The steps, sorted by path; the packs that cannot have one, with the reason; those that need none."""

    steps: tuple[InstallStep, ...] = ()
    refused: Mapping[str, GrexError] = field(default_factory=dict)
    settled: tuple[Installable, ...] = ()


def prepare(
    session: Session,
    context: RunContext,
    present: Sequence[Present],
    *,
    others: Sequence[Present] = (),
    off: Sequence[Node] = (),
) -> InstallPlan:
    """Which packs need an install or an update, with what each would run.

    Args:
        session: the open workspace.
        context: what pack types are given.
        present: the packs of this run.
        others: packs that are there and not part of this run: what is to be installed may depend on them.
        off: the packs that are inactive here.
    """
    needs = find_needs(session, present, others, off=off)
    refused: dict[str, GrexError] = {**needs.missing, **needs.circles}
    installable, wrong = examine_all(session, context, [*present, *others])
    paths = {found.path for found in present}
    refused.update((path, error) for path, error in wrong.items() if path in paths and path not in refused)
    steps: list[InstallStep] = []
    settled: list[Installable] = []
    for pack in installable:
        if pack.path not in paths or pack.path in refused:
            continue
        try:
            with asking(session, pack.path, pack.found.spec):
                if pack.state == "current" and not context.force:
                    settled.append(pack)
                    if not pack.pack_type.wants_sync(pack.pack):
                        continue
                steps.append(_step(context, pack))
        except GrexError as error:
            refused[pack.path] = error
    having = {*refused, *(step.pack.path for step in steps)}
    ordered = (replace(step, after=needs.before(step.pack.path, having)) for step in steps)
    return InstallPlan(tuple(ordered), refused, tuple(settled))


def examine_all(
    session: Session, context: RunContext, packs: Iterable[Present]
) -> tuple[list[Installable], dict[str, GrexError]]:
    """What there is to install, sorted by path; and what is wrong with packs, two that want one place among it."""
    wrong: dict[str, GrexError] = {}
    found: list[Installable] = []
    claimants: list[Claimant] = []
    for present in sorted(packs, key=lambda one: one.path):
        pack: Installable | None = None
        try:
            with asking(session, present.path, present.spec):
                pack = examine(session, present)
                if pack is None:
                    continue
                found.append(pack)
                context.actions(pack.pack)  # every argument is checked now, before anything of any pack is run
                claimants.append(Claimant(pack.path, claims_of(context, pack.pack_type, pack.pack)))
        except GrexError as error:
            if isinstance(error, UnknownPackTypeError) and present.spec is not None:
                error = _with_its_actions(session, present.spec, error)
            if pack is None or pack.state != "current" or context.force:  # otherwise nothing of it is to be run
                wrong[present.path] = error

    def is_welcome(path: str) -> bool:
        pack = next(pack for pack in found if pack.path == path)
        try:
            with asking(session, path, pack.found.spec):
                return is_allowed(session, would_run(context, pack), pack.found.trusted_as)
        except GrexError:  # it does not even say what it would run
            return False

    to_run = {pack.path for pack in found if pack.state != "current" or context.force}
    newcomers = [claimant for claimant in claimants if claimant.path in to_run]
    if newcomers:
        wrong.update(taken(newcomers, what_is_left(session, claimants)))
    wrong.update(conflicts(claimants, is_welcome, session.layout.records))
    return found, wrong


def _with_its_actions(session: Session, spec: PackSpec, error: UnknownPackTypeError) -> GrexError:
    """An unknown pack type, together with what is wrong with the actions: whoever mends one wants to see them all."""
    try:
        decode_actions(session.registry, (*spec.actions, *(spec.teardown or ())))
    except (PackSpecError, UnknownActionError) as more:
        problems = Problems()
        if spec.type_mark is not None:
            problems.add(spec.type_mark, error.message.removeprefix(f"{spec.type_mark}: "), error.hint or "")
        for one in more.details.get("problems", [{**more.details, "message": more.message, "hint": more.hint}]):
            mark = Mark(one["file"], one["line"], one["column"])
            problems.add(mark, one["message"].removeprefix(f"{mark}: "), one["hint"] or "")
        try:
            raise_problems(problems, UnknownPackTypeError)
        except UnknownPackTypeError as all_of_it:
            return all_of_it
    except GrexError:
        return error
    return error


def would_run(context: RunContext, found: Installable) -> tuple[str, ...]:
    """What installing a pack would run, or touch outside of it, one line each.

    Raises:
        GrexError: its type does not say so.
        Exception: whatever a plugin raises.
    """
    return trust_lines(found.pack_type.needs_trust(context, found.pack), found.pack)


def _step(context: RunContext, found: Installable) -> InstallStep:
    would = would_run(context, found)
    return InstallStep(
        found.pack, found.pack_type, found.found.trusted_as, would, (), _mode(context, found), found.actions_hash
    )


def _mode(context: RunContext, found: Installable) -> InstallMode:
    if found.state == "not-installed" or found.is_anew:
        return "install"
    return "sync" if found.state == "current" and not context.force else "update"


def untrusted(session: Session, plan: InstallPlan) -> list[InstallStep]:
    """The steps that would run something of a pack that this user has not allowed."""
    return untrusted_steps(session, plan.steps)


async def run(
    session: Session,
    context: RunContext,
    plan: InstallPlan,
    *,
    fail_fast: bool,
    failed_before: Iterable[str] = (),
) -> dict[str, InstallOutcome]:
    """Run every step of the plan; see `run_steps`.

    Args:
        session: the open workspace.
        context: what pack types are given.
        plan: what `prepare` gave.
        fail_fast: start nothing new after a failure.
        failed_before: packs that failed earlier in this run; what depends on them is not reached.
    """
    phase = _Installing(session, context)
    return await run_steps(phase, plan.steps, plan.refused, fail_fast=fail_fast, failed_before=failed_before)


class _Installing(Phase[InstallStep, InstallStatus]):
    again = "sync again"

    def doing(self, step: InstallStep) -> str:
        """`install`, `update` or `sync`."""
        return step.mode

    async def call(self, step: InstallStep) -> Outcome:
        """`install`, `update` or `sync`."""
        return await call_pack_type(self.context, step.pack_type, step.mode, step.pack)

    async def conclude(self, step: InstallStep, outcome: Outcome) -> InstallOutcome:
        """Record what is installed now."""
        path = step.pack.path
        if self.context.dry_run:
            changes = outcome.changes or (f"{step.mode}: nothing to change",)
            return StepOutcome(path, "planned", changes, outcome.notes)
        if step.mode != "sync":
            await self.session.record(path, [installed_event(path, actions_hash=step.actions_hash)])
        return StepOutcome(path, _DONE[step.mode], outcome.changes, outcome.notes)

    async def record_failure(self, step: InstallStep, error: GrexError) -> None:
        """Record why, for a status; a mere `sync` of an install that stands leaves it installed."""
        if not self.context.dry_run and step.mode != "sync":
            why = clean(redact(with_last_line(error)), _WHY_CHARACTERS)
            await self.session.record(step.pack.path, [install_failed_event(step.pack.path, why=why)], durable=False)
