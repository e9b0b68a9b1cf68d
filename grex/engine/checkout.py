"""Brings one checkout to what is declared, or leaves it alone and says why.

`planner` decides, `grex.git` does, this module takes the locks in between. A hold has one permit of one kind: a pack
that needs the network takes a network permit and PACK, asks, clones or fetches, and gives both back; then the disk is
read again, and the move happens under a disk permit and PACK. A look before the first hold only chooses the kind of
permit (and refuses, without leaving a trace, what must not be touched); every decision is made again under the locks.

Durable facts, in the order in which they are written, so that a kill at any point is recovered by the next run:
clone: clone note in `.grex/state/` -> temp directory -> entries noted -> entries moved, `.git` last (commit point) ->
log -> note removed. Move: note in the git directory -> checkout -> completion record -> note removed -> log.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from grex.engine import planner
from grex.engine.graph import Graph, Node
from grex.engine.hiding import Hiding
from grex.engine.session import Session
from grex.errors import FetchError, GrexError, PackError, PackGoneError
from grex.fs import remove_tree
from grex.git import (
    CheckoutRefusedError,
    CheckoutState,
    CompletionRecord,
    RemoteRef,
    clone,
    edited_paths,
    move_in,
    observe,
    plan_move,
    recover,
    resolve_remote,
)
from grex.git import move as git_move
from grex.git import status as git_status
from grex.git.errors import AnotherGitError, FilesInTheWayError
from grex.locks import PackHold
from grex.manifest import CloneNote, LockLine, remove_note, synced, write_note
from grex.names import GREX_TMP_PREFIX, clean
from grex.pack import PackSpec, read_pack_spec

__all__ = ["CheckoutOptions", "CheckoutOutcome", "Checkouts"]

CheckoutStatus = Literal["cloned", "moved", "unchanged", "left", "failed", "planned", "passed"]
_ROUNDS = 6


@dataclass(frozen=True, slots=True)
class CheckoutOptions:
    """What a run may do to checkouts."""

    locked: bool = False
    offline: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class CheckoutOutcome:
    """What became of one checkout.

    Attributes:
        path: the pack.
        status: what happened; `left` is left alone with the reason in `code`, `text`; `passed` was not asked for.
        old_sha: HEAD before, None where there was no checkout.
        new_sha: HEAD now.
        target: the commit that the declared ref resolved to, if that is known.
        spec: the checked pack.yaml, if the checkout is usable and has one.
        is_present: whether there is a usable checkout of this pack.
        code: why it was left alone, stable for programs.
        text: the same in one line for people.
        hint: what to do about it.
        had_to_move: whether leaving it alone is a failure.
        notes: what else is worth saying.
        error: the failure.
    """

    path: str
    status: CheckoutStatus
    old_sha: str | None = None
    new_sha: str | None = None
    target: RemoteRef | None = None
    spec: PackSpec | None = None
    is_present: bool = False
    code: str | None = None
    text: str = ""
    hint: str | None = None
    had_to_move: bool = False
    notes: tuple[str, ...] = ()
    error: GrexError | None = None

    @property
    def is_failure(self) -> bool:
        """Whether this makes the run end with a failure."""
        return self.status == "failed" or (self.status == "left" and self.had_to_move)

    def failed_with(self, error: GrexError) -> CheckoutOutcome:
        """The same checkout, failed."""
        return replace(self, status="failed", error=error, text=error.message, hint=error.hint, code=error.code)

    @classmethod
    def refused(cls, node: Node, error: GrexError) -> CheckoutOutcome:
        """A pack that was not touched because of its declaration."""
        return cls(node.path, "failed", error=error, text=error.message, hint=error.hint, code=error.code)

    def line(self) -> str:
        """One line about it."""
        if self.text:
            return self.text
        if self.status == "cloned":
            return f"cloned at {_short(self.new_sha)}"
        if self.status == "moved":
            return f"{_short(self.old_sha)}..{_short(self.new_sha)}"
        return "; ".join(self.notes)


def _short(sha: str | None) -> str:
    return sha[:10] if sha else "nothing"


@dataclass(slots=True)
class _Found:
    """What the network step learned, for the disk step: the wanted commit and what the remote's branch was before."""

    target: RemoteRef | None = None
    tracking_before: str | None = None
    old_sha: str | None = None
    notes: list[str] = field(default_factory=list)


