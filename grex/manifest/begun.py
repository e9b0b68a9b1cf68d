"""Notes about workspaces that are being cloned, in the user's state directory: `clones/<hash of the place>.json`.

They cannot lie in the workspace, which is not there yet. A note is written before the first byte of the clone and
removed when the first sync of the workspace has ended. Whoever runs the same command again knows by it which temporary
directory is its own, and that a directory that is not empty is what an earlier run has begun.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from grex.fs import TEMP_PREFIX, fsync_dir, read_regular, replace_file
from grex.manifest.credentials import refuse_credentials
from grex.manifest.strict_json import DamageError, Json, load_object, render_object

__all__ = ["BegunClone", "read_begun", "remove_begun", "write_begun"]

_VERSION: Final = 1
_LIMIT_BYTES: Final = 16 << 20


class BegunClone(Struct, frozen=True):
    """A clone of a workspace that is under way.

    Attributes:
        target: where the workspace is to be; absolute.
        temp: the name of the temporary directory beside it, or in it.
        url: the identity of what is cloned, without credentials.
        entries: what is moved from there into `target`, which was there and empty; None where `target` is made.
        is_inside: whether the temporary directory lies in `target`, which was there and empty.
    """

    target: Path
    temp: str
    url: str
    entries: tuple[str, ...] | None = None
    is_inside: bool = False

    @property
    def temp_path(self) -> Path:
        """The temporary directory."""
        return (self.target if self.is_inside else self.target.parent) / self.temp


def write_begun(state_dir: Path, note: BegunClone) -> None:
    """Write a note, or replace the one about the same place; it is durable when this returns.

    Raises:
        OSError: nothing was changed.
    """
    refuse_credentials(note.url)
    value: dict[str, Json] = {
        "v": _VERSION,
        "target": str(note.target),
        "temp": note.temp,
        "url": note.url,
        "entries": note.entries,
        "is_inside": note.is_inside,
    }
    path = _path_of(state_dir, note.target)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    replace_file(path, render_object(value, {}, limit_bytes=_LIMIT_BYTES), mode=0o600)


def read_begun(state_dir: Path, target: Path) -> BegunClone | None:
    """The note about a place; None where there is none that can be used."""
    try:
        value = load_object(
            read_regular(_path_of(state_dir, target), limit_bytes=_LIMIT_BYTES), limit_bytes=_LIMIT_BYTES
        )
        return _parse(value, target)
    except (OSError, DamageError):
        return None


def remove_begun(state_dir: Path, target: Path) -> None:
    """Remove a note, durably; one that is not there is fine.

    Raises:
        OSError: it is still there.
    """
    path = _path_of(state_dir, target)
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
        fsync_dir(path.parent)


def _path_of(state_dir: Path, target: Path) -> Path:
    digest = hashlib.sha256(os.fsencode(target)).hexdigest()[:32]
    return state_dir / "clones" / f"{digest}.json"


def _parse(value: dict[str, Any], target: Path) -> BegunClone:
    temp, url, entries = value.get("temp"), value.get("url"), value.get("entries")
    if value.get("v") != _VERSION or value.get("target") != str(target) or not isinstance(url, str):
        raise DamageError("is of another place")
    if not isinstance(temp, str) or not temp.startswith(TEMP_PREFIX) or "/" in temp or "\0" in temp:
        raise DamageError("has a 'temp' that is no temporary directory of grex")
    if entries is not None:
        if not isinstance(entries, list) or not all(isinstance(name, str) and name for name in entries):
            raise DamageError("has 'entries' that are no list of texts")
        if any(not {"", ".", ".."}.isdisjoint(name.split("/")) for name in entries):
            raise DamageError("has an entry that is no path below the workspace")
    is_inside = value.get("is_inside", False)
    if not isinstance(is_inside, bool):
        raise DamageError("does not say where its 'temp' is")
    return BegunClone(target, temp, url, None if entries is None else tuple(entries), is_inside)
