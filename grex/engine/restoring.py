"""Brings things back out of the trash, byte for byte, and finishes what a kill left of moves there and back.

A restore is one rename to a place that is free. The durable facts, in the order in which they are written: the record
says which very directory is on its way (device and inode); the repository around it hides the place; the rename; the
log says `restore`; the root's pack.yaml has the declaration again, if `rm` had taken it; the record goes. Killed before
the rename, nothing has happened; killed after it, the next run that changes anything goes on from there, and knows by
device and inode that what stands there is what was on its way and not somebody else's.

PACK is held through the lock file inside the directory that is moved, so whoever opens the pack in its new place finds
it held.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from grex.engine.hiding import Hiding
from grex.engine.places import misplaced, missing_directories
from grex.engine.reforking import finish_fork, restore_fork
from grex.engine.removal import PRUNE, RM, SET_URL
from grex.engine.session import Session
from grex.engine.survey import read_root_spec
from grex.engine.trash import Trash, Trashed
from grex.errors import ManifestError, PackError, UsageError
from grex.fs import fsync_dir, rename_whole, safe_join
from grex.manifest import (
    Event,
    MovedFrom,
    TrashRecord,
    edit_root,
    prune_event,
    restore_event,
    rm_event,
)
from grex.manifest.edit import copy_entry
from grex.names import PACK_YAML, clean, resolve_pack_path
from grex.pack import parse_pack_spec

__all__ = ["Restored", "chosen", "finish_removals", "finish_restores", "has_left", "restore"]


class Restored(Struct, frozen=True, kw_only=True):
    """What was brought back.

    Attributes:
        record: what it is.
        is_declared_again: whether the root's pack.yaml got its entry back.
        notes: what else is worth saying.
    """

    record: TrashRecord
    is_declared_again: bool = False
    notes: tuple[str, ...] = ()


def chosen(trash: Trash, texts: Iterable[str]) -> list[Trashed]:
    """What the TRASH arguments mean, those that lie around others first; nothing is brought back twice.

    Args:
        trash: the trash.
        texts: each `<utc>`, `<utc>/<path>`, or that below `.grex/trash/`.

    Raises:
        UsageError: one means nothing that can be restored.
    """
    found, damaged = trash.listed()
    by_stamp = {one.record.stamp: one for one in found}
    wanted: dict[str, Trashed] = {}
    for text in texts:
        stamp, _, path = text.removeprefix("./").removeprefix(".grex/trash/").rstrip("/").partition("/")
        one = by_stamp.get(stamp)
        if one is None:
            bad = next((bad for bad in damaged if bad.path.stem == stamp), None)
            if bad is not None:
                raise UsageError(
                    f"{bad.path.name} in .grex/trash {bad.reason}, so nobody knows where {stamp} belongs",
                    hint=f"Move what lies in .grex/trash/{stamp} by hand.",
                )
            raise UsageError(
                f"there is nothing in the trash that was put there at {clean(stamp, 100)!r}",
                hint="`grex doctor --trash` lists what there is.",
            )
        if path and path != one.record.path:
            raise UsageError(
                f"in the trash, {stamp} is {one.record.path}, not {clean(path, 100)!r}",
                hint=f"`grex doctor --restore {stamp}` brings it back.",
            )
        wanted[stamp] = one
    return sorted(wanted.values(), key=lambda one: (one.record.path.count("/"), one.record.path))


async def restore(session: Session, trashed: Trashed) -> Restored:
    """Bring one thing back to its place.

    Tiers: PERMIT and PACK, where it is a directory; then MANIFEST. Cancellation: the next run finishes what was begun.

    Raises:
        PackError: its place is not free, or it cannot be moved there; it is still in the trash.
        ManifestError: it is back, and its declaration cannot be put in.
    """
    record = trashed.record
    reason = None if record.kind == "fork" else misplaced(session.layout.root, record.path)
    if reason is not None:
        raise PackError(
            f"{record.path} {reason}, so nothing is restored there", hint="Remove the symbolic link on the way."
        )
    if not trashed.is_there:
        raise PackError(
            f"{record.path} is not in the trash any more", hint="`grex doctor --trash` lists what there is."
        )
    if record.kind == "files" and record.directory is not None:
        raise PackError(  # nor would a record be believed that names any directory for its files
            f"{', '.join(record.entries)} was in the fork {clean(record.directory)}, which went, so it has no place",
            hint=f"It lies in .grex/trash/{record.stamp}/{record.path}; copy it where it is wanted.",
        )
    if record.kind == "fork":
        return Restored(record=record, notes=tuple(await restore_fork(session, trashed)))
    if record.kind == "files":
        return _restore_files(session, trashed)
    return await _restore_whole(session, trashed)


async def _restore_whole(session: Session, trashed: Trashed) -> Restored:
    record, trash = trashed.record, Trash(session.layout)
    place = session.layout.pack_dir(record.path)
    _check_free(place, record.path, trashed.content)
    async with _held(session, trashed):
        status = trashed.content.lstat()
        record = replace(record, restoring=MovedFrom(status.st_dev, status.st_ino))
        trash.update(record)
        await Hiding(session.layout, session.holds).hide([record.path])
        for directory in reversed(missing_directories(place.parent)):
            directory.mkdir(exist_ok=True)
            fsync_dir(directory.parent)
        _check_free(place, record.path, trashed.content)
        _move(trashed.content, place, record.path)
        fsync_dir(place.parent)
        await session.record(record.path, _events(session, record))
    return await _conclude(session, trash, record)


def _held(session: Session, trashed: Trashed) -> AbstractAsyncContextManager[object]:
    """PACK of a directory, through the lock file that is in it; what has none was never a pack of anybody's."""
    content = trashed.content
    if content.is_symlink() or not os.path.lexists(content / ".grex-lock"):
        return nullcontext()
    return session.holds.pack(trashed.record.path, content, "disk")