class Checkouts:
    """Brings the checkouts of one run."""

    def __init__(self, session: Session, options: CheckoutOptions, hiding: Hiding) -> None:
        self._session = session
        self._options = options
        self._hiding = hiding

    def hide(self, parent: str, graph: Graph) -> None:
        """Hide the children of a pack from the repositories around them, before the first of them is made."""
        if not self._options.dry_run:
            self._hiding.hide([node.path for node in graph.nodes.values() if parent in node.parents])

    async def pass_through(self, node: Node) -> CheckoutOutcome:
        """Read a pack that was not asked for, so that those below it are found. Takes nothing, changes nothing."""
        root = self._session.layout.pack_dir(node.path)
        state = observe(root)
        if state.kind != "checkout":
            return CheckoutOutcome(node.path, "passed")
        try:
            spec = self._read_spec(node.path, root)
        except GrexError as error:
            return CheckoutOutcome(node.path, "passed", is_present=True, notes=(error.message,))
        return CheckoutOutcome(
            node.path, "passed", old_sha=state.head_sha, new_sha=state.head_sha, spec=spec, is_present=True
        )

    async def bring(self, node: Node) -> CheckoutOutcome:
        """Bring one pack to what is declared; a failure is an outcome, not an exception.

        Tiers: PERMIT, PACK, BACKEND, MANIFEST, in holds that follow each other. Cancellation: git is ended, a clone
        that was under way leaves nothing, notes of what else was under way are left for the next run.
        """
        try:
            return await self._bring(node)
        except GrexError as error:
            return CheckoutOutcome.refused(node, error)
        except OSError as error:
            failure = PackError(
                f"{node.path}: {error.strerror or error} ({error.filename or self._session.layout.pack_dir(node.path)})",
                hint="Check the permissions and the free space there, then sync again.",
            )
            return CheckoutOutcome.refused(node, failure)

    async def _bring(self, node: Node) -> CheckoutOutcome:
        session = self._session
        root = session.layout.pack_dir(node.path)
        refused = self._check_place(node, root)
        if refused is not None:
            return CheckoutOutcome.refused(node, refused)
        wanted = self._wanted(node)
        if self._options.dry_run:
            return await self._plan(node, root, wanted)
        found = _Found()
        for _ in range(_ROUNDS):
            state = observe(root)
            look = planner.first_look(wanted, state)
            if isinstance(look, planner.Leave):
                return self._left(node, state, look)
            needs_network = isinstance(look, planner.Clone) or (
                isinstance(look, planner.AskRemote) and found.target is None
            )
            if needs_network and self._options.offline:
                return self._offline(node, state)
            try:
                outcome = await (
                    self._network_step(node, root, wanted, found)
                    if needs_network
                    else self._disk_step(node, root, wanted, found)
                )
            except PackGoneError:
                continue  # another workspace gave up on the same directory; look again
            if outcome is not None:
                return outcome
        raise PackError(
            f"{node.path} changes while grex looks at it",
            hint="Another program works in this checkout; sync again when it is done.",
        )

    # -- what is wanted -------------------------------------------------------------------------------------------

    def _wanted(self, node: Node) -> planner.Wanted:
        line = self._session.lines.get(node.path)
        if line is not None and (line.url != lock_url(node) or line.ref != node.ref):
            line = None
        return planner.Wanted(
            path=node.path,
            identity=node.url.identity,
            ref=node.ref,
            line=line,
            locked=self._options.locked,
            offline=self._options.offline,
        )

    def _check_place(self, node: Node, root: Path) -> PackError | None:
        workspace = self._session.layout.root.resolve()
        parent = root.parent.resolve()
        if parent != workspace and workspace not in parent.parents:
            return PackError(
                f"{node.path} would lie outside the workspace: {root.parent} leads to {parent} "
                f"(declared at {node.first.place})",
                hint="Remove the symbolic link on the way, or give the child another path.",
            )
        if root.is_symlink():
            real = root.resolve()
            if real == workspace or real in workspace.parents:
                return PackError(
                    f"{node.path} is a symbolic link to {real}, which holds the workspace itself",
                    hint="Remove the link.",
                )
        return self._hiding.refuse_tracked(node.path)

    # -- under a network permit -----------------------------------------------------------------------------------

    async def _network_step(
        self, node: Node, root: Path, wanted: planner.Wanted, found: _Found
    ) -> CheckoutOutcome | None:
        session = self._session
        made = _missing_directories(root)
        async with session.holds.pack(node.path, root, "network", host=node.url.limit_key) as hold:
            state = observe(root)
            look = planner.first_look(wanted, state)
            if isinstance(look, planner.Clone):
                try:
                    return await self._clone(node, root, wanted, hold)
                except BaseException:
                    _remove_made(root, made)
                    raise
            if isinstance(look, planner.AskRemote):
                return await self._ask(node, root, state, wanted, found)
            if isinstance(look, planner.Reach):
                return await self._fetch_missing(node, root, state, look.target, found)
        return None

    async def _ask(
        self, node: Node, root: Path, state: CheckoutState, wanted: planner.Wanted, found: _Found
    ) -> CheckoutOutcome | None:
        stranger = await self._stranger(node, state, wanted)
        if stranger is not None:
            return self._left(node, state, stranger)
        target = await resolve_remote(self._session.git, node.url.resolved, node.ref, track=node.path)
        if _is_settled(wanted, state, target):
            return await self._unchanged(node, root, state, target)
        return await self._fetch_missing(node, root, state, target, found)

    async def _fetch_missing(
        self, node: Node, root: Path, state: CheckoutState, target: RemoteRef, found: _Found
    ) -> CheckoutOutcome | None:
        session = self._session
        found.tracking_before = found.tracking_before or _tracking(state, target)
        needs_fetch = (
            _tracking(state, target) != target.sha
            if target.kind == "branch"
            else not await git_move.has_commit(session.git, state, target.sha)
        )
        if needs_fetch:
            async with session.holds.backend(node.path, state.real) as backend:
                if target.kind == "branch":
                    await git_move.fetch_branch(session.git, state, target, node.url.resolved, backend)
                    # What the branch is *now* counts: it may have moved again since it was asked for.
                    tip = _tracking(observe(root), target)
                    target = replace(target, sha=tip or target.sha)
                elif target.kind == "tag":
                    await git_move.fetch_tag(session.git, state, target, node.url.resolved, backend)
                else:
                    await git_move.fetch_sha(session.git, state, target.sha, node.url.resolved, backend)
        found.target = target
        return None

    async def _clone(self, node: Node, root: Path, wanted: planner.Wanted, hold: PackHold) -> CheckoutOutcome:
        session = self._session
        real = root.resolve()
        temp = real.parent / f"{GREX_TMP_PREFIX}{secrets.token_hex(6)}"
        note = CloneNote(
            id=temp.name.removeprefix(GREX_TMP_PREFIX),
            pack=node.path,
            temp=os.path.relpath(temp, session.layout.root),
            target=os.path.relpath(real, session.layout.root),
            url=node.url.redacted,
            ref=node.ref,
            entries=None,
        )
        write_note(session.layout.state_dir, note)
        child = node.first.child
        try:
            async with session.holds.backend(node.path, real) as backend:
                cloned = await clone(
                    session.git,
                    url=node.url.resolved,
                    identity=node.url.identity,
                    ref=node.ref,
                    pinned=wanted.line
                    if wanted.locked or (wanted.line is not None and wanted.line.branch is None)
                    else None,
                    temp=temp,
                    depth=child.depth,
                    filter_spec=child.filter,
                    backend=backend,
                    track=node.path,
                )
                entries = plan_move(temp, real)
                write_note(session.layout.state_dir, replace(note, entries=tuple(entries)))
                move_in(temp, real, entries)
                hold.link_into(real / ".git")
        except FilesInTheWayError as error:
            remove_tree(temp)
            remove_note(session.layout.state_dir, note)
            leave = planner.Leave(
                "files-in-the-way", error.message, error.hint or f"Move them out of {node.path} and sync again."
            )
            return self._left(node, observe(root), leave)
        except BaseException:
            # Nothing of this clone is anybody's but ours; after a kill, the note lets the next run do the same.
            remove_tree(temp)
            remove_note(session.layout.state_dir, note)
            raise
        remove_tree(temp)
        state = observe(root)
        spec, problem = self._try_spec(node, root)
        await session.record(
            node.path,
            [
                synced(
                    node.path,
                    url=node.url.redacted,
                    ref=node.ref,
                    branch=cloned.target.name if cloned.target.kind == "branch" else None,
                    sha=cloned.target.sha,
                    cloned=True,
                )
            ],
        )
        remove_note(session.layout.state_dir, note)
        outcome = CheckoutOutcome(
            node.path,
            "cloned",
            new_sha=state.head_sha,
            target=cloned.target,
            spec=spec,
            is_present=True,
            notes=_url_notes(node),
        )
        return outcome.failed_with(problem) if problem is not None else outcome

    # -- under a disk permit --------------------------------------------------------------------------------------

    async def _disk_step(self, node: Node, root: Path, wanted: planner.Wanted, found: _Found) -> CheckoutOutcome | None:
        session = self._session
        async with session.holds.pack(node.path, root, "disk"):
            state = observe(root)
            look = planner.first_look(wanted, state)
            match look:
                case planner.Clone():
                    return None
                case planner.Leave():
                    return self._left(node, state, look)
                case planner.Mend():
                    async with session.holds.backend(node.path, state.real) as backend:
                        state = observe(root)
                        if state.note is not None:
                            mended = await recover(session.git, state, backend)
                            found.notes.extend(mended.notes)
                    return None
                case planner.Finished(target):
                    return await self._unchanged(node, root, state, target, tuple(found.notes))
                case planner.Reach(target):
                    found.target = target
                case _:
                    if found.target is None:
                        return None
            target = found.target
            if target is None:
                return None
            stranger = await self._stranger(node, state, wanted)
            if stranger is not None:
                return self._left(node, state, stranger)
            if not await git_move.has_commit(session.git, state, target.sha):
                if self._options.offline:
                    return self._offline(node, state)
            else:
                return await self._move(node, root, state, wanted, found, target)
        # The commit is not here: both permit and pack were given back, fetch it under a network permit.
        async with session.holds.pack(node.path, root, "network", host=node.url.limit_key):
            state = observe(root)
            if state.kind == "checkout" and state.note is None:
                await self._fetch_missing(node, root, state, target, found)
        return None

    async def _move(
        self,
        node: Node,
        root: Path,
        state: CheckoutState,
        wanted: planner.Wanted,
        found: _Found,
        target: RemoteRef,
    ) -> CheckoutOutcome:
        session = self._session
        decision = planner.movement(await self._situation(state, wanted, found, target))
        if isinstance(decision, planner.Leave):
            return self._left(node, state, decision, target)
        notes = [*found.notes]
        if decision.note:
            notes.append(decision.note)
        record = CompletionRecord(
            url=wanted.identity,
            ref=node.ref,
            kind=target.kind,
            branch=target.name if target.kind == "branch" else None,
            sha=target.sha,
            upstream=target.sha if target.kind == "branch" else None,
        )
        if isinstance(decision, planner.NothingToMove):
            on_target = state.head_sha == target.sha and decision.note is None
            if on_target and state.record != record:
                async with session.holds.backend(node.path, state.real) as backend:
                    git_move.complete(state, record, backend)
            return await self._unchanged(node, root, state, target, tuple(notes))
        try:
            async with session.holds.backend(node.path, state.real) as backend:
                if decision.rescue is not None:
                    kept = await git_move.keep_rescue_ref(session.git, state, decision.rescue, backend)
                    notes.append(f"what it left behind is kept as {kept}")
                if decision.kind == "branch-ref":
                    await git_move.fast_forward_ref(session.git, state, target, backend)
                elif target.kind == "branch":
                    await git_move.checkout_branch(session.git, state, target, record, backend, pack=node.path)
                else:
                    await git_move.checkout_detached(session.git, state, target, record, backend, pack=node.path)
        except CheckoutRefusedError as error:
            listed = ", ".join(clean(path, 80) for path in error.paths[:5]) + (
                " and more" if len(error.paths) > 5 else ""
            )
            leave = planner.Leave(
                "edits-in-the-way",
                f"local files are in the way of what comes in: {listed}",
                "Commit, stash or move them, then sync again.",
            )
            return self._left(node, state, leave, target)
        except AnotherGitError as error:
            return self._left(
                node,
                state,
                planner.Leave("another-git", error.message, error.hint or "Sync again when it is done."),
                target,
            )
        after = observe(root)
        if decision.kind == "branch-ref":
            return await self._unchanged(node, root, after, target, tuple(notes))
        await session.record(
            node.path,
            [
                synced(
                    node.path, url=node.url.redacted, ref=node.ref, branch=record.branch, sha=target.sha, cloned=False
                )
            ],
        )
        spec, problem = self._try_spec(node, root)
        moved = after.head_sha != state.head_sha
        outcome = CheckoutOutcome(
            node.path,
            "moved" if moved else "unchanged",
            old_sha=state.head_sha,
            new_sha=after.head_sha,
            target=target,
            spec=spec,
            is_present=True,
            notes=(*notes, *await self._local_work(after)),
        )
        return outcome.failed_with(problem) if problem is not None else outcome

    async def _situation(
        self, state: CheckoutState, wanted: planner.Wanted, found: _Found, target: RemoteRef
    ) -> planner.Situation:
        git = self._session.git
        branch_sha = state.ref(f"refs/heads/{target.name}") if target.kind == "branch" else None
        relation = await self._relation(state, branch_sha, target.sha) if branch_sha is not None else None
        is_upstream = False
        if branch_sha is not None and relation in (planner.Relation.DIVERGED, planner.Relation.AHEAD):
            known = {found.tracking_before, _tracking(state, target)}
            if state.record is not None:
                known.update({state.record.upstream, state.record.sha})
            for upstream in sorted(sha for sha in known if sha is not None):
                if await git_move.has_commit(git, state, upstream) and await git_move.is_ancestor(
                    git, state, branch_sha, upstream
                ):
                    is_upstream = True
                    break
        reachable = True
        placed = state.record.sha if state.record is not None else None
        if state.head_branch is None and state.head_sha is not None and state.head_sha != placed:
            reachable = await git_move.is_reachable(git, state, state.head_sha)
        return planner.Situation(
            target=target,
            head_branch=state.head_branch,
            head_sha=state.head_sha,
            operation=state.operation,
            placed_branch=state.record.branch if state.record is not None else None,
            placed_sha=placed,
            branch_sha=branch_sha,
            branch_relation=relation,
            branch_is_upstream=is_upstream,
            head_is_reachable=reachable,
            locked=wanted.locked,
        )

    async def _relation(self, state: CheckoutState, local: str, target: str) -> planner.Relation:
        git = self._session.git
        if local == target:
            return planner.Relation.SAME
        if await git_move.is_ancestor(git, state, local, target):
            return planner.Relation.BEHIND
        if await git_move.is_ancestor(git, state, target, local):
            return planner.Relation.AHEAD
        return planner.Relation.DIVERGED

    async def _stranger(self, node: Node, state: CheckoutState, wanted: planner.Wanted) -> planner.Leave | None:
        """A checkout that grex did not make from this URL is adopted if one of its remotes is that URL."""
        if state.record is not None and state.record.url == wanted.identity:
            return None
        from grex.names import InvalidUrlError, parse_url  # noqa: PLC0415 - only for checkouts that are not ours yet

        urls = await git_status.remote_urls(self._session.git, state)
        for url in urls.values():
            try:
                if parse_url(url, relative_to=state.real).identity == wanted.identity:
                    return None
            except InvalidUrlError:
                continue
        said = node.url.redacted
        return planner.Leave(
            "different-repository",
            f"it is a checkout of another repository than {said}",
            f"Move it away, or, if it is the same under another address, `git remote set-url origin {said}` in it.",
        )

    # -- outcomes -------------------------------------------------------------------------------------------------

    async def _unchanged(
        self, node: Node, root: Path, state: CheckoutState, target: RemoteRef, notes: tuple[str, ...] = ()
    ) -> CheckoutOutcome:
        spec, problem = self._try_spec(node, root)
        outcome = CheckoutOutcome(
            node.path,
            "unchanged",
            old_sha=state.head_sha,
            new_sha=state.head_sha,
            target=target,
            spec=spec,
            is_present=True,
            notes=(*notes, *_url_notes(node), *await self._local_work(state)),
        )
        return outcome.failed_with(problem) if problem is not None else outcome

    async def _local_work(self, state: CheckoutState) -> tuple[str, ...]:
        edits = edited_paths(state)
        edited = list(edits.edited)
        if not edits.decided:
            edited = list((await git_status.porcelain(self._session.git, state)).edited)
        if not edited:
            return ()
        shown = ", ".join(clean(path, 80) for path in edited[:3]) + (", ..." if len(edited) > 3 else "")  # noqa: PLR2004 - three are shown
        return (f"{len(edited)} edited file{'s' if len(edited) > 1 else ''} left as they are: {shown}",)

    def _left(
        self, node: Node, state: CheckoutState, leave: planner.Leave, target: RemoteRef | None = None
    ) -> CheckoutOutcome:
        present = state.kind == "checkout" and leave.code != "different-repository"
        spec = None
        if present:
            try:
                spec = self._read_spec(node.path, self._session.layout.pack_dir(node.path))
            except GrexError:
                spec = None  # what is left alone is reported for one reason, the first
        return CheckoutOutcome(
            node.path,
            "left",
            old_sha=state.head_sha,
            new_sha=state.head_sha,
            target=target,
            spec=spec,
            is_present=present,
            code=leave.code,
            text=leave.text,
            hint=leave.hint,
            had_to_move=leave.had_to_move,
        )

    def _offline(self, node: Node, state: CheckoutState) -> CheckoutOutcome:
        what = "is not cloned yet" if state.kind != "checkout" else "needs a commit that is not here"
        error = FetchError(
            f"{node.path} {what}, and --offline forbids asking {node.url.redacted}", hint="Sync without --offline."
        )
        return CheckoutOutcome.refused(node, error)

    def _try_spec(self, node: Node, root: Path) -> tuple[PackSpec | None, GrexError | None]:
        try:
            return self._read_spec(node.path, root), None
        except GrexError as error:
            return None, error

    def _read_spec(self, path: str, root: Path) -> PackSpec | None:
        return read_pack_spec(root, is_root=False, platform=self._session.settings.platform, display=path)

    # -- dry run --------------------------------------------------------------------------------------------------

    async def _plan(self, node: Node, root: Path, wanted: planner.Wanted) -> CheckoutOutcome:
        """What `bring` would do, found out without a lock file, a note or a fetch."""
        state = observe(root)
        look = planner.first_look(wanted, state)
        target: RemoteRef | None = None
        match look:
            case planner.Leave():
                return self._left(node, state, look)
            case planner.Clone():
                if self._options.offline:
                    return self._offline(node, state)
                return CheckoutOutcome(
                    node.path,
                    "planned",
                    code="clone",
                    text=f"clone {node.url.redacted} at {node.ref or 'its HEAD'}; children not known yet",
                )
            case planner.Mend():
                return CheckoutOutcome(
                    node.path,
                    "planned",
                    old_sha=state.head_sha,
                    is_present=True,
                    code="recover",
                    text="recover from an interrupted run, then look again",
                )
            case planner.Finished(target):
                return await self._unchanged(node, root, state, target)
            case planner.Reach(target):
                pass
            case _:
                if self._options.offline:
                    return self._offline(node, state)
                async with self._session.holds.network_permit(node.url.limit_key):
                    target = await resolve_remote(self._session.git, node.url.resolved, node.ref, track=node.path)
        if _is_settled(wanted, state, target):
            return await self._unchanged(node, root, state, target)
        stranger = await self._stranger(node, state, wanted)
        if stranger is not None:
            return self._left(node, state, stranger)
        spec, problem = self._try_spec(node, root)
        if not await git_move.has_commit(self._session.git, state, target.sha):
            outcome = CheckoutOutcome(
                node.path,
                "planned",
                old_sha=state.head_sha,
                new_sha=target.sha,
                target=target,
                spec=spec,
                is_present=True,
                code="fetch",
                text=f"fetch, then move {_short(state.head_sha)}..{_short(target.sha)}",
            )
            return outcome.failed_with(problem) if problem is not None else outcome
        decision = planner.movement(await self._situation(state, wanted, _Found(), target))
        if isinstance(decision, planner.Leave):
            return self._left(node, state, decision, target)
        if isinstance(decision, planner.NothingToMove):
            notes = (decision.note,) if decision.note else ()
            return await self._unchanged(node, root, state, target, notes)
        outcome = CheckoutOutcome(
            node.path,
            "planned",
            old_sha=state.head_sha,
            new_sha=target.sha,
            target=target,
            spec=spec,
            is_present=True,
            code=decision.kind,
            text=f"{decision.kind} {_short(state.head_sha)}..{_short(target.sha)}",
        )
        return outcome.failed_with(problem) if problem is not None else outcome


