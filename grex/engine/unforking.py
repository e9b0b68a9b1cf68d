"""Takes a fork away without losing anything; what would be lost, `fork_work` has found.

A fork goes by **one rename**: into a directory beside it that is then removed, or, with work in it and `--force`, into
the trash of the workspace that has the record. So it is there as a whole or not at all; git forgets its work trees and
the branches that are merged go only when nobody can work in it any more. Before, what is edited or staged is kept under
a rescue ref, for the index of a work tree does not come along. The record goes last.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import anyio
from msgspec import Struct, field
from msgspec.structs import replace

from grex.engine.fork_provider import main_place, provider_named, repository_state, root_temp
from grex.engine.fork_work import ForkWork, common_of, place_of, temp_of, tip_of
from grex.engine.reforking import put_fork_away, put_fork_lockfile_away
from grex.engine.session import Session
from grex.errors import GrexError, PackError
from grex.fs import fsync_dir, move_to_trash, remove_tree
from grex.git import (
    BackendHold,
    CheckoutState,
    GitRunner,
    delete_branch,
    keep_edits,
    keep_rescue_ref,
    observe,
    registered_at,
    unmerged_count,
)
from grex.manifest import (
    FORK_ROOT,
    ForkMark,
    ForkPack,
    ForkRecord,
    remove_fork_record,
    write_fork_mark,
)
from grex.names import is_full_sha
from grex.workspace import Layout

__all__ = ["ForkWork", "Removal", "remove_fork"]


class Removal(Struct):
    """What became of the packs of a fork that was taken away: branches that are kept, refs that keep work."""

    kept_branches: dict[str, str] = field(default_factory=dict)
    rescues: dict[str, list[str]] = field(default_factory=dict)
    errors: dict[str, GrexError] = field(default_factory=dict)
    trash: Path | None = None


async def remove_fork(
    session: Session, record: ForkRecord, mark: ForkMark | None, found: list[ForkWork], *, is_ours: bool
) -> Removal:
    """Take a fork away, of which is known what is in it; what would be lost is kept.

    Tiers: BACKEND of each repository. The fork's WORKSPACE is held, if it is there. Cancellation and kill: the next
    removal goes on.

    Args:
        session: the workspace that has the record.
        record: the fork.
        mark: what it is told of itself; None where it is not there, or is not what it was.
        found: what `look_into` found.
        is_ours: whether what is at its directory is this fork.

    Raises:
        GrexError: work could not be kept; the fork is as it was.
        OSError: it could not be moved; the same.
    """
    removal = Removal()
    directory, temp = Path(record.directory), temp_of(record)
    if is_ours:
        for work in found:
            await _keep(session, record, work, removal)
        if mark is not None:
            mark = replace(mark, stage="removing", heads=_heads(record, mark))
            write_fork_mark(Layout(directory).state_dir, mark)
        _move_away(session, record, temp, found, removal, is_known=mark is not None)
    async with anyio.create_task_group() as tasks:
        for pack in record.packs:
            tasks.start_soon(partial(_forget, session, record, pack, removal, was_seen=is_ours))
    if not removal.errors:
        if os.path.lexists(temp):
            remove_tree(temp)
            fsync_dir(temp.parent)
        remove_fork_record(session.layout.state_dir, record.id)
    return removal


def _move_away(
    session: Session, record: ForkRecord, temp: Path, found: list[ForkWork], removal: Removal, *, is_known: bool
) -> None:
    directory = Path(record.directory)
    trash = Layout(directory).trash_dir
    has_trash = trash.is_dir() and any(trash.iterdir())
    # Commits of a pack that was forked stay in its repository; those of one that was cloned into the fork go with it.
    if has_trash or any(
        work.edited or work.untracked or work.operation or work.text or (work.unmerged and work.branch is None)
        for work in found
    ):
        removal.trash = put_fork_away(session, record, temp)
        return
    if is_known and any(work.has_new_lockfile for work in found):
        removal.trash = put_fork_lockfile_away(session, record)
    directory.rename(temp)
    fsync_dir(temp.parent)


def _heads(record: ForkRecord, mark: ForkMark) -> dict[str, str]:
    """Where HEAD of each pack is, for the case that the fork comes back; of a removal that goes on, as it was then."""
    heads = dict(mark.heads)
    for pack in mark.packs:
        state = observe(place_of(record, pack.path))
        if state.kind == "checkout" and state.head_sha is not None:
            heads[pack.path] = state.head_sha
    return heads


async def _keep(session: Session, record: ForkRecord, work: ForkWork, removal: Removal) -> None:
    """Keep what a pack's directory alone does not hold: what is staged, and a HEAD that is on no branch."""
    state = observe(place_of(record, work.path))
    if work.branch is None or state.kind != "checkout" or state.head_sha is None:
        return
    git = session.git_for(work.path)
    kept: list[str] = []
    async with session.holds.backend(work.path, state.real) as backend:  # no git of a killed run writes any more
        if not work.is_there:
            return
        if work.unmerged and await unmerged_count(git, state, [state.head_sha], besides=[]):
            kept.append(await keep_rescue_ref(git, state, state.head_sha, "HEAD of a fork", backend=backend))
        if work.edited:
            ref = await keep_edits(git, state, "edits of a fork", backend=backend)
            kept += [ref] if ref is not None else []
    if kept:
        removal.rescues[work.path] = kept


