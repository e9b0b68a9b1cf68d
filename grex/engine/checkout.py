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
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from grex.engine import planner
from grex.engine.cloning import clone_pack, remove_made
from grex.engine.fitting import Fitting
from grex.engine.forcing import put_place_away
from grex.engine.forecast import Forecast
from grex.engine.graph import ROOT, Graph, Node
from grex.engine.hiding import Hiding
from grex.engine.looking import Looking, is_settled
from grex.engine.moving import Moving, log_position
from grex.engine.outcome import CheckoutOptions, CheckoutOutcome, recovery_notes, short
from grex.engine.places import missing_directories
from grex.engine.reaching import reach
from grex.engine.session import Session
from grex.engine.situation import stranger, tracking_of
from grex.errors import GrexError, PackError, PackGoneError
from grex.fs import canonical
from grex.git import (
    CheckoutState,
    RefsUnreadableError,
    RemoteRef,
    edited_paths,
    has_commit,
    observe,
    read_head,
    read_note,
    recover,
    resolve_remote,
)
from grex.names import PACK_LOCK_NAME

__all__ = ["Checkouts"]

_ROUNDS = 8
_ASK_TIMEOUT_S = 300.0


class _NotBegunError(Exception):
    """The run was stopped while this pack waited for its first permit."""


class _Found(Struct):
    """What one step learned for the next: the wanted commit, and the remote's branch as it was before."""

    target: RemoteRef | None = None
    must_fetch: bool = False
    tracking_before: str | None = None
    has_begun: bool = False
    notes: list[str] = field(default_factory=list)


