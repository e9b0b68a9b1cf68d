"""Cleans, at the start of a run, what a killed run left and what is provably ours. It needs no flag.

Proof is a durable note written before the thing it speaks of. Clone notes in `.grex/state/` name a temporary directory
and where its entries were to go; whoever holds WORKSPACE, the pack and its BACKEND knows that the run that wrote it is
dead, its git children included, because those would still hold BACKEND. Notes inside a pack's git directory are looked
after when that pack is visited (`grex.git.recover`).

A note alone is not proof enough: `.grex/state/` lies in the workspace, and a workspace is often a clone of somebody
else's repository, which may ship notes, and symlinks under the names that they mention. What a note says is therefore
held against the disk: it must speak of a place where a pack may lie, and of a temporary directory that is a real one.

Once entries have been moved into the pack, its directory is in sight, and anybody may have worked there. What goes back
to the temporary directory after that is moved to the trash, never deleted.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from msgspec import Struct, field

from grex.engine.cloning import noted_places
from grex.engine.places import misplaced
from grex.engine.session import Session
from grex.engine.sharing import lent_place
from grex.errors import GrexError, ManifestError, PackError
from grex.fs import move_to_trash, remove_tree, sweep_temporary_files
from grex.git import FilesInTheWayError, observe, resume_move
from grex.git.kinship import scratch_repositories
from grex.manifest import CloneNote, add_event, read_notes, remove_note, sync_event
from grex.plugin.fetching import FETCHED, sweep_fetches

__all__ = ["Recovered", "recover_workspace"]


class Recovered(Struct):
    """What was found and what became of it: one line each, sorted; and the packs that could not be mended."""

    notes: list[str] = field(default_factory=list)
    failures: dict[str, GrexError] = field(default_factory=dict)


async def recover_workspace(session: Session) -> Recovered:
    """Finish or take back the clones of dead runs, and sweep their temporary files.

    Tiers: WORKSPACE is held by the caller; each note takes PERMIT, PACK, BACKEND and MANIFEST. Cancellation: a note
    stays until what it speaks of is settled.
    """
    recovered = Recovered()
    for directory in (session.layout.state_dir, session.layout.trash_dir):
        if directory.is_symlink():
            raise ManifestError(
                f"{directory} is a symbolic link, and grex writes and removes there only inside the workspace",
                hint="Remove the link; a directory is made when it is needed.",
            )
    _sweep_temporary_files(session)
    notes, damaged = read_notes(session.layout.state_dir)
    for bad in damaged:
        recovered.notes.append(f"{bad.path.name} in .grex/state {bad.reason}; it was left there")
    for note in sorted(notes, key=lambda found: found.pack):
        try:
            recovered.notes.append(await _settle(session, note))
        except GrexError as error:
            recovered.failures[note.pack] = error
        except OSError as error:
            what = error.strerror or str(error)
            recovered.failures[note.pack] = PackError(
                f"{note.pack}: an interrupted clone could not be cleaned up: {what} ({error.filename or note.temp})",
                hint="Check the permissions and the disk there, then sync again.",
            )
    return recovered


async def _settle(session: Session, note: CloneNote) -> str:
    root, temp = noted_places(session.layout.root, note)
    state_dir = session.layout.state_dir
    if not _is_plausible(session, note, temp):
        return f"{note.pack}: a note about an interrupted clone does not fit what is there; it was left in .grex/state"
    if not root.parent.is_dir():
        remove_note(state_dir, note.id)
        return f"{note.pack}: forgot an interrupted clone whose directory is gone"
    async with session.holds.pack(note.pack, root, "disk") as hold, session.holds.backend(note.pack, root) as _backend:
        said = f"{note.pack}: cleared an interrupted clone"
        if note.entries is not None and (root / ".git").is_dir() and not (temp / ".git").exists():
            said = f"{note.pack}: finished an interrupted clone"  # but for its record, all of it was there
        elif note.entries is not None and not (root / ".git").exists() and (temp / ".git").is_dir():
            try:
                resume_move(temp, root, note.entries)
                said = f"{note.pack}: finished an interrupted clone"
            except FilesInTheWayError:
                # What was in the pack for a while may have been edited there, so it is not ours alone any more.
                kept = move_to_trash(temp, session.layout.trash_dir, note.pack)
                said = (
                    f"{note.pack}: took back an interrupted clone, because files are in its way now; "
                    f"what it had brought is in {os.path.relpath(kept, session.layout.root)}"
                )
        if (root / ".git").is_dir():
            hold.link_into(root / ".git")
            state = observe(root)
            record, known = state.record, session.folded.packs.get(note.pack)
            if record is not None and (
                known is None or not known.owned or known.sha != record.sha or known.installed is not None
            ):
                await session.record(
                    note.pack,
                    [
                        add_event(note.pack, url=note.url, ref=note.ref, owned=True),
                        sync_event(note.pack, sha=record.sha, branch=record.branch),
                    ],
                )
        remove_tree(temp)
        if not lent_place(temp).is_symlink():
            remove_tree(lent_place(temp))
        remove_note(state_dir, note.id)
    return said


def _is_plausible(session: Session, note: CloneNote, temp: Path) -> bool:
    """Whether a clone of ours could have written this note: nothing that it names leads where a clone would not go."""
    return (
        note.pack == note.target
        and misplaced(session.layout.root, note.pack) is None
        and not temp.is_symlink()
        and (temp.is_dir() or not os.path.lexists(temp))
    )


def _sweep_temporary_files(session: Session) -> None:
    """Files that a killed replacement left beside their target, in the directories that only grex writes to."""
    layout = session.layout
    for directory in (layout.root, layout.grex_dir, layout.state_dir, layout.trash_dir):
        sweep_temporary_files(directory)
    for scratch in scratch_repositories(layout.state_dir):
        with contextlib.suppress(OSError):  # a git of the dead run may still write there; the next one sweeps it
            remove_tree(scratch)
    sweep_fetches(layout.state_dir / FETCHED)
