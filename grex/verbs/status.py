"""`grex status`: per pack, how the disk stands to what is declared, locked and installed.

Reads HEAD, refs and the index directly; git is started only for a pack where these cannot decide (a file that git does
not track, a filter, commits to count). No network.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from msgspec import Struct
from msgspec.structs import replace

from grex.engine import ROOT, Node, Session, Settings, survey
from grex.engine.outcome import declared_otherwise
from grex.engine.situation import ref_of
from grex.engine.survey import Survey, known_paths, undeclared
from grex.errors import GrexError, PackError
from grex.exclude import enclosing_repository, exclude_file_of, read_block
from grex.git import CheckoutState, ahead_behind, edited_paths, observe, porcelain, unpushed_count, untracked_hint
from grex.loop import has_event_loop
from grex.names import clean, is_full_sha
from grex.verbs.install_status import Installs
from grex.verbs.narrowed import asked_for
from grex.verbs.status_report import PackStatus, RepositoryStatus, StatusReport

if TYPE_CHECKING:
    from grex.engine.over_git import OverOutcome

__all__ = ["PackStatus", "RepositoryStatus", "StatusReport", "StatusRequest", "status"]


class StatusRequest(Struct, frozen=True):
    """Which packs to look at; with `fail_on_drift`, drift in one of them is exit 7.

    With `fetch`, the remotes of these packs are asked before anything is looked at, as `grex fetch` does.
    """

    root: Path
    packs: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    fail_on_drift: bool = False
    fetch: bool = False


async def status(request: StatusRequest, settings: Settings) -> StatusReport:
    """Look at every pack. Tier: MANIFEST, shared and briefly. Nothing is written.

    With `fetch`, before that PERMIT, PACK and BACKEND for each pack. Cancellation: git is ended; what came, stays.

    Raises:
        ManifestError: the root's pack.yaml, the log or the lockfile cannot be used.
        UsageError: a PACK argument means no pack.
    """
    fetched = await _fetched(request, settings) if request.fetch else None
    session = Session.open(request.root, settings)

    def look() -> Survey:
        session.reread()
        return survey(session.layout, settings.platform, check_type=session.check_type)

    found = await session.read_manifest(look)
    wanted = await asked_for(session, found, request.packs, request.filters)
    installs = Installs(session, found)
    results: dict[str, PackStatus] = {}
    nested = _nested_paths(found)

    async def one(node: Node) -> None:
        try:
            inside = nested.get(node.path, frozenset())
            found_now = await _pack_status(session, installs, found, node, inside)
            results[node.path] = replace(found_now, is_at_lock=found_now.is_at_lock and fetched is None)
        except (GrexError, OSError) as error:  # a checkout that is damaged must not hide how the others stand
            failure = error if isinstance(error, GrexError) else PackError(f"{node.path}: {error}")
            results[node.path] = PackStatus(node.path, ("error",), text=failure.message, ref=node.ref, error=failure)

    repository: RepositoryStatus | None = None

    async def own_repository() -> None:
        nonlocal repository
        repository = await _repository(session)

    looks: list[Callable[[], Awaitable[None]]] = []
    for node in found.nodes():
        if wanted is not None and node.path not in wanted:
            continue
        if not node.is_active:
            off = f"inactive: {', '.join(node.groups)} off"
            results[node.path] = PackStatus(node.path, ("inactive",), ref=node.ref, text=off)
        else:
            looks.append(partial(one, node))
    if wanted is None:
        looks.append(own_repository)
    await _all_of(looks, at_once=max(settings.jobs or 4, 1))
    results |= await _others(session, found, installs, wanted)
    return StatusReport(
        session.layout.root,
        tuple(results[path] for path in sorted(results)),
        request.fail_on_drift,
        notes=tuple(session.notes),
        is_narrowed=wanted is not None,
        repository=repository,
        fetched=fetched,
    )


async def _all_of(looks: Sequence[Callable[[], Awaitable[None]]], *, at_once: int) -> None:
    """Look at everything: in turn for as long as no look waits for anything, the rest at once."""
    rest = iter(looks)
    while not has_event_loop():
        look = next(rest, None)
        if look is None:
            return
        await look()
    limit = anyio.CapacityLimiter(at_once)

    async def one(look: Callable[[], Awaitable[None]]) -> None:
        async with limit:
            await look()

    async with anyio.create_task_group() as tasks:
        for look in rest:
            tasks.start_soon(one, look)


async def _fetched(request: StatusRequest, settings: Settings) -> tuple[OverOutcome, ...]:
    """Ask the remotes of the packs that are there; a failure is told, and the look goes on."""
    from grex.engine.members import Member, in_parallel, members_of  # noqa: PLC0415 - a look asks nobody
    from grex.engine.over_git import fetch_one  # noqa: PLC0415 - a look asks nobody

    session = Session.open(request.root, settings)
    members = await members_of(session, request.packs, request.filters)
    outcomes: dict[str, OverOutcome] = {}

    async def one(member: Member) -> None:
        outcomes[member.path] = await fetch_one(session, member)

    await in_parallel(members.here, one, {})
    return tuple(outcomes[path] for path in sorted(outcomes))


async def _others(
    session: Session, found: Survey, installs: Installs, wanted: set[str] | None
) -> dict[str, PackStatus]:
    """What else there is to tell of: the root's own install, and packs that the lockfile or the log knows."""
    others: dict[str, PackStatus] = {}
    known = known_paths(found.graph, session.lines)
    for path in (wanted or set()) - set(found.graph.nodes):
        # Known from the lockfile only; what declares it may not be here yet, or not declare it any more.
        others[path] = (
            PackStatus(path, ("inactive",), text="inactive: the pack that declares it is")
            if path in known
            else PackStatus(path, ("missing",), text="in the lockfile, but no pack that is here declares it")
        )
    if wanted is None:
        root = await installs.judge(ROOT)
        if root.states:
            others[ROOT] = PackStatus(
                ROOT,
                root.states,
                tampered=root.tampered,
                text=", ".join(root.told),
                hint=root.hint,
                error=root.error,
            )
        for path, state in undeclared(session.layout, session.folded.packs, known).items():
            others[path] = PackStatus(
                path, ("undeclared",), state.head_branch, state.head_sha, text="no pack declares it"
            )
    return others


