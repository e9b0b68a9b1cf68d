"""Clones a pack: into a temporary directory beside it, then entry by entry into the directory that has its lock.

Under a network permit and PACK. Order of the durable facts: the clone note in `.grex/state/`, the temporary directory,
the list of entries in the note, the entries with `.git` last (the commit point), the log, the note's removal. Whatever
kills the run, `engine.recovery` finishes or clears what the note speaks of.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import replace
from pathlib import Path

from grex.engine.graph import Node
from grex.engine.hiding import Hiding
from grex.engine.outcome import CheckoutOutcome
from grex.engine.planner import Leave, Wanted
from grex.engine.session import Session
from grex.fs import canonical, remove_tree
from grex.git import FilesInTheWayError, RemoteRef, clone, move_in, observe, plan_move
from grex.locks import PackHold
from grex.manifest import CloneNote, Event, add_event, remove_note, sync_event, timestamp, write_note
from grex.names import GREX_TMP_PREFIX, PACK_LOCK_NAME

__all__ = ["arrival_events", "clone_pack", "missing_directories", "remove_made"]

_TIMEOUT_S = 4 * 3600.0


async def clone_pack(
    session: Session, node: Node, root: Path, wanted: Wanted, hold: PackHold, hiding: Hiding
) -> CheckoutOutcome | Leave:
    """Clone a pack into its directory, which holds nothing but its lock file.

    Tiers: PERMIT and PACK are held; BACKEND, then MANIFEST are taken. Cancellation, as any failure: git is ended, and
    nothing of the clone is left.

    Raises:
        FetchError: it could not be cloned.
    """
    real = canonical(root)
    temp = real.parent / f"{GREX_TMP_PREFIX}{secrets.token_hex(6)}"
    top = session.layout.root
    note = CloneNote(
        id=temp.name.removeprefix(GREX_TMP_PREFIX),
        pack=node.path,
        temp=os.path.relpath(temp, top),
        target=os.path.relpath(real, top),
        url=node.url.redacted,
        ref=node.ref,
        entries=None,
        created_at=timestamp(),
    )
    state_dir = session.layout.state_dir
    write_note(state_dir, note)
    try:
        async with session.holds.backend(node.path, real) as backend:
            child = node.first.child
            cloned = await clone(
                session.git_for(node.path),
                url=node.url.resolved,
                identity=node.url.identity,
                ref=node.ref,
                temp=temp,
                pack=node.path,
                backend=backend,
                timeout_s=_TIMEOUT_S,
                commit=_pinned_commit(wanted),
                depth=child.depth,
                filter_spec=child.filter,
            )
            hiding.hide_own(real, temp / ".git")
            # Before anybody can see it: there is no moment at which the pack has a git directory and no kept lock.
            hold.link_into(temp / ".git")
            entries = plan_move(temp, real)
            write_note(state_dir, replace(note, entries=entries))
            move_in(temp, real, entries)
    except FilesInTheWayError as error:
        remove_tree(temp)
        remove_note(state_dir, note.id)
        return Leave("files-in-the-way", error.message, error.hint or f"Move them out of {node.path} and sync again.")
    except BaseException:
        # Nothing of this clone is anybody's but ours; after a kill, the note lets the next run do the same.
        remove_tree(temp)
        remove_note(state_dir, note.id)
        raise
    remove_tree(temp)
    await session.record(node.path, arrival_events(node, cloned.remote))
    remove_note(state_dir, note.id)
    return CheckoutOutcome(node.path, "cloned", new_sha=observe(root).head_sha, target=cloned.remote, is_present=True)


def arrival_events(node: Node, target: RemoteRef) -> list[Event]:
    """What the log says about a checkout that grex made."""
    branch = target.name if target.kind == "branch" else None
    return [
        add_event(node.path, url=node.url.redacted, ref=node.ref, owned=True),
        sync_event(node.path, sha=target.sha, branch=branch),
    ]


def _pinned_commit(wanted: Wanted) -> str | None:
    """The lockfile's commit, where it is to be checked out instead of what the ref is at now."""
    line = wanted.line
    if line is None:
        return None
    return line.sha if wanted.locked or line.branch is None else None


def missing_directories(root: Path) -> list[Path]:
    """The directories from `root` upwards that do not exist yet, innermost first."""
    missing: list[Path] = []
    current = root
    while not os.path.lexists(current):
        missing.append(current)
        current = current.parent
    return missing


def remove_made(root: Path, made: list[Path]) -> None:
    """Take away the directories that only a failed clone had made, with the lock file that its holder may unlink."""
    if root not in made or not root.is_dir():
        return
    if any(entry.name != PACK_LOCK_NAME for entry in root.iterdir()):
        return
    (root / PACK_LOCK_NAME).unlink(missing_ok=True)
    for directory in made:
        try:
            directory.rmdir()
        except OSError:
            return  # something else appeared in it meanwhile: it is no longer only ours
