"""Fits a checkout with what is declared beside its URL and ref: remotes, sparse directories, submodules.

After the checkout is where it belongs, in holds of their own: remotes and sparse directories under a disk permit (a
network permit where a partial clone may have to fetch objects), submodules under a network permit, each with PACK and
BACKEND. What was done is recorded in the git directory after its last byte (`grex.git.fittings`), so a pack that is
fitted costs one look at a file, and a run that was killed is carried on by the next one.

What is the user's is never lost: git itself keeps edited and untracked files that a smaller cone would take away;
`planner.submodule_step` keeps a submodule with work in it where it is; a remote is never removed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from grex.engine import planner
from grex.engine.graph import Node
from grex.engine.holds import PermitKind
from grex.engine.looking import Looking
from grex.engine.outcome import CheckoutOptions, CheckoutOutcome
from grex.engine.session import Session
from grex.engine.sharing import submodule_shared
from grex.engine.situation import local_work
from grex.errors import FetchError, GrexError
from grex.fs import remove_tree
from grex.git import CheckoutState, GitRunner, MoveNote, RemoteRef, observe
from grex.git.config_file import read_config
from grex.git.fittings import Fittings, read_fittings, write_fittings
from grex.git.records import remove_note, write_note
from grex.git.remotes import missing_remotes, set_remotes
from grex.git.sparse import cone_directories, set_cone
from grex.git.submodules import (
    Submodule,
    changed_submodules,
    clear_new,
    lent_to_submodules,
    module_dir,
    read_submodules,
    submodule_work,
    update_submodule,
)
from grex.locks import BackendHold
from grex.names import InvalidUrlError, PackUrl, clean, parse_url

__all__ = ["Fitting"]

_TIMEOUT_S = 4 * 3600.0
_MOST_NESTED = 16
_SHOWN = 3


class Fitting:
    """Fits the checkouts of one run."""

    def __init__(self, session: Session, options: CheckoutOptions, looking: Looking) -> None:
        self._session = session
        self._options = options
        self._looking = looking

    async def fit(self, node: Node, root: Path, outcome: CheckoutOutcome | None) -> CheckoutOutcome | None:
        """Do what is declared and not done yet; what keeps it from being done is the pack's failure.

        Tiers: PERMIT, PACK, BACKEND, in holds that follow each other. Cancellation: git is ended; notes of what was
        under way are left for the next run.
        """
        if outcome is None or not outcome.is_present or outcome.status not in ("cloned", "moved", "unchanged"):
            return outcome
        if _is_plain(node, root):
            return outcome
        state = await self._looking.observe(node, root)
        if state.kind != "checkout":
            return outcome
        notes = list(self._left_remotes(node, state))
        try:
            if self._is_unfitted(node, state):
                notes += await self._fit_tree(node, root)
                state = await self._looking.observe(node, root)
            if self._lacks_submodules(node, state):
                git = self._session.git_for(node.path)
                before = await local_work(git, state)  # a submodule that is not where it belongs yet counts as edited
                found = await self._fit_submodules(node, root, state)
                if isinstance(found, planner.Leave):
                    left = self._looking.left(node, root, state, found, outcome.target)
                    return replace(left, notes=(*outcome.notes, *notes))
                kept = [note for note in outcome.notes if note not in before]
                outcome = replace(outcome, notes=(*kept, *await local_work(git, state)))
                notes += found
        except GrexError as error:
            return replace(outcome, notes=(*outcome.notes, *notes)).failed_with(error)
        return replace(outcome, notes=(*outcome.notes, *notes)) if notes else outcome

    def forecast(self, node: Node, root: Path, outcome: CheckoutOutcome) -> CheckoutOutcome:
        """The outcome of a dry run, with a note on what would be fitted. Starts no git and writes nothing."""
        if not outcome.is_present or outcome.status not in ("planned", "unchanged"):
            return outcome
        state = observe(root)
        if state.kind != "checkout":
            return outcome
        notes = list(self._left_remotes(node, state))
        cone = cone_directories(node.first.child.sparse)
        if cone != read_fittings(state.dirs.own).sparse:
            notes.append(f"would check out {_told(cone)}")
        missing = missing_remotes(state, _plain(node))
        if missing:
            notes.append(f"would set the remote{'s' if len(missing) > 1 else ''} {', '.join(sorted(missing))}")
        if self._lacks_submodules(node, state):
            notes.append("would look after its submodules")
        return replace(outcome, notes=(*outcome.notes, *notes)) if notes else outcome

    async def in_the_way(
        self, git: GitRunner, node: Node, state: CheckoutState, target: RemoteRef, move: planner.Move
    ) -> planner.Leave | None:
        """Why a pack must not move: a submodule of ours that would have to move along has work of the user's in it."""
        if not node.first.child.submodules or move.kind == "branch-ref":
            return None
        for work in await submodule_work(git, await changed_submodules(git, state, target.sha)):
            verdict = planner.submodule_step(
                planner.SubmoduleFound(work.path, target.sha, head_sha="", is_recorded=True, work=work.reason)
            )
            if isinstance(verdict, planner.Leave):
                return replace(verdict, text=f"the submodule {work.path} would have to move along, and {work.reason}")
        return None

    # -- what is declared against what is there -------------------------------------------------------------------

    def _is_unfitted(self, node: Node, state: CheckoutState) -> bool:
        return cone_directories(node.first.child.sparse) != read_fittings(state.dirs.own).sparse or bool(
            missing_remotes(state, _plain(node))
        )

    def _lacks_submodules(self, node: Node, state: CheckoutState) -> bool:
        return node.first.child.submodules and read_fittings(state.dirs.own).submodules != state.head_sha

    def _left_remotes(self, node: Node, state: CheckoutState) -> list[str]:
        """Notes on remotes that grex made and that are not declared any more: somebody may use them."""
        made = read_fittings(state.dirs.own).urls
        gone = sorted(set(made) - set(node.first.remotes))
        config = read_config(state.dirs.common / "config") if gone else None
        return [
            f"the remote {name} is no longer declared; it was left (`git remote remove {name}` takes it away)"
            for name in gone
            if config is not None and config.get("remote", "url", subsection=name) == made[name]
        ]

    # -- remotes and sparse directories ---------------------------------------------------------------------------

    async def _fit_tree(self, node: Node, root: Path) -> list[str]:
        session = self._session
        cone, remotes = cone_directories(node.first.child.sparse), _plain(node)
        notes: list[str] = []
        # Files that come into the cone are fetched where the clone left blobs out.
        kind: PermitKind = "network" if node.first.child.filter is not None else "disk"
        async with (
            session.holds.pack(node.path, root, kind, host=session.host_of(node.url) if kind == "network" else None),
            session.holds.backend(node.path, root.resolve()) as backend,
        ):
            state = await self._looking.observe(node, root)
            if state.kind != "checkout" or state.note is not None:
                return notes  # somebody else came in between; the next sync looks again
            git = session.git_for(node.path, node.url, offline=self._options.offline)
            had = read_fittings(state.dirs.own)
            made = {**{name: url for name, url in had.remotes if name not in remotes}, **remotes}
            if missing_remotes(state, remotes):
                names = await set_remotes(git, state, remotes, pack=node.path, backend=backend)
                notes.append(f"set the remote{'s' if len(names) > 1 else ''} {', '.join(names)}")
            done = replace(had, remotes=tuple(sorted(made.items())))
            if cone != had.sparse:
                done, said = await self._fit_sparse(git, node, state, done, cone, backend)
                notes += said
            write_fittings(state.dirs.own, done)
        return notes

    async def _fit_sparse(
        self,
        git: GitRunner,
        node: Node,
        state: CheckoutState,
        done: Fittings,
        cone: tuple[str, ...],
        backend: BackendHold,
    ) -> tuple[Fittings, list[str]]:
        if state.operation is not None:
            return done, [f"a {state.operation} is in progress, so {_told(cone)} must wait"]
        left = await set_cone(
            git, state, cone, before=done.sparse, pack=node.path, backend=backend, timeout_s=_TIMEOUT_S
        )
        if left:
            named = ", ".join(clean(path, 80) for path in left[:_SHOWN]) + (", ..." if len(left) > _SHOWN else "")
            # Not recorded as done: once these are committed or gone, the next sync takes the rest away.
            return done, [f"checked out {_told(cone)}; kept because they are edited or untracked: {named}"]
        return replace(done, sparse=cone), [f"checked out {_told(cone)}"]

    # -- submodules -----------------------------------------------------------------------------------------------

    async def _fit_submodules(self, node: Node, root: Path, state: CheckoutState) -> list[str] | planner.Leave:
        session = self._session
        if self._options.offline:
            reading = session.git_for(node.path)
            if any(one.state is None or one.state.head_sha != one.sha for one in await read_submodules(reading, state)):
                raise FetchError(
                    f"the submodules of {node.path} are not all there, and --offline forbids fetching them",
                    hint="Sync without --offline.",
                )
            return []
        async with (
            session.holds.pack(node.path, root, "network", host=session.host_of(node.url)),
            session.holds.backend(node.path, root.resolve()) as backend,
        ):
            state = await self._looking.observe(node, root)
            if state.kind != "checkout" or state.note is not None or state.operation is not None:
                return []
            git = session.git_for(node.path, node.url, others=True)
            job = _Bringing(session, git, node.path, node.first.child.depth, backend)
            leave = await job.bring(state, node.url, depth_left=_MOST_NESTED)
            if leave is not None:
                return leave
            if state.head_sha is not None:
                write_fittings(state.dirs.own, replace(read_fittings(state.dirs.own), submodules=state.head_sha))
        return [f"brought {job.count} submodule{'s' if job.count > 1 else ''}", *job.notes] if job.count else []


