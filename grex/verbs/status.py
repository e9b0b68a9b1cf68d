"""`grex status`: per pack, how the disk stands to what is declared, locked and installed.

Reads HEAD, refs and the index directly; git is started only for a pack where these cannot decide (a file that git does
not track, a filter, commits to count). No network.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from msgspec import Struct

from grex.engine import ROOT, Installable, Node, Present, RunContext, Session, Settings, survey
from grex.engine.drift import look_for_drift
from grex.engine.install import examine_all, would_run
from grex.engine.lifecycle import asking, is_allowed, untrusted_error
from grex.engine.outcome import declared_otherwise
from grex.engine.situation import ref_of
from grex.engine.survey import Survey, known_paths, undeclared
from grex.errors import ClaimError, GrexError, PackError
from grex.exclude import enclosing_repository
from grex.git import CheckoutState, ahead_behind, edited_paths, observe, porcelain, untracked_hint
from grex.names import clean, is_full_sha
from grex.verbs.report import exit_code_of, failure_json

if TYPE_CHECKING:
    from grex.engine.over_git import OverOutcome
    from grex.verbs.documents import PackStatusObject, RepositoryObject, StatusDocument

__all__ = ["PackStatus", "RepositoryStatus", "StatusReport", "StatusRequest", "status"]

DRIFT_EXIT_CODE = 7


class StatusRequest(Struct, frozen=True):
    """Which packs to look at; with `fail_on_drift`, anything but a clean workspace is exit 7.

    With `fetch`, the remotes of these packs are asked before anything is looked at, as `grex fetch` does.
    """

    root: Path
    packs: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    fail_on_drift: bool = False
    fetch: bool = False


class PackStatus(Struct, frozen=True):
    """How one pack stands.

    Attributes:
        path: the pack.
        states: what is not as declared; empty for a clean pack. Of: `missing`, `in-the-way`, `interrupted`,
            `wrong-ref`, `detached`, `edited`, `untracked`, `conflicted`, `ahead`, `behind`,
            `diverged`, `in-progress`, `not-installed`, `install-outdated`, `install-failed` (the last one),
            `untrusted` (its install is due and would run something that this user has not allowed),
            `install-tampered`, `install-unknown`, `undeclared`, `inactive`, `error`.
        branch: the branch that HEAD is on, None when detached.
        sha: HEAD.
        ref: the declared ref.
        edited: how many tracked files differ.
        untracked: how many paths git does not know.
        ahead: commits that the upstream lacks, as of the last fetch.
        behind: commits that are missing here, as of the last fetch.
        tampered: what was changed by hand since it was installed, a line for each thing.
        text: what `states` means here, in one line.
        hint: what to do about an install that failed or is not trusted.
        error: what is wrong with the declaration.
    """

    path: str
    states: tuple[str, ...] = ()
    branch: str | None = None
    sha: str | None = None
    ref: str | None = None
    edited: int = 0
    untracked: int = 0
    ahead: int = 0
    behind: int = 0
    tampered: tuple[str, ...] = ()
    text: str = ""
    hint: str | None = None
    error: GrexError | None = None

    @property
    def is_drift(self) -> bool:
        """Whether it is not in the state that is declared; a detached pin is no drift, nor is a group that is off."""
        return bool(set(self.states) - {"detached", "inactive"})

    def to_json(self) -> PackStatusObject:
        """The pack's entry in the document."""
        return {
            "path": self.path,
            "states": list(self.states),
            "branch": self.branch,
            "sha": self.sha,
            "ref": self.ref,
            "edited": self.edited,
            "untracked": self.untracked,
            "ahead": self.ahead,
            "behind": self.behind,
            "tampered": list(self.tampered),
            "text": self.text,
            "hint": self.hint,
            "error": failure_json(self.error),
        }


class RepositoryStatus(Struct, frozen=True):
    """How the workspace's own repository stands: `edited` tracked files, commits against its upstream.

    `branch` is None when detached. What the packs in it are, is not its matter.
    """

    top: Path
    branch: str | None
    sha: str | None
    edited: int = 0
    ahead: int = 0
    behind: int = 0
    problem: str | None = None

    def to_json(self) -> RepositoryObject:
        """Its entry in the document."""
        return {
            "path": str(self.top),
            "branch": self.branch,
            "sha": self.sha,
            "edited": self.edited,
            "ahead": self.ahead,
            "behind": self.behind,
            "problem": self.problem,
        }


