"""One lifecycle call on each of several packs: in their order, in parallel, every failure kept to its own pack.

Installing, tearing down and running have this in common; what they call and what they record is their `Phase`. A pack
waits for those in its `after` while holding nothing: no permit, no pack. One that fails makes those after it "not
reached"; nothing else is stopped by a failure, unless the run is to fail fast. What a plugin raises, or gives instead
of an `Outcome`, is the failure of its pack.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import ClassVar, Generic, TypeVar, cast

import anyio
from msgspec import Struct
from msgspec.structs import replace

from grex.engine.calling import watched
from grex.engine.context import RunContext, RunStoppedError
from grex.engine.session import Session
from grex.errors import GrexError, PluginError, UntrustedError
from grex.names import clean, redact, shown_argument
from grex.pack import PackSpec
from grex.plugin import Outcome, Pack, PackSkippedError, PackType
from grex.plugin.failures import blamed
from grex.progress import PackFinished, PackStarted

__all__ = [
    "Phase",
    "Step",
    "StepOutcome",
    "asking",
    "blamed_type",
    "checked_outcome",
    "is_allowed",
    "run_steps",
    "trust_lines",
    "untrusted_error",
    "untrusted_steps",
]

_SHOWN = 3
_TOLD = 10
_LINE_CHARACTERS = 4000  # a link has two paths in it
_NOT_THROUGH = ("failed", "untrusted", "not-reached")


class Step(Struct, frozen=True):
    """One lifecycle call on one pack.

    Attributes:
        pack: the pack.
        pack_type: whose method is called.
        trust_key: what trust goes by; None for the root.
        needs_trust: what the call would run, one line each.
        after: the packs that come first.
    """

    pack: Pack
    pack_type: PackType
    trust_key: str | None
    needs_trust: tuple[str, ...]
    after: tuple[str, ...]


S = TypeVar("S", bound=str)
S_co = TypeVar("S_co", bound=str, covariant=True)
T = TypeVar("T", bound=Step)


class StepOutcome(Struct, Generic[S_co], frozen=True):
    """What became of one pack's step.

    `status` is `skipped`, `failed`, `untrusted`, `not-reached`, or what the phase calls a step that is through.
    """

    path: str
    status: S_co
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

    def told(self) -> tuple[str, ...]:
        """What became of it, thing by thing: for where each has a line of its own. A plan is told whole."""
        if self.error is not None:
            left = self.error.details.get("left")
            if not isinstance(left, list) or len(left) <= 1:
                return (self.error.message,)
            return (self.error.message.removesuffix("; ".join(left)).rstrip(), *left)  # what could not be undone
        if len(self.changes) <= _TOLD or self.status == "planned":
            return (*self.changes, *self.notes) or ("nothing to change",)
        shown = self.changes[: _TOLD - 1]
        return (*shown, f"and {len(self.changes) - len(shown)} more", *self.notes)


class Phase(ABC, Generic[T, S]):
    """What is called, and what follows from it."""

    again: ClassVar[str]
    """What to do after trust was given."""

    def __init__(self, session: Session, context: RunContext) -> None:
        self.session = session
        self.context = context

    @abstractmethod
    def doing(self, step: T) -> str:
        """The word for progress."""

    @abstractmethod
    async def call(self, step: T) -> Outcome:
        """The pack type's own method."""

    @abstractmethod
    async def conclude(self, step: T, outcome: Outcome) -> StepOutcome[S]:
        """Record what came of it, unless it is a dry run, and say it. Not called where the type skipped the pack."""

    async def record_failure(self, step: T, error: GrexError) -> None:
        """Keep it, where it has to be known later."""

    def blocked(self, missing: Sequence[str]) -> str:
        """Why a pack is not reached, in one line."""
        return f"it depends on {', '.join(missing)}, which failed"


def untrusted_steps(session: Session, steps: Iterable[T]) -> list[T]:
    """The steps that would run something of a pack that this user has not allowed."""
    return [step for step in steps if not is_allowed(session, step.needs_trust, step.trust_key)]


def is_allowed(session: Session, would: Sequence[str], trust_key: str | None) -> bool:
    """Whether this user lets a pack do what it would; None stands for the root."""
    if not would:
        return True
    return session.trust.trusts_root() if trust_key is None else session.trust.trusts(trust_key)


def trust_lines(lines: object, pack: Pack) -> tuple[str, ...]:
    """What a pack type says that it would run. What cannot be understood must not pass for nothing.

    Raises:
        PluginError: it is no tuple of text.
    """
    if isinstance(lines, tuple | list) and all(isinstance(line, str) for line in lines):
        return tuple(lines)
    raise PluginError(
        f"{pack.path}: the pack type {pack.type!r} does not say what it would run",
        hint="Report it to the authors of the plugin.",
    )