class _Bringing:
    """Brings the submodules of one pack, with those below them. PACK and BACKEND are held."""

    def __init__(self, session: Session, git: GitRunner, pack: str, depth: int | None, backend: BackendHold) -> None:
        self._session = session
        self._git = git
        self._pack = pack
        self._depth = depth
        self._backend = backend
        self.count = 0
        self.notes: list[str] = []

    async def bring(self, state: CheckoutState, url: PackUrl, *, depth_left: int) -> planner.Leave | None:
        """Bring every submodule of a checkout; the first that must not be touched ends it.

        Raises:
            FetchError: one has a URL that grex does not use, or cannot be fetched.
        """
        found = await read_submodules(self._git, state)
        if not found:
            return None
        if not depth_left:
            raise FetchError(
                f"the submodules of {self._pack} are nested more than {_MOST_NESTED} deep",
                hint="A repository may be a submodule of itself; declare `submodules: false` and take what is needed.",
            )
        note = MoveNote(op="submodules", pack=self._pack)
        leave: planner.Leave | None = None
        write_note(state.dirs.own, note)
        for one in found:
            leave = await self._bring_one(state, one, url, note, depth_left)
            if leave is not None:
                break
        remove_note(state.dirs.own)
        return leave

    async def _bring_one(
        self, state: CheckoutState, one: Submodule, url: PackUrl, note: MoveNote, depth_left: int
    ) -> planner.Leave | None:
        address = self._address(one, url)
        work = await submodule_work(self._git, [one])
        verdict = planner.submodule_step(
            planner.SubmoduleFound(
                one.path,
                one.sha,
                None if one.state is None else one.state.head_sha or "",
                is_recorded=one.state is None or one.state.note is None,
                work=work[0].reason if work else None,
            )
        )
        if isinstance(verdict, planner.Leave):
            return verdict
        inner = one.state
        if verdict:
            # A repository from the network does not choose a directory of this machine to copy from.
            protocols = ("https", "http", "ssh", "git", *(("file",) if url.is_local else ()))
            update = partial(
                update_submodule,
                self._git,
                state,
                one,
                pack=self._pack,
                identity=address.identity,
                protocols=protocols,
                depth=self._depth,
                backend=self._backend,
                timeout_s=_TIMEOUT_S,
            )
            borrows = False
            if inner is None:
                is_cloned = not module_dir(state, one).exists()
                write_note(state.dirs.own, replace(note, new=(one.path,), made=(one.name,) if is_cloned else ()))
                may_borrow = url.is_local or not (address.is_local or self._session.real(address).is_local)
                borrows = is_cloned and self._depth is None and may_borrow
            inner = await (self._clone(state, one, address, update) if borrows else update())
            write_note(state.dirs.own, note)
            self.count += 1
        if inner is None:
            return None
        return await self.bring(inner, address, depth_left=depth_left - 1)

    async def _clone(
        self, state: CheckoutState, one: Submodule, address: PackUrl, update: Callable[..., Awaitable[CheckoutState]]
    ) -> CheckoutState:
        """Clone one with the help of the cache."""
        lent = lent_to_submodules(state)
        remove_tree(lent)
        is_begun = False

        async def make(lender: Path | None) -> CheckoutState:
            nonlocal is_begun
            if is_begun:  # git clones into an empty directory only; what was checked out may be edited by now
                note = MoveNote(op="submodules", pack=self._pack, new=(one.path,), made=(one.name,))
                aside = state.dirs.own / "grex" / f"kept-{time.time_ns()}"
                self.notes += [
                    f"files in the submodule {path} were kept, in {at}" for path, at in clear_new(state, note, aside)
                ]
            is_begun = True
            return await update(lender=lender)

        try:
            found, said = await submodule_shared(
                self._session, self._pack, address, make, lent=lent, git_dir=module_dir(state, one)
            )
        finally:
            remove_tree(lent)
        self.notes += [f"the submodule {clean(one.path, 80)}: {note}" for note in said]
        return found

    def _address(self, one: Submodule, url: PackUrl) -> PackUrl:
        where = f"the submodule {clean(one.path, 80)} of {self._pack}"
        try:
            if one.url.startswith(("./", "../")):
                return parse_url(one.url, base=url.plain)
            return parse_url(one.url)
        except InvalidUrlError as error:
            raise FetchError(f"{where} cannot be fetched: its URL {error}", hint=error.hint) from error


def _is_plain(node: Node, root: Path) -> bool:
    """Whether nothing is declared to be fitted, and nothing ever was: found out with two looks, for most packs."""
    child = node.first.child
    if child.sparse or child.submodules or child.remotes:
        return False
    git_dir = f"{root}/.git"
    return not (os.path.exists(f"{git_dir}/grex/fittings.json") or os.path.isfile(git_dir))  # noqa: PTH110, PTH113 - of every pack of every run


def _plain(node: Node) -> dict[str, str]:
    return {name: url.plain for name, url in node.first.remotes.items()}


def _told(cone: tuple[str, ...]) -> str:
    return f"only {', '.join(cone)}" if cone else "the whole tree"
