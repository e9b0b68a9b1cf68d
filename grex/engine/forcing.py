"""Makes room for what a forced sync brings: what is in the way is kept first, whole, and can be brought back.

What stands at a pack's place and is no checkout of it goes to the trash as a whole. Edited and untracked files where
the new commit has something else go there one by one; before that, a commit of everything that was edited or staged is
kept under a rescue ref, because what was staged may differ from the file. A kill in between leaves files in the trash
and the pack where it was, and the next forced sync goes on.

Nothing is moved that a pack lies in, or that a repository elsewhere knows by its path.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from grex.engine.graph import Node
from grex.engine.keeping import Holding, why_kept
from grex.engine.places import look_at
from grex.engine.planner import Leave
from grex.engine.removal import inner_packs
from grex.engine.session import Session
from grex.engine.trash import Trash
from grex.errors import PackError
from grex.fs import UnsafeJoinError
from grex.git import (
    BackendHold,
    CheckoutState,
    IndexUnreadableError,
    is_linked_worktree,
    keep_edits,
    read_index,
    unstage,
)
from grex.locks.backend_lock import backend_lock_path
from grex.manifest import TrashKind, TrashRecord, timestamp
from grex.names import clean

__all__ = ["FORCE", "put_edits_away", "put_place_away"]

FORCE = "sync --force"
"""What a record says of the verb that moved something out of the way."""


def put_place_away(session: Session, node: Node, root: Path, state: CheckoutState, why: Leave) -> Leave | str:
    """Move all that stands at a pack's place to the trash; PACK is held if there is a lock file in it.

    Returns:
        What to say about it, or why it must stay.

    Raises:
        PackError: it cannot be moved in one piece; it is where it was.
    """
    if not root.is_symlink():
        leave = why_kept(
            Holding(path=node.path, is_linked=is_linked_worktree(state), staying=_packs_below(session, node.path)),
            force=True,
        )
        if leave is not None:
            return Leave(why.code, f"{why.text}, and {leave.text}", leave.hint)
    trash = Trash(session.layout)
    kind: TrashKind = "link" if root.is_symlink() else "whole"
    record = trash.put_away(root, _record(node, state, kind, why.text))
    if kind == "whole" and state.kind == "checkout":
        backend_lock_path(root).unlink(missing_ok=True)
    return f"what was there is in the trash: {trash.shown(record.stamp, node.path)}"


async def put_edits_away(
    session: Session, node: Node, state: CheckoutState, paths: Sequence[str], *, backend: BackendHold
) -> Leave | list[str]:
    """Move the files that git would not touch to the trash, after keeping what git knows of them under a rescue ref.

    Cancellation: what was moved is in the trash, recorded; the checkout has not been moved.

    Args:
        session: the open workspace.
        node: the pack.
        state: its checkout. PACK is held.
        paths: the files and directories that git named, from the checkout.
        backend: the held BACKEND lock.

    Returns:
        What to say about it, or why they must stay.

    Raises:
        PackError: they cannot be moved in one piece, or git cannot keep them.
    """
    entries = sorted({path.rstrip("/") for path in paths})
    for entry in entries:
        place = f"{node.path}/{entry}"
        inner = _packs_below(session, place) or ((place,) if place in session.folded.packs else ())
        if inner:
            return Leave("edits-in-the-way", f"the pack {inner[0]} lies in {clean(entry)}", "Move one of the two.")
    git, notes = session.git_for(node.path), []
    try:
        tracked = sorted({os.fsdecode(found.path) for found in read_index(state.dirs).entries} & set(entries))
    except IndexUnreadableError:
        return Leave("edits-in-the-way", "its index cannot be read", "`git status` there says what is the matter.")
    if tracked:
        kept = await keep_edits(git, state, f"before a forced sync of {node.path}", backend=backend)
        if kept is not None:
            notes.append(f"everything that was edited is kept as {kept}")
    trash = Trash(session.layout)
    try:
        record = trash.put_files_away(
            state.real, _record(node, state, "files", "files that a sync would have changed", entries)
        )
    except UnsafeJoinError as error:
        raise PackError(f"{node.path}: {error}", hint="Move the file elsewhere, then sync again.") from error
    if record is not None:
        notes.append(f"files in the way are in the trash: {trash.shown(record.stamp, node.path)}")
    if tracked:
        await unstage(git, state, tracked, backend=backend)
    return notes


def _packs_below(session: Session, path: str) -> tuple[str, ...]:
    """The packs that are there and lie in a directory."""
    below = inner_packs(path, {*session.folded.packs, *session.lines})
    return tuple(inner for inner in below if look_at(session.layout.pack_dir(inner)).kind == "checkout")


def _record(node: Node, state: CheckoutState, kind: TrashKind, why: str, entries: Sequence[str] = ()) -> TrashRecord:
    return TrashRecord(
        stamp="",
        path=node.path,
        kind=kind,
        branch=state.head_branch,
        head=state.head_sha,
        why=f"{why} (`grex sync --force`)",
        verb=FORCE,
        moved_at=timestamp(),
        entries=tuple(entries),
    )
