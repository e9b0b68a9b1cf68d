"""Takes checkouts away: each under its own PACK and BACKEND, by one rename into the trash.

Used by `rm`, `sync --prune` and `set --url`, which differ in what they choose and in what they write afterwards. The
deepest goes first, because a pack in another one's directory must not travel with it; a pack that stays keeps those
around it. Everything that `keeping` has to know is looked at twice: without locks, so that nothing is torn down for a
removal that will be refused, and under the locks, right before the rename.

Whoever waits for the pack meanwhile finds its directory gone and nothing made in its place (`PackGoneError`): the lock
file travels with the checkout, and is the same one when it comes back. The lock file of BACKEND lies beside the
checkout and is removed with it, as after a clone that failed: nothing is done under it any more.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Literal, TypeAlias

from msgspec import Struct

from grex.engine.keeping import Holding, why_kept
from grex.engine.places import look_at, misplaced
from grex.engine.planner import Leave
from grex.engine.session import Session
from grex.engine.trash import Trash
from grex.errors import GrexError, PackError, PackGoneError
from grex.fs import canonical
from grex.git import CheckoutState, find_work, is_linked_worktree, linked_work_trees, nested_repositories
from grex.locks.backend_lock import backend_lock_path
from grex.manifest import PackRecord, TrashRecord, timestamp
from grex.names import is_full_sha
from grex.progress import PackFinished, PackStarted

__all__ = ["PRUNE", "RM", "SET_URL", "RemovalOutcome", "RemovalStatus", "Removals", "inner_packs", "restore_hint"]

RM = "rm"
PRUNE = "sync --prune"
SET_URL = "set --url"
"""What a record says of the verb that moved a pack, and by which a run after a kill knows what the log lacks."""

RemovalStatus = Literal["removed", "unlinked", "absent", "forgotten", "kept", "planned"]


class RemovalOutcome(Struct, frozen=True, kw_only=True):
    """What became of one pack.

    Attributes:
        path: the pack.
        status: `removed` and `unlinked` (it was a link) are in the trash; `absent` had nothing to move; `forgotten`
            was left where it is as asked; `kept` was refused.
        trash: where it is now, from the workspace root.
        code: why it was kept, or what is planned; stable for programs.
        text: the same for people.
        hint: what to do about it.
        error: the failure, of a pack that was kept.
    """

    path: str
    status: RemovalStatus
    trash: str | None = None
    code: str | None = None
    text: str = ""
    hint: str | None = None
    error: GrexError | None = None

    @property
    def is_gone(self) -> bool:
        """Whether nothing of grex's is at the pack's place any more."""
        return self.status in ("removed", "unlinked", "absent")

    @classmethod
    def kept(cls, path: str, leave: Leave) -> RemovalOutcome:
        """A pack that must stay."""
        error = PackError(f"{path} was kept: {leave.text}", hint=leave.hint, details={"reason": leave.code})
        return cls(path=path, status="kept", code=leave.code, text=leave.text, hint=leave.hint, error=error)

    @classmethod
    def failed(cls, path: str, error: GrexError) -> RemovalOutcome:
        """A pack that could not be taken away."""
        return cls(path=path, status="kept", code=error.code, text=error.message, hint=error.hint, error=error)


_Act: TypeAlias = Callable[[str, Mapping[str, RemovalOutcome]], Awaitable[RemovalOutcome | None]]


def restore_hint(*trash: str) -> str:
    """How to bring back what is there, in this order: each is `.grex/trash/<utc>/<path>`."""
    return " ".join(["grex doctor", *(f"--restore {one.split('/')[2]}" for one in trash)])


def inner_packs(path: str, packs: Iterable[str]) -> list[str]:
    """Those of these packs that lie in a pack's directory."""
    return sorted(inner for inner in packs if inner.startswith(f"{path}/"))