async def _repository(session: Session) -> RepositoryStatus | None:
    """The workspace's own repository, by one git process: there is no record of what its checkout should be."""
    found = enclosing_repository(session.layout.root)
    if found is None:
        return None
    try:
        state = observe(found[0], is_plain=True)
        if state.kind != "checkout":
            return None
        work = await porcelain(session.git_for("status"), state)
        ahead, behind = await _ahead_behind(session, state)
    except (GrexError, OSError) as error:  # a repository that is damaged must not hide how the packs stand
        return RepositoryStatus(found[0], None, None, problem=clean(str(error)))
    if work.untracked_count and not any(map(read_block, (exclude_file_of(found[1]), found[0] / ".gitignore"))):
        # Made around packs that were there: the first `git add .` would commit them, and the lock files.
        session.notes.append(
            f"in {found[0]} git sees what is grex's, and `git add .` would take the packs; `grex sync` hides them"
        )
    edited = work.edited_count + work.conflicted_count
    return RepositoryStatus(found[0], state.head_branch, state.head_sha, edited, ahead, behind)


def _nested_paths(found: Survey) -> dict[str, frozenset[str]]:
    """For each pack, the packs inside its checkout, relative to it."""
    paths = sorted(found.graph.nodes)
    nested: dict[str, set[str]] = {}
    for path in paths:
        parts = path.split("/")
        for cut in range(1, len(parts)):
            above = "/".join(parts[:cut])
            if above in found.graph.nodes:
                nested.setdefault(above, set()).add("/".join(parts[cut:]))
    return {path: frozenset(below) for path, below in nested.items()}


