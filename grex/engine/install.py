"""Installs packs: decides which need it, asks for trust, orders by `depends_on`, runs pack types in parallel.

`prepare` is the plan (pure but for reading the packs' files), `run` executes exactly that plan; a dry run prints it.
A pack waits for its dependencies while holding nothing: no permit, no pack. A dependency that fails makes its
dependents "not reached"; nothing else is stopped by a failure, unless the run is to fail fast.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal

import anyio

from grex.engine.calling import call_pack_type, watched
from grex.engine.claims import Claimant, claims_of, conflicts
from grex.engine.context import RunContext, RunStoppedError
from grex.engine.installable import Installable, Present, examine
from grex.engine.session import Session
from grex.errors import CycleError, GrexError, PackError, PluginError, UntrustedError
from grex.manifest import installed_event
from grex.names import InvalidUrlError, PackUrl, parse_url, shown_argument
from grex.pack import Dependency, PackSpec
from grex.plugin import Outcome, Pack, PackSkippedError, PackType
from grex.plugin.failures import blamed
from grex.progress import PackFinished, PackStarted

__all__ = [
    "InstallOutcome",
    "InstallPlan",
    "InstallStep",
    "checked_outcome",
    "examine_all",
    "prepare",
    "run",
    "untrusted",
]

InstallMode = Literal["install", "update"]
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class InstallStep:
    """One lifecycle call on one pack."""

    pack: Pack
    pack_type: PackType
    mode: InstallMode
    actions_hash: str
    trust_key: str | None
    needs_trust: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InstallOutcome:
    """What became of one pack's installation.

    `status` is `installed`, `updated`, `skipped`, `failed`, `untrusted`, `not-reached`, or, in a dry run, `planned`.
    """

    path: str
    status: Literal["installed", "updated", "skipped", "failed", "untrusted", "not-reached", "planned"]
    changes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    error: GrexError | None = None

    def line(self) -> str:
        """What became of it, in the same words while it happens and in the report."""
        if self.error is not None:
            return self.error.message
        if len(self.changes) <= _SHOWN:
            return "; ".join((*self.changes, *self.notes)) or "nothing to change"
        shown = self.changes[: _SHOWN - 1]
        return "; ".join((*shown, f"and {len(self.changes) - len(shown)} more", *self.notes))

    @property
    def is_cut(self) -> bool:
        """Whether `line` leaves changes out."""
        return self.error is None and len(self.changes) > _SHOWN


@dataclass(frozen=True, slots=True)
class InstallPlan:
    """The steps, sorted by path; the packs that cannot have one, with the reason; those that need none."""

    steps: tuple[InstallStep, ...] = ()
    refused: Mapping[str, GrexError] = field(default_factory=dict)
    settled: tuple[Installable, ...] = ()


def prepare(
    session: Session, context: RunContext, present: Sequence[Present], *, others: Sequence[Present] = ()
) -> InstallPlan:
    """Which packs need an install or an update, with what each would run.

    Args:
        session: the open workspace.
        context: what pack types are given.
        present: the packs of this run.
        others: packs that are there and not part of this run: what is to be installed may depend on them.
    """
    refused: dict[str, GrexError] = {}
    by_name: dict[str, list[str]] = {}
    for found in (*present, *others):
        name = found.spec.name if found.spec is not None else found.path.rsplit("/", 1)[-1]
        by_name.setdefault(name, []).append(found.path)
    by_identity = {found.identity: found.path for found in (*present, *others) if found.identity is not None}
    needs: dict[str, tuple[str, ...]] = {}
    for found in sorted(present, key=lambda one: one.path):
        if found.spec is None:
            continue
        try:
            needs[found.path] = _dependencies(session, found, by_name, by_identity)
        except PackError as error:
            refused[found.path] = error
    refused.update(_dependency_cycles(needs))
    installable, wrong = examine_all(session, context, [*present, *others])
    paths = {found.path for found in present}
    refused.update((path, error) for path, error in wrong.items() if path in paths and path not in refused)
    steps: list[InstallStep] = []
    settled: list[Installable] = []
    for pack in installable:
        if pack.path not in paths or pack.path in refused:
            continue
        if pack.state == "current" and not context.force:
            settled.append(pack)
            continue
        try:
            with _blamed(pack.path, pack.found.spec):
                steps.append(_step(context, pack, needs[pack.path]))
        except GrexError as error:
            refused[pack.path] = error
    return InstallPlan(tuple(steps), refused, tuple(settled))


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
            with _blamed(present.path, present.spec):
                pack = examine(session, present)
                if pack is None:
                    continue
                found.append(pack)
                context.actions(pack.pack)  # every argument is checked now, before anything of any pack is run
                claimants.append(Claimant(pack.path, claims_of(context, pack)))
        except GrexError as error:
            if pack is None or pack.state != "current" or context.force:  # otherwise nothing of it is to be run
                wrong[present.path] = error

    def is_welcome(path: str) -> bool:
        pack = next(pack for pack in found if pack.path == path)
        try:
            with _blamed(path, pack.found.spec):
                return _is_allowed(session, _would(context, pack), pack.found.trusted_as)
        except GrexError:  # it does not even say what it would run
            return False

    wrong.update(conflicts(claimants, is_welcome))
    return found, wrong


def _would(context: RunContext, found: Installable) -> tuple[str, ...]:
    return _trust_lines(found.pack_type.needs_trust(context, found.pack), found.pack)


def _step(context: RunContext, found: Installable, after: tuple[str, ...]) -> InstallStep:
    return InstallStep(
        found.pack,
        found.pack_type,
        "install" if found.state == "not-installed" else "update",
        found.actions_hash,
        found.found.trusted_as,
        _would(context, found),
        after,
    )


def _trust_lines(lines: object, pack: Pack) -> tuple[str, ...]:
    """What a pack type says that it would run. What cannot be understood must not pass for nothing."""
    if isinstance(lines, tuple | list) and all(isinstance(line, str) for line in lines):
        return tuple(lines)
    raise PluginError(
        f"{pack.path}: the pack type {pack.type!r} does not say what it would run",
        hint="Report it to the authors of the plugin.",
    )


def _dependencies(
    session: Session, found: Present, by_name: Mapping[str, list[str]], by_identity: Mapping[str, str]
) -> tuple[str, ...]:
    spec = found.spec
    needed: list[str] = []
    for dependency in spec.depends_on if spec is not None else ():
        if dependency.name is not None:
            said = dependency.name
            paths = by_name.get(dependency.name, [])
        else:
            url = _dependency_url(session, spec, dependency)
            said = url.redacted
            paths = [by_identity[url.identity]] if url.identity in by_identity else []
        if len(paths) > 1:
            raise PackError(
                f"{dependency.mark}: {found.path} depends on {said!r}, and several packs have that name: "
                f"{', '.join(sorted(paths))}",
                hint="Name the one that is meant by its URL.",
            )
        if not paths:
            raise PackError(
                f"{dependency.mark}: {found.path} depends on {said!r}, which is not in this workspace",
                hint="Add it as a child of some pack (`grex add URL`); a dependency is never cloned by itself.",
            )
        needed.append(paths[0])
    return tuple(sorted(set(needed)))


def _dependency_url(session: Session, spec: PackSpec | None, dependency: Dependency) -> PackUrl:
    try:
        base = spec.defaults.base if spec is not None else None
        return parse_url(dependency.url or "", base=base, relative_to=session.layout.root)
    except InvalidUrlError as error:
        raise PackError(f"{dependency.mark}: {error}", hint=error.hint or "Correct the URL.") from error


def _dependency_cycles(needs: Mapping[str, tuple[str, ...]]) -> dict[str, GrexError]:
    """An error for every pack on a circle of `depends_on`, each printing the same chain."""
    found: dict[str, GrexError] = {}
    done: set[str] = set()
    for start in sorted(needs):
        trail: list[str] = []
        stack: list[tuple[str, int]] = [(start, 0)]
        while stack:
            path, position = stack.pop()
            if position == 0:
                if path in trail:
                    circle = trail[trail.index(path) :]
                    smallest = circle.index(min(circle))
                    chain = [*circle[smallest:], *circle[:smallest], circle[smallest]]
                    error = CycleError(
                        f"packs depend on each other in a circle: {' -> '.join(chain)}",
                        hint="Remove one of these depends_on entries.",
                        details={"chain": chain},
                    )
                    found.update(dict.fromkeys(circle, error))
                    continue
                if path in done:
                    continue
                trail.append(path)
            below = needs.get(path, ())
            if position < len(below):
                stack.append((path, position + 1))
                stack.append((below[position], 0))
            else:
                trail.remove(path)
                done.add(path)
    return found


def untrusted(session: Session, plan: InstallPlan) -> list[InstallStep]:
    """The steps that would run something of a pack that this user has not allowed."""
    return [step for step in plan.steps if not _is_allowed(session, step.needs_trust, step.trust_key)]


def _is_allowed(session: Session, would: Sequence[str], trust_key: str | None) -> bool:
    """Whether this user lets a pack do what it would; None stands for the root."""
    if not would:
        return True
    return session.trust.trusts_root() if trust_key is None else session.trust.trusts(trust_key)


async def run(
    session: Session,
    context: RunContext,
    plan: InstallPlan,
    *,
    fail_fast: bool,
    failed_before: Iterable[str] = (),
) -> dict[str, InstallOutcome]:
    """Run every step of the plan.

    Tiers: each step takes PERMIT and PACK through its pack type, MANIFEST to record. Cancellation: running children
    are ended, brackets are closed as cancelled, nothing new starts.

    Args:
        session: the open workspace.
        context: what pack types are given.
        plan: what `prepare` gave.
        fail_fast: start nothing new after a failure.
        failed_before: packs that failed earlier in this run; what depends on them is not reached.
    """
    outcomes: dict[str, InstallOutcome] = {
        path: InstallOutcome(path, "failed", error=error) for path, error in plan.refused.items()
    }
    barred = {step.pack.path for step in untrusted(session, plan)}
    broken = {*failed_before, *plan.refused}
    finished = {step.pack.path: anyio.Event() for step in plan.steps}
    context.is_stopped = fail_fast and bool(broken)

    async def one(step: InstallStep) -> None:
        path = step.pack.path
        try:
            for needed in step.after:
                if needed in finished:
                    await finished[needed].wait()
            outcome = await _run_step(session, context, step, broken, barred=path in barred)
            outcomes[path] = outcome
            if outcome.status in ("failed", "untrusted", "not-reached"):
                broken.add(path)
                context.is_stopped = context.is_stopped or (fail_fast and outcome.status != "not-reached")
        finally:
            finished[path].set()

    async with watched(session), anyio.create_task_group() as tasks:
        for step in plan.steps:
            tasks.start_soon(one, step)
    return outcomes


async def _run_step(
    session: Session,
    context: RunContext,
    step: InstallStep,
    broken: set[str],
    *,
    barred: bool,
) -> InstallOutcome:
    path = step.pack.path
    missing = [needed for needed in step.after if needed in broken]
    if missing:
        return InstallOutcome(path, "not-reached", notes=(f"it depends on {', '.join(missing)}, which failed",))
    if context.is_stopped:
        return _stopped(path)
    if barred:
        return InstallOutcome(path, "untrusted", error=_untrusted_error(step))
    session.settings.sink(PackStarted(path, step.mode))
    outcome = await _call(session, context, step)
    session.settings.sink(PackFinished(path, outcome.status, outcome.line()))
    return outcome


async def _call(session: Session, context: RunContext, step: InstallStep) -> InstallOutcome:
    """The lifecycle call itself; whatever a plugin raises becomes this pack's failure and nobody else's."""
    path = step.pack.path
    try:
        with _blamed(path, step.pack.spec):
            answered = await call_pack_type(context, step.pack_type, step.mode, step.pack)
            outcome = checked_outcome(answered, step.pack)
        if outcome.status != "skipped" and not context.dry_run:
            await session.record(path, [installed_event(path, actions_hash=step.actions_hash)])
    except RunStoppedError:
        return _stopped(path)
    except PackSkippedError as skipped:
        return InstallOutcome(path, "skipped", notes=(str(skipped),))
    except GrexError as error:
        return InstallOutcome(path, "failed", error=error)
    if outcome.status == "skipped":
        return InstallOutcome(path, "skipped", outcome.changes, outcome.notes)
    if context.dry_run:
        return InstallOutcome(path, "planned", outcome.changes or (f"{step.mode}: nothing to change",), outcome.notes)
    done: Literal["installed", "updated"] = "installed" if step.mode == "install" else "updated"
    return InstallOutcome(path, done, outcome.changes, outcome.notes)


def _stopped(path: str) -> InstallOutcome:
    return InstallOutcome(path, "not-reached", notes=("an earlier failure ended the run (--fail-fast)",))


def _blamed(path: str, spec: PackSpec | None) -> AbstractContextManager[None]:
    """Make every failure of a pack type its pack's own; whatever it raises, only that pack may suffer."""
    declared = spec.type if spec is not None else "plain"
    mark = spec.type_mark if spec is not None else None
    return blamed(f"the pack type {declared!r}", pack=path, mark=mark, passes=RunStoppedError)


def checked_outcome(outcome: object, pack: Pack) -> Outcome:
    """What a lifecycle call gave, if it is what it has to be: the report must not stumble over it later."""
    if not isinstance(outcome, Outcome):
        problem = type(outcome).__name__
    elif outcome.status not in ("changed", "unchanged", "skipped"):
        problem = f"the status {outcome.status!r}"
    elif not all(isinstance(text, str) for text in (*outcome.changes, *outcome.notes)):
        problem = "changes or notes that are not text"
    else:
        return outcome
    raise PluginError(
        f"{pack.path}: the pack type {pack.type!r} gave {problem} instead of an Outcome",
        hint="Report it to the authors of the plugin.",
    )


def _untrusted_error(step: InstallStep) -> UntrustedError:
    more = len(step.needs_trust) - _SHOWN
    what = "; ".join(step.needs_trust[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")
    where = step.trust_key if step.trust_key is not None else "."
    return UntrustedError(
        f"{step.pack.path} is not trusted to run: {what}",
        hint=f"If you trust its author: `grex trust {shown_argument(where)}` (or a prefix of it), then sync again.",
        details={"prefix": where, "would": list(step.needs_trust)},
    )
