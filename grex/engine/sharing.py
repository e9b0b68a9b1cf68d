"""Lets clones and fetches take objects from the user's cache (`[cache] dir`), and does without where it cannot serve.

What the cache costs or breaks never fails a pack: a directory that cannot be written, a full disk, a mirror that is
damaged or that somebody else keeps too long under this run's wait policy; all of them end in the clone that would have
been made without a cache, with a note. Only what the remote itself refuses is passed on at once, for it would refuse
again.

Locks: a mirror's comes last, under PERMIT, PACK and BACKEND of the pack, and nothing else is taken while it is held
(`docs/concurrency.md`). It is held while a mirror is made or brought up to date, so that of many workspaces that want
one repository at the same moment, one downloads it and the others wait; and for the milliseconds of `lend`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from grex.engine.graph import Node
from grex.engine.session import Session
from grex.errors import FetchError, GrexError
from grex.fs import remove_tree
from grex.git import BackendHold, CheckoutState, ClonedCheckout, RefNotFoundError, fetch_branch
from grex.git.mirror import (
    Mirror,
    drop_mirror,
    is_of_the_network,
    learn,
    lend,
    make_mirror,
    mirror_for,
    mirror_refs,
    read_mirror,
    refresh_mirror,
    take_over,
)
from grex.git.partial import is_partial
from grex.names import PackUrl, clean

__all__ = ["clone_shared", "fetch_shared", "lent_place", "submodule_shared"]

T = TypeVar("T")

_TIMEOUT_S = 4 * 3600.0
_SHOWN = 200


def lent_place(temp: Path) -> Path:
    """Where the objects lie that a clone in `temp` borrows while it is made."""
    return temp.with_name(f"{temp.name}-objects")


async def clone_shared(
    session: Session, node: Node, temp: Path, make: Callable[[Path | None], Awaitable[ClonedCheckout]]
) -> tuple[ClonedCheckout, tuple[str, ...]]:
    """Make a clone with the help of the cache, or without; gives it and notes.

    Tier: BACKEND is held by the caller; the mirror's lock (MANIFEST) is taken. Cancellation: git has ended; `temp` and
    what it borrows from are the caller's to remove.

    Args:
        session: the run.
        node: the pack.
        temp: where the clone is made.
        make: makes it, borrowing from a directory if one is given.

    Raises:
        FetchError: it could not be cloned.
    """
    path = _mirror_path(session, node)
    if path is None:
        return await make(None), ()

    def is_news(cloned: ClonedCheckout) -> bool:
        return cloned.record.sha not in mirror_refs(path).values()

    shared = _Shared(session, node.path, node.url, path)
    return await shared.make(make, lent=lent_place(temp), git_dir=temp / ".git", whole=temp, is_news=is_news)


async def submodule_shared(
    session: Session,
    pack: str,
    url: PackUrl,
    make: Callable[[Path | None], Awaitable[T]],
    *,
    lent: Path,
    git_dir: Path,
) -> tuple[T, tuple[str, ...]]:
    """Clone a submodule with the help of the cache, or without; gives what `make` gives, and notes.

    Tier: BACKEND of the pack around it is held by the caller; the mirror's lock (MANIFEST) is taken. Cancellation: git
    has ended; what there is of it is the caller's to remove.

    Args:
        session: the run.
        pack: the pack that has the submodule.
        url: the submodule's, as it is declared there.
        make: makes it, borrowing from a directory if one is given.
        lent: where the objects may lie that it borrows.
        git_dir: its git directory, which is not there yet.

    Raises:
        FetchError: it could not be cloned.
    """
    cache_dir = session.settings.cache_dir
    if cache_dir is None:
        return await make(None), ()
    path = mirror_for(cache_dir, session.real(url))

    def is_news(_: T) -> bool:
        known = set(mirror_refs(path).values())
        return not known.issuperset(
            sha for name, sha in mirror_refs(git_dir).items() if name.startswith("refs/remotes/")
        )

    # The address is what grex makes of a relative one; where git asks another, the mirror's failure says nothing.
    shared = _Shared(session, pack, url, path, asks_again=True)
    return await shared.make(make, lent=lent, git_dir=git_dir, whole=git_dir, is_news=is_news)


async def fetch_shared(
    session: Session, node: Node, state: CheckoutState, branch: str, sha: str, backend: BackendHold
) -> str | None:
    """Fetch a branch through the mirror, which is brought up to date first; None where the cache cannot serve.

    Only a mirror that is there already pays: making one would download the whole repository for a few commits.

    Tier: BACKEND is held by the caller; the mirror's lock (MANIFEST) is taken. Cancellation: as
    `grex.git.fetch_branch`.

    Raises:
        FetchError: the remote refuses.
    """
    path = _mirror_path(session, node)
    if path is None or (state.dirs.common / "shallow").exists() or is_partial(state) or read_mirror(path) is None:
        return None
    git = session.git_for(node.path, node.url)
    try:
        async with session.holds.mirror(path) as hold:
            mirror = read_mirror(path)
            if mirror is None:
                return None
            if mirror_refs(path).get(f"refs/heads/{branch}") != sha:
                address = session.address(node.url).plain
                await refresh_mirror(git, mirror, address, hold=hold, timeout_s=_TIMEOUT_S)
            return await fetch_branch(
                git, state, branch, pack=node.path, backend=backend, timeout_s=_TIMEOUT_S, source=str(path)
            )
    except (GrexError, OSError) as error:
        if isinstance(error, FetchError) and is_of_the_network(error):
            raise
        return None


def _mirror_path(session: Session, node: Node) -> Path | None:
    """The mirror for a pack; None where none serves: without a cache, and for clones that want less than everything."""
    child = node.first.child
    cache_dir = session.settings.cache_dir
    if cache_dir is None or child.depth is not None or child.filter is not None:
        return None
    return mirror_for(cache_dir, session.real(node.url))


class _Shared:
    """One clone with the help of the mirror at `path`, which is of `url`."""

    def __init__(self, session: Session, pack: str, url: PackUrl, path: Path, *, asks_again: bool = False) -> None:
        self._session = session
        self._pack = pack
        self._url = url
        self._path = path
        self._asks_again = asks_again
        """Whether a remote that refuses to fill the mirror is asked for the clone all the same."""

    async def make(
        self,
        make: Callable[[Path | None], Awaitable[T]],
        *,
        lent: Path,
        git_dir: Path,
        whole: Path,
        is_news: Callable[[T], bool],
    ) -> tuple[T, tuple[str, ...]]:
        """Make the clone, whose git directory is `git_dir` and of which nothing but `whole` has to be removed."""
        session, path = self._session, self._path
        try:
            mirror = await self._borrow(lent)
        except (GrexError, OSError) as error:
            if isinstance(error, FetchError) and is_of_the_network(error) and not self._asks_again:
                raise
            remove_tree(lent)
            return await make(None), (f"the cache was not used: {_reason(error)}",)
        if mirror is None:
            return await make(None), ()
        try:
            made = await make(lent)
            take_over(lent, git_dir)
        except RefNotFoundError:
            raise
        except (GrexError, OSError) as error:
            if isinstance(error, GrexError) and is_of_the_network(error):
                raise
            # Either the remote's fault or the mirror's. A clone without it tells; if that one works, the mirror is bad.
            remove_tree(whole)
            remove_tree(lent)
            made = await make(None)
            await _try(session, path, lambda _: _drop(path))
            return made, (f"the mirror in the cache was damaged and is removed: {_reason(error)}",)
        if is_news(made):
            git = session.git_for(self._pack)
            await _try(session, path, lambda hold: learn(git, mirror, whole, hold=hold, timeout_s=_TIMEOUT_S))
        return made, ()

    async def _borrow(self, lent: Path) -> Mirror | None:
        """Hold the mirror, make it if it is not there or damaged, and lend what it has; None if that is nothing."""
        session, path = self._session, self._path
        async with session.holds.mirror(path) as hold:
            mirror = read_mirror(path)
            if mirror is None:
                git = session.git_for(self._pack, self._url)
                await make_mirror(
                    git,
                    path,
                    session.address(self._url).plain,
                    shown_url=session.real(self._url).redacted,
                    hold=hold,
                    timeout_s=_TIMEOUT_S,
                )
                mirror = read_mirror(path)
            return mirror if mirror is not None and lend(mirror, lent) else None


async def _try(session: Session, path: Path, do: Callable[[BackendHold], Awaitable[None]]) -> None:
    """Do something to a mirror that nobody needs; not if somebody else has it now."""
    try:
        async with session.holds.mirror(path, no_wait=True) as hold:
            await do(hold)
    except (GrexError, OSError):
        return


async def _drop(path: Path) -> None:
    drop_mirror(path)


def _reason(error: GrexError | OSError) -> str:
    if isinstance(error, GrexError):
        return clean(error.message, _SHOWN)
    return clean(f"{error.strerror or error} ({error.filename})", _SHOWN)
