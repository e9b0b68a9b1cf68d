"""Clones a pack: into a temporary directory beside it, then entry by entry into the directory that has its lock.

Under a network permit and PACK. Order of the durable facts: the clone note in `.grex/state/`, the temporary directory,
the list of entries in the note, the entries with `.git` last (the commit point), the log, the note's removal. Whatever
kills the run, `engine.recovery` finishes or clears what the note speaks of.
"""

from __future__ import annotations

import posixpath
import secrets
from functools import partial
from pathlib import Path
from shutil import which

import anyio.to_thread
from msgspec.structs import replace

from grex.engine.graph import Node
from grex.engine.hiding import Hiding
from grex.engine.outcome import CheckoutOutcome, short
from grex.engine.planner import Leave, Wanted
from grex.engine.session import Session
from grex.engine.sharing import clone_shared, lent_place
from grex.errors import LockError
from grex.fs import canonical, read_regular, remove_tree
from grex.git import FilesInTheWayError, RemoteRef, clone, commit_at, move_in, observe, plan_move
from grex.git.sparse import cone_directories
from grex.locks import BackendLock, PackHold
from grex.locks.backend_lock import backend_lock_path
from grex.manifest import CloneNote, Event, add_event, remove_note, sync_event, timestamp, write_note
from grex.names import GREX_TMP_PREFIX, PACK_LOCK_NAME

__all__ = [
    "arrival_events",
    "clone_pack",
    "moved_tag_note",
    "noted_places",
    "remove_made",
]

_ATTRIBUTES_BYTES = 1 << 20
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
    # The note speaks of places in the workspace, also where the pack is a link that leads out of it: a note must not
    # be able to name a directory elsewhere, because recovery deletes. `noted_places` follows the link again.
    note = CloneNote(
        id=temp.name.removeprefix(GREX_TMP_PREFIX),
        pack=node.path,
        temp=posixpath.join(posixpath.dirname(node.path), temp.name),
        target=node.path,
        url=node.url.redacted,
        ref=node.ref,
        entries=None,
        created_at=timestamp(),
    )
    state_dir = session.layout.state_dir
    # In a thread, here and where nobody sees the clone yet: other packs go on while the disk is waited for. A cancelled
    # caller has written the note or has not begun to. From the plan of the move on, nothing comes in between.
    await anyio.to_thread.run_sync(write_note, state_dir, note)
    try:
        async with session.holds.backend(node.path, real) as backend:
            child = node.first.child
            make = partial(
                clone,
                session.git_for(node.path, node.url),
                url=session.address(node.url).plain,
                identity=session.address(node.url).identity,
                ref=node.ref,
                temp=temp,
                pack=node.path,
                backend=backend,
                timeout_s=_TIMEOUT_S,
                commit=_pinned_commit(wanted),
                depth=child.depth,
                filter_spec=child.filter,
                cone=cone_directories(child.sparse),
                on_progress=session.git_progress(node.path),
            )
            cloned, said = await clone_shared(session, node, temp, lambda lender: make(lender=lender))
            await anyio.to_thread.run_sync(hiding.hide_unseen, real, temp / ".git")
            said = (*said, *_lfs_note(session, temp))
            notes = (*said, *await _moved_tag(session, node, wanted, temp, cloned.remote))
            # Before anybody can see it: there is no moment at which the pack has a git directory and no kept lock.
            hold.link_into(temp / ".git")
            entries = plan_move(temp, real)
            write_note(state_dir, replace(note, entries=entries))
            move_in(temp, real, entries)
            hiding.forget()
    except FilesInTheWayError as error:
        remove_tree(temp)
        remove_note(state_dir, note.id)
        return Leave(
            "files-in-the-way", error.message, error.hint or f"Move them out of {node.path} and run the command again."
        )
    except BaseException:
        # Nothing of this clone is anybody's but ours; after a kill, the note lets the next run do the same.
        remove_tree(temp)
        remove_tree(lent_place(temp))
        remove_note(state_dir, note.id)
        raise
    remove_tree(temp)
    await session.record(node.path, arrival_events(node, cloned.remote))
    remove_note(state_dir, note.id)
    return CheckoutOutcome(
        node.path, "cloned", new_sha=observe(root).head_sha, target=cloned.remote, is_present=True, notes=notes
    )


async def _moved_tag(session: Session, node: Node, wanted: Wanted, temp: Path, remote: RemoteRef) -> tuple[str, ...]:
    """What to say if the lockfile's commit of a tag is no longer the one that the remote has it at."""
    if _pinned_commit(wanted) is None or remote.kind != "tag" or remote.name is None:
        return ()
    name = remote.name.removeprefix("refs/tags/")
    now = await commit_at(session.git_for(node.path), observe(temp), f"refs/tags/{name}")
    return () if now is None or now == remote.sha else (moved_tag_note(name, now),)


def _lfs_note(session: Session, temp: Path) -> tuple[str, ...]:
    """What to say about a clone whose files git-lfs keeps, where that is not there to bring them."""
    try:
        attributes = read_regular(temp / ".gitattributes", limit_bytes=_ATTRIBUTES_BYTES)
    except OSError:
        return ()
    if b"filter=lfs" not in attributes or which("git-lfs", path=session.settings.environ.get("PATH")) is not None:
        return ()
    what = "files in it are kept by git-lfs, which is not installed: what lies there are pointers"
    return (f"{what}; install git-lfs, then `git lfs pull` there",)


def moved_tag_note(name: str, now: str) -> str:
    """Says that a tag is elsewhere by now."""
    return f"the tag {name} moved upstream to {short(now)}; the commit that was resolved before is kept"


def noted_places(top: Path, note: CloneNote) -> tuple[Path, Path]:
    """The real directory that a note's clone is for, and the temporary one beside it."""
    real = canonical(top / note.target)
    return real, real.parent / posixpath.basename(note.temp)


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
    return line.sha if wanted.locked or (line.branch is None and not wanted.anew) else None


def remove_made(root: Path, made: list[Path]) -> None:
    """Take away the directories that only a failed clone had made, with the lock files in them. PACK is held."""
    if root not in made or not root.is_dir():
        return
    if any(entry.name != PACK_LOCK_NAME for entry in root.iterdir()):
        return
    (root / PACK_LOCK_NAME).unlink(missing_ok=True)
    _remove_backend_lock(root)
    for directory in made:
        try:
            directory.rmdir()
        except OSError:
            return  # something else appeared in it meanwhile: it is no longer only ours


def _remove_backend_lock(root: Path) -> None:
    """Take the lock file beside a failed clone away, so that nothing of it is left.

    It is held meanwhile, and nothing is done under it any more: a second holder on a new file could not do harm.
    Whoever opened it meanwhile compares it with what the path leads to after the grant, and so sees that it is gone.
    """
    path = backend_lock_path(root)
    if not path.exists():
        return
    try:
        with BackendLock.for_checkout(root).try_acquire():
            path.unlink(missing_ok=True)
    except LockError:
        return  # somebody else is at work there: the directory is no longer only ours