class Removals:
    """Takes checkouts away for one verb.

    Args:
        session: the open workspace; WORKSPACE is held, or nothing in a dry run.
        verb: `RM`, `PRUNE` or `SET_URL`.
        why: why they go, for the record: one sentence.
        staying: the declared packs that stay.
        leaving: the packs that go.
        force: take away also what has work in it.
        declarations: the entries that the root's pack.yaml is going to lose, as they are written.
    """

    def __init__(
        self,
        session: Session,
        *,
        verb: str,
        why: str,
        staying: Collection[str],
        leaving: Collection[str],
        force: bool = False,
        declarations: Mapping[str, str] | None = None,
    ) -> None:
        self._session = session
        self._verb = verb
        self._why = why
        self._staying = staying
        self._leaving = leaving
        self._force = force
        self._declarations = declarations or {}
        self._trash = Trash(session.layout)

    def order(self) -> list[str]:
        """The packs that go, the deepest first."""
        return sorted(self._leaving, key=lambda path: (-path.count("/"), path))

    async def refusal(self, path: str) -> Leave | None:
        """Why a pack must stay, as far as can be seen without locks."""
        wrong = self._misplaced(path)
        if wrong is not None:
            return wrong
        root = self._session.layout.pack_dir(path)
        state = look_at(root)
        if root.is_symlink() or state.kind != "checkout":
            return None
        return await self._judge(path, state)

    async def judge_all(self) -> dict[str, RemovalOutcome]:
        """The packs that must stay, with those in whose directory they lie, as far as can be seen without locks."""
        kept: dict[str, RemovalOutcome] = {}
        for path in self.order():
            outcome = await self._caught(path, self._look, kept)
            if outcome is not None:
                kept[path] = outcome
        return kept

    async def _look(self, path: str, kept: Mapping[str, RemovalOutcome]) -> RemovalOutcome | None:
        inner = inner_packs(path, kept)
        leave = _around(inner[0]) if inner else await self.refusal(path)
        return None if leave is None else RemovalOutcome.kept(path, leave)

    async def take_away(self, kept: Mapping[str, RemovalOutcome] | None = None) -> dict[str, RemovalOutcome]:
        """Move the packs to the trash, the deepest first; one that stays keeps those around it.

        Tiers: for each, PERMIT, PACK and BACKEND. Cancellation: those that were moved are in the trash, recorded.

        Args:
            kept: packs that were refused already.
        """
        outcomes = dict(kept or {})
        for path in self.order():
            if path in outcomes:
                continue
            sink = self._session.settings.sink
            sink(PackStarted(path, "remove"))
            outcome = await self._caught(path, self._take, outcomes)
            outcomes[path] = outcome or RemovalOutcome(path=path, status="absent", text="there is no checkout of it")
            sink(PackFinished(path, outcomes[path].status, outcomes[path].text))
        return outcomes

    async def _caught(self, path: str, act: _Act, outcomes: Mapping[str, RemovalOutcome]) -> RemovalOutcome | None:
        try:
            return await act(path, outcomes)
        except GrexError as error:
            return RemovalOutcome.failed(path, error)
        except OSError as error:
            what = f"{path}: {error.strerror or error} ({error.filename or self._session.layout.pack_dir(path)})"
            hint = "Check the permissions and the disk there, then run the command again."
            return RemovalOutcome.failed(path, PackError(what, hint=hint))

    async def _take(self, path: str, outcomes: Mapping[str, RemovalOutcome]) -> RemovalOutcome | None:
        inner = inner_packs(path, [one for one, outcome in outcomes.items() if not outcome.is_gone])
        if inner:
            return RemovalOutcome.kept(path, _around(inner[0]))
        wrong = self._misplaced(path)
        if wrong is not None:
            return RemovalOutcome.kept(path, wrong)
        root = self._session.layout.pack_dir(path)
        if root.is_symlink():
            return self._unlink(path, root)
        state = look_at(root)
        if state.kind != "checkout":
            return _nothing(path, state)
        return await self._move(path, root)

    def _unlink(self, path: str, root: Path) -> RemovalOutcome:
        """Move the link: what it leads to is somebody else's, and nothing of that changes."""
        target = root.readlink()
        record = self._trash.put_away(root, self._record(path, look_at(root), is_link=True))
        self._tidy(root)
        return RemovalOutcome(
            path=path,
            status="unlinked",
            trash=self._trash.shown(record.stamp, path),
            text=f"the link to {target} is in the trash; what it leads to was left as it is",
        )

    async def _move(self, path: str, root: Path) -> RemovalOutcome | None:
        session = self._session
        try:
            async with session.holds.pack(path, root, "disk"), session.holds.backend(path, canonical(root)):
                state = look_at(root)
                if state.kind != "checkout" or root.is_symlink():
                    return _nothing(path, state)
                leave = await self._judge(path, state)
                if leave is not None:
                    return RemovalOutcome.kept(path, leave)
                record = self._trash.put_away(root, self._record(path, state))
                backend_lock_path(root).unlink(missing_ok=True)
        except PackGoneError:
            return None
        self._tidy(root)
        return RemovalOutcome(path=path, status="removed", trash=self._trash.shown(record.stamp, path))

    async def _judge(self, path: str, state: CheckoutState) -> Leave | None:
        session = self._session
        known = session.folded.packs.get(path)
        holding = Holding(
            path=path,
            is_owned=known is not None and known.owned,
            is_linked=is_linked_worktree(state),
            is_interrupted=state.note is not None,
            staying=tuple(inner_packs(path, self._staying)),
            worktrees=tuple(str(place) for _, place in linked_work_trees(state.dirs.common)),
        )
        leave = why_kept(holding, force=self._force)
        if leave is not None or self._force:
            return leave
        inner = [one.removeprefix(f"{path}/") for one in inner_packs(path, {*session.folded.packs, *self._leaving})]
        return why_kept(
            Holding(
                path=path,
                repositories=tuple(nested_repositories(state, inner)),
                work=await find_work(session.git_for(path), state, self._known_commits(path, state)),
            )
        )

    def _misplaced(self, path: str) -> Leave | None:
        wrong = misplaced(self._session.layout.root, path)
        if wrong is None:
            return None
        return Leave("misplaced", f"it {wrong}", "Remove the symbolic link on the way.")

    def _known_commits(self, path: str, state: CheckoutState) -> list[str]:
        """The commits of this pack that came from its remote, as far as grex has written it down."""
        record, line = state.record, self._session.lines.get(path)
        known = [record.sha if record is not None else None, line.sha if line is not None else None]
        return [sha for sha in known if sha is not None and is_full_sha(sha)]

    def _record(self, path: str, state: CheckoutState, *, is_link: bool = False) -> TrashRecord:
        known: PackRecord | None = self._session.folded.packs.get(path)
        return TrashRecord(
            stamp="",
            path=path,
            kind="link" if is_link else "whole",
            url=known.url if known is not None else None,
            ref=known.ref if known is not None else None,
            branch=state.head_branch,
            head=state.head_sha,
            owned=known is not None and known.owned,
            why=self._why,
            verb=self._verb,
            moved_at=timestamp(),
            declaration=self._declarations.get(path),
        )

    def _tidy(self, root: Path) -> None:
        """Take away the directories that held nothing but the pack, as git does with files."""
        top = self._session.layout.root
        for above in root.parents:
            if above == top or not above.is_relative_to(top):
                return
            with contextlib.suppress(OSError):  # there is something else in it
                above.rmdir()


def _around(inner: str) -> Leave:
    return Leave("holds-pack", f"the pack {inner} lies in it and was kept", f"See what is said about {inner}.")


def _nothing(path: str, state: CheckoutState) -> RemovalOutcome:
    text = "there is no checkout of it"
    if state.kind in ("directory", "other"):
        text = "what is at its place is no checkout, and was left there"
    return RemovalOutcome(path=path, status="absent", text=text)
