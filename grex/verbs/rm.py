"""`grex rm`: takes packs out of the workspace: undone, in the trash, and no longer declared.

Recipe: hold WORKSPACE, finish what a kill left, find out what goes, refuse before anything is done, ask for trust, tear
down, move to the trash (the deepest first), take the declarations out of the root's pack.yaml, then log, lockfile and
the hiding block. A kill before the declarations are gone leaves packs that the next sync clones again; after it, packs
of which the next run knows by their records in the trash that they were removed. Nothing is deleted at any moment.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from grex.engine import ROOT, Hiding, RunContext, Session, Settings, Survey, recover_workspace, survey
from grex.engine.exclusive import exclusive
from grex.engine.graph import enclosing_path
from grex.engine.keeping import Departure, depart
from grex.engine.overriding import LOCAL_YAML
from grex.engine.removal import RM, RemovalOutcome, Removals
from grex.engine.restoring import finish_removals, finish_restores
from grex.engine.standing import stand
from grex.engine.survey import known_paths, named
from grex.engine.teardown import (
    TeardownOutcome,
    prepare_teardown,
    refuse_committed_log,
    run_teardown,
    to_take_back,
)
from grex.engine.trash import Trash
from grex.errors import PackError, UsageError
from grex.manifest import LockLine, rm_event, write_lockfile
from grex.names import PACK_YAML, shown_argument
from grex.pack import read_local
from grex.verbs.asking import ask_for_trust
from grex.verbs.pruning import teardown_failed
from grex.verbs.report import exit_code_of, failure_json, removed_json
from grex.verbs.request import PacksRequest
from grex.verbs.undeclaring import Undeclaring, entries_of, take_out

if TYPE_CHECKING:
    from grex.verbs.documents import RmDocument

__all__ = ["RmReport", "RmRequest", "rm"]


class RmRequest(PacksRequest, frozen=True):
    """What to remove, and how.

    Attributes:
        keep_files: only forget: the declaration and what the log says; no file is touched.
        skip_teardown: leave what the packs have installed as it is.
        force: move to the trash also what has work in it that is nowhere else.
    """

    keep_files: bool = False
    skip_teardown: bool = False
    force: bool = False


class RmReport(Struct, frozen=True, kw_only=True):
    """What was removed; packs sorted by path.

    Attributes:
        root: the workspace.
        dry_run: whether this is what would be done.
        packs: what became of each pack.
        torn_down: what became of what they had installed.
        undeclared: the packs whose entry the root's pack.yaml has lost.
        recovered: what a run before had left, and was put right.
        swept: what has left the trash for good, because it lay there for so long.
        notes: what else is worth saying.
        elapsed_s: how long it took.
    """

    root: Path
    dry_run: bool
    packs: tuple[RemovalOutcome, ...]
    torn_down: tuple[TeardownOutcome, ...] = ()
    undeclared: tuple[str, ...] = ()
    recovered: tuple[str, ...] = ()
    swept: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    elapsed_s: float = 0.0

    @property
    def exit_code(self) -> int:
        """0, or what the failures come to."""
        return exit_code_of([*(pack.error for pack in self.torn_down), *(pack.error for pack in self.packs)])

    def to_json(self) -> RmDocument:
        """The document of `--json`."""
        return {
            "schema": "grex.rm/1",
            "workspace": str(self.root),
            "dry_run": self.dry_run,
            "exit_code": self.exit_code,
            "packs": [removed_json(pack) for pack in self.packs],
            "torn_down": [
                {
                    "path": pack.path,
                    "status": pack.status,
                    "changes": list(pack.changes),
                    "notes": list(pack.notes),
                    "error": failure_json(pack.error),
                }
                for pack in self.torn_down
            ],
            "undeclared": list(self.undeclared),
            "recovered": list(self.recovered),
            "swept": list(self.swept),
            "notes": list(self.notes),
            "elapsed_s": round(self.elapsed_s, 3),
        }


async def rm(request: RmRequest, settings: Settings) -> RmReport:
    """Remove packs.

    Tiers: all, in order. Cancellation: no new step starts; what was moved is in the trash and recorded, and the same
    command again goes on from there.

    Raises:
        UsageError: a PACK argument means no pack, or the root, or two options exclude each other.
        PackError: a pack is declared by another one; nothing was changed.
        ManifestError: the root's pack.yaml, the log or the lockfile cannot be used.
        LockError: the workspace could not be had.
    """
    if request.keep_files and request.force:
        raise UsageError("--keep-files and --force exclude each other", hint="Give one of them.")
    session = Session.open(request.root, settings)
    async with exclusive(session, dry_run=request.dry_run):
        return await _Removing(session, request).run()


class _Removing:
    """One run."""

    def __init__(self, session: Session, request: RmRequest) -> None:
        self._session = session
        self._request = request
        self._started = time.monotonic()
        self._recovered: list[str] = []

    async def run(self) -> RmReport:
        session, request = self._session, self._request
        if not request.dry_run:
            self._recovered = await _recovered(session)
        found = survey(session.layout, session.settings.platform)
        recorded = {*session.folded.packs} - {ROOT}
        wanted = named(found, {*session.lines, *recorded}, request.packs)
        if ROOT in wanted:
            raise UsageError(
                "the root is the workspace itself, and is not taken out of it",
                hint="Name packs. To be rid of all of it, `grex teardown` takes back what is installed; then remove "
                f"the directory {session.layout.root}.",
            )
        departure = depart(
            found.graph.nodes,
            recorded,
            wanted,
            {path: line.parents for path, line in session.lines.items()},
        )
        if departure.undeclare:
            Undeclaring(departure.undeclare).attempt(session)
        if request.keep_files:
            return await self._forget(found, departure)
        removals = Removals(
            session,
            verb=RM,
            why=f"removed by `grex rm{' --force' if request.force else ''}`",
            staying=departure.staying,
            leaving=departure.leaving,
            force=request.force,
            declarations=entries_of(session, departure.undeclare & departure.leaving),
        )
        refused = await removals.judge_all()
        torn = {} if refused or request.skip_teardown else await self._tear_down(found, departure)
        if refused or request.dry_run or any(outcome.error is not None for outcome in torn.values()):
            return self._report(_not_begun(removals, refused, torn), torn)
        outcomes = await removals.take_away()
        return await self._settle(found, departure, outcomes, torn)

    async def _tear_down(self, found: Survey, departure: Departure) -> dict[str, TeardownOutcome]:
        """Take back what the packs have installed; an entry for each that has anything."""
        session, request = self._session, self._request
        context = RunContext(session, dry_run=request.dry_run, tears_down=True)
        plan = prepare_teardown(session, context, stand(session, found), departure.leaving)
        if any(step.needs_trust for step in plan.steps):
            refuse_committed_log(session)
        if not request.dry_run:
            await ask_for_trust(session, request.ask_trust, plan.steps)
        # After a failure nothing is going to be removed, so nothing more needs to be taken back.
        return await run_teardown(session, context, plan, fail_fast=True)

    async def _forget(self, found: Survey, departure: Departure) -> RmReport:
        """Forget the packs, and leave every file where it is."""
        session, request = self._session, self._request
        installed = sorted(to_take_back(session) & departure.leaving)
        if installed and not request.skip_teardown:
            again = " ".join(shown_argument(path) for path in installed)
            raise PackError(
                f"{installed[0]} is installed, and how to take that back would be forgotten with it",
                hint=f"`grex teardown {again}` first, or `--skip-teardown` to leave it as it is.",
            )
        if request.dry_run:
            planned = RemovalOutcome(path="", status="planned", code="forget", text="forget it")
            return self._report({path: replace(planned, path=path) for path in departure.leaving}, {})
        outcomes = {
            path: RemovalOutcome(path=path, status="forgotten", text="its files were left there")
            for path in departure.leaving
        }
        return await self._settle(found, departure, outcomes, {})

    async def _settle(
        self,
        found: Survey,
        departure: Departure,
        outcomes: Mapping[str, RemovalOutcome],
        torn: Mapping[str, TeardownOutcome],
    ) -> RmReport:
        """Write down what is gone: the declarations first, for they are what a sync goes by."""
        session = self._session
        kept = {path for path, outcome in outcomes.items() if outcome.status == "kept"}
        undeclare = {path for path in departure.undeclare if not found.graph.descendants([path]) & kept}
        gone = [path for path in sorted(outcomes) if path not in kept]
        if undeclare:
            await take_out(session, undeclare)
        trash = Trash(session.layout)
        earlier = {one.record.path: one.record.stamp for one in reversed(trash.listed()[0]) if one.is_there}
        events = [
            # One that is absent was maybe moved by a run that was killed before it could say so.
            rm_event(
                path, trash=outcomes[path].trash or (trash.shown(earlier[path], path) if path in earlier else None)
            )
            for path in gone
            if path in session.folded.packs
        ]
        await session.record("log", events)
        await session.read_records()
        left = survey(session.layout, session.settings.platform)
        await finish_removals(session, known_paths(left.graph, session.lines))
        await _write_lockfile(session, left)
        # A pack that is only forgotten keeps its own exclude file, and what lies in it stays hidden there.
        outermost = [path for path in gone if enclosing_path(path, gone) is None]
        await Hiding(session.layout, session.holds).unhide([path for path in outermost if path not in left.graph.nodes])
        report = self._report(
            outcomes,
            torn,
            undeclared=undeclare,
            notes=(*_shared_notes(departure, undeclare), *_idle_overrides(session, left, gone)),
        )
        if report.exit_code:
            return report
        await session.compact_log()
        return replace(report, swept=tuple(await trash.sweep(session.settings.keep_days)))

    def _report(
        self,
        outcomes: Mapping[str, RemovalOutcome],
        torn: Mapping[str, TeardownOutcome],
        *,
        undeclared: Collection[str] = (),
        notes: tuple[str, ...] = (),
    ) -> RmReport:
        return RmReport(
            root=self._session.layout.root,
            dry_run=self._request.dry_run,
            packs=tuple(outcomes[path] for path in sorted(outcomes)),
            torn_down=tuple(torn[path] for path in sorted(torn)),
            undeclared=tuple(sorted(undeclared)),
            recovered=tuple(self._recovered),
            notes=notes,
            elapsed_s=time.monotonic() - self._started,
        )


async def _recovered(session: Session) -> list[str]:
    said = await finish_restores(session)
    recovered = await recover_workspace(session)
    if recovered.notes:
        await session.read_records()
    return [*session.recovered, *said, *sorted(recovered.notes)]


def _not_begun(
    removals: Removals, refused: Mapping[str, RemovalOutcome], torn: Mapping[str, TeardownOutcome]
) -> dict[str, RemovalOutcome]:
    """What is said of every pack where none was moved: one that must stay keeps all that were named with it."""
    failed = {path for path, outcome in torn.items() if outcome.error is not None}
    if not refused and not failed:
        return {
            path: RemovalOutcome(path=path, status="planned", code="trash", text="move it to the trash")
            for path in removals.order()
        }
    outcomes = dict(refused)
    for path in removals.order():
        if path in failed:
            outcomes[path] = teardown_failed(path, torn[path])
        elif path not in refused:
            first = next(iter(sorted({*refused, *failed})))
            outcomes[path] = RemovalOutcome(path=path, status="kept", code="not-reached", text=f"{first} was kept")
    return outcomes


def _shared_notes(departure: Departure, undeclared: Collection[str]) -> tuple[str, ...]:
    return tuple(
        f"{path} stays, for it is also declared at {place}"
        for path, place in sorted(departure.shared.items())
        if path in undeclared
    )


def _idle_overrides(session: Session, left: Survey, gone: Sequence[str]) -> list[str]:
    """What to do about an override whose pack is gone: it is not taken away unasked, for it may be wanted again."""
    local = [(one.path, True) for one in read_local(session.layout.root)]
    listed = [(one.path, False) for one in left.root_spec.overrides] + local
    return [
        f"the override for {path} in {LOCAL_YAML if is_local else PACK_YAML} touches no pack now; "
        f"`grex override {shown_argument(path)} --remove{' --local' if is_local else ''}` takes it away"
        for path, is_local in listed
        if path in gone and path not in left.graph.nodes
    ]


async def _write_lockfile(session: Session, left: Survey) -> None:
    """Drop the lines of what nobody can declare any more, and say who declares the others now.

    Also those that a run was killed before it could drop. What a pack declares that is not there is not known, so the
    lines below it stay.
    """
    nodes = left.graph.nodes
    known = {path for path, line in session.lines.items() if path in nodes or not nodes.keys().isdisjoint(line.parents)}
    while grown := {
        path for path, line in session.lines.items() if path not in known and not known.isdisjoint(line.parents)
    }:
        known |= grown
    lines: dict[str, LockLine] = {
        path: replace(line, parents=nodes[path].all_parents) if path in nodes else line
        for path, line in session.lines.items()
        if path in known
    }
    if lines != dict(session.lines):
        async with session.holds.manifest_exclusive("lockfile") as hold:
            write_lockfile(session.layout.lockfile, list(lines.values()), hold=hold)
