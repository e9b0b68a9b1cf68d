"""`grex sync`: brings the workspace into the state that its manifests declare.

Recipe: hold WORKSPACE, read the records, clean what a crash left, walk (clone and move in parallel), plan the installs,
ask for trust while holding no permit and no pack, install, write the lockfile once, report.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from msgspec import Struct
from msgspec.structs import replace

from grex.engine import (
    ROOT,
    CheckoutOptions,
    CheckoutOutcome,
    Checkouts,
    Graph,
    Hiding,
    InstallOutcome,
    InstallPlan,
    Node,
    Present,
    Recovered,
    RunContext,
    Session,
    Settings,
    Survey,
    Walk,
    Walked,
    lock_line,
    prepare,
    recover_workspace,
    run,
)
from grex.engine.choosing import Chosen, choose
from grex.engine.drift import Drift, look_at_all
from grex.engine.merging import teach_merging
from grex.engine.outcome import unlocked, unlocked_error, what_happened
from grex.engine.removal import RemovalOutcome
from grex.engine.restoring import finish_removals, finish_restores
from grex.engine.survey import known_paths, open_graph, read_root_spec, survey, undeclared
from grex.engine.trash import Trash
from grex.engine.turning import parse_group_choices, turn, unknown_groups
from grex.errors import GrexError, ManifestError, PackError, PackSpecError, UsageError
from grex.manifest import LockLine, write_lockfile
from grex.names import shown_argument
from grex.pack import PackSpec
from grex.verbs.asking import ask_for_trust
from grex.verbs.pruning import prune
from grex.verbs.report import exit_code_of, failure_json, history_json, removed_json
from grex.verbs.request import PacksRequest

if TYPE_CHECKING:
    from grex.engine.pulling import Pulled
    from grex.git.history import History
    from grex.verbs.documents import InstallObject, SyncDocument, SyncPackObject

__all__ = ["PackReport", "SyncReport", "SyncRequest", "sync", "sync_session"]

SyncStatus = Literal["cloned", "moved", "unchanged", "left", "failed", "not-reached", "planned"]


class SyncRequest(PacksRequest, frozen=True):
    """What to sync, and how.

    Attributes:
        pull: fast-forward the workspace's own repository before anything else.
        groups: groups to turn on (`name`) and off (`!name`) on this machine, from now on.
        locked: check out the lockfile's commits; a pack that it lacks is an error.
        offline: ask no remote.
        no_install: leave the install phase out.
        install: do not leave it out in a fork either.
        keep_partial: leave what a failed install had done.
        anew: resolve tags again, and follow those that moved.
        reinstall: install every pack again, and put right what was changed by hand; that is kept beside.
        prune: move what nobody declares any more to the trash.
        force: move also what would be left alone, after keeping what is in the way.
    """

    groups: tuple[str, ...] = ()
    pull: bool = False
    locked: bool = False
    offline: bool = False
    no_install: bool = False
    install: bool = False
    keep_partial: bool = False
    anew: bool = False
    reinstall: bool = False
    prune: bool = False
    force: bool = False


class PackReport(Struct, frozen=True):
    """What became of one pack.

    `status` is the checkout's: `cloned`, `moved`, `unchanged`, `left`, `failed`, `not-reached`, `planned`.
    `install` is None where there was nothing to install.
    """

    path: str
    type: str
    status: SyncStatus
    url: str | None = None
    ref: str | None = None
    branch: str | None = None
    old_sha: str | None = None
    new_sha: str | None = None
    code: str | None = None
    text: str = ""
    hint: str | None = None
    notes: tuple[str, ...] = ()
    error: GrexError | None = None
    install: InstallOutcome | None = None
    history: History | None = None

    def line(self) -> str:
        """What became of the checkout, in one line."""
        where = self.branch or self.ref
        return what_happened(self.status, self.text, where, self.old_sha, self.new_sha, self.history)

    @property
    def failures(self) -> list[GrexError]:
        """Everything about this pack that makes the run fail."""
        found = [] if self.error is None else [self.error]
        if self.install is not None and self.install.error is not None:
            found.append(self.install.error)
        return found

    def to_json(self) -> SyncPackObject:
        """The pack's entry in the document."""
        install: InstallObject | None = None
        if self.install is not None:
            install = {
                "status": self.install.status,
                "changes": list(self.install.changes),
                "notes": list(self.install.notes),
                "error": failure_json(self.install.error),
            }
        return {
            "path": self.path,
            "type": self.type,
            "status": self.status,
            "url": self.url,
            "ref": self.ref,
            "branch": self.branch,
            "old": self.old_sha,
            "new": self.new_sha,
            "commits": history_json(self.history),
            "code": self.code,
            "text": self.text,
            "hint": self.hint,
            "notes": list(self.notes),
            "error": failure_json(self.error),
            "install": install,
        }