class StatusReport(Struct, frozen=True):
    """Every declared pack and every checkout of ours that nobody declares any more, sorted by path.

    `repository` is that of the workspace; None where it lies in none, or only some packs were asked for.
    `fetched` is what became of each pack's fetch, None where none was asked for.
    """

    root: Path
    packs: tuple[PackStatus, ...]
    fail_on_drift: bool = False
    notes: tuple[str, ...] = ()
    is_narrowed: bool = False
    """Whether only some of the packs were asked for."""
    repository: RepositoryStatus | None = None
    fetched: tuple[OverOutcome, ...] | None = None

    @property
    def not_fetched(self) -> list[OverOutcome]:
        """The packs whose remote could not be asked: what is told of them is as of an earlier fetch."""
        return [outcome for outcome in self.fetched or () if outcome.error is not None]

    @property
    def is_clean(self) -> bool:
        """Whether every pack is as declared."""
        return not any(pack.is_drift for pack in self.packs)

    @property
    def exit_code(self) -> int:
        """0; what errors in declarations, and failed fetches, come to; 7 for drift if that was asked for."""
        broken = exit_code_of([*(pack.error for pack in self.packs), *(pack.error for pack in self.not_fetched)])
        if broken:
            return broken
        return DRIFT_EXIT_CODE if self.fail_on_drift and not self.is_clean else 0

    def to_json(self) -> StatusDocument:
        """The document of `--json`."""
        return {
            "schema": "grex.status/1",
            "workspace": str(self.root),
            "exit_code": self.exit_code,
            "clean": self.is_clean,
            "repository": self.repository.to_json() if self.repository is not None else None,
            "packs": [pack.to_json() for pack in self.packs],
            "fetched": None
            if self.fetched is None
            else [
                {"path": one.path, "status": one.status, "text": one.text, "error": failure_json(one.error)}
                for one in self.fetched
            ],
            "notes": list(self.notes),
        }


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
    wanted = await _wanted(session, found, request)
    installs = _Installs(session, found)
    results: dict[str, PackStatus] = {}
    limit = anyio.CapacityLimiter(max(settings.jobs or 4, 1))
    nested = _nested_paths(found)

    async def one(node: Node) -> None:
        async with limit:
            try:
                inside = nested.get(node.path, frozenset())
                results[node.path] = await _pack_status(session, installs, found, node, inside)
            except (GrexError, OSError) as error:  # a checkout that is damaged must not hide how the others stand
                failure = error if isinstance(error, GrexError) else PackError(f"{node.path}: {error}")
                results[node.path] = PackStatus(
                    node.path, ("error",), text=failure.message, ref=node.ref, error=failure
                )

    repositories: list[RepositoryStatus | None] = []

    async def own_repository() -> None:
        repositories.append(await _repository(session))

    async with anyio.create_task_group() as tasks:
        if wanted is None:
            tasks.start_soon(own_repository)
        for node in found.nodes():
            if wanted is not None and node.path not in wanted:
                continue
            if not node.is_active:
                off = f"inactive: {', '.join(node.groups)} off"
                results[node.path] = PackStatus(node.path, ("inactive",), ref=node.ref, text=off)
            else:
                tasks.start_soon(one, node)
    results |= await _others(session, found, installs, wanted)
    return StatusReport(
        session.layout.root,
        tuple(results[path] for path in sorted(results)),
        request.fail_on_drift,
        notes=tuple(session.notes),
        is_narrowed=wanted is not None,
        repository=repositories[0] if repositories else None,
        fetched=fetched,
    )


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
    session: Session, found: Survey, installs: _Installs, wanted: set[str] | None
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
    edited = work.edited_count + work.conflicted_count
    return RepositoryStatus(found[0], state.head_branch, state.head_sha, edited, ahead, behind)


async def _wanted(session: Session, found: Survey, request: StatusRequest) -> set[str] | None:
    """The packs that are asked for, None for all."""
    if not request.packs and not request.filters:
        return None
    from grex.engine.choosing import choose  # noqa: PLC0415 - a look at everything does not choose

    chosen = await choose(session, found, request.packs, request.filters, keeps_inactive=True, may_be_none=True)
    session.notes.extend(chosen.notes)
    return None if chosen.is_all else chosen.paths


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


