"""Another URL for a pack that is there: the same repository by another address, or another repository.

The same repository keeps its checkout, with everything in it; only `origin` changes. Another one takes its place: the
old checkout goes to the trash, and only if nothing in it would be missed, exactly as `grex rm` would see it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

from grex.engine.outcome import short
from grex.engine.places import look_at
from grex.engine.removal import SET_URL, RemovalOutcome, Removals, inner_packs
from grex.engine.session import Session
from grex.engine.survey import Survey
from grex.errors import FetchError, PackError
from grex.fs import canonical
from grex.git import RefNotFoundError, has_commit, is_linked_worktree, resolve_remote, set_origin
from grex.git.kinship import is_same_repository
from grex.names import PackUrl

__all__ = [
    "Address",
    "find_address",
    "first_refusal",
    "point_origin",
    "replaced_packs",
    "replacing",
    "require_new_ref",
    "require_ref",
]

Address = Literal["absent", "known", "same", "different"]
"""`absent`: there is no checkout. `known`: its `origin` is that address already. `same`: the same repository."""

_TIMEOUT_S = 4 * 3600.0
_ASK_TIMEOUT_S = 300.0
_OTHER_REF_HINT = "Give a ref that it has along with the URL: `--ref REF`; nothing was changed."


async def find_address(session: Session, path: str, url: PackUrl) -> Address:
    """What another URL is to the checkout of a pack. It writes nothing there.

    Tiers: PERMIT, PACK and BACKEND. Cancellation: git has ended.

    Raises:
        FetchError: the remote could not be asked.
        PackError: what is at the pack's path is no checkout.
    """
    root = session.layout.pack_dir(path)
    state = look_at(root)
    if state.kind in ("absent", "empty"):
        return "absent"
    if state.kind != "checkout":
        raise PackError(f"what is at {path} is no checkout", hint=f"Move it away from {path} first.")
    if state.note is not None:
        raise PackError(
            f"{path}: an interrupted run left its checkout between two commits", hint="`grex sync` mends it first."
        )
    if is_linked_worktree(state):
        raise PackError(
            f"{path} is a work tree of a repository that lies elsewhere, whose address this would change",
            hint=f"Set it where the repository is: {state.dirs.common.parent}.",
        )
    if state.record is not None and state.record.url == session.address(url).identity:
        return "known"
    git = session.git_for(path, url)
    async with (
        session.holds.pack(path, root, "network", host=session.host_of(url)),
        session.holds.backend(path, canonical(root)) as backend,
    ):
        state = look_at(root)
        same = await is_same_repository(
            git,
            state,
            session.address(url).plain,
            scratch_in=session.layout.state_dir,
            backend=backend,
            timeout_s=_TIMEOUT_S,
        )
    return "same" if same else "different"


async def require_ref(session: Session, path: str, url: PackUrl, ref: str | None) -> None:
    """Find out whether another repository has the declared ref, before it takes the place of the one that is there.

    A commit cannot be asked for by its id. One that is in the old repository is none of another one's.

    Tiers: PERMIT and PACK. Cancellation: git has ended.

    Raises:
        RefNotFoundError: it has not, and nothing was changed.
        FetchError: the remote could not be asked.
    """
    root, git, address = session.layout.pack_dir(path), session.git_for(path, url), session.address(url)
    async with session.holds.pack(path, root, "network", host=session.host_of(url)):
        try:
            target = await resolve_remote(git, address.plain, ref, _ASK_TIMEOUT_S, real=session.real(url).plain)
        except RefNotFoundError as error:
            error.hint = _OTHER_REF_HINT if ref is not None else error.hint
            raise
        if target.kind == "sha" and ref is not None and await has_commit(git, look_at(root), target.sha):
            raise RefNotFoundError(
                f"{path} is declared at {short(target.sha)}, a commit of the repository that is there, and "
                f"{url.redacted} is another one",
                hint=_OTHER_REF_HINT,
            )


async def require_new_ref(session: Session, path: str, url: PackUrl, ref: str) -> None:
    """Find out whether the remote has a ref, before it is declared. A commit cannot be asked for by its id.

    Tier: PERMIT. Cancellation: git has ended.

    Raises:
        RefNotFoundError: it has not, and nothing was changed.
        FetchError: the remote could not be asked, and nothing was changed.
    """
    git, address = session.git_for(path, url), session.address(url)
    async with session.holds.network_permit(path, session.host_of(url)):
        try:
            await resolve_remote(git, address.plain, ref, _ASK_TIMEOUT_S, real=session.real(url).plain)
        except RefNotFoundError as error:
            error.hint = f"Nothing was changed. {error.hint or 'Check its spelling, and that it has been pushed.'}"
            raise
        except FetchError as error:
            error.hint = f"{error.hint or ''} Nothing was changed; `--no-sync` writes it without asking.".strip()
            raise


async def point_origin(session: Session, path: str, url: PackUrl) -> None:
    """Let `origin` of a checkout be this address. Tiers: PERMIT, PACK and BACKEND."""
    root = session.layout.pack_dir(path)
    async with session.holds.pack(path, root, "disk"), session.holds.backend(path, canonical(root)) as backend:
        await set_origin(session.git_for(path), look_at(root), session.address(url).plain, backend=backend)


def replaced_packs(session: Session, found: Survey, path: str) -> set[str]:
    """The checkouts that go with that of a pack: its own, and those in it that nobody else declares."""
    known = {*found.graph.nodes, *session.folded.packs}
    inner = inner_packs(path, known)
    going = {path}
    for one in inner:
        node = found.graph.nodes.get(one)
        parents = set() if node is None else {declared.parent for declared in node.declarations}
        if all(parent == path or parent.startswith(f"{path}/") for parent in parents):
            going.add(one)
    return going


def replacing(session: Session, found: Survey, path: str, going: Collection[str]) -> Removals:
    """What takes the old checkout away; see `Removals.judge_all` and `Removals.take_away`."""
    return Removals(
        session,
        verb=SET_URL,
        why=f"{path} was declared to be another repository",
        staying={one for one in found.graph.nodes if one not in going},
        leaving=set(going),
    )


def first_refusal(kept: Mapping[str, RemovalOutcome]) -> PackError | None:
    """Why the old checkout has to stay, if it has to."""
    for path in sorted(kept):
        outcome = kept[path]
        if outcome.error is not None:
            return PackError(
                f"the new URL is another repository, and {outcome.error.message}",
                hint=outcome.hint,
                details=outcome.error.details,
            )
    return None
