"""Puts a fork that is taken away by force into the trash so that it can come back, and brings it back.

What goes to the trash is the directory: its repositories are those of the workspace, which forget its work trees.
Coming back is, in this order: the trash's record says which directory is on its way; the fork has its record again; one
rename; each pack is made a work tree again, at the commit where it was, without a file of it being touched; the fork's
mark says that it is whole; the trash's record goes. Killed after the rename, the next run that changes anything in the
workspace goes on from there, and until then `fork rm` refuses: it could not tell what is in the packs.

A fork on another file system is copied, both ways, and what it was copied from goes last, first of all by a rename: so
at each moment one of the two is whole and has its name.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from msgspec.structs import replace

from grex.engine.fork_provider import main_place, repository_state
from grex.engine.session import Session
from grex.engine.trash import Trash, Trashed
from grex.errors import GrexError, PackError
from grex.fs import TEMP_PREFIX, canonical, copy_durably, fsync_dir, remove_tree, rename_whole
from grex.git import find_git_dirs, has_commit, observe, write_record
from grex.git.worktree_again import take_back_work_tree
from grex.manifest import (
    FORK_ROOT,
    ForkMark,
    ForkPack,
    ForkRecord,
    MovedFrom,
    TrashKind,
    TrashRecord,
    read_fork_mark,
    write_fork_mark,
    write_fork_record,
)
from grex.manifest.events import timestamp
from grex.names import check_pack_path
from grex.workspace import Layout

__all__ = ["finish_fork", "fork_coming_back", "put_fork_away", "put_fork_lockfile_away", "restore_fork"]

VERB = "fork rm"


def put_fork_away(session: Session, record: ForkRecord, temp: Path) -> Path:
    """Move a fork's directory to the trash of the workspace that has its record; gives where it lies.

    One on another file system is copied there. Once that is recorded, the directory goes to `temp` in one rename.

    Args:
        session: the workspace.
        record: the fork.
        temp: a name beside its directory; what is there is the caller's to remove.

    Raises:
        OSError: it cannot be moved; it is where it was.
    """
    directory, trash = Path(record.directory), Trash(session.layout)
    note = _note(record, "fork", f"it was the fork {directory}")
    try:
        note = trash.put_away(directory, note)
    except PackError:  # it is not to be had by a rename
        note = trash.copy_away(directory, note)
        try:
            directory.rename(temp)
        except OSError:
            trash.drop_copied(note)
            trash.close(note)
            raise
        fsync_dir(temp.parent)
    else:
        # WORKSPACE is not held: another run may have dropped a record whose directory was not there yet.
        trash.update(note)
    return trash.content(note)


def put_fork_lockfile_away(session: Session, record: ForkRecord) -> Path:
    """Copy a fork's lockfile to the trash of the workspace that has its record, before the fork goes.

    Raises:
        OSError: it cannot be copied.
    """
    trash, lockfile = Trash(session.layout), Layout(Path(record.directory)).lockfile
    note = _note(record, "files", f"it was the lockfile of the fork {record.directory}", lockfile.name)
    return trash.content(trash.copy_away(lockfile, note)) / lockfile.name


def _note(record: ForkRecord, kind: TrashKind, why: str, *entries: str) -> TrashRecord:
    label = f"forks/{Path(record.directory).name}"
    return TrashRecord(
        stamp="",
        path=label if check_pack_path(label) is None else "forks/fork",
        kind=kind,
        branch=record.branch,
        why=why,
        verb=VERB,
        moved_at=timestamp(),
        entries=entries,
        directory=record.directory,
    )


def fork_coming_back(session: Session, directory: Path) -> str | None:
    """The entry of the trash from which a fork is on its way back to a directory, since a run was killed."""
    for one in Trash(session.layout).listed()[0]:
        if one.record.kind == "fork" and one.record.restoring is not None and one.record.directory == str(directory):
            return one.record.stamp
    return None


async def restore_fork(session: Session, trashed: Trashed) -> list[str]:
    """Bring a fork back to where it was; gives what is worth saying. WORKSPACE is held.

    Tiers: BACKEND of each repository.

    Raises:
        PackError: its place is not free, or a pack cannot be made a work tree again; `--restore` again goes on.
    """
    record, trash = trashed.record, Trash(session.layout)
    directory = _place(record)
    if os.path.lexists(directory):
        raise PackError(
            f"the fork {directory} cannot be restored, because something is at its place",
            hint="Move that elsewhere, then restore again.",
        )
    mark = _mark_in(trashed.content, record)
    if mark.home != str(session.layout.root):
        raise PackError(  # the trash may have come with somebody's repository, and would be moved anywhere
            f"{record.path} in the trash was a fork of {mark.home}, not of this workspace", hint="Move it by hand."
        )
    status = trashed.content.lstat()
    record = replace(record, restoring=MovedFrom(status.st_dev, status.st_ino))
    trash.update(record)
    write_fork_record(session.layout.state_dir, _record_of(mark, record))
    directory.parent.mkdir(parents=True, exist_ok=True)
    try:
        record = _move_back(trash, trashed, record, directory)
    except OSError as error:
        raise PackError(
            f"the fork {directory} cannot be restored: {error.strerror}",
            hint="It is still in the trash; `grex fork rm` clears its record.",
        ) from error
    fsync_dir(directory.parent)
    return await finish_fork(session, record)


def _move_back(trash: Trash, trashed: Trashed, record: TrashRecord, directory: Path) -> TrashRecord:
    """Rename a fork to its place, or a copy of it; gives the record, which names the copy before that has the place."""
    try:
        rename_whole(trashed.content, directory)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    else:
        return record
    temp = directory.with_name(f"{TEMP_PREFIX}{record.stamp}")
    remove_tree(temp)  # a copy that was killed
    copy_durably(trashed.content, temp)
    status = temp.lstat()
    record = replace(record, restoring=MovedFrom(status.st_dev, status.st_ino))
    trash.update(record)
    temp.rename(directory)
    return record


async def finish_fork(session: Session, record: TrashRecord) -> list[str]:
    """Make the packs of a fork that is back work trees again; gives what is worth saying. WORKSPACE is held.

    Raises:
        PackError: one of them cannot be; the others are.
    """
    directory = _place(record)
    mark = _mark_in(directory, record)
    notes: list[str] = []
    failed: list[str] = []
    for pack in mark.packs:
        try:
            note = await _take_back(session, mark, directory, pack)
        except (GrexError, OSError) as error:
            failed.append(f"{pack.path}: {error.message if isinstance(error, GrexError) else error}")
            continue
        notes += [] if note is None else [note]
    if failed:
        raise PackError(
            f"the fork {directory} is back, but not all of it: {'; '.join(failed)}",
            hint="`grex doctor --fix` goes on when what is wrong there is mended.",
        )
    write_fork_mark(Layout(directory).state_dir, replace(mark, stage="whole", heads={}))
    trash = Trash(session.layout)
    with contextlib.suppress(OSError):  # the fork is back; what it was copied from goes at the latest with a sweep
        trash.drop_copied(record)
    trash.close(record)
    return notes


async def _take_back(session: Session, mark: ForkMark, directory: Path, pack: ForkPack) -> str | None:
    place = directory if pack.path == FORK_ROOT else directory / pack.path
    if not place.is_dir():
        return f"{pack.path} is not in the fork"
    dirs = find_git_dirs(canonical(session.layout.pack_dir(pack.path)))
    if dirs is None:
        raise PackError(f"the repository of {pack.path} is not there any more", hint="`grex sync` brings it.")
    common, git = canonical(dirs.common), session.git_for(pack.path)
    state, sha = repository_state(common), mark.heads.get(pack.path, pack.sha)
    async with session.holds.backend(pack.path, main_place(common)) as backend:
        if not await has_commit(git, state, sha):
            raise PackError(f"{sha[:10]} is not in the repository any more")
        branch = await take_back_work_tree(git, state, place, branch=pack.branch, sha=sha, backend=backend)
    made, source = observe(place), observe(canonical(session.layout.pack_dir(pack.path)))
    if made.record is None and source.record is not None:
        write_record(made.dirs.own, source.record)
    return None if branch is not None else f"{pack.path} is detached at {sha[:10]}: {pack.branch} is elsewhere by now"


def _place(record: TrashRecord) -> Path:
    if record.directory is None or not Path(record.directory).is_absolute():
        raise PackError(f"the record of {record.path} does not say where it was", hint="Move it by hand.")
    return Path(record.directory)


def _mark_in(directory: Path, record: TrashRecord) -> ForkMark:
    mark = read_fork_mark(Layout(directory).state_dir)
    if mark is None:
        raise PackError(
            f"{record.path} in the trash is no fork any more: .grex/state/fork.json is missing", hint="Move it by hand."
        )
    return mark


def _record_of(mark: ForkMark, record: TrashRecord) -> ForkRecord:
    return ForkRecord(
        id=mark.id,
        directory=str(_place(record)),
        source=mark.source,
        branch=mark.branch,
        provider="worktree",
        created_at=record.moved_at,
        packs=mark.packs,
    )