class _InstallStatus(Struct, frozen=True):
    """How the installation of one pack stands; everything empty if it is as it should be."""

    states: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    tampered: tuple[str, ...] = ()
    hint: str | None = None
    error: GrexError | None = None


class _Installs:
    """How the installations stand: which packs want one place is known of all of them at once."""

    def __init__(self, session: Session, found: Survey) -> None:
        self._session = session
        present = [Present(ROOT, found.root_spec, "", None)]
        for node in found.graph.active():
            state = found.states.get(node.path)
            if state is not None and state.kind == "checkout" and node.path not in found.errors:
                head = state.head_sha or ""
                present.append(Present(node.path, node.spec, head, node.url.identity, session.trust_key(node.url)))
        known, self._wrong = examine_all(session, RunContext(session, dry_run=True), present)
        self._known = {pack.path: pack for pack in known}

    async def judge(self, path: str) -> _InstallStatus:
        """How one stands; what was changed by hand is looked for only where all else is as it should be."""
        wrong, pack = self._wrong.get(path), self._known.get(path)
        if wrong is not None and (pack is not None or isinstance(wrong, ClaimError)):
            return _InstallStatus(("error",), (wrong.message,), error=wrong)
        if pack is None:
            # Sync says what is wrong with a declaration, and refuses it; here it is enough that nobody knows.
            return _InstallStatus() if wrong is None else _unknown(wrong.message)
        if pack.state != "current":
            return await self._due(pack)
        drift = await look_for_drift(self._session, pack)
        if drift.unknown is not None:
            return _unknown(drift.unknown)
        if drift.tampered:
            count = len(drift.tampered)
            told = f"{count} {'thing' if count == 1 else 'things'} of its install changed by hand"
            return _InstallStatus(("install-tampered",), (told,), drift.tampered)
        return _InstallStatus()

    async def _due(self, pack: Installable) -> _InstallStatus:
        """An install that a sync would run: whether it may, and how the last one ended."""
        record = self._session.folded.packs.get(pack.path)
        is_fork = self._session.fork is not None
        if is_fork and pack.state == "not-installed" and (record is None or record.failed is None):
            return _InstallStatus()  # in a fork nothing is installed unless it is asked for
        would = self._not_allowed(pack)
        if would == () and (reason := await self._left_out(pack)) is not None:
            return _InstallStatus(told=(f"left out: {reason}",))
        states: list[str] = [pack.state]
        told = ["not installed yet" if pack.state == "not-installed" else "install outdated"]
        hints: list[str] = []
        if record is not None and record.failed is not None:
            states.append("install-failed")
            told.append(f"the last install failed: {record.failed.why}")
            hints.append("Mend what it complains about, then sync again.")
        if would:
            refusal = untrusted_error(pack.path, would, pack.found.trusted_as, "sync again")
            states.append("untrusted")
            told.append(refusal.message.removeprefix(f"{pack.path} is "))
            hints.append(refusal.hint or "")
        if len(states) == 1:
            told[0] += f"; `grex sync{' --install' if is_fork else ''}` installs it"
        return _InstallStatus(tuple(states), tuple(told), hint=" ".join(hints) or None)

    def _not_allowed(self, pack: Installable) -> tuple[str, ...] | None:
        """What the install would run without this user's leave; None where its type cannot say it: sync tells why."""
        try:
            with asking(self._session, pack.path, pack.found.spec):
                would = would_run(RunContext(self._session, dry_run=True), pack)
        except GrexError:
            return None
        return () if is_allowed(self._session, would, pack.found.trusted_as) else would

    async def _left_out(self, pack: Installable) -> str | None:
        """Why a sync would change nothing: the pack says itself (`require`) that it, or its rest, is not for here.

        Only a pack that may be installed is asked: a plugin's `install` may do more than look.
        """
        drift = await look_for_drift(self._session, pack, plans=True)
        return None if drift.tampered or drift.unknown is not None else drift.left_out


def _unknown(why: str) -> _InstallStatus:
    return _InstallStatus(("install-unknown",), (f"whether its install is as it was cannot be told: {why}",))


async def _pack_status(
    session: Session, installs: _Installs, found: Survey, node: Node, nested: frozenset[str]
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
    if ahead:
        told.append(f"{ahead} ahead")
    if behind:
        told.append(f"{behind} behind")
    install = await installs.judge(node.path)
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
        tampered=install.tampered,
        text=", ".join(told) or "clean",
        hint=install.hint,
        error=install.error,
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
