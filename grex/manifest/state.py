"""Notes about clones that are under way, in `.grex/state/`.

A clone happens in a temporary directory beside the pack and is then moved in, entry by entry, `.git` last. The note
is written before each of these two begins and removed after both, so that whoever comes after a crash can tell what
is grex's own from what is the user's: a temporary directory that a note names may be deleted, and entries that a
note names may be moved back; anything else may not.

| `entries` | state after a crash | recovery |
|---|---|---|
| None | the clone was running | the temporary directory is removed |
| names | the entries were being moved in | the move is finished, or taken back |

Paths are relative to the workspace: recovery in a copy of a workspace, notes included, must not reach into the
original, where that very clone may be running. And a note names for deletion only what bears the name of a temporary
directory of grex, whatever it says: the workspace's own repository may ship a note, and then nobody wrote it before
anything.

One file per note, `clone-<id>.json`, replaced atomically and flushed: notes of packs that are cloned in parallel need
no lock between them. A file that cannot be read is reported, not raised: one bad note must not keep the others from
being recovered.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from grex.fs import TEMP_PREFIX, fsync_dir, read_regular, replace_file
from grex.manifest.credentials import refuse_credentials
from grex.manifest.strict_json import DamageError, Json, load_object, render_object
from grex.names import check_pack_path

__all__ = ["CloneNote", "DamagedNote", "read_notes", "remove_note", "write_note"]

_VERSION: Final = 1
_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,127}", re.ASCII)
_PREFIX = "clone-"
_SUFFIX = ".json"
# A note lists the top level of a checkout, which may be wide: longer than a line of the log.
_LIMIT_BYTES = 16 << 20


class CloneNote(Struct, frozen=True):
    """A clone that has begun and is not known to be through.

    Attributes:
        id: of the note: letters, digits, `-` and `_`.
        pack: the pack's path from the workspace root.
        temp: the temporary directory, from the workspace root.
        target: the pack's directory, from the workspace root.
        url: what is cloned, redacted.
        ref: what was declared; None for the remote's own choice.
        entries: what is moved from `temp` to `target`, in this order; None before that begins.
        created_at: when, as the log writes it.
    """

    id: str
    pack: str
    temp: str
    target: str
    url: str
    ref: str | None
    entries: tuple[str, ...] | None
    created_at: str


class DamagedNote(Struct, frozen=True):
    """A file that should be a note and is none, and why, as the end of a sentence."""

    path: Path
    reason: str


def write_note(state_dir: Path, note: CloneNote) -> Path:
    """Write a note, or replace the one of the same id; it is durable when this returns.

    Raises:
        OSError: nothing was changed.
        ValueError: the note cannot be written: a bug in the caller.
    """
    path = _path_of(state_dir, note.id)
    refuse_credentials(note.url)
    _check(note)
    value: dict[str, Json] = {
        "v": _VERSION,
        "id": note.id,
        "pack": note.pack,
        "temp": note.temp,
        "target": note.target,
        "url": note.url,
        "ref": note.ref,
        "entries": note.entries,
        "created_at": note.created_at,
    }
    data = render_object(value, {}, limit_bytes=_LIMIT_BYTES)
    if not state_dir.is_dir():
        state_dir.mkdir(parents=True, exist_ok=True)
        fsync_dir(state_dir.parent)
    replace_file(path, data)
    return path


def read_notes(state_dir: Path) -> tuple[list[CloneNote], list[DamagedNote]]:
    """All notes, the oldest first, and the files that should be notes and are none.

    Raises:
        OSError: the directory itself cannot be listed; one that is not there has no notes.
    """
    try:
        paths = sorted(path for path in state_dir.iterdir() if _is_note(path.name))
    except FileNotFoundError:
        return [], []
    notes: list[CloneNote] = []
    damaged: list[DamagedNote] = []
    for path in paths:
        try:
            notes.append(_parse(read_regular(path, limit_bytes=_LIMIT_BYTES), path))
        except FileNotFoundError:
            continue  # its clone has finished meanwhile
        except DamageError as error:
            damaged.append(DamagedNote(path, str(error)))
        except OSError as error:
            damaged.append(DamagedNote(path, f"cannot be read: {error.strerror}"))
    notes.sort(key=lambda note: (note.created_at, note.id))
    return notes, damaged


def remove_note(state_dir: Path, note_id: str) -> None:
    """Remove a note, durably; one that is not there is fine.

    Raises:
        OSError: it is still there.
        ValueError: this is no id.
    """
    path = _path_of(state_dir, note_id)
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
        fsync_dir(state_dir)


def _path_of(state_dir: Path, note_id: str) -> Path:
    if _ID.fullmatch(note_id) is None:
        raise ValueError(f"{note_id!r} is no id of a note")
    return state_dir / f"{_PREFIX}{note_id}{_SUFFIX}"


def _is_note(name: str) -> bool:
    return name.startswith(_PREFIX) and name.endswith(_SUFFIX)


def _parse(data: bytes, path: Path) -> CloneNote:
    value = load_object(data, limit_bytes=_LIMIT_BYTES)
    if value.get("v") != _VERSION:
        raise DamageError(f"has the version {value.get('v')!r}, which this grex does not read")
    note = CloneNote(
        id=_text(value, "id"),
        pack=_text(value, "pack"),
        temp=_text(value, "temp"),
        target=_text(value, "target"),
        url=_text(value, "url"),
        ref=None if value.get("ref") is None else _text(value, "ref"),
        entries=_entries(value.get("entries")),
        created_at=_text(value, "created_at"),
    )
    if path.name != f"{_PREFIX}{note.id}{_SUFFIX}":
        raise DamageError(f"is the note {note.id!r} under another name")
    _check(note)
    return note


def _check(note: CloneNote) -> None:
    """Refuse what recovery could be misled by: it deletes `temp`, and joins and renames the entries.

    Raises:
        DamageError: a path leaves the workspace, or an entry is no name.
    """
    # Notes lie in the workspace, whose repository may ship one: every path has to be one that a clone could have had.
    for key, path in (("pack", note.pack), ("target", note.target)):
        reason = check_pack_path(path)
        if reason is not None:
            raise DamageError(f"has a {key!r} that {reason}")
    place, _, name = note.temp.rpartition("/")
    if place != note.target.rpartition("/")[0] or not name.startswith(TEMP_PREFIX) or "\0" in name:
        raise DamageError("has a 'temp' that is no temporary directory of grex beside its 'target'")
    for name in note.entries or ():
        # A directory in which another pack lies already is entered, so an entry may be a path.
        if not {"", ".", ".."}.isdisjoint(name.split("/")) or "\0" in name:
            raise DamageError(f"has the entry {name!r}, which is no path below the pack")


def _text(value: Mapping[str, Any], key: str) -> str:
    found = value.get(key)
    if not isinstance(found, str):
        raise DamageError(f"has no {key!r}" if found is None else f"has a {key!r} that is not text")
    return found


def _entries(found: object) -> tuple[str, ...] | None:
    if found is None:
        return None
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise DamageError("has 'entries' that are not a list of text")
    return tuple(found)