def lock_url(node: Node) -> str:
    """The URL as the lockfile has it: without credentials, and as declared where it is relative to the workspace."""
    text = node.url.text
    return text if text.startswith(("./", "../")) and node.url.is_local else node.url.redacted


def lock_line(node: Node, outcome: CheckoutOutcome, before: Mapping[str, LockLine]) -> LockLine | None:
    """The lockfile's line for a pack after this run, or None if it never was resolved."""
    old = before.get(node.path)
    target = outcome.target
    if outcome.status not in ("cloned", "moved", "unchanged") or target is None:
        return old
    return LockLine(
        path=node.path,
        url=lock_url(node),
        ref=node.ref,
        branch=target.name if target.kind == "branch" else None,
        sha=target.sha,
        type=outcome.spec.type if outcome.spec is not None else "plain",
        parents=node.parents,
    )


def _tracking(state: CheckoutState, target: RemoteRef) -> str | None:
    return state.ref(f"refs/remotes/origin/{target.name}") if target.kind == "branch" else None


def _is_settled(wanted: planner.Wanted, state: CheckoutState, target: RemoteRef) -> bool:
    """Whether a checkout whose remote was asked has nothing to fetch, to move or to record."""
    record = state.record
    return (
        record is not None
        and record.url == wanted.identity
        and record.ref == wanted.ref
        and record.sha == target.sha
        and state.head_sha == target.sha
        and state.operation is None
        and state.head_branch == (target.name if target.kind == "branch" else None)
        and (target.kind != "branch" or _tracking(state, target) == target.sha)
    )


def _url_notes(node: Node) -> tuple[str, ...]:
    return (node.url.warning,) if node.url.warning else ()


def _missing_directories(root: Path) -> list[Path]:
    """The directories from `root` upwards that do not exist yet, innermost first."""
    missing: list[Path] = []
    current = root
    while not current.exists() and not current.is_symlink():
        missing.append(current)
        current = current.parent
    return missing


def _remove_made(root: Path, made: list[Path]) -> None:
    """Take away the directories that only a failed clone had made, with the lock file that its holder may unlink."""
    if root not in made:
        return
    entries = set(os.listdir(root)) if root.is_dir() else set()
    if entries - {".grex-lock"}:
        return
    (root / ".grex-lock").unlink(missing_ok=True)
    for directory in made:
        try:
            directory.rmdir()
        except OSError:
            return