async def run_steps(
    phase: Phase[T, S],
    steps: Sequence[T],
    refused: Mapping[str, GrexError],
    *,
    fail_fast: bool,
    failed_before: Iterable[str] = (),
) -> dict[str, StepOutcome[S]]:
    """Run every step of a plan.

    Tiers: each step takes PERMIT and PACK through its pack type, MANIFEST to record. Cancellation: running children
    are ended, brackets are closed as cancelled, nothing new starts.

    Args:
        phase: what is called.
        steps: what the plan gave.
        refused: the packs that cannot have a step, with the reason; they fail.
        fail_fast: start nothing new after a failure.
        failed_before: packs that failed earlier in this run; what comes after them is not reached.
    """
    context = phase.context
    outcomes: dict[str, StepOutcome[S]] = {
        path: StepOutcome(path, cast("S", "failed"), error=error) for path, error in refused.items()
    }
    barred = {step.pack.path for step in untrusted_steps(phase.session, steps)}
    broken = {*failed_before, *refused}
    finished = {step.pack.path: anyio.Event() for step in steps}
    context.is_stopped = fail_fast and bool(broken)

    async def one(step: T) -> None:
        path = step.pack.path
        try:
            for needed in step.after:
                if needed in finished:
                    await finished[needed].wait()
            outcome = await _run_step(phase, step, broken, barred=path in barred)
            outcomes[path] = outcome
            if outcome.status in _NOT_THROUGH:
                broken.add(path)
                context.is_stopped = context.is_stopped or (fail_fast and outcome.status != "not-reached")
        finally:
            finished[path].set()

    async with watched(phase.session), anyio.create_task_group() as tasks:
        for step in steps:
            tasks.start_soon(one, step)
    return outcomes


async def _run_step(phase: Phase[T, S], step: T, broken: set[str], *, barred: bool) -> StepOutcome[S]:
    path = step.pack.path
    missing = [needed for needed in step.after if needed in broken]
    if missing:
        return StepOutcome(path, cast("S", "not-reached"), notes=(phase.blocked(missing),))
    if phase.context.is_stopped:
        return _stopped(path)
    if barred:
        return StepOutcome(
            path, cast("S", "untrusted"), error=untrusted_error(path, step.needs_trust, step.trust_key, phase.again)
        )
    sink = phase.session.settings.sink
    sink(PackStarted(path, phase.doing(step)))
    outcome = await _call(phase, step)
    sink(PackFinished(path, outcome.status, outcome.line(), outcome.told()))
    return outcome


async def _call(phase: Phase[T, S], step: T) -> StepOutcome[S]:
    """The lifecycle call itself; whatever a plugin raises becomes this pack's failure and nobody else's."""
    path = step.pack.path
    try:
        with blamed_type(path, step.pack.spec):
            outcome = _cleaned(checked_outcome(await phase.call(step), step.pack))
        if outcome.status == "skipped":
            return StepOutcome(path, cast("S", "skipped"), outcome.changes, outcome.notes)
        return await phase.conclude(step, outcome)
    except RunStoppedError:
        return _stopped(path)
    except PackSkippedError as skipped:
        return StepOutcome(path, cast("S", "skipped"), notes=(str(skipped),))
    except GrexError as error:
        with suppress(GrexError):  # the failure itself is what has to be told
            await phase.record_failure(step, error)
        return StepOutcome(path, cast("S", "failed"), error=error)


def _stopped(path: str) -> StepOutcome[S]:
    notes = ("an earlier failure ended the run (--fail-fast)",)
    return StepOutcome(path, cast("S", "not-reached"), notes=notes)


def blamed_type(path: str, spec: PackSpec | None) -> AbstractContextManager[None]:
    """Make every failure of a pack type its pack's own, at the place of its type; only that pack may suffer."""
    declared = spec.type if spec is not None else "plain"
    mark = spec.type_mark if spec is not None else None
    return blamed(f"the pack type {declared!r}", pack=path, mark=mark, passes=RunStoppedError)


@contextmanager
def asking(session: Session, path: str, spec: PackSpec | None) -> Generator[None]:
    """Ask a pack type and the actions of a pack for something that is not awaited; failures as in `blamed_type`."""
    with session.watchdog.asking(path), blamed_type(path, spec):
        yield


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


def _cleaned(outcome: Outcome) -> Outcome:
    """The outcome with its lines each on one line, and without what acts on a terminal or is a secret."""
    changes, notes = (
        tuple(clean(redact(line), _LINE_CHARACTERS) for line in lines) for lines in (outcome.changes, outcome.notes)
    )
    return replace(outcome, changes=changes, notes=notes)


def untrusted_error(path: str, would: Sequence[str], trust_key: str | None, again: str) -> UntrustedError:
    """The refusal of a pack that this user does not trust to do what it would; None stands for the root."""
    more = len(would) - _SHOWN
    what = "; ".join(would[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")
    where = trust_key if trust_key is not None else "."
    return UntrustedError(
        f"{path} is not trusted to run: {what}",
        hint=f"If you trust its author: `grex trust {shown_argument(where)}` (or a prefix of it), then {again}.",
        details={"prefix": where, "would": list(would)},
    )
