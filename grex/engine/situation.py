"""What there is to know of a checkout before it is moved: whose it is, how its branch stands, what was edited in it.

These are the facts that `planner.movement` decides by. They are read from the files, and asked of git only where
commits must be compared or the files cannot say; nothing here takes a lock or writes.
"""

from __future__ import annotations

from collections.abc import Sequence

from grex.engine import planner
from grex.git import (
    CheckoutState,
    GitRunner,
    RefsUnreadableError,
    RemoteRef,
    edited_paths,
    has_commit,
    is_ancestor,
    is_reachable,
    porcelain,
    read_ref,
    worktree_on_branch,
)
from grex.git.config_file import read_config
from grex.names import InvalidUrlError, PackUrl, clean, parse_url, shown_argument

__all__ = ["edits_note", "local_work", "ref_of", "situation", "stranger", "tracking_of"]

_SHOWN = 3


def ref_of(state: CheckoutState, name: str) -> str | None:
    """What a ref of the checkout holds, None if there is no such ref or its storage is not plain files."""
    if state.git_dir is None:
        return None
    try:
        return read_ref(state.dirs, name)
    except RefsUnreadableError:
        return None


def tracking_of(state: CheckoutState, target: RemoteRef) -> str | None:
    """The remote's branch as of the last fetch."""
    return ref_of(state, f"refs/remotes/origin/{target.name}") if target.kind == "branch" else None


async def stranger(git: GitRunner, address: PackUrl, state: CheckoutState) -> planner.Leave | None:
    """Why a checkout is not this pack's; one that grex did not make is adopted if its origin is the declared URL."""
    if state.record is not None and state.record.url == address.identity:
        return None
    url = await _origin_url(git, state)
    try:
        if url is not None and parse_url(url, relative_to=state.real).identity == address.identity:
            return None
    except InvalidUrlError:
        pass  # an origin that grex would not clone from is another repository all the same
    said = address.redacted
    return planner.Leave(
        "different-repository",
        f"the checkout there is of another repository than {said}",
        "Move it away, or, if it is the same repository under another address, "
        f"`git remote set-url origin {shown_argument(said)}`.",
    )


async def _origin_url(git: GitRunner, state: CheckoutState) -> str | None:
    config = read_config(state.dirs.common / "config")
    if config is not None:
        return config.get("remote", "url", subsection="origin")
    found = await git.run(["config", "--get", "remote.origin.url"], cwd=state.real, accept=(0, 1))
    return found.stdout.decode("utf-8", "surrogateescape").strip() or None


async def situation(
    git: GitRunner,
    state: CheckoutState,
    target: RemoteRef,
    *,
    tracking_before: str | None,
    locked: bool,
    force: bool = False,
    fork_branch: str | None = None,
) -> planner.Situation:
    """The local side of a move, as `planner.movement` wants to know it. The target commit is present."""
    record = state.record
    branch_sha = ref_of(state, f"refs/heads/{target.name}") if target.kind == "branch" else None
    relation = await _relation(git, state, branch_sha, target.sha) if branch_sha is not None else None
    is_upstream = False
    if branch_sha is not None and relation in (planner.Relation.DIVERGED, planner.Relation.AHEAD):
        # Commits that the remote had are not the user's: those of the remote's branch before this fetch, and of the
        # commit at which grex left the branch last (which also covers a fetch that was killed before the move).
        known = {tracking_before, tracking_of(state, target), record.sha if record is not None else None}
        for upstream in sorted(sha for sha in known if sha is not None):
            if await has_commit(git, state, upstream) and await is_ancestor(git, state, branch_sha, upstream):
                is_upstream = True
                break
    placed = record.sha if record is not None else None
    reachable = True
    if state.head_branch is None and state.head_sha is not None and state.head_sha != placed:
        reachable = await is_reachable(git, state, state.head_sha)
    return planner.Situation(
        target=target,
        head_branch=state.head_branch,
        head_sha=state.head_sha,
        operation=state.operation,
        placed_branch=record.branch if record is not None else None,
        placed_sha=placed,
        branch_sha=branch_sha,
        branch_relation=relation,
        branch_is_upstream=is_upstream,
        head_is_reachable=reachable,
        locked=locked,
        force=force,
        fork_branch=fork_branch,
        is_branch_held=branch_sha is not None
        and worktree_on_branch(state.dirs, f"refs/heads/{target.name}", besides=state.dirs.own) is not None,
    )


async def _relation(git: GitRunner, state: CheckoutState, local: str, target: str) -> planner.Relation:
    if local == target:
        return planner.Relation.SAME
    if await is_ancestor(git, state, local, target):
        return planner.Relation.BEHIND
    if await is_ancestor(git, state, target, local):
        return planner.Relation.AHEAD
    return planner.Relation.DIVERGED


async def local_work(git: GitRunner, state: CheckoutState) -> tuple[str, ...]:
    """A note about edited files, none where there are none; asks git only where the index cannot decide."""
    edits = edited_paths(state)
    if edits.decided:
        return edits_note(edits.edited, len(edits.edited))
    status = await porcelain(git, state)
    return edits_note((*status.edited, *status.conflicted), status.edited_count + status.conflicted_count)


def edits_note(edited: Sequence[str], count: int) -> tuple[str, ...]:
    """The note about so many edited files, of which the first are named."""
    if not count:
        return ()
    shown = ", ".join(clean(path, 80) for path in edited[:_SHOWN]) + (", ..." if count > _SHOWN else "")
    return (
        f"{count} edited {'files' if count > 1 else 'file'} left as {'they are' if count > 1 else 'it is'}: {shown}",
    )
