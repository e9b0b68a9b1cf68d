"""Takes installs back: what depends on a pack first, then the pack, each through its pack type's `teardown`.

What there is to take back, the log knows: a pack that is installed, or whose install was killed half-way. One that is
no longer declared is taken back as well, by the pack.yaml in its checkout; where the checkout is gone, only what the
log itself has can be undone. `installed` with nothing in it is recorded when a pack is through, so that a teardown
that was killed is finished by another one.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from typing import Literal

from msgspec import Struct, field

from grex.engine.calling import call_pack_type
from grex.engine.context import RunContext
from grex.engine.dependencies import find_needs
from grex.engine.graph import ROOT
from grex.engine.installable import Present
from grex.engine.lifecycle import Phase, Step, StepOutcome, asking, run_steps, trust_lines
from grex.engine.session import Session
from grex.engine.standing import Standing
from grex.errors import GrexError, ManifestError, PackError
from grex.exclude import enclosing_repository, git_dir_of
from grex.git import GitDirs, IndexUnreadableError, read_index
from grex.manifest import PackRecord, installed_event
from grex.names import shown_argument
from grex.plugin import Outcome, Pack

__all__ = [
    "TeardownOutcome",
    "TeardownPlan",
    "TeardownStatus",
    "prepare_teardown",
    "refuse_committed_log",
    "run_teardown",
    "to_take_back",
    "with_dependents",
]

TeardownStatus = Literal["torn-down", "skipped", "failed", "untrusted", "not-reached", "planned"]
TeardownOutcome = StepOutcome[TeardownStatus]


class TeardownPlan(Struct, frozen=True):
    """The steps, sorted by path; the packs that cannot have one, with the reason; and those without a checkout."""

    steps: tuple[Step, ...] = ()
    refused: Mapping[str, GrexError] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()


def to_take_back(session: Session) -> set[str]:
    """The packs of which the log has something to take back."""
    return {path for path, record in session.folded.packs.items() if _has_anything(record)}


def _has_anything(record: PackRecord) -> bool:
    return (
        record.installed is not None
        or bool(record.open_brackets)
        or any(done.undo is not None for done in record.completed)
    )


def prepare_teardown(
    session: Session, context: RunContext, standing: Standing, wanted: Collection[str] | None
) -> TeardownPlan:
    """Which packs are to be torn down, with what each would run.

    Args:
        session: the open workspace.
        context: what pack types are given.
        standing: the packs as they are.
        wanted: the packs that were asked for; None for all.
    """
    installed = to_take_back(session)
    chosen = installed if wanted is None else installed & set(wanted)
    dependents = _dependents(session, standing)
    refused = {path: error for path, error in standing.refused.items() if path in chosen}
    steps: list[Step] = []
    for path in sorted(chosen & set(standing.present)):
        found = standing.present[path]
        above = dependents.get(path, set()) & installed
        try:
            _check_dependents(path, above - chosen)
            with asking(session, path, found.spec):
                steps.append(_step(session, context, found, tuple(sorted(above & chosen))))
        except GrexError as error:
            refused[path] = error
    return TeardownPlan(tuple(steps), refused, frozenset(standing.gone & chosen))


def with_dependents(session: Session, standing: Standing, packs: Collection[str]) -> set[str]:
    """Those of these packs that have something to take back, with every installed pack that needs one of them."""
    installed = to_take_back(session)
    dependents = _dependents(session, standing)
    found: set[str] = set()
    waiting = [path for path in packs if path in installed]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting.extend(dependents.get(path, set()) & installed)
    return found


def _dependents(session: Session, standing: Standing) -> dict[str, set[str]]:
    """Who needs each pack; what cannot be found any more has no order to keep."""
    needs = find_needs(session, list(standing.present.values())).without_circles()
    found: dict[str, set[str]] = {}
    for path in needs.of:
        for need in needs.before(path, to_take_back(session)):
            found.setdefault(need, set()).add(path)
    return found


def _check_dependents(path: str, installed: Collection[str]) -> None:
    if installed:
        others = sorted(installed)
        together = " ".join(shown_argument(one) for one in (*others, path))
        raise PackError(
            f"{path} is needed by {', '.join(others)}, which is installed and was not asked for",
            hint=f"`grex teardown {together}` takes them back together.",
        )


def _type(found: Present) -> str:
    return "plain" if found.spec is None else found.spec.type


def _step(session: Session, context: RunContext, found: Present, after: tuple[str, ...]) -> Step:
    path, spec = found.path, found.spec
    pack_type = session.registry.pack_type(_type(found))
    name = spec.name if spec is not None else path.rsplit("/", 1)[-1]
    pack = Pack(path, session.layout.pack_dir(path), name, _type(found), spec, found.commit)
    lines = trust_lines(pack_type.teardown_needs_trust(context, pack), pack)
    if lines and path != ROOT and not found.trust_key:
        raise PackError(
            f"{path}: nothing says which repository it came from, so it cannot be trusted to run: {lines[0]}",
            hint="Take back by hand what its lines in grex.jsonl say, or declare it again and `grex sync`.",
        )
    return Step(pack, pack_type, found.trust_key, lines, after)


def refuse_committed_log(session: Session) -> None:
    """Insist that the log is this machine's own: a workspace may be a clone of somebody else's repository.

    What a teardown runs and moves, the log says, in the name of packs that the user trusts. A log that came with the
    workspace's repository could say anything.

    Raises:
        ManifestError: the log is committed.
    """
    log = session.layout.log
    found = enclosing_repository(log.parent)
    own = None if found is None else git_dir_of(found[0])
    if found is None or own is None:
        return
    try:
        index = read_index(GitDirs(own, found[1]))
    except IndexUnreadableError:
        return
    path = os.fsencode(os.path.relpath(os.path.realpath(log), found[0]))
    if any(entry.path == path for entry in index.entries):
        raise ManifestError(
            f"{log.name} is committed, so what it says may come from anybody, and nothing is run because of it",
            hint=f"Take it out of the repository (`git rm --cached {log.name}`) if you know that it is your own.",
        )


async def run_teardown(
    session: Session, context: RunContext, plan: TeardownPlan, *, fail_fast: bool
) -> dict[str, TeardownOutcome]:
    """Run every step of the plan; see `run_steps`."""
    phase = _TearingDown(session, context, plan.gone)
    return await run_steps(phase, plan.steps, plan.refused, fail_fast=fail_fast)


class _TearingDown(Phase[Step, TeardownStatus]):
    again = "tear down again"

    def __init__(self, session: Session, context: RunContext, gone: Collection[str]) -> None:
        super().__init__(session, context)
        self._gone = gone

    def doing(self, step: Step) -> str:
        """`teardown`."""
        del step
        return "teardown"

    async def call(self, step: Step) -> Outcome:
        """`teardown`."""
        return await call_pack_type(self.context, step.pack_type, "teardown", step.pack)

    async def conclude(self, step: Step, outcome: Outcome) -> TeardownOutcome:
        """Record that nothing is installed any more."""
        path = step.pack.path
        notes = outcome.notes
        if path in self._gone:
            notes = (*notes, "its checkout is gone, so no hook and no `teardown:` of it could be run")
        if self.context.dry_run:
            return StepOutcome(path, "planned", outcome.changes or ("teardown: nothing to undo",), notes)
        await self.session.record(path, [installed_event(path, actions_hash=None)])
        self.context.owners.release(path)
        return StepOutcome(path, "torn-down", outcome.changes, notes)

    def blocked(self, missing: Sequence[str]) -> str:
        """A pack stays while another one that needs it does."""
        return f"{', '.join(missing)} depends on it and was not torn down"