def _check_free(place: Path, name: str, source: Path) -> None:
    if not os.path.lexists(place) or _is_moving(place, source):
        return
    kind = "a link" if place.is_symlink() else "a directory" if place.is_dir() else "a file"
    raise PackError(
        f"{name} cannot be restored, because {kind} is at its place",
        hint=f"Move {name} elsewhere (`grex rm {name}`, if it is a pack), then restore again.",
    )


def _is_moving(place: Path, source: Path) -> bool:
    """Whether a kill came between the two halves of a move: both names are the same file, which is no directory."""
    there, here = place.lstat(), source.lstat()
    return not stat.S_ISDIR(here.st_mode) and os.path.samestat(there, here)


def _move(source: Path, place: Path, name: str) -> None:
    """Rename without replacing anything."""
    try:
        if stat.S_ISDIR(source.lstat().st_mode):
            rename_whole(source, place)  # the kernel replaces nothing but an empty directory
        else:
            if not os.path.lexists(place):
                os.link(source, place, follow_symlinks=False)
            if not _is_moving(place, source):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(place))
            source.unlink()
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        raise PackError(
            f"{name} cannot be restored in one piece: its place is on another file system than the trash",
            hint="Unmount what is there, or copy it by hand; nothing was moved.",
        ) from error


def _events(session: Session, record: TrashRecord) -> list[Event]:
    """What the log says of a pack that is back; of what it never spoke it says nothing."""
    was_a_pack = record.owned or record.path in session.folded.removed
    if record.verb not in (RM, PRUNE, SET_URL) or not was_a_pack:  # what made room for a pack was none
        return []
    return [restore_event(record.path, url=record.url, ref=record.ref, owned=record.owned)]


async def _conclude(session: Session, trash: Trash, record: TrashRecord) -> Restored:
    notes: list[str] = []
    is_declared = False
    if record.declaration is not None:
        is_declared, note = await _declare(session, record, record.declaration)
        if note is not None:
            notes.append(note)
    trash.close(record)
    return Restored(record=record, is_declared_again=is_declared, notes=tuple(notes))


async def _declare(session: Session, record: TrashRecord, entry: str) -> tuple[bool, str | None]:
    """Put the entry back, unless the path is declared by now."""
    platform = session.settings.platform
    if record.path in _declared(read_root_spec(session.layout, platform).children):
        return False, f"{record.path} is declared in the root's pack.yaml already; that entry was left as it is"

    def edit(text: str) -> str:
        return copy_entry(entry, 0, text, file=PACK_YAML)

    def check(data: bytes) -> None:
        spec = parse_pack_spec(data, file=PACK_YAML, is_root=True)
        if record.path not in _declared(spec.children):
            raise ManifestError(
                f"the entry that was kept for {record.path} declares another pack",
                hint="Declare it with `grex add`; the checkout is back.",
            )

    async with session.holds.manifest_exclusive(record.path) as hold:
        edit_root(session.layout.pack_yaml, edit, hold=hold, check=check)
    return True, None


