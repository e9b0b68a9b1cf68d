"""Moves an existing checkout to the wanted commit, or finds out why not. Under a disk permit and PACK.

What has to move is `planner.movement`'s decision, by the facts that `situation` collects; it is carried out under
BACKEND.
"""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from grex.engine import planner
from grex.engine.fitting import Fitting
from grex.engine.forcing import put_edits_away
from grex.engine.graph import Node
from grex.engine.looking import Looking
from grex.engine.outcome import CheckoutOptions, CheckoutOutcome
from grex.engine.session import Session
from grex.engine.situation import local_work, ref_of, situation
from grex.errors import FetchError
from grex.git import (
    AnotherGitError,
    CheckoutRefusedError,
    CheckoutState,
    CompletionRecord,
    GitError,
    GitRunner,
    MoveNote,
    RemoteRef,
    check_out,
    edited_paths,
    fast_forward_ref,
    is_ancestor,
    keep_rescue_ref,
    noted,
    observe,
    write_record,
)
from grex.git.commits import tree_of
from grex.git.history import History, read_history
from grex.git.partial import lacks_objects
from grex.manifest import sync_event

__all__ = ["Moving", "log_position"]

_FORCED_TRIES = 4


def _record_for(session: Session, node: Node, target: RemoteRef) -> CompletionRecord:
    """What is recorded when the checkout is at its target."""
    branch = target.name if target.kind == "branch" else None
    return CompletionRecord(
        url=session.address(node.url).identity,
        ref=node.ref,
        kind=target.kind,
        branch=branch,
        sha=target.sha,
        upstream=f"origin/{branch}" if branch is not None else None,
    )


async def _keep_behind(
    session: Session, node: Node, state: CheckoutState, target: RemoteRef, move: planner.Move
) -> list[str]:
    """Keep the commits that a move leaves behind under a rescue ref. Tier: BACKEND, if there are any.

    Returns:
        Notes for the report.

    Raises:
        GitError: they cannot be kept; nothing must be moved.
    """
    notes = [move.note] if move.note else []
    if move.rescue is not None:
        async with session.holds.backend(node.path, state.real) as backend:
            with noted(state.dirs.own, MoveNote(op="refs", pack=node.path)):
                kept = await keep_rescue_ref(
                    session.git_for(node.path),
                    state,
                    move.rescue,
                    f"before {move.kind} to {target.sha}",
                    backend=backend,
                )
        notes.append(f"what it left behind is kept as {kept}")
    return notes


async def _do(
    session: Session,
    node: Node,
    state: CheckoutState,
    found: planner.Situation,
    move: planner.Move,
    *,
    is_offline: bool,
) -> None:
    """Do what was decided. Tier: BACKEND. Cancellation: git is ended; its note lets the next run recover.

    Raises:
        CheckoutRefusedError: something of the user's is in the way; nothing was changed.
    """
    # With the URL: in a partial clone, the checkout itself fetches what it lacks.
    git = session.git_for(node.path, node.url, offline=is_offline)
    target = found.target
    edits = edited_paths(state)
    async with session.holds.backend(node.path, state.real) as backend:
        if move.kind == "branch-ref":
            if found.branch_sha is None or target.name is None:
                raise FetchError(f"{node.path} has no branch to move", hint="Sync again.")
            # A sync of another fork may have moved the branch meanwhile, and to a newer commit than ours.
            now = ref_of(state, f"refs/heads/{target.name}") or found.branch_sha
            if not await is_ancestor(git, state, target.sha, now):
                with noted(state.dirs.own, MoveNote(op="refs", pack=node.path)):
                    await fast_forward_ref(git, state, target.name, to_sha=target.sha, expected=now, backend=backend)
            return
        await check_out(
            git,
            state,
            _record_for(session, node, target),
            pack=node.path,
            was_clean=edits.decided and not edits.edited,
            backend=backend,
            expected=found.branch_sha,
        )


async def _record_arrival(session: Session, node: Node, state: CheckoutState, target: RemoteRef) -> None:
    """Record that a checkout is where it belongs, though grex did not bring it there. Tier: BACKEND."""
    record = replace(
        _record_for(session, node, target), tree=await tree_of(session.git_for(node.path), state, target.sha)
    )
    if state.record != record:
        async with session.holds.backend(node.path, state.real):
            write_record(state.dirs.own, record)


async def log_position(session: Session, node: Node, target: RemoteRef) -> None:
    """Let the log say where a checkout of ours is that is right on the disk: a kill may have come in between.

    Tier: MANIFEST, where the log does not say so yet.
    """
    branch = target.name if target.kind == "branch" else None
    known = session.folded.packs.get(node.path)
    if known is not None and known.owned and (known.sha, known.branch) != (target.sha, branch):
        await session.record(node.path, [sync_event(node.path, sha=target.sha, branch=branch)])


