"""Moves a checkout to another path, with everything in it: one rename, in which no byte changes.

The durable facts, in the order in which they are written: the repository around the new place hides it; a note says
which very directory is about to move (`manifest.relocation`); the rename; the root's pack.yaml declares the new path,
which is what decides; then overrides of this machine, log, lockfile, the work trees of the repositories that moved, the
lines that hid the old place; the note goes. Killed before the declaration is changed, the next run that changes
anything takes the checkout back to its old place; killed after it, that run finishes the move. In both cases everything
is whole in exactly one of the two places.

Packs that lie in the directory move with it. All of them are held while the rename happens (`engine.together`), so that
no command of anybody runs in one of them. The lock files in the directory travel with it; the one beside it (BACKEND)
is removed, as after a removal: whoever waits for the pack by its old path is told that it is gone.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from msgspec.structs import replace

from grex.engine.hiding import Hiding
from grex.engine.movable import Relocation, check_idle, is_checkout, other_file_system, taken
from grex.engine.places import look_at, misplaced, missing_directories
from grex.engine.redeclaring import moved_overrides, moved_path
from grex.engine.session import Session
from grex.engine.survey import read_root_spec
from grex.engine.together import while_held
from grex.errors import ConfigError, ManifestError, PackError
from grex.fs import canonical, fsync_dir, rename_whole
from grex.git import BackendHold, observe
from grex.git.relocated import repair_worktrees
from grex.locks.backend_lock import backend_lock_path
from grex.manifest import (
    Event,
    LockLine,
    ManifestWriteHold,
    add_event,
    edit_root,
    rm_event,
    sync_event,
    timestamp,
    write_lockfile,
)
from grex.manifest.relocation import (
    RelocationNote,
    read_relocation,
    relocation_path,
    remove_relocation,
    write_relocation,
)
from grex.manifest.trash_record import MovedFrom
from grex.names import resolve_pack_path
from grex.pack import Local, parse_local, read_local_all

__all__ = ["finish_relocation", "relocate"]

_CANNOT_RENAME = (errno.EXDEV, errno.EBUSY)
_LOCAL_YAML = ".grex/local.yaml"


async def relocate(session: Session, plan: Relocation, edit: Callable[[ManifestWriteHold], object]) -> list[str]:
    """Move a pack.

    Tiers: PERMIT, PACK and BACKEND of the pack and of those in it; MANIFEST. Cancellation: the note stands, and
    the next run finishes the move or takes it back.

    Args:
        session: the open workspace; WORKSPACE is held.
        plan: what `movable.plan_relocation` gave.
        edit: is called with MANIFEST held, to let the root's pack.yaml declare the new path.

    Returns:
        What is worth saying.

    Raises:
        PackError: it cannot be moved; it is where it was.
        LockError: somebody works in it.
    """
    if not plan.has_checkout:
        async with session.holds.manifest_exclusive(plan.new) as hold:
            edit(hold)
        await _follow(session, plan.old, plan.new)
        return []
    layout = session.layout
    packs = {path: layout.pack_dir(path) for path in (*reversed(plan.inner), plan.old)}

    async def act(held: Mapping[str, BackendHold]) -> list[str]:
        root, place = layout.pack_dir(plan.old), layout.pack_dir(plan.new)
        for path in (plan.old, *plan.inner):
            check_idle(path, look_at(layout.pack_dir(path)))
        if os.path.lexists(place) and (not place.is_dir() or any(place.iterdir())):
            raise taken(plan.new)
        await Hiding(layout, session.holds).hide([plan.new])
        status = root.lstat()
        note = RelocationNote(plan.old, plan.new, MovedFrom(status.st_dev, status.st_ino), timestamp())
        write_relocation(layout.state_dir, note)
        try:
            _rename(root, place, plan.old)
            async with session.holds.manifest_exclusive(plan.new) as hold:
                edit(hold)
        except Exception:
            await _settle(session, note, held[plan.old])  # back, for nothing declares the new place
            raise
        return await _finish(session, note, held[plan.old])

    return await while_held(session, packs, act)


def _rename(root: Path, place: Path, name: str) -> None:
    try:
        for directory in reversed(missing_directories(place.parent)):
            directory.mkdir(exist_ok=True)
            fsync_dir(directory.parent)
        rename_whole(root, place)  # the kernel replaces nothing but an empty directory
    except OSError as error:
        if error.errno in _CANNOT_RENAME:
            raise other_file_system(name) from error
        raise PackError(
            f"{name} cannot be moved to {place}: {error.strerror or error}",
            hint="Check the permissions and the disk there; it is where it was.",
        ) from error
    fsync_dir(place.parent)
    fsync_dir(root.parent)


async def finish_relocation(session: Session) -> list[str]:
    """Finish, or take back, a move that was killed; gives what was done, a line each.

    Tiers: WORKSPACE is held by the caller, and its records are read; PERMIT, PACK, BACKEND and MANIFEST where there is
    something to settle. Cancellation: the note stands.

    Raises:
        GrexError: it could not be settled; the note stands, and nothing is lost.
    """
    layout = session.layout
    try:
        note = read_relocation(layout.state_dir)
    except ValueError as error:
        return [f"{relocation_path(layout.state_dir).name} in .grex/state {error}; it was left there"]
    if note is None:
        return []
    here = [path for path in (note.old, note.new) if _is_the_one(layout.pack_dir(path), note)]
    if not here or any(misplaced(layout.root, path) is not None for path in (note.old, note.new)):
        remove_relocation(layout.state_dir)
        return [f"{note.old}: forgot an interrupted move to {note.new}: what was to move is at neither place"]
    at = here[0]
    inner = [moved_path(path, note.old, at) for path in session.folded.packs if path.startswith(f"{note.old}/")]
    packs = {path: layout.pack_dir(path) for path in sorted({*inner, at}, reverse=True) if is_checkout(session, path)}
    if at not in packs:
        remove_relocation(layout.state_dir)
        return [f"{note.old}: forgot an interrupted move to {note.new}: what is at {at} is no checkout"]

    async def act(held: Mapping[str, BackendHold]) -> list[str]:
        return await _settle(session, note, held[at])

    said = await while_held(session, packs, act)
    await session.read_records()
    return said


async def _settle(session: Session, note: RelocationNote, backend: BackendHold) -> list[str]:
    """Go the way that the declarations say. PACK and BACKEND are held."""
    layout = session.layout
    declared = {
        resolve_pack_path("", child.path) for child in read_root_spec(layout, session.settings.platform).children
    }
    is_moved = _is_the_one(layout.pack_dir(note.new), note)
    if is_moved and (note.new in declared or note.old not in declared):
        said = await _finish(session, note, backend)
        return [f"{note.old}: finished its move to {note.new}", *said]
    if is_moved:
        old, new = layout.pack_dir(note.old), layout.pack_dir(note.new)
        if os.path.lexists(old) and (not old.is_dir() or old.is_symlink() or any(old.iterdir())):
            said = await _finish(session, note, backend)
            return [f"{note.old}: something else is at its place, so it stays at {note.new}", *said]
        _rename(new, old, note.new)
        await _repair(session, note.old, note.new, note.old, backend)
        text = f"{note.old}: took back its interrupted move to {note.new}"
    else:
        text = f"{note.old}: forgot an interrupted move to {note.new} that had not begun"
    await _leave(session, note.new, declared)
    remove_relocation(layout.state_dir)
    return [text]


async def _finish(session: Session, note: RelocationNote, backend: BackendHold) -> list[str]:
    """Let everything speak of the new place; may be done again."""
    repaired = await _repair(session, note.new, note.old, note.new, backend)
    await _follow(session, note.old, note.new)
    await _leave(session, note.old, ())
    remove_relocation(session.layout.state_dir)
    return [f"{path}: its work trees were told of its new place" for path in repaired]


async def _repair(session: Session, at: str, old: str, new: str, backend: BackendHold) -> list[str]:
    """Mend the work trees of every repository that moved; gives the packs that had any."""
    layout = session.layout
    known = sorted({*session.folded.packs, *session.lines, old} - {"."})
    repaired: list[str] = []
    for path in dict.fromkeys(moved_path(path, old, new) for path in known):
        if path != at and not path.startswith(f"{at}/"):
            continue
        state = observe(layout.pack_dir(path))
        if state.kind == "checkout" and await repair_worktrees(
            session.git_for(path),
            state,
            old=canonical(layout.pack_dir(old)),
            new=canonical(layout.pack_dir(new)),
            backend=backend,
        ):
            repaired.append(path)
    return repaired


async def _leave(session: Session, path: str, declared: Iterable[str]) -> None:
    """Take away what spoke of a place that the pack is not at (any more): lock file, hiding, emptied directories."""
    layout = session.layout
    root = layout.pack_dir(path)
    if path in declared or os.path.lexists(root):
        return
    backend_lock_path(root).unlink(missing_ok=True)
    await Hiding(layout, session.holds).unhide([path])
    for above in root.parents:
        if above == layout.root or not above.is_relative_to(layout.root):
            return
        with contextlib.suppress(OSError):  # there is something else in it
            above.rmdir()


def _is_the_one(place: Path, note: RelocationNote) -> bool:
    try:
        status = place.lstat()
    except OSError:
        return False
    return (status.st_dev, status.st_ino) == (note.moved.device, note.moved.inode)


async def _follow(session: Session, old: str, new: str) -> None:
    """Let overrides of this machine, log and lockfile speak of the new path. Tier: MANIFEST."""
    layout = session.layout
    async with session.holds.manifest_exclusive(new) as hold:
        local = read_local_all(layout.root)
        if any(moved_path(one.path, old, new) != one.path for one in local.overrides):
            edit_root(
                layout.local_yaml,
                lambda text: moved_overrides(text, local.overrides, old, new, file=_LOCAL_YAML),
                hold=hold,
                check=lambda data: _check_local(data, local, old, new),
            )
    await session.record(new, _events(session, old, new))
    lines = {moved_path(path, old, new): _moved_line(line, old, new) for path, line in session.lines.items()}
    if lines != dict(session.lines):
        async with session.holds.manifest_exclusive("lockfile") as hold:
            write_lockfile(layout.lockfile, list(lines.values()), hold=hold)
    await session.read_records()


def _check_local(data: bytes, before: Local, old: str, new: str) -> None:
    try:
        after = parse_local(data)
    except ConfigError as error:
        raise ManifestError(error.message, hint=error.hint) from error
    wanted = [(moved_path(one.path, old, new), one.url, one.ref) for one in before.overrides]
    if [(one.path, one.url, one.ref) for one in after.overrides] != wanted:
        raise ManifestError(f"{_LOCAL_YAML} would not say what was meant", hint="Edit it by hand.")


def _moved_line(line: LockLine, old: str, new: str) -> LockLine:
    return replace(
        line,
        path=moved_path(line.path, old, new),
        parents=tuple(sorted(moved_path(parent, old, new) for parent in line.parents)),
    )


def _events(session: Session, old: str, new: str) -> list[Event]:
    """Everything that is known of a pack, under its new path; then the old one goes."""
    events: list[Event] = []
    for path, known in sorted(session.folded.packs.items()):
        moved = moved_path(path, old, new)
        if moved == path:
            continue
        if known.url is not None:
            events.append(add_event(moved, url=known.url, ref=known.ref, owned=known.owned))
        if known.sha is not None:
            events.append(sync_event(moved, sha=known.sha, branch=known.branch))
        events.append(rm_event(path))
    return events
