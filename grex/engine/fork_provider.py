"""How the directories of a fork come to be: one small protocol, so that there can be other ways than work trees.

A provider looks after one pack at a time, and decides nothing: which packs a fork has, what would be lost with it, and
what its records say is the business of `forking` and `unforking`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from grex.engine.session import Session
from grex.errors import PackError, UsageError
from grex.fs import canonical, move_to_trash, remove_tree
from grex.git import (
    CheckoutState,
    GitDirs,
    add_work_tree,
    fill_work_tree,
    find_git_dirs,
    finish_work_tree,
    forget_work_tree,
    is_half_made,
    keep_edits,
    observe,
    registered_at,
    settle_work_tree,
)
from grex.git.command import BackendHold
from grex.manifest import ForkPack
from grex.names import GREX_TMP_PREFIX

__all__ = ["Provider", "WorkTrees", "main_place", "provider_named", "repository_state", "root_temp"]

_TIMEOUT_S = 4 * 3600.0
_ROOT_TEMP = f"{GREX_TMP_PREFIX}root"


class Provider(Protocol):
    """Makes the directories of a fork, and forgets them. BACKEND of the pack's repository is held for each call."""

    @property
    def name(self) -> str:
        """What `--provider` calls it, and what the record of a fork says."""

    async def make(
        self, session: Session, source: CheckoutState, place: Path, pack: ForkPack, *, backend: BackendHold
    ) -> None:
        """Make a pack's directory, or go on with one that a killed run has begun. Cancellation: as a kill."""

    async def make_root(
        self, session: Session, source: CheckoutState, place: Path, pack: ForkPack, *, backend: BackendHold
    ) -> None:
        """The same for the workspace's own repository, in whose directory there are files of grex already."""

    async def forget(self, session: Session, common: Path, place: Path, *, backend: BackendHold) -> None:
        """Forget a directory that is not there any more; one that is not known is fine."""


def provider_named(name: str) -> Provider:
    """The provider of that name; `auto` is the best one that there is here.

    Raises:
        UsageError: there is no such provider.
    """
    providers: Mapping[str, Provider] = {"auto": _WORK_TREES, "worktree": _WORK_TREES}
    found = providers.get(name)
    if found is None:
        raise UsageError(f"there is no provider {name!r} of forks", hint=f"There are: {', '.join(sorted(providers))}.")
    return found


def repository_state(common: Path) -> CheckoutState:
    """A repository by its common git directory, for git commands about all of it: they are run in there."""
    return CheckoutState(common, common, is_symlink=False, kind="checkout", git_dir=common, common_dir=common)


def main_place(common: Path) -> Path:
    """Where the BACKEND lock of a repository lies, by its common git directory."""
    return common.parent if common.name == ".git" else common


def root_temp(place: Path) -> Path:
    """Where the work tree of a workspace's own repository is made."""
    return place / _ROOT_TEMP / place.name


class WorkTrees:
    """A git work tree for each pack: objects are shared, and commits are in the pack's repository at once."""

    @property
    def name(self) -> str:
        """`worktree`."""
        return "worktree"

    async def make(
        self, session: Session, source: CheckoutState, place: Path, pack: ForkPack, *, backend: BackendHold
    ) -> None:
        """Make the work tree of a pack.

        What a killed run has made half goes to the fork's trash, for nobody can tell its files from somebody's.

        Raises:
            PackError: something else is there, or git would not.
        """
        git = session.git_for(pack.path)
        common = canonical(source.dirs.common)
        found = observe(place)
        own = registered_at(common, place)
        if found.kind == "checkout":
            if _is_whole(found.dirs, own, found, pack):
                return
            if own is None or canonical(found.dirs.own) != canonical(own):
                raise PackError(f"{place} is a checkout already, and none of this fork's", hint="Move it elsewhere.")
        if own is not None and (not os.path.lexists(place) or is_half_made(own)):
            if found.kind == "empty" and not any(place.iterdir()):
                place.rmdir()
            elif os.path.lexists(place):
                move_to_trash(place, session.layout.trash_dir, pack.path)
            await forget_work_tree(git, source, place, backend=backend)
        await add_work_tree(git, source, place, branch=pack.branch, sha=pack.sha, backend=backend, timeout_s=_TIMEOUT_S)

    async def make_root(
        self, session: Session, source: CheckoutState, place: Path, pack: ForkPack, *, backend: BackendHold
    ) -> None:
        """Make the work tree of the workspace's own repository: beside, because git wants an empty directory.

        Raises:
            PackError: git would not.
        """
        git = session.git_for(pack.path)
        common = canonical(source.dirs.common)
        temp = root_temp(place)
        if not os.path.lexists(place / ".git"):
            own = registered_at(common, temp)
            if own is not None and (is_half_made(own) or not os.path.lexists(temp / ".git")):
                remove_tree(temp)  # without files of the repository: nothing of anybody's can be in it
                await forget_work_tree(git, source, temp, backend=backend)
                own = None
            if own is None:
                await add_work_tree(
                    git, source, temp, branch=pack.branch, sha=pack.sha, backend=backend, checkout=False
                )
            (temp / ".git").rename(place / ".git")
        remove_tree(place / _ROOT_TEMP)
        if registered_at(common, place) is None:
            await settle_work_tree(git, source, place, backend=backend)
        dirs = find_git_dirs(place)
        if dirs is None or canonical(dirs.common) != common:
            raise PackError(f"{place} has become another repository's", hint="`grex fork rm` takes it away.")
        (dirs.own / "index.lock").unlink(missing_ok=True)  # of a dead git: BACKEND is ours, and the fork nobody's yet
        if os.path.lexists(dirs.own / "index"):  # a killed run has come so far; who edits it meanwhile loses nothing
            await keep_edits(git, observe(place), "before a fork was finished", backend=backend)
        await fill_work_tree(git, place, backend=backend)

    async def forget(self, session: Session, common: Path, place: Path, *, backend: BackendHold) -> None:
        """Forget a work tree whose directory is gone."""
        git = session.git_for(place.name).in_repository(common)
        await forget_work_tree(git, repository_state(common), place, backend=backend)


def _is_whole(dirs: GitDirs, own: Path | None, found: CheckoutState, pack: ForkPack) -> bool:
    """Whether a killed run had finished with a pack, whatever somebody did in it since."""
    return (
        own is not None
        and canonical(dirs.own) == canonical(own)
        and found.head_branch == pack.branch
        and finish_work_tree(dirs.own)
    )


_WORK_TREES = WorkTrees()
