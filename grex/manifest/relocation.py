"""The note about a pack that is moving to another path: `.grex/state/relocation.json`.

It is written before the one rename that moves the checkout, and removed after everything that speaks of the old path
speaks of the new one. There is at most one, because whoever moves a pack holds WORKSPACE. It names the very directory
that moves (device and inode, which a rename keeps): `.grex/state/` lies in the workspace, whose repository may ship a
note, and then nobody here has written it before anything. Whoever acts on a note holds both numbers against the disk.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from grex.fs import fsync_dir, read_regular, replace_file
from grex.manifest.strict_json import DamageError, Json, load_object, render_object
from grex.manifest.trash_record import MovedFrom
from grex.names import check_pack_path

__all__ = ["RelocationNote", "read_relocation", "relocation_path", "remove_relocation", "write_relocation"]

_VERSION: Final = 1
_LIMIT_BYTES: Final = 64 << 10


class RelocationNote(Struct, frozen=True):
    """A pack that was about to move.

    Attributes:
        old: the path that it is moved from, from the workspace root.
        new: the path that it is moved to.
        moved: the directory that moves.
        created_at: when, as the log writes it.
    """

    old: str
    new: str
    moved: MovedFrom
    created_at: str


def relocation_path(state_dir: Path) -> Path:
    """Where the note lies."""
    return state_dir / "relocation.json"


def write_relocation(state_dir: Path, note: RelocationNote) -> None:
    """Write the note; it is durable when this returns.

    Raises:
        OSError: it could not be written; nothing may be moved then.
    """
    value: dict[str, Json] = {
        "v": _VERSION,
        "old": note.old,
        "new": note.new,
        "device": note.moved.device,
        "inode": note.moved.inode,
        "created_at": note.created_at,
    }
    if not state_dir.is_dir():
        state_dir.mkdir(parents=True, exist_ok=True)
        fsync_dir(state_dir.parent)
    replace_file(relocation_path(state_dir), render_object(value, {}, limit_bytes=_LIMIT_BYTES))


def read_relocation(state_dir: Path) -> RelocationNote | None:
    """The note; None where there is none.

    Raises:
        ValueError: there is one, and it cannot be used; the message is the end of a sentence that begins with it.
    """
    try:
        data = read_regular(relocation_path(state_dir), limit_bytes=_LIMIT_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DamageError(f"cannot be read: {error.strerror}") from error
    return _parse(load_object(data, limit_bytes=_LIMIT_BYTES))


def remove_relocation(state_dir: Path) -> None:
    """Remove the note, durably; one that is not there is fine.

    Raises:
        OSError: it is still there.
    """
    with contextlib.suppress(FileNotFoundError):
        relocation_path(state_dir).unlink()
        fsync_dir(state_dir)


def _parse(value: dict[str, Any]) -> RelocationNote:
    if value.get("v") != _VERSION:
        raise DamageError(f"has the version {value.get('v')!r}, which this grex does not read")
    for key in ("old", "new", "created_at"):
        if not isinstance(value.get(key), str):
            raise DamageError(f"has no text {key!r}")
    for key in ("old", "new"):
        wrong = check_pack_path(value[key])
        if wrong is not None:
            raise DamageError(f"has a {key!r} that {wrong}")
    if not all(type(value.get(key)) is int for key in ("device", "inode")):
        raise DamageError("names no directory")
    return RelocationNote(value["old"], value["new"], MovedFrom(value["device"], value["inode"]), value["created_at"])