class Moving:
    """Moves the checkouts of one run."""

    def __init__(self, session: Session, options: CheckoutOptions, looking: Looking, fitting: Fitting) -> None:
        self._session = session
        self._options = options
        self._looking = looking
        self._fitting = fitting

    async def move(
        self,
        node: Node,
        root: Path,
        state: CheckoutState,
        target: RemoteRef,
        *,
        tracking_before: str | None,
        notes: tuple[str, ...],
    ) -> CheckoutOutcome:
        """Move a checkout to a commit that is there, or leave it alone and say why.

        Tiers: PERMIT and PACK are held; BACKEND and MANIFEST, in holds that follow each other. Cancellation: git is
        ended; its note lets the next run recover.

        Args:
            node: the pack.
            root: its path.
            state: its checkout, observed under the locks.
            target: where it shall be.
            tracking_before: the remote's branch as it was before this run fetched.
            notes: what there is to say of it already.
        """
        session = self._session
        git = session.git_for(node.path, node.url, offline=self._options.offline)
        local = await situation(
            git,
            state,
            target,
            tracking_before=tracking_before,
            locked=self._options.locked,
            force=self._options.force,
            fork_branch=session.fork_branch(node.path),
        )
        decision = planner.movement(local)
        match decision:
            case planner.Leave():
                return self._looking.left(node, root, state, decision, target)
            case planner.NothingToMove(note, is_elsewhere):
                if note is None and not is_elsewhere:
                    await _record_arrival(session, node, state, target)
                    await log_position(session, node, target)
                return await self._looking.unchanged(node, root, state, target, (*notes, note) if note else notes)
            case planner.Move():
                if self._options.offline and await lacks_objects(git, state, target.sha):
                    return self._looking.offline(node, state)
                in_the_way = await self._fitting.in_the_way(git, node, state, target, decision)
                if in_the_way is not None:
                    return self._looking.left(node, root, state, in_the_way, target)
        try:
            notes = (*notes, *await _keep_behind(session, node, state, target, decision))
            refused, kept = await self._carry_out(node, state, local, decision)
            self._looking.forget()
            notes = (*notes, *kept)
            if refused is not None:
                return replace(self._looking.left(node, root, state, refused, target), notes=notes)
        except AnotherGitError as error:
            hint = error.hint or "Run the command again when it is done."
            return self._looking.left(node, root, state, planner.Leave("another-git", error.message, hint), target)
        after = observe(root)
        if decision.kind == "branch-ref":
            return await self._looking.unchanged(node, root, after, target, notes)
        branch = target.name if target.kind == "branch" else None
        await session.record(node.path, [sync_event(node.path, sha=target.sha, branch=branch)])
        has_moved = after.head_sha != state.head_sha
        outcome = CheckoutOutcome(
            node.path,
            "moved" if has_moved else "unchanged",
            old_sha=state.head_sha,
            new_sha=after.head_sha,
            target=target,
            is_present=True,
            notes=(*notes, *await local_work(git, after)),
            history=await _history(git, state, after) if has_moved else None,
        )
        return self._looking.with_spec(node, root, outcome)

    async def _carry_out(
        self, node: Node, state: CheckoutState, local: planner.Situation, decision: planner.Move
    ) -> tuple[planner.Leave | None, list[str]]:
        """Move the checkout; gives why git would not, and what to say. With force, what is in git's way is kept first.

        git names edited files, staged ones and untracked ones one kind at a time, so it may refuse several times.
        """
        notes: list[str] = []
        for tries_left in reversed(range(_FORCED_TRIES if self._options.force else 1)):
            try:
                await _do(self._session, node, state, local, decision, is_offline=self._options.offline)
            except CheckoutRefusedError as error:
                code = "edits-in-the-way" if error.paths else "checkout-refused"
                refused = planner.Leave(code, error.message, error.hint or "")
                if not error.paths or not tries_left:
                    return refused, notes
                async with self._session.holds.backend(node.path, state.real) as backend:
                    said = await put_edits_away(self._session, node, state, error.paths, backend=backend)
                if isinstance(said, planner.Leave):
                    return said, notes
                notes += said
            else:
                break
        return None, notes


async def _history(git: GitRunner, before: CheckoutState, after: CheckoutState) -> History | None:
    """The commits between; a pack that has moved has moved, whether they can be told or not."""
    if before.head_sha is None or after.head_sha is None:
        return None
    try:
        return await read_history(git, after.real, after.dirs, before.head_sha, after.head_sha)
    except GitError:
        return None
