"""Bringing commits of the remote into a checkout's repository; nothing of the user's is touched by it.

* A branch goes to its remote-tracking ref, also after it was rewritten: that ref is a record of the remote.
* A tag goes to `refs/grex/tags/NAME`. Forced into `refs/tags`, a tag that was moved upstream would overwrite one that
  the user made; without force, git refuses the moved one. Tags that point to what is fetched come along as with
  `git fetch`, and there, as with git, an existing one stays.
* A commit is asked for by its id, and where the server does not allow that, by everything that it has.

A shallow clone stays one. A branch that is followed already needs no depth: what is new reaches down to what is here.
Everything else (another branch, a tag, a commit) would bring its whole history along, so the declared depth is asked
for again; but only if the repository is shallow, and what is fetched is not here, for a depth also *cuts* history.

FETCH_HEAD is the user's and is not written; nothing is pruned. Around each fetch stands a move note, so that the lock
files of a killed one can be told from somebody else's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from grex.errors import FetchError
from grex.git.command import BackendHold, GitRunner, require_backend, require_sha
from grex.git.commits import has_commit
from grex.git.errors import RefNotFoundError
from grex.git.observe import CheckoutState
from grex.git.progress import GitProgress
from grex.git.records import MoveNote, noted
from grex.git.refs import RefsUnreadableError, read_ref
from grex.names import check_ref, clean

__all__ = ["fetch_branch", "fetch_branches", "fetch_sha", "fetch_tag", "set_origin"]

_OPTIONS = (
    "--no-auto-gc",
    "--no-write-fetch-head",
    "--no-recurse-submodules",
    "--no-prune",
    "--no-prune-tags",
    "--no-show-forced-updates",
    "--progress",
)


async def fetch_branch(
    runner: GitRunner,
    state: CheckoutState,
    branch: str,
    *,
    pack: str,
    backend: BackendHold,
    timeout_s: float | None,
    on_progress: Callable[[GitProgress], None] | None = None,
    depth: int | None = None,
    source: str = "origin",
) -> str:
    """Fetch a branch from `origin`, or from another copy of that repository, into its remote-tracking ref.

    Cancellation: git has ended; the move note stands, and the next recovery cleans up.

    Returns:
        The commit that the remote's branch is at.

    Raises:
        RefNotFoundError: the remote has no such branch.
        FetchError: it could not be fetched.
    """
    tracking = f"refs/remotes/origin/{_checked(branch)}"
    refspec = f"+refs/heads/{branch}:{tracking}"
    await _fetch(
        runner,
        state,
        [refspec],
        source=source,
        pack=pack,
        backend=backend,
        timeout_s=timeout_s,
        on_progress=on_progress,
        depth=depth,
    )
    return await _commit(runner, state, tracking)


async def fetch_branches(
    runner: GitRunner,
    state: CheckoutState,
    *,
    pack: str,
    backend: BackendHold,
    timeout_s: float | None,
    on_progress: Callable[[GitProgress], None] | None = None,
) -> None:
    """Fetch every branch of `origin` into its remote-tracking ref; those that are gone there stay here.

    Cancellation: as `fetch_branch`.

    Raises:
        FetchError: they could not be fetched.
    """
    refspec = "+refs/heads/*:refs/remotes/origin/*"
    await _fetch(runner, state, [refspec], pack=pack, backend=backend, timeout_s=timeout_s, on_progress=on_progress)


async def fetch_tag(
    runner: GitRunner,
    state: CheckoutState,
    tag: str,
    *,
    pack: str,
    backend: BackendHold,
    timeout_s: float | None,
    on_progress: Callable[[GitProgress], None] | None = None,
    depth: int | None = None,
) -> str:
    """Fetch a tag from `origin`, without changing a local tag of that name.

    Cancellation: as `fetch_branch`.

    Returns:
        The commit that the remote's tag leads to.

    Raises:
        RefNotFoundError: the remote has no such tag.
        FetchError: it could not be fetched.
    """
    own = f"refs/grex/tags/{_checked(tag)}"
    refspec = f"+refs/tags/{tag}:{own}"
    await _fetch(
        runner,
        state,
        [refspec],
        pack=pack,
        backend=backend,
        timeout_s=timeout_s,
        on_progress=on_progress,
        depth=depth,
    )
    return await _commit(runner, state, own)


async def fetch_sha(
    runner: GitRunner,
    state: CheckoutState,
    sha: str,
    *,
    pack: str,
    backend: BackendHold,
    timeout_s: float | None,
    on_progress: Callable[[GitProgress], None] | None = None,
    depth: int | None = None,
) -> None:
    """Fetch a commit from `origin`; one that is there already costs no network.

    Cancellation: as `fetch_branch`.

    Raises:
        RefNotFoundError: the remote does not have the commit, or gives it to nobody.
        FetchError: it could not be fetched.
    """
    require_backend(backend)
    if await has_commit(runner, state, require_sha(sha)):
        return
    try:
        await _fetch(
            runner, state, [sha], pack=pack, backend=backend, timeout_s=timeout_s, on_progress=on_progress, depth=depth
        )
    except RefNotFoundError:
        # "not our ref": gone, or a server that gives only what its refs name. The commit may lie behind one of these.
        everything = ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/grex/tags/*"]
        await _fetch(
            runner, state, everything, pack=pack, backend=backend, timeout_s=timeout_s, on_progress=on_progress
        )
    if not await has_commit(runner, state, sha):
        raise RefNotFoundError(
            f"the remote of '{state.path}' does not have the commit {sha}",
            hint="Check that it has been pushed; a commit that no branch or tag leads to may be refused by the server.",
        )


async def set_origin(runner: GitRunner, state: CheckoutState, url: str, *, backend: BackendHold) -> None:
    """Let `origin` be another address of the repository.

    Raises:
        GitError: the configuration could not be written.
    """
    await runner.run(["config", "--local", "--replace-all", "remote.origin.url", url], cwd=state.real, write=backend)


def _checked(name: str) -> str:
    reason = check_ref(name)
    if reason is not None:
        raise FetchError(f"the ref '{clean(name)}' {reason}", hint="Use a branch, a tag or a full object id.")
    return name


async def _fetch(
    runner: GitRunner,
    state: CheckoutState,
    refspecs: Sequence[str],
    *,
    pack: str,
    backend: BackendHold,
    timeout_s: float | None,
    on_progress: Callable[[GitProgress], None] | None,
    depth: int | None = None,
    source: str = "origin",
) -> None:
    require_backend(backend)
    with noted(state.dirs.own, MoveNote(op="fetch", pack=pack)):
        await runner.run(
            ["fetch", *_OPTIONS, *_depth(state, depth), "--", source, *refspecs],
            cwd=state.real,
            write=backend,
            timeout_s=timeout_s,
            subject=f"'{state.path}'",
            error=FetchError,
            on_progress=on_progress,
        )


def _depth(state: CheckoutState, depth: int | None) -> list[str]:
    """The option for a depth, where the repository is shallow."""
    return [] if depth is None or not (state.dirs.common / "shallow").exists() else [f"--depth={depth}"]


async def _commit(runner: GitRunner, state: CheckoutState, ref: str) -> str:
    """The commit that a ref leads to."""
    if ref.startswith("refs/remotes/"):  # branches name commits, so the file says it all
        try:
            sha = read_ref(state.dirs, ref)
        except RefsUnreadableError:
            sha = None
        if sha is not None:
            return sha
    finished = await runner.run(
        ["rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}"], cwd=state.real, error=FetchError
    )
    return finished.stdout.decode("ascii").strip()