async def _keep_head(
    git: GitRunner,
    repository: CheckoutState,
    place: Path,
    pack: ForkPack,
    removal: Removal,
    backend: BackendHold,
) -> None:
    """Keep the commits of a HEAD on no branch: of a directory that was deleted, only the repository knows it still."""
    own = registered_at(repository.dirs.common, place)
    if own is None or removal.rescues.get(pack.path):
        return
    try:
        head = (own / "HEAD").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return
    if is_full_sha(head) and await unmerged_count(git, repository, [head], besides=[]):
        kept = await keep_rescue_ref(git, repository, head, "HEAD of a fork", backend=backend)
        removal.rescues[pack.path] = [kept]


async def _forget(session: Session, record: ForkRecord, pack: ForkPack, removal: Removal, *, was_seen: bool) -> None:
    """Let the repository forget the work tree, and delete the branch unless it has commits that nothing else has.

    Where the fork was not there to be looked into, the repositories of its submodules go to the trash.
    """
    common, place = common_of(session.layout, record, pack.path), place_of(record, pack.path)
    if common is None or os.path.lexists(place):
        return  # it was never made, or something else is there by now
    git, repository = session.git_for(pack.path).in_repository(common), repository_state(common)
    try:
        async with session.holds.backend(pack.path, main_place(common)) as backend:
            await _keep_head(git, repository, place, pack, removal, backend)
            own = registered_at(common, place)
            if not was_seen and own is not None and (own / "modules").is_dir():
                label = f"forks/{Path(record.directory).name}/{pack.path}"
                removal.trash = move_to_trash(own / "modules", session.layout.trash_dir, label)
            await provider_named(record.provider).forget(session, common, place, backend=backend)
            if pack.path == FORK_ROOT:  # maybe before it had its place
                await provider_named(record.provider).forget(session, common, root_temp(place), backend=backend)
            tip = tip_of(common, pack.branch)
            if tip is None:
                return
            # Not since the commit where the fork began: a HEAD on no branch was there, which may be elsewhere by now.
            head = observe(main_place(common)).head_sha
            if await unmerged_count(git, repository, {tip} - {head}, besides=[pack.branch], since=head):
                removal.kept_branches[pack.path] = pack.branch
                return
            await delete_branch(git, repository, pack.branch, expected=tip, backend=backend)
    except (GrexError, OSError) as error:
        removal.errors[pack.path] = error if isinstance(error, GrexError) else PackError(f"{pack.path}: {error}")
