"""Takes a checkout away again that this run has cloned a moment ago, because what was to follow has failed.

A clone is in its place before it is declared, and anybody may have begun to work there since. So it is taken away only
if it is provably ours and as git left it: its directory was made by this run, grex's own record says what was checked
out, HEAD is there, and no file differs or has come. It leaves its place by one rename into the trash and is looked at
once more there, where nobody finds it by its path any more; only then is it removed. Whatever is not as it was stays,
and is named.

Nothing here waits, so a run that is being cancelled can do it too: who holds the pack or its git keeps it.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from grex.engine.graph import Node
from grex.engine.session import Session
from grex.errors import LockError
from grex.fs import canonical, move_to_trash, remove_tree
from grex.git import CheckoutState, edited_paths, observe, untracked_hint
from grex.locks import BackendLock, PackLock
from grex.locks.backend_lock import backend_lock_path
from grex.manifest import read_notes, remove_note

__all__ = ["withdraw_clone"]


def withdraw_clone(session: Session, node: Node, made: list[Path]) -> str | None:
    """Take the fresh clone of a pack away, with the directories that were made for it. WORKSPACE is held.

    Tiers: PACK, then BACKEND, if they are free.

    Args:
        session: the open workspace.
        node: the pack.
        made: the directories that were not there before this run, innermost first: the pack's own, then those above.

    Returns:
        None if nothing is left, else why the checkout is still there, as the end of a sentence.
    """
    root = canonical(session.layout.pack_dir(node.path))
    if not os.path.lexists(root / ".git"):
        return None
    if root not in made:
        return "its directory was there before"
    try:
        with PackLock.open(root).try_acquire(), BackendLock.for_checkout(root).try_acquire():
            reason = _why_not(observe(root), node)
            if reason is None:
                reason = _remove(session, node, root)
            if reason is not None:
                return reason
            backend_lock_path(root).unlink(missing_ok=True)
        for note in read_notes(session.layout.state_dir)[0]:
            if note.pack == node.path:
                remove_note(session.layout.state_dir, note.id)
    except LockError as error:
        return f"another program uses it: {error.message}"
    except OSError as error:
        return f"it could not be removed: {error.strerror or error}"
    for directory in made[1:]:
        with contextlib.suppress(OSError):  # something else has come to lie in it: it is no longer only ours
            directory.rmdir()
    return None


def _why_not(state: CheckoutState, node: Node) -> str | None:
    """Why a checkout is not ours alone; nothing is asked that only git could answer."""
    record = state.record
    if record is None or record.url != node.url.identity:
        return "it is not the clone that grex made"
    if (state.head_branch, state.head_sha) != (record.branch, record.sha) or state.operation is not None:
        return "somebody has worked in it meanwhile"
    edits = edited_paths(state)
    if not edits.decided or edits.edited or untracked_hint(state) is not False:
        return "somebody has worked in it meanwhile"
    return None


def _remove(session: Session, node: Node, root: Path) -> str | None:
    trash = session.layout.trash_dir
    if trash.is_symlink():
        return f"{trash} is a symbolic link"
    kept = move_to_trash(root, trash, node.path)
    reason = _why_not(observe(kept), node)
    if reason is not None:
        return f"{reason}; it is in {os.path.relpath(kept, session.layout.root)} now"
    remove_tree(kept)
    above = kept.parent
    while above != trash.parent:
        with contextlib.suppress(OSError):  # something else is in the trash
            above.rmdir()
        above = above.parent
    return None
