"""Fetches the wanted commit of a checkout that is there, from the cache or from its remote.

A branch is fetched as what it is *now*, a tag by its name, and what neither of them brought by its id.
"""

from __future__ import annotations

from msgspec.structs import replace

from grex.engine.cloning import moved_tag_note
from grex.engine.graph import Node
from grex.engine.outcome import CheckoutOptions
from grex.engine.session import Session
from grex.engine.sharing import fetch_shared
from grex.engine.situation import tracking_of
from grex.git import (
    CheckoutState,
    RemoteRef,
    fetch_branch,
    fetch_sha,
    fetch_tag,
    has_commit,
)

__all__ = ["reach"]

_FETCH_TIMEOUT_S = 4 * 3600.0


async def reach(
    session: Session, options: CheckoutOptions, node: Node, state: CheckoutState, target: RemoteRef
) -> tuple[RemoteRef, list[str]]:
    """Make sure that the wanted commit is here.

    Tiers: a network permit and PACK are held; BACKEND, where something is to be fetched. Cancellation: git is ended;
    what came, stays.

    Args:
        session: the run.
        options: what it may do.
        node: the pack.
        state: its checkout, observed under the locks.
        target: what its ref is, as the remote was asked.

    Returns:
        The target, where its branch or tag has moved since then the new one; notes for the report.

    Raises:
        FetchError: it could not be had.
    """
    git = session.git_for(node.path, node.url)
    told = session.git_progress(node.path)
    notes: list[str] = []
    if target.kind == "branch" and not options.locked:
        is_here = tracking_of(state, target) == target.sha
    else:
        is_here = await has_commit(git, state, target.sha)
    if is_here:
        return target, notes
    depth = node.first.child.depth
    is_followed = tracking_of(state, target) is not None
    # A depth cuts history where it ends, so none is asked for where something of it may be here already.
    if is_followed or (depth is not None and await has_commit(git, state, target.sha)):
        depth = None
    async with session.holds.backend(node.path, state.real) as backend:
        if target.kind == "branch" and target.name is not None:
            tip = await fetch_shared(session, node, state, target.name, target.sha, backend)
            if tip is None:
                tip = await fetch_branch(
                    git,
                    state,
                    target.name,
                    pack=node.path,
                    backend=backend,
                    timeout_s=_FETCH_TIMEOUT_S,
                    on_progress=told,
                    depth=depth,
                )
            if not options.locked:
                # What the branch is *now* counts: it may have moved again since it was asked for.
                target = replace(target, sha=tip)
        elif target.kind == "tag" and target.name is not None:
            name = target.name.removeprefix("refs/tags/")
            tip = await fetch_tag(
                git,
                state,
                name,
                pack=node.path,
                backend=backend,
                timeout_s=_FETCH_TIMEOUT_S,
                on_progress=told,
                depth=depth,
            )
            if options.anew:
                target = replace(target, sha=tip)
            elif tip != target.sha:
                notes.append(moved_tag_note(name, tip))
        if not await has_commit(git, state, target.sha):
            await fetch_sha(
                git,
                state,
                target.sha,
                pack=node.path,
                backend=backend,
                timeout_s=_FETCH_TIMEOUT_S,
                on_progress=told,
                depth=depth,
            )
    return target, notes