class SyncReport(Struct, frozen=True):
    """What a sync did, packs sorted by path; equal for equal work but for the times.

    `elapsed_s` is all of it; of that, `waited_s` went by while a lock was waited for that the processes of `waited_for`
    held. `pulled` is the workspace's own repository, if it was asked for.
    `extra_errors` are of packs, by path, that have no entry of their own for it. `pruned` is what became of each
    pack that nobody declared, where that was asked for; `swept` is what left the trash for good.
    """

    root: Path
    dry_run: bool
    packs: tuple[PackReport, ...]
    undeclared: tuple[str, ...] = ()
    recovered: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    lockfile_changed: bool = False
    pulled: Pulled | None = None
    elapsed_s: float = 0.0
    waited_s: float = 0.0
    waited_for: tuple[int, ...] = ()
    extra_errors: tuple[tuple[str, GrexError], ...] = ()
    pruned: tuple[RemovalOutcome, ...] = ()
    swept: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0, or what the failures come to."""
        return exit_code_of(
            [
                *(error for _, error in self.extra_errors),
                *(error for pack in self.packs for error in pack.failures),
                *(pack.error for pack in self.pruned),
            ]
        )

    def to_json(self) -> SyncDocument:
        """The document of `--json`."""
        return {
            "schema": "grex.sync/1",
            "workspace": str(self.root),
            "dry_run": self.dry_run,
            "exit_code": self.exit_code,
            "packs": [pack.to_json() for pack in self.packs],
            "undeclared": list(self.undeclared),
            "pruned": [removed_json(pack) for pack in self.pruned],
            "swept": list(self.swept),
            "recovered": list(self.recovered),
            "notes": list(self.notes),
            "errors": [failure_json(error) for _, error in self.extra_errors],
            "lockfile_changed": self.lockfile_changed,
            "pulled": None
            if self.pulled is None
            else {
                "branch": self.pulled.branch,
                "upstream": self.pulled.upstream,
                "old": self.pulled.old,
                "new": self.pulled.new,
            },
            "elapsed_s": round(self.elapsed_s, 3),
            "waited_s": round(self.waited_s, 3),
        }


async def sync(request: SyncRequest, settings: Settings) -> SyncReport:
    """Sync a workspace.

    Tiers: all, in order. Cancellation: no new step starts, running git and hooks are ended with their groups, brackets
    are closed as cancelled, then every lock is free; the next sync goes on from there.

    Raises:
        ManifestError: the root's pack.yaml, the log or the lockfile cannot be used; nothing was changed.
        UsageError: a PACK argument, a filter or a group means nothing.
        LockError: the workspace could not be had.
    """
    if request.prune and (request.packs or request.filters):
        raise UsageError(
            "--prune is about what no pack of the whole workspace declares, so it takes no PACK and no filter",
            hint="`grex sync --prune`, or `grex rm PACK`.",
        )
    if request.install and request.no_install:
        raise UsageError("--install and --no-install exclude each other", hint="Give one of them.")
    if request.pull and request.offline:
        raise UsageError("--pull asks a remote, which --offline forbids", hint="Give one of them.")
    session = Session.open(request.root, settings)
    async with session.exclusive(dry_run=request.dry_run):
        if not request.pull:
            return await sync_session(session, request)
        from grex.engine.pulling import pull  # noqa: PLC0415 - most syncs move packs only

        pulled = await pull(session, dry_run=request.dry_run)
        if not request.dry_run:
            await session.read_records()  # the lockfile may be another one now
        return replace(await sync_session(session, request), pulled=pulled)


async def sync_session(
    session: Session, request: SyncRequest, *, brought: Mapping[str, CheckoutOutcome] | None = None
) -> SyncReport:
    """Sync with WORKSPACE held already (or nothing at all, in a dry run).

    `brought` is what was done to packs before, by path: this run tells it as its own.
    """
    restored = [] if request.dry_run else await finish_restores(session)  # it may write to the root's pack.yaml
    root_spec = read_root_spec(session.layout, session.settings.platform, session.check_type)
    choices = await _turn_groups(session, request)
    chosen = await _chosen(session, request, choices)
    graph = open_graph(session.layout, root_spec, choices, wanted=chosen.paths | chosen.needed)
    recovered = Recovered() if request.dry_run else await recover_workspace(session)
    if recovered.notes:
        await session.read_records()  # what was recovered is in the log now
    hiding = Hiding(session.layout, session.holds)
    options = CheckoutOptions(
        locked=request.locked,
        offline=request.offline,
        dry_run=request.dry_run,
        anew=request.anew,
        force=request.force,
    )
    walk = Walk(
        session,
        Checkouts(session, options, hiding),
        graph,
        selected=None if chosen.scope is None else chosen.scope | chosen.needed,
        fail_fast=request.fail_fast,
        judge=chosen.wants if chosen.filters else None,
        brought=brought,
    )
    try:
        if request.locked:
            _check_lockfile_covers(session, root_spec, choices, chosen)
        walked = await walk.run(root_spec)
    except PackSpecError as error:
        raise ManifestError(error.message, hint=error.hint, details=error.details) from error
    complete = chosen.is_all and not walked.not_reached and not recovered.failures
    is_whole = complete and _is_all_known(walked)
    declared = known_paths(graph, session.lines)
    pruned: dict[str, RemovalOutcome] = {}
    if request.prune and is_whole:
        pruned = await prune(
            session,
            Survey(graph, root_spec),
            declared,
            ask_trust=request.ask_trust,
            dry_run=request.dry_run,
        )
    context = RunContext(
        session,
        dry_run=request.dry_run,
        keep_partial=request.keep_partial,
        force=request.reinstall,
        offline=request.offline,
    )
    plan, installs, drifts = InstallPlan(), dict[str, InstallOutcome](), dict[str, Drift]()
    if _installs(session, request):
        if any(outcome.status == "cloned" for outcome in walked.outcomes.values()):
            await session.read_records()  # what was installed in an earlier checkout is not whole any more
        present, others = _present(session, root_spec, walked, is_all=chosen.is_all)
        plan = prepare(session, context, present, others=others)
        if not request.dry_run:
            await ask_for_trust(session, request.ask_trust, plan.steps)
        failed = [path for path, outcome in walked.outcomes.items() if outcome.is_failure]
        installs = await run(
            session, context, plan, fail_fast=request.fail_fast, failed_before=[*failed, *walked.not_reached]
        )
        drifts = await look_at_all(session, plan.settled)
    changed = False
    if not request.dry_run:
        if is_whole:
            await finish_removals(session, declared)
            await hiding.settle(sorted(declared))
        changed = await _write_lockfile(session, walked, complete=complete)
        await session.compact_log()
    notes = [*chosen.notes, *_notes(graph, choices, complete=complete, not_pruned=request.prune and not is_whole)]
    if not request.dry_run and (untaught := await teach_merging(session)) is not None:
        notes.append(untaught)
    report = SyncReport(
        root=session.layout.root,
        dry_run=request.dry_run,
        packs=tuple(_pack_reports(walked, installs, drifts, graph)),
        undeclared=tuple(undeclared(session.layout, session.folded.packs, declared)) if is_whole else (),
        recovered=(*session.recovered, *restored, *sorted(recovered.notes)),
        notes=tuple(notes),
        lockfile_changed=changed,
        elapsed_s=time.monotonic() - session.started,
        waited_s=session.holds.waiting.total_s,
        waited_for=tuple(session.holds.waiting.holders),
        extra_errors=(
            *sorted(recovered.failures.items()),
            *_unreached(walked, chosen),
        ),
        pruned=tuple(pruned[path] for path in sorted(pruned)),
    )
    if request.dry_run or report.exit_code:
        return report
    return replace(report, swept=tuple(await Trash(session.layout).sweep(session.settings.keep_days)))


def _is_all_known(walked: Walked) -> bool:
    """Whether it is known what every pack declares: else nothing may be called undeclared, or be hidden no longer."""
    return not any(
        outcome.status == "failed" or (outcome.is_failure and not outcome.is_present)
        for outcome in walked.outcomes.values()
    )


def _notes(graph: Graph, choices: Mapping[str, bool], *, complete: bool, not_pruned: bool) -> list[str]:
    notes: list[str] = []
    if choices:
        known = {group for node in graph.nodes.values() for group in node.groups}
        notes += unknown_groups(choices, known)
    if complete:
        notes += [f"the override for {unused.path} touches no pack" for unused in graph.unused_overrides()]
    if not_pruned:
        notes.append("nothing was pruned, because what the packs that failed declare is not known")
    return notes


async def _turn_groups(session: Session, request: SyncRequest) -> dict[str, bool]:
    """Write down which groups are wanted, before anything is done about it; a dry run only plans with them."""
    if not request.groups:
        return {}
    choices = parse_group_choices(request.groups)
    if not request.dry_run:
        await turn(session, choices)
    return choices


def _installs(session: Session, request: SyncRequest) -> bool:
    """Whether there is an install phase: in a fork only if it is asked for, since its packs would want the same places.

    A forced update asks for it by itself.
    """
    return not request.no_install and (session.fork is None or request.install or request.reinstall)


def _check_lockfile_covers(session: Session, root_spec: PackSpec, choices: Mapping[str, bool], chosen: Chosen) -> None:
    """With --locked: what the root declares must be in the lockfile as it is declared, before anything is cloned.

    What packs declare is judged as the walk reaches it, before it is cloned.
    """
    wanted = chosen.paths | chosen.needed
    probe = open_graph(session.layout, root_spec, choices, wanted=wanted)
    declared = [node for node in probe.declare(ROOT, root_spec) if chosen.is_all or node.path in wanted]
    found = (unlocked(node, session.lines.get(node.path)) for node in declared)
    wrong = [problem for problem in found if problem is not None]
    if wrong:
        raise unlocked_error(wrong)


async def _chosen(session: Session, request: SyncRequest, choices: Mapping[str, bool]) -> Chosen:
    """What is asked for, with everything that is known to lie below.

    A pack with several parents would otherwise be brought or not by which of them the walk comes to first.
    """
    if not request.packs and not request.filters:
        return Chosen(is_all=True)
    known = survey(
        session.layout,
        session.settings.platform,
        choices,
        check_type=session.check_type,
        is_whole=bool(request.packs),
    )
    chosen = await choose(session, known, request.packs, request.filters, known=session.lines)
    return Chosen(is_all=True) if chosen.is_all else chosen


def _unreached(walked: Walked, chosen: Chosen) -> list[tuple[str, GrexError]]:
    """Packs that were asked for, that only the lockfile knew, and that the walk did not come to."""
    return [
        (
            path,
            PackError(
                f"{path} is in the lockfile, but no pack declares it any more", hint="`grex ls` lists the packs."
            ),
        )
        for path in sorted(chosen.paths | chosen.needed)
        if path not in walked.outcomes and path not in walked.not_reached
    ]


def _present(
    session: Session, root_spec: PackSpec, walked: Walked, *, is_all: bool
) -> tuple[list[Present], list[Present]]:
    """The packs of this run that are there, and those that are there besides."""
    found = [Present(ROOT, root_spec, "", None)] if is_all else []
    others: list[Present] = []
    for node in walked.graph.ordered():
        outcome = walked.outcomes.get(node.path)
        if outcome is None or not outcome.is_present or outcome.status == "failed":
            continue
        present = Present(
            node.path, outcome.spec, outcome.new_sha or "", node.url.identity, session.trust_key(node.url)
        )
        (others if outcome.status == "passed" else found).append(present)
    return found, others


async def _write_lockfile(session: Session, walked: Walked, *, complete: bool) -> bool:
    lines: dict[str, LockLine] = {}
    # What inactive packs declare is not known here: as far as the lockfile goes, it is as it was.
    left_out = set() if session.fork is None else set(session.fork.left_out)
    dormant = walked.graph.dormant({path: line.parents for path, line in session.lines.items()})
    lines.update((path, session.lines[path]) for path in dormant if path in session.lines)
    for node in walked.graph.active():
        outcome = walked.outcomes.get(node.path)
        line = session.lines.get(node.path) if outcome is None else lock_line(node, outcome, session.lines)
        if line is not None:
            before = session.lines[node.path].parents if node.path in session.lines else ()
            parents = {*node.all_parents, *(parent for parent in before if parent in dormant or parent in left_out)}
            lines[node.path] = replace(line, parents=tuple(sorted(parents)))
    for path, line in session.lines.items():
        # A filtered or broken run keeps the lines of the packs that it did not touch, a fork those that it lacks.
        if not complete or path in left_out:
            lines.setdefault(path, line)
    if lines == dict(session.lines):
        return False
    async with session.holds.manifest_exclusive("lockfile") as hold:
        return write_lockfile(session.layout.lockfile, list(lines.values()), hold=hold)


def _pack_reports(
    walked: Walked, installs: dict[str, InstallOutcome], drifts: dict[str, Drift], graph: Graph
) -> list[PackReport]:
    reports: list[PackReport] = []
    if ROOT in installs or ROOT in drifts:
        kind = graph.root_spec.type if graph.root_spec is not None else "meta"
        notes = _drift_notes(ROOT, drifts)
        reports.append(PackReport(ROOT, kind, "unchanged", notes=notes, install=installs.get(ROOT)))
    for path in sorted({*(node.path for node in graph.active()), *walked.not_reached}):
        outcome = walked.outcomes.get(path)
        if outcome is not None and outcome.status == "passed":
            continue
        node = graph.nodes.get(path)
        if outcome is None:
            reason = walked.not_reached.get(path, "")
            reports.append(PackReport(path, "plain" if node is None else node.type, "not-reached", text=reason))
            continue
        reports.append(_pack_report(path, node, outcome, installs.get(path), _drift_notes(path, drifts)))
    return reports


def _drift_notes(path: str, drifts: dict[str, Drift]) -> tuple[str, ...]:
    """What was changed by hand since the pack was installed; a sync leaves it as it is."""
    drift = drifts.get(path, Drift())
    if drift.unknown is not None:
        return (f"whether its install was changed by hand cannot be told: {drift.unknown}",)
    if not drift.tampered:
        return ()
    more = f" (and {len(drift.tampered) - 1} more)" if len(drift.tampered) > 1 else ""
    again = f"grex update --force{'' if path == ROOT else ' ' + shown_argument(path)}"
    return (f"changed by hand since it was installed: {drift.tampered[0]}{more}; `{again}` mends it",)


def _pack_report(
    path: str, node: Node | None, outcome: CheckoutOutcome, install: InstallOutcome | None, notes: tuple[str, ...]
) -> PackReport:
    error = outcome.error
    if error is None and outcome.is_failure:
        error = PackError(f"{path} was left alone: {outcome.text}", hint=outcome.hint, details={"reason": outcome.code})
    return PackReport(
        path=path,
        type=outcome.spec.type if outcome.spec is not None else "plain",
        status=cast("SyncStatus", outcome.status),  # packs that were only passed through have no report
        url=node.url.redacted if node is not None else None,
        ref=node.ref if node is not None else None,
        branch=outcome.branch,
        old_sha=outcome.old_sha,
        new_sha=outcome.new_sha,
        code=outcome.code,
        text=outcome.text,
        hint=outcome.hint,
        notes=(*outcome.notes, *notes),
        error=error,
        install=install,
        history=outcome.history,
    )
