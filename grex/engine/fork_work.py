"""Looks at forks: how each stands, and what would be lost with it.

That is looked for in each of its packs: what is in no commit, what git is in the middle of, commits that no branch, tag
or remote-tracking branch would have but the fork's own, and packs that came to it otherwise than by forking, whose
repositories go with them. Nothing is written.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Literal

import anyio
from msgspec import Struct

from grex.engine.fork_provider import repository_state
from grex.engine.forking import digest_of, unsaved
from grex.engine.graph import ROOT
from grex.engine.holds import Holds
from grex.engine.session import Session
from grex.engine.survey import survey
from grex.errors import GrexError
from grex.fs import TEMP_PREFIX, canonical
from grex.git import (
    CheckoutState,
    WorkTreeStatus,
    count_commits,
    find_git_dirs,
    find_work,
    is_half_made,
    linked_work_trees,
    nested_repositories,
    observe,
    read_ref,
    registered_at,
    submodule_losses,
    unmerged_count,
)
from grex.manifest import (
    FORK_ROOT,
    ForkMark,
    ForkPack,
    ForkRecord,
    Log,
    fold,
    read_fork_mark,
)
from grex.names import BACKEND_LOCK_SUFFIX, GREX_DIRECTORY
from grex.workspace import Layout

__all__ = ["ForkState", "ForkWork", "common_of", "fork_state", "look_into", "place_of", "temp_of", "tip_of"]

ForkState = Literal["ok", "making", "removing", "gone", "damaged"]

_LOCKFILE = "grex.lock.jsonl"
_OWN_FILES = frozenset({"grex.jsonl", ".grex.sync.lock", ".grex.jsonl.lock", ".grex-lock"})
_OWN_DIRECTORIES = frozenset({".grex/state", ".grex/trash", ".grex/store"})


class ForkWork(Struct, frozen=True):
    """What there is of a pack in a fork, and what would be lost with it.

    Attributes:
        path: the pack; `.` is the workspace's own repository, or its directory.
        branch: the branch that was made for it; None for a pack that came otherwise.
        is_there: whether there is a checkout.
        ahead: commits that HEAD of the source lacks.
        edited: tracked files that differ, conflicts among them.
        untracked: files that are neither tracked nor ignored.
        unmerged: commits that nothing else has.
        operation: what git is in the middle of.
        has_new_lockfile: whether its lockfile is not as it was committed or copied; that is no work, and is kept.
        text: why it cannot be removed, or what is wrong with it.
        is_refused: whether not even `--force` may take it away.
    """

    path: str
    branch: str | None
    is_there: bool = True
    ahead: int = 0
    edited: int = 0
    untracked: int = 0
    unmerged: int = 0
    operation: str | None = None
    has_new_lockfile: bool = False
    text: str = ""
    is_refused: bool = False

    @property
    def is_work(self) -> bool:
        """Whether something would be lost."""
        return bool(self.edited or self.untracked or self.unmerged or self.operation or self.text)


def place_of(record: ForkRecord, path: str) -> Path:
    """Where a pack of a fork is."""
    return Path(record.directory) if path == FORK_ROOT else Path(record.directory, path)


def temp_of(record: ForkRecord) -> Path:
    """Where a fork goes that is being removed."""
    return Path(record.directory).parent / f"{TEMP_PREFIX}fork-{record.id}"


def fork_state(record: ForkRecord) -> tuple[ForkState, ForkMark | None, str]:
    """How a fork stands, what it is told of itself, and what is wrong with it."""
    directory = Path(record.directory)
    if not os.path.lexists(directory):
        return ("removing" if os.path.lexists(temp_of(record)) else "gone"), None, ""
    try:
        mark = read_fork_mark(Layout(directory).state_dir)
    except GrexError as error:
        return "damaged", None, error.message
    if mark is None:
        if set(os.listdir(directory)) <= {GREX_DIRECTORY, ".grex.sync.lock"}:  # noqa: PTH208 - names are what is wanted
            return "making", None, ""
        return "damaged", None, "something else is there now"
    if mark.id != record.id:
        return "damaged", None, "another fork is there now"
    return {"making": "making", "whole": "ok", "removing": "removing"}[mark.stage], mark, ""  # type: ignore[return-value]  # the values of that literal


def common_of(home: Layout, record: ForkRecord, path: str) -> Path | None:
    """The repository of a pack: as the workspace has it that has the record, or the one the fork was made of."""
    for root in (home.root, Path(record.source)):
        dirs = find_git_dirs(canonical(root / path))
        if dirs is not None:
            common = canonical(dirs.common)
            if registered_at(common, place_of(record, path)) is not None:
                return common
            fallback = next((pack for pack in record.packs if pack.path == path), None)
            if fallback is not None and tip_of(common, fallback.branch) is not None:
                return common
    return None


def tip_of(common: Path, branch: str) -> str | None:
    """Where a branch of a repository stands; None if there is none."""
    return read_ref(repository_state(common).dirs, f"refs/heads/{branch}")


async def look_into(
    session: Session, record: ForkRecord, mark: ForkMark | None, holds: Holds | None = None
) -> list[ForkWork]:
    """Look into every pack of a fork, and beside them; nothing is written.

    Tiers: PERMIT and PACK of each, where they are to be held.

    Args:
        session: the workspace that has the record.
        record: the fork.
        mark: what it is told of itself; None where it is not there.
        holds: takes the locks of the fork, where what runs in its packs is to be waited for.
    """
    made = {pack.path: pack for pack in (record.packs if mark is None else mark.packs)}
    paths = {*made}
    if mark is not None:
        paths |= _others(session, record)
    found: dict[str, ForkWork] = {}
    limit = anyio.CapacityLimiter(max(session.settings.jobs or 4, 1))
    look = _Look(session, record, mark, frozenset(paths), is_thorough=holds is not None)

    async def one(path: str) -> None:
        pack, place = made.get(path), place_of(record, path)
        is_held = holds is not None and observe(place).kind == "checkout"
        try:
            async with limit, holds.pack(path, place, "disk") if is_held and holds is not None else nullcontext():
                found[path] = await (look.at_clone(path) if pack is None else look.at(pack))
        except (GrexError, OSError) as error:
            text = error.message if isinstance(error, GrexError) else str(error)
            found[path] = ForkWork(path, None if pack is None else pack.branch, text=text)

    async with anyio.create_task_group() as tasks:
        for path in paths:
            tasks.start_soon(one, path)
    if mark is not None and FORK_ROOT not in made:
        found[FORK_ROOT] = look.beside()
    return [found[path] for path in sorted(found)]


def _others(session: Session, record: ForkRecord) -> set[str]:
    """The checkouts of a fork that were not forked: packs that were added to it."""
    layout = Layout(Path(record.directory))
    known: set[str] = set()
    try:
        states = survey(layout, session.settings.platform, is_whole=True).states
        known.update(path for path, state in states.items() if state.kind == "checkout")
    except GrexError:
        known.clear()  # of a fork that is not whole there may be no pack.yaml yet
    try:
        logged = fold(Log(layout.log, layout.trash_dir).read().events).packs
    except GrexError:
        return known
    return known | {path for path in logged if path != ROOT and observe(layout.pack_dir(path)).kind == "checkout"}


class _Look(Struct, frozen=True):
    """Looks into the packs of one fork."""

    session: Session
    record: ForkRecord
    mark: ForkMark | None
    paths: frozenset[str]
    is_thorough: bool
    """Whether every directory is looked at for repositories that git ignores; else it may take long to list forks."""

    async def at(self, pack: ForkPack) -> ForkWork:
        """A pack that was forked."""
        path, place = pack.path, place_of(self.record, pack.path)
        state = observe(place)
        common = common_of(self.session.layout, self.record, path)
        if common is None:
            is_there = state.kind == "checkout"
            text = "its repository is not there any more" if is_there else ""
            return ForkWork(path, pack.branch, is_there=is_there, text=text)
        if state.kind != "checkout" or (self._is_in_the_making(state)):
            unmerged = await _unmerged(self.session, common, pack, None)
            return ForkWork(path, pack.branch, is_there=False, unmerged=unmerged)
        if canonical(state.dirs.common) != common or state.dirs.own == state.dirs.common:
            return ForkWork(path, pack.branch, text="something else than the work tree that was made is there")
        text, is_refused = await self._inside(path, state)
        work = await unsaved(self.session, state, self._below(path))
        has_new_lockfile = path == FORK_ROOT and _LOCKFILE in work.edited
        ahead = 0
        if state.head_sha is not None and state.head_sha != pack.sha:
            source = observe(canonical(Path(self.record.source, path)))
            base = source.head_sha if source.kind == "checkout" and source.head_sha is not None else pack.sha
            ahead = await count_commits(self.session.git_for(path), state, state.head_sha, base)
        return ForkWork(
            path,
            pack.branch,
            ahead=ahead,
            edited=work.edited_count + work.conflicted_count - has_new_lockfile,
            untracked=work.untracked_count if path != FORK_ROOT else self._untracked(place, work),
            unmerged=await _unmerged(self.session, common, pack, state.head_sha),
            operation=state.operation,
            has_new_lockfile=has_new_lockfile,
            text=text,
            is_refused=is_refused,
        )

    async def _inside(self, path: str, state: CheckoutState) -> tuple[str, bool]:
        """What of other repositories inside a pack would be lost with it, and whether force would not keep it."""
        is_linked = state.dirs.own != state.dirs.common
        losses = await submodule_losses(self.session.git_for(path), state)
        for loss in sorted(losses, key=lambda one: not one.is_in_repository):
            text = f"its submodule {loss.path} {loss.text}"
            if loss.is_in_repository and is_linked:
                return f"{text}; git forgets its repository with the work tree, so push that or take it elsewhere", True
            return text, False
        if self.is_thorough:
            besides = {*self._below(path), *([GREX_DIRECTORY] if path == FORK_ROOT else [])}
            nested = nested_repositories(state, besides)
            if nested:
                return f"it holds another repository, {nested[0]}, that no pack declares", False
        return "", False

    def _is_in_the_making(self, state: CheckoutState) -> bool:
        """Whether a killed run was about to write its files: nobody's work, whatever git says of it."""
        if self.mark is None or self.mark.stage != "making" or state.git_dir is None:
            return False
        return is_half_made(state.git_dir) or not os.path.lexists(state.git_dir / "index")

    def _below(self, path: str) -> list[str]:
        prefix = "" if path == FORK_ROOT else f"{path}/"
        return [other.removeprefix(prefix) for other in self.paths if other.startswith(prefix) and other != FORK_ROOT]

    def _untracked(self, place: Path, work: WorkTreeStatus) -> int:
        """How many untracked files of the workspace's own work tree are more than copies that were made for it."""
        if work.untracked_count > len(work.untracked):
            return work.untracked_count  # more than were named: surely not only copies
        return sum(self._is_work(place, name.rstrip("/")) for name in work.untracked)

    def _is_work(self, directory: Path, path: str) -> bool:
        """Whether a file, or one in a directory, is neither grex's own nor a copy that was made for the fork."""
        if path in self.paths or path in _OWN_FILES or path in _OWN_DIRECTORIES or path == _LOCKFILE:
            return False
        full = directory / path
        if full.name.startswith(TEMP_PREFIX) or full.name.endswith(BACKEND_LOCK_SUFFIX):
            return False
        if full.is_dir() and not full.is_symlink():
            return any(self._is_work(directory, f"{path}/{entry.name}") for entry in full.iterdir())
        digest = None if self.mark is None else self.mark.copied.get(path)
        return digest is None or digest_of(full) != digest

    def beside(self) -> ForkWork:
        """The files of a fork whose workspace has no repository of its own: those that were copied, and other ones."""
        directory = Path(self.record.directory)
        copied = {} if self.mark is None else self.mark.copied
        edited = sum(
            1
            for name, digest in copied.items()
            if name != _LOCKFILE and (not os.path.lexists(directory / name) or digest_of(directory / name) != digest)
        )
        untracked = self._count(directory, "", copied)
        lockfile = directory / _LOCKFILE
        is_new = lockfile.is_file() and digest_of(lockfile) != copied.get(_LOCKFILE)
        if self.mark is not None and self.mark.stage == "making":
            edited = 0  # what is missing was not copied yet
        return ForkWork(FORK_ROOT, None, edited=edited, untracked=untracked, has_new_lockfile=is_new)

    def _count(self, directory: Path, prefix: str, copied: Mapping[str, str]) -> int:
        found = 0
        for entry in (directory / prefix).iterdir():
            path = f"{prefix}{entry.name}"
            if path in copied or path in self.paths:
                continue
            holds_packs = any(other.startswith(f"{path}/") for other in (*self.paths, *copied))
            if entry.is_dir() and not entry.is_symlink() and (holds_packs or path == GREX_DIRECTORY):
                found += self._count(directory, f"{path}/", copied)
            elif self.mark is not None and self.mark.stage == "making" and path.startswith(f"{GREX_DIRECTORY}/"):
                continue  # copied by the run that was killed, which had no time to say so
            else:
                found += self._is_work(directory, path)
        return found

    async def at_clone(self, path: str) -> ForkWork:
        """A pack that was cloned into the fork: its repository goes with it."""
        state = observe(place_of(self.record, path))
        if linked_work_trees(canonical(state.dirs.common)) and state.dirs.own == state.dirs.common:
            text = "it has other work trees, of a fork of this fork: remove those first"
            return ForkWork(path, None, text=text, is_refused=True)
        if state.dirs.own != state.dirs.common:
            return ForkWork(path, None, text="it is a work tree that grex did not make")
        git = self.session.git_for(path)
        text, is_refused = await self._inside(path, state)
        work = await unsaved(self.session, state, self._below(path))
        refs = await git.run(["for-each-ref", "--format=%(objectname)", "refs/heads", "refs/stash"], cwd=state.real)
        shas = {*refs.stdout.decode("ascii").split(), *(() if state.head_sha is None else (state.head_sha,))}
        unmerged = 0
        if shas:
            elsewhere = ["--not", "--remotes", "--glob=refs/grex/tags/*"]
            counted = await git.run(["rev-list", "--count", *sorted(shas), *elsewhere, "--"], cwd=state.real)
            unmerged = int(counted.stdout)
        if self.is_thorough and not unmerged and not text:
            unpushed = (await find_work(git, state)).unpushed  # tags of the user's as well
            text = f"it has commits that are not pushed, on {unpushed[0]}" if unpushed else ""
        return ForkWork(
            path,
            None,
            edited=work.edited_count + work.conflicted_count,
            untracked=work.untracked_count,
            unmerged=unmerged,
            operation=state.operation,
            text=text,
            is_refused=is_refused,
        )


async def _unmerged(session: Session, common: Path, pack: ForkPack, head: str | None) -> int:
    """How many commits only the fork has: those of its branch and of HEAD, wherever that is, since it began."""
    shas = {sha for sha in (tip_of(common, pack.branch), head) if sha is not None and sha != pack.sha}
    return await unmerged_count(
        session.git_for(pack.path).in_repository(common),
        repository_state(common),
        shas,
        besides=[pack.branch],
        since=pack.sha,
    )