class Checkouts:
    """Brings the checkouts of one run."""

    def __init__(self, session: Session, options: CheckoutOptions, hiding: Hiding) -> None:
        self._session = session
        self._options = options
        self._hiding = hiding
        self._looking = Looking(session, options, hiding)
        self._forecast = Forecast(session, options, self._looking)
        self._fitting = Fitting(session, options, self._looking)
        self._moving = Moving(session, options, self._looking, self._fitting)
        self.is_stopped = False
        """Set to begin no further pack; those that hold their permit already are finished."""

    async def hide(self, parent: str, graph: Graph) -> None:
        """Hide the children of a pack from the repositories around them, before the first of them is made.

        Raises:
            PackError: the repository's exclude file cannot be written.
        """
        if self._options.dry_run:
            return
        try:
            await self._hiding.hide([node.path for node in graph.nodes.values() if parent in node.parents])
        except OSError as error:
            raise PackError(
                f"the children of {'the workspace' if parent == ROOT else parent} cannot be hidden from the repository "
                f"around them: {error.strerror or error} ({error.filename})",
                hint="Check the permissions and the free space there, then run the command again.",
            ) from error

    async def pass_through(self, node: Node) -> CheckoutOutcome:
        """Read a pack that was not asked for, so that those below it are found. Takes nothing, changes nothing."""
        root = self._session.layout.pack_dir(node.path)
        state = observe(root)
        if state.kind != "checkout":
            return CheckoutOutcome(node.path, "passed")
        spec, problem = self._looking.try_spec(node, root)
        return CheckoutOutcome(
            node.path,
            "passed",
            old_sha=state.head_sha,
            new_sha=state.head_sha,
            spec=spec,
            is_present=True,
            notes=(problem.message,) if problem is not None else (),
        )

    async def bring(self, node: Node) -> CheckoutOutcome | None:
        """Bring one pack to what is declared; a failure is an outcome, not an exception.

        None: the run was stopped before this pack began.

        Tiers: PERMIT, PACK, BACKEND, MANIFEST, in holds that follow each other. Cancellation: git is ended, a clone
        that was under way leaves nothing, notes of what else was under way are left for the next run.
        """
        root = self._session.layout.pack_dir(node.path)
        try:
            refused = self._looking.refusal(node, root)
            if refused is not None:
                return CheckoutOutcome.refused(node.path, refused)
            if self._options.dry_run:
                return self._fitting.forecast(node, root, await self._forecast.plan(node, root))
            return await self._fitting.fit(node, root, await self._bring(node, root))
        except _NotBegunError:
            return None
        except GrexError as error:
            return CheckoutOutcome.refused(node.path, error)
        except OSError as error:
            what = error.strerror or str(error)
            failure = PackError(
                f"{node.path}: {what} ({error.filename or root})",
                hint="Check the permissions and the free space there, then run the command again.",
            )
            return CheckoutOutcome.refused(node.path, failure)

    async def _bring(self, node: Node, root: Path) -> CheckoutOutcome:
        found = _Found()
        for _ in range(_ROUNDS):
            state = await self._looking.observe(node, root)
            look = planner.first_look(self._looking.wanted(node, state), state)
            if isinstance(look, planner.PutAway):
                left = await self._make_room(node, root, found)
                if left is not None:
                    return left
                continue
            # A lock file in a directory without a repository: another workspace may be moving its clone in this moment,
            # so the verdict on it is left to the look under the lock.
            if isinstance(look, planner.Leave) and not os.path.lexists(root / PACK_LOCK_NAME):
                return self._looking.left(node, root, state, look)
            if isinstance(look, planner.Finished) and not found.has_begun:
                settled = self._settled(node, root, state, look.target)
                if settled is not None:
                    return settled
            needs_network = (
                isinstance(look, planner.Clone)
                or found.must_fetch
                or (isinstance(look, planner.AskRemote) and found.target is None)
            )
            if needs_network and self._options.offline:
                return self._looking.offline(node, state)
            step = self._network_step if needs_network else self._disk_step
            try:
                outcome = await step(node, root, found)
            except PackGoneError:
                continue  # another workspace gave up on the same directory; look again
            if outcome is not None:
                return outcome
        raise PackError(
            f"{node.path} changes while grex looks at it",
            hint="Another program works in this checkout; run the command again when it is done.",
        )

    def _settled(self, node: Node, root: Path, state: CheckoutState, target: RemoteRef) -> CheckoutOutcome | None:
        """A pinned pack with nothing to do, found out without a lock; None where that cannot be said.

        Nothing is written and no git is started, so there is nothing for PERMIT and PACK to protect, and most packs
        of most runs end here. What was read belongs together if HEAD stands where it stood and no move is noted after
        the last file was read: whoever moves the checkout writes a note before the first byte and moves HEAD.
        """
        if self.is_stopped:
            return None
        edits = edited_paths(state)
        if not edits.decided:
            return None
        outcome = self._looking.settled(node, root, state, target, edits)
        try:
            is_same = read_head(state.dirs).sha == state.head_sha and read_note(state.dirs.own) is None
        except RefsUnreadableError:
            return None
        return outcome if is_same else None

    def _begin(self, found: _Found, root: Path, made: list[Path]) -> None:
        """Called with the first permit in hand."""
        if self.is_stopped and not found.has_begun:
            remove_made(root, made)
            raise _NotBegunError
        found.has_begun = True

    # -- with force -----------------------------------------------------------------------------------------------

    async def _make_room(self, node: Node, root: Path, found: _Found) -> CheckoutOutcome | None:
        """Move what stands at the pack's place to the trash, so that the next look finds nothing there.

        PACK is taken where there is a lock file already: nobody else works there as a pack's, and none is left in a
        directory that is somebody's.
        """
        if os.path.lexists(root / PACK_LOCK_NAME):
            async with self._session.holds.pack(node.path, root, "disk"):
                return await self._make_room_now(node, root, found)
        return await self._make_room_now(node, root, found)

    async def _make_room_now(self, node: Node, root: Path, found: _Found) -> CheckoutOutcome | None:
        if self.is_stopped and not found.has_begun:
            raise _NotBegunError
        found.has_begun = True
        state = await self._looking.observe(node, root)
        look = planner.first_look(self._looking.wanted(node, state), state)
        return self._put_away(node, root, state, look, found) if isinstance(look, planner.PutAway) else None

    def _put_away(
        self, node: Node, root: Path, state: CheckoutState, look: planner.PutAway, found: _Found
    ) -> CheckoutOutcome | None:
        said = put_place_away(self._session, node, root, state, look.why)
        if isinstance(said, planner.Leave):
            return self._looking.left(node, root, state, said)
        found.notes.append(said)
        found.target, found.must_fetch = None, False
        self._looking.forget()
        return None

    async def _stranger(
        self, node: Node, root: Path, state: CheckoutState, foreign: planner.Leave, found: _Found
    ) -> CheckoutOutcome | None:
        """What becomes of a checkout of another repository; None where it is gone now. PACK is held."""
        match planner.strange(foreign, force=self._options.force):
            case planner.Leave():
                return self._looking.left(node, root, state, foreign)
            case planner.PutAway() as look:
                async with self._session.holds.backend(node.path, state.real):
                    return self._put_away(node, root, state, look, found)

    # -- under a network permit -----------------------------------------------------------------------------------

    async def _network_step(self, node: Node, root: Path, found: _Found) -> CheckoutOutcome | None:
        """Clone, or ask and fetch; gives None where a disk step has to follow."""
        session = self._session
        real = canonical(root)
        made = missing_directories(real)
        if root.is_symlink() and made == [real]:
            real.mkdir(exist_ok=True)  # another workspace may be making the same place this very moment
        async with session.holds.pack(node.path, root, "network", host=session.host_of(node.url)) as hold:
            self._begin(found, root, made)
            state = await self._looking.observe(node, root)
            wanted = self._looking.wanted(node, state)
            look = planner.first_look(wanted, state)
            match look:
                case planner.Clone():
                    try:
                        outcome = await clone_pack(session, node, root, wanted, hold, self._hiding)
                        self._looking.forget()
                    except BaseException:
                        remove_made(real, made)
                        raise
                    if isinstance(outcome, planner.Leave):
                        return self._looking.left(node, root, observe(root), outcome)
                    outcome = replace(outcome, notes=(*found.notes, *outcome.notes))
                    return self._looking.with_spec(node, root, outcome)
                case planner.AskRemote():
                    return await self._ask(node, root, state, wanted, found)
                case planner.Reach(target):
                    await self._fetch(node, state, target, found)
                case _:
                    found.must_fetch = False
        return None

    async def _ask(
        self, node: Node, root: Path, state: CheckoutState, wanted: planner.Wanted, found: _Found
    ) -> CheckoutOutcome | None:
        git = self._session.git_for(node.path, node.url)
        address = self._session.address(node.url)
        foreign = await stranger(git, address, state)
        if foreign is not None:
            return await self._stranger(node, root, state, foreign, found)
        target = await resolve_remote(
            git, address.plain, node.ref, _ASK_TIMEOUT_S, real=self._session.real(node.url).plain
        )
        if is_settled(wanted, state, target):
            await log_position(self._session, node, target)
            return await self._looking.unchanged(node, root, state, target, tuple(found.notes))
        before = wanted.line.sha if wanted.line is not None else None
        if target.kind == "tag" and before not in (None, target.sha):
            found.notes.append(f"the tag {node.ref} moved upstream from {short(before)} to {short(target.sha)}")
        await self._fetch(node, state, target, found)
        return None

    async def _fetch(self, node: Node, state: CheckoutState, target: RemoteRef, found: _Found) -> None:
        found.must_fetch = False
        found.tracking_before = found.tracking_before or tracking_of(state, target)
        found.target, said = await reach(self._session, self._options, node, state, target)
        found.notes += said

    # -- under a disk permit --------------------------------------------------------------------------------------

    async def _disk_step(self, node: Node, root: Path, found: _Found) -> CheckoutOutcome | None:
        """Recover, confirm or move; gives None where another look has to follow."""
        session = self._session
        async with session.holds.pack(node.path, root, "disk"):
            self._begin(found, root, [])
            state = await self._looking.observe(node, root)
            look = planner.first_look(self._looking.wanted(node, state), state)
            match look:
                case planner.Leave():
                    return self._looking.left(node, root, state, look)
                case planner.PutAway():
                    return None
                case planner.Mend():
                    await self._mend(node, root, found)
                    return None
                case planner.Finished(target):
                    await log_position(session, node, target)
                    return await self._looking.unchanged(node, root, state, target, tuple(found.notes))
                case planner.Reach(target):
                    # What a fetch found out is newer than what is known from the records.
                    found.target = found.target or target
                case _:
                    pass
            if isinstance(look, planner.Clone) or found.target is None:
                return None
            foreign = await stranger(session.git_for(node.path), session.address(node.url), state)
            if foreign is not None:
                return await self._stranger(node, root, state, foreign, found)
            if state.record is None:  # adopted: the user's own clone
                await self._hiding.hide_own(state.real, state.dirs.common)
            if await has_commit(session.git_for(node.path), state, found.target.sha):
                return await self._moving.move(
                    node,
                    root,
                    state,
                    found.target,
                    tracking_before=found.tracking_before,
                    notes=tuple(found.notes),
                )
            found.must_fetch = True  # both permit and pack are given back now, and taken again for the network
            found.target = None
        return None

    async def _mend(self, node: Node, root: Path, found: _Found) -> None:
        async with self._session.holds.backend(node.path, canonical(root)) as backend:
            state = observe(root)
            if state.note is not None:
                report = await recover(self._session.git_for(node.path), state, backend=backend)
                found.notes.extend(recovery_notes(report))