def _declared(children: Iterable[object]) -> set[str]:
    return {resolve_pack_path("", child.path) for child in children}  # type: ignore[attr-defined]


def _restore_files(session: Session, trashed: Trashed) -> Restored:
    """Bring files of a checkout back, all or none; those that a kill of an earlier restore brought back are there."""
    record, trash = trashed.record, Trash(session.layout)
    checkout = session.layout.pack_dir(record.path)
    left = [entry for entry in record.entries if os.path.lexists(safe_join(trashed.content, entry))]
    for entry in left:
        source = safe_join(trashed.content, entry)
        _check_free(safe_join(checkout, entry), f"{record.path}/{entry}", source)
    for entry in left:
        place = safe_join(checkout, entry)
        place.parent.mkdir(parents=True, exist_ok=True)
        _move(safe_join(trashed.content, entry), place, f"{record.path}/{entry}")
        fsync_dir(place.parent)
    trash.close(record)
    return Restored(record=record)


async def finish_restores(session: Session) -> list[str]:
    """Finish the restores that were killed after the rename, and drop records of what is not in the trash.

    Tier: MANIFEST, where there is something to finish; WORKSPACE is held by the caller.
    """
    trash = Trash(session.layout)
    said: list[str] = []
    for trashed in trash.listed()[0]:
        record = trashed.record
        if record.restoring is None or not has_left(trashed):
            continue
        if record.kind == "fork" and record.directory is not None:
            said += await _finish_fork(session, trashed, record.restoring)
            continue
        place = session.layout.pack_dir(record.path)
        if misplaced(session.layout.root, record.path) is not None or not _is_the_one(place, record.restoring):
            trash.close(record)  # it went back, and has been moved elsewhere since
            continue
        known = session.folded.packs.get(record.path)
        if known is None or known.owned != record.owned:
            await session.record(record.path, _events(session, record))
        await _conclude(session, trash, record)
        said.append(f"{record.path}: finished bringing it back from the trash")
    trash.drop_strays()
    if said:
        await session.read_records()
    return said


async def _finish_fork(session: Session, trashed: Trashed, moved: MovedFrom) -> list[str]:
    record = trashed.record
    if not _is_the_one(Path(record.directory or ""), moved):
        Trash(session.layout).close(record)  # it went back, and has been moved elsewhere since
        return []
    try:
        notes = await finish_fork(session, record)
    except PackError as error:
        return [error.message]  # the next run tries it again, and `fork rm` leaves it alone until then
    return [f"{record.directory}: finished bringing the fork back from the trash", *notes]


def has_left(trashed: Trashed) -> bool:
    """Whether something is in the trash no more, or only as that from which a fork was copied back."""
    record = trashed.record
    if not trashed.is_there:
        return True
    is_fork = record.kind == "fork" and record.directory is not None
    return is_fork and record.restoring is not None and _is_the_one(Path(record.directory or ""), record.restoring)


def _is_the_one(place: Path, moved: MovedFrom) -> bool:
    try:
        status = place.lstat()
    except OSError:
        return False
    return (status.st_dev, status.st_ino) == (moved.device, moved.inode)


async def finish_removals(session: Session, declared: Collection[str]) -> None:
    """Let the log say which packs were removed by runs that were killed before they could.

    Such a pack is in the log, at no place and in no declaration, and its record in the trash says by which verb it
    went. One that is declared has been cloned anew by then. Tier: MANIFEST, where there is any.
    """
    missing = {
        path
        for path, known in session.folded.packs.items()
        if path != "." and path not in declared and not os.path.lexists(session.layout.pack_dir(path))
    }
    if not missing:
        return
    trash = Trash(session.layout)
    makers: dict[str, Callable[..., Event]] = {RM: rm_event, PRUNE: prune_event, SET_URL: rm_event}
    events: dict[str, Event] = {}
    for trashed in trash.listed()[0]:  # the newest of each counts
        record = trashed.record
        make = makers.get(record.verb)
        if make is not None and record.path in missing and trashed.is_there and record.kind != "files":
            events.setdefault(record.path, make(record.path, trash=trash.shown(record.stamp, record.path)))
    if events:
        await session.record("log", list(events.values()))
        await session.read_records()
