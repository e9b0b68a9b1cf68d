"""`grex sync`: brings the workspace into the state that its manifests declare.

Recipe: hold WORKSPACE, read the records, clean what a crash left, walk (clone and move in parallel), plan the installs,
ask for trust while holding no permit and no pack, install, write the lockfile once, report.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping

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
from grex.engine.exclusive import exclusive
from grex.engine.merging import teach_merging
from grex.engine.outcome import unlocked, unlocked_error
from grex.engine.removal import RemovalOutcome
from grex.engine.restoring import finish_removals, finish_restores
from grex.engine.survey import known_paths, open_graph, read_root_spec, survey, undeclared
from grex.engine.trash import Trash
from grex.engine.turning import forget, parse_group_choices, turn, unknown_groups
from grex.errors import GrexError, ManifestError, PackError, PackSpecError, UsageError
from grex.manifest import LockLine, write_lockfile
from grex.manifest.relocked import Relocked, relocked
from grex.pack import PackSpec, read_local_all
from grex.verbs.asking import ask_for_trust
from grex.verbs.pruning import prune
from grex.verbs.request import PacksRequest
from grex.verbs.sync_report import PackReport, SyncReport, pack_reports
from grex.workspace import read_config

__all__ = ["PackReport", "SyncReport", "SyncRequest", "sync", "sync_session"]


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
    async with exclusive(session, dry_run=request.dry_run):
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
    choices, new_groups = await _turn_groups(session, request)
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
        off = [node for node in walked.graph.ordered() if not node.is_active]
        plan = prepare(session, context, present, others=others, off=off)
        if not request.dry_run:
            await ask_for_trust(session, request.ask_trust, plan.steps)
        failed = [path for path, outcome in walked.outcomes.items() if outcome.is_failure]
        installs = await run(
            session, context, plan, fail_fast=request.fail_fast, failed_before=[*failed, *walked.not_reached]
        )
        drifts = await look_at_all(session, plan.settled)
    changed: Relocked | None = None
    if not request.dry_run:
        if is_whole:
            await finish_removals(session, declared)
            await hiding.settle(sorted(declared))
        changed = await _write_lockfile(session, walked, complete=complete)
        await session.compact_log()
    forgotten = await _forget_groups(session, graph, new_groups) if is_whole else frozenset[str]()
    notes = [
        *chosen.notes,
        *_notes(graph, choices, forgotten, complete=complete, not_pruned=request.prune and not is_whole),
    ]
    if not request.dry_run and (untaught := await teach_merging(session)) is not None:
        notes.append(untaught)
    report = SyncReport(
        root=session.layout.root,
        dry_run=request.dry_run,
        packs=tuple(pack_reports(walked, installs, drifts, graph)),
        undeclared=tuple(undeclared(session.layout, session.folded.packs, declared)) if is_whole else (),
        recovered=(*session.recovered, *restored, *sorted(recovered.notes)),
        notes=tuple(notes),
        relocked=changed,
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


def _notes(
    graph: Graph, choices: Mapping[str, bool], forgotten: Collection[str], *, complete: bool, not_pruned: bool
) -> list[str]:
    notes: list[str] = []
    if choices:
        known = {group for node in graph.nodes.values() for group in node.groups}
        notes += unknown_groups(choices, known)
        if forgotten:
            notes.append(f"the choice of {', '.join(sorted(forgotten))} was not kept")
    if complete:
        notes += [f"the override for {unused.path} touches no pack" for unused in graph.unused_overrides()]
    if not_pruned:
        notes.append("nothing was pruned, because what the packs that failed declare is not known")
    return notes


async def _turn_groups(session: Session, request: SyncRequest) -> tuple[dict[str, bool], frozenset[str]]:
    """Write down which groups are wanted, before anything is done about it; a dry run only plans with them.

    Gives what is wanted, and which of them nothing was said about before.
    """
    if not request.groups:
        return {}, frozenset()
    choices = parse_group_choices(request.groups)
    if request.dry_run:
        return choices, frozenset()
    said = {entry.name for entry in read_local_all(session.layout.root).groups}
    await turn(session, choices)
    return choices, frozenset(choices) - said


async def _forget_groups(session: Session, graph: Graph, new: frozenset[str]) -> frozenset[str]:
    """Keep no choice about a group that no pack has: a typo would be one for ever. Gives what is not kept.

    Only where all is known that packs declare. It was written before, for of a nested group nobody knows until the walk
    has come to it, and a run that is killed on the way is gone on with by a plain sync.
    """
    known = {group for node in graph.nodes.values() for group in node.groups}
    known.update(read_config(session.layout.root, None, refused=[]).groups_off)
    unknown = new - known
    if unknown:
        await forget(session, unknown)
    return unknown


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


async def _write_lockfile(session: Session, walked: Walked, *, complete: bool) -> Relocked | None:
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
    changes = relocked(session.lines, lines)
    if not changes.paths:
        return None
    async with session.holds.manifest_exclusive("lockfile") as hold:
        return changes if write_lockfile(session.layout.lockfile, list(lines.values()), hold=hold) else None
