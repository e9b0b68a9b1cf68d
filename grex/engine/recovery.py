"""Cleans, at the start of a run, what a killed run left and what is provably ours. It needs no flag.

Proof is a durable note written before the thing it speaks of. Clone notes in `.grex/state/` name a temporary directory
and where its entries were to go; whoever holds WORKSPACE, the pack and its BACKEND knows that the run that wrote it is
dead, its git children included, because those would still hold BACKEND. Notes inside a pack's git directory are looked
after when that pack is visited (`grex.git.recover`).

A note alone is not proof enough: `.grex/state/` lies in the workspace, and a workspace is often a clone of somebody
else's repository, which may ship notes, and symlinks under the names that they mention. What a note says is therefore
held against the disk: it must speak of one place inside the workspace, reached without a link, and of a temporary
directory that is a real one.

Once entries have been moved into the pack, its directory is in sight, and anybody may have worked there. What goes back
to the temporary directory after that is moved to the trash, never deleted.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from grex.engine.session import Session
from grex.errors import GrexError, ManifestError
from grex.fs import canonical, move_to_trash, remove_tree
from grex.git import FilesInTheWayError, observe, resume_move
from grex.manifest import CloneNote, add_event, read_notes, remove_note, sync_event
from grex.names import GREX_TMP_PREFIX

__all__ = ["Recovered", "recover_workspace"]


@dataclass(slots=True)
class Recovered:
    """What was found and what became of it: one line each, sorted; and the packs that could not be mended."""

    notes: list[str] = field(default_factory=list)
    failures: dict[str, GrexError] = field(default_factory=dict)


async def recover_workspace(session: Session) -> Recovered:
    """Finish or take back the clones of dead runs, and sweep their temporary files.

    Tiers: WORKSPACE is held by the caller; each note takes PERMIT, PACK, BACKEND and MANIFEST. Cancellation: a note
    stays until what it speaks of is settled.
    """
    recovered = Recovered()
    try:
        notes, damaged = read_notes(session.layout.state_dir)
    except OSError as error:
        raise ManifestError(
            f"the notes of clones in {session.layout.state_dir} cannot be read: {error.strerror or error}",
            hint="Put a directory of your own in its place, or remove it.",
        ) from error
    _sweep_temporary_files(session)
    for bad in damaged:
        recovered.notes.append(f"{bad.path.name} in .grex/state {bad.reason}; it was left there")
    for note in sorted(notes, key=lambda found: found.pack):
        try:
            recovered.notes.append(await _settle(session, note))
        except GrexError as error:
            recovered.failures[note.pack] = error
    return recovered


async def _settle(session: Session, note: CloneNote) -> str:
    root = session.layout.root / note.target
    temp = session.layout.root / note.temp
    state_dir = session.layout.state_dir
    if not _is_plausible(session, note):
        return f"{note.pack}: a note about an interrupted clone does not fit what is there; it was left in .grex/state"
    if not root.parent.is_dir():
        remove_note(state_dir, note.id)
        return f"{note.pack}: forgot an interrupted clone whose directory is gone"
    async with session.holds.pack(note.pack, root, "disk") as hold, session.holds.backend(note.pack, root) as _backend:
        said = f"{note.pack}: cleared an interrupted clone"
        if note.entries is not None and not (root / ".git").exists() and (temp / ".git").is_dir():
            try:
                resume_move(temp, root, note.entries)
                said = f"{note.pack}: finished an interrupted clone"
            except FilesInTheWayError:
                said = f"{note.pack}: took back an interrupted clone, because files are in its way now"
                said += f"; what it had brought already is kept in {_keep(session, note, temp)}"
        if (root / ".git").is_dir():
            hold.link_into(root / ".git")
            state = observe(root)
            if state.record is not None and note.pack not in session.folded.packs:
                record = state.record
                await session.record(
                    note.pack,
                    [
                        add_event(note.pack, url=note.url, ref=note.ref, owned=True),
                        sync_event(note.pack, sha=record.sha, branch=record.branch),
                    ],
                )
        remove_tree(temp)
        remove_note(state_dir, note.id)
    return said


def _is_plausible(session: Session, note: CloneNote) -> bool:
    """Whether a clone of ours could have written this note: nothing that it names leads anywhere else."""
    top = canonical(session.layout.root)
    root, temp = top / note.target, top / note.temp
    return (
        canonical(session.layout.pack_dir(note.pack)) == canonical(root) == root
        and canonical(temp) == temp
        and (temp.is_dir() or not os.path.lexists(temp))
    )


def _keep(session: Session, note: CloneNote, temp: Path) -> str:
    """Move what came back from the pack's directory to the trash: the user may have worked on it in between."""
    kept = move_to_trash(temp, session.layout.trash_dir, note.pack)
    return kept.relative_to(session.layout.root).as_posix()


def _sweep_temporary_files(session: Session) -> None:
    """Files that a killed replacement left beside their target, in the directories that only grex writes to."""
    layout = session.layout
    for directory in (layout.root, layout.root / ".grex", layout.state_dir):
        try:
            entries = list(directory.iterdir())
        except OSError:
            continue
        for entry in entries:
            if entry.name.startswith(GREX_TMP_PREFIX) and _is_ours(entry):
                entry.unlink(missing_ok=True)


def _is_ours(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False