async def _pack_status(
    session: Session, installs: Installs, found: Survey, node: Node, nested: frozenset[str]
) -> PackStatus:
    error = found.errors.get(node.path)
    state = found.states.get(node.path)
    if error is not None or state is None:
        return PackStatus(node.path, ("error",), ref=node.ref, text=error.message if error else "", error=error)
    if state.kind in ("absent", "empty"):
        return PackStatus(node.path, ("missing",), ref=node.ref, text="not cloned yet; `grex sync` brings it")
    if state.kind != "checkout":
        return PackStatus(node.path, ("in-the-way",), ref=node.ref, text="something that is no checkout is in the way")
    states: list[str] = []
    told: list[str] = []
    _judge_head(session, node, state, states, told)
    edited, untracked, conflicted = await _work_tree(session, state, nested)
    for name, count in (("edited", edited), ("untracked", untracked), ("conflicted", conflicted)):
        if count:
            states.append(name)
            told.append(f"{count} {name}")
    ahead, behind = await _ahead_behind(session, state)
    if ahead and behind:
        states.append("diverged")
    elif ahead:
        states.append("ahead")
    elif behind:
        states.append("behind")
    unpushed = await _unpushed(session, node, state)
    if unpushed:
        states.append("unpushed")
        told.append(f"{unpushed} not pushed")
    if ahead:
        told.append(f"{ahead} ahead")
    if behind:
        told.append(f"{behind} behind")
    install = await installs.judge(node.path)
    line = session.lines.get(node.path)
    states += install.states
    told += install.told
    return PackStatus(
        path=node.path,
        states=tuple(states),
        branch=state.head_branch,
        sha=state.head_sha,
        ref=node.ref,
        edited=edited,
        untracked=untracked,
        ahead=ahead,
        behind=behind,
        unpushed=unpushed,
        tampered=install.tampered,
        text=", ".join(told) or "clean",
        hint=install.hint,
        error=install.error,
        is_at_lock=line is not None and state.head_sha == line.sha,
    )


def _judge_head(session: Session, node: Node, state: CheckoutState, states: list[str], told: list[str]) -> None:
    if state.note is not None:
        states.append("interrupted")
        told.append("an interrupted run; `grex sync` mends it")
    if state.operation is not None:
        states.append("in-progress")
        told.append(f"a {state.operation} is in progress")
    line = session.lines.get(node.path)
    record = state.record
    difference = None if line is None else declared_otherwise(node, line)
    if record is None or record.url != node.url.identity:
        states.append("wrong-ref")
        told.append("not checked out by grex from this URL")
    elif difference is not None:
        # What was locked is no longer wanted, so that HEAD is as it was locked says nothing.
        states.append("wrong-ref")
        told.append(f"{difference}; `grex sync` settles it")
    elif state.head_branch is not None and state.head_branch == session.fork_branch(node.path):
        pass  # a fork has a branch of its own, wherever it stands
    elif line is not None and line.branch is not None:
        if state.head_branch != line.branch:
            states.append("wrong-ref")
            told.append(f"on {state.head_branch or 'a detached HEAD'}, not on {line.branch}")
    elif state.head_branch is not None:
        if line is not None or (node.ref is not None and is_full_sha(node.ref)):
            states.append("wrong-ref")
            told.append(f"on branch {state.head_branch}, not at {node.ref}")
    elif line is not None and state.head_sha != line.sha:
        states.append("wrong-ref")
        told.append(f"at {(state.head_sha or 'no commit')[:10]}, not at {line.sha[:10]}")
    if state.head_branch is None and "wrong-ref" not in states:
        states.append("detached")
        told.append(f"detached at {node.ref or (state.head_sha or '')[:10]}")


async def _work_tree(session: Session, state: CheckoutState, nested: frozenset[str]) -> tuple[int, int, int]:
    edits = edited_paths(state)
    if edits.decided and untracked_hint(state, ignore=nested) is False:
        return len(edits.edited), 0, 0
    found = await porcelain(session.git_for("status"), state)
    return found.edited_count, found.untracked_count, found.conflicted_count


async def _ahead_behind(session: Session, state: CheckoutState) -> tuple[int, int]:
    if state.head_branch is None or state.head_sha is None:
        return 0, 0
    upstream = ref_of(state, f"refs/remotes/origin/{state.head_branch}")
    if upstream is None or upstream == state.head_sha:
        return 0, 0
    return await ahead_behind(session.git_for("status"), state, state.head_sha, upstream)


async def _unpushed(session: Session, node: Node, state: CheckoutState) -> int:
    """How many commits no remote has, of a HEAD that follows nothing; what grex checked out itself came from one.

    A fork is there to make commits: those on its branch are told by `fork ls`.
    """
    branch = state.head_branch
    if state.head_sha is None or (branch is not None and ref_of(state, f"refs/remotes/origin/{branch}") is not None):
        return 0
    if branch is not None and branch == session.fork_branch(node.path):
        return 0
    line = session.lines.get(node.path)
    if (line is not None and state.head_sha == line.sha) or (
        state.record is not None and state.head_sha == state.record.sha
    ):
        return 0
    return await unpushed_count(session.git_for("status"), state)
