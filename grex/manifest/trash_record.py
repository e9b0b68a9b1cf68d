"""What was moved to the trash, and why: `.grex/trash/<utc>.json` beside `.grex/trash/<utc>/`.

A record is written before the move, so at no moment does something lie in the trash of which nobody knows whose it
was; and it is removed after what it speaks of has left the trash, back to its place or for good. Each record is about
one thing: a pack's place as a whole, a link that stood there, or some files of a checkout.

A record is no proof of anything: the trash lies in the workspace, which may be a clone of somebody else's repository.
Whoever acts on one holds what it says against the disk. `restoring` names the very directory that is on its way back
(device and inode, which a rename keeps), so that a restore that was killed can be told from a directory that somebody
else has made in that place.

The format is described in `docs/reference/trash.md`.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Final, Literal, cast

from msgspec import Struct

from grex.fs import fsync_dir, parse_stamp, read_regular, replace_file
from grex.manifest.credentials import refuse_credentials
from grex.manifest.strict_json import DamageError, Json, load_object, render_object
from grex.names import check_pack_path

__all__ = [
    "MovedFrom",
    "TrashKind",
    "TrashRecord",
    "read_trash_record",
    "remove_trash_record",
    "trash_record_path",
    "write_trash_record",
]

TrashKind = Literal["whole", "link", "files", "fork"]

_VERSION: Final = "1"
_KINDS: Final = ("whole", "link", "files", "fork")
_LIMIT_BYTES: Final = 16 << 20  # of a checkout with a hundred thousand edited files
_TEXTS: Final = ("path", "why", "verb", "moved_at")
_OPTIONAL_TEXTS: Final = ("url", "ref", "branch", "head", "declaration", "directory")


class MovedFrom(Struct, frozen=True):
    """Which file or directory it is that moves: a rename keeps both numbers."""

    device: int
    inode: int


class TrashRecord(Struct, frozen=True, kw_only=True):
    """One thing in the trash.

    Attributes:
        stamp: the directory's name, the moment of the move as a file name.
        path: the pack, from the workspace root.
        kind: `whole` is all that stood at the pack's path, `link` a link that stood there, `files` some of a checkout,
            `fork` a fork, which lay elsewhere.
        url: where the pack comes from, redacted; None where nothing says so.
        ref: what was declared.
        branch: the branch that HEAD was on.
        head: the commit of HEAD.
        owned: whether the log said that grex had made it.
        why: one sentence.
        verb: which verb moved it.
        moved_at: when, as the log writes it.
        entries: of `files`, which, from the pack.
        declaration: the entry that the root's pack.yaml loses with it, as it was written, as the only one of a list.
        directory: of a fork, where it was; absolute. Of files, the fork that had them: they have no place any more.
        restoring: what is on its way back.
    """

    stamp: str
    path: str
    kind: TrashKind
    url: str | None = None
    ref: str | None = None
    branch: str | None = None
    head: str | None = None
    owned: bool = False
    why: str
    verb: str
    moved_at: str
    entries: tuple[str, ...] = ()
    declaration: str | None = None
    directory: str | None = None
    restoring: MovedFrom | None = None


def trash_record_path(trash_dir: Path, stamp: str) -> Path:
    """Where the record of a directory in the trash lies."""
    return trash_dir / f"{stamp}.json"


def write_trash_record(trash_dir: Path, record: TrashRecord) -> None:
    """Write a record, or replace the one of the same stamp; it is durable when this returns.

    Raises:
        OSError: nothing was changed.
        ValueError: the record cannot be written: a bug in the caller.
    """
    if record.url is not None:
        refuse_credentials(record.url)
    value: dict[str, Json] = {
        "schema_version": _VERSION,
        "path": record.path,
        "kind": record.kind,
        "url": record.url,
        "ref": record.ref,
        "branch": record.branch,
        "head": record.head,
        "owned": record.owned,
        "why": record.why,
        "verb": record.verb,
        "moved_at": record.moved_at,
        "entries": list(record.entries),
        "declaration": record.declaration,
        "directory": record.directory,
        "restoring": (
            None if record.restoring is None else {"device": record.restoring.device, "inode": record.restoring.inode}
        ),
    }
    _parse(dict(value), record.stamp)
    replace_file(trash_record_path(trash_dir, record.stamp), render_object(value, {}, limit_bytes=_LIMIT_BYTES))


def read_trash_record(trash_dir: Path, stamp: str) -> TrashRecord | None:
    """The record of a directory in the trash; None where there is none.

    Raises:
        ValueError: there is one, and it cannot be used; the message is the end of a sentence that begins with it.
    """
    try:
        data = read_regular(trash_record_path(trash_dir, stamp), limit_bytes=_LIMIT_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DamageError(f"cannot be read: {error.strerror}") from error
    return _parse(load_object(data, limit_bytes=_LIMIT_BYTES), stamp)


def remove_trash_record(trash_dir: Path, stamp: str) -> None:
    """Remove a record; durable when this returns. One that is gone is fine.

    Raises:
        OSError: it is still there.
    """
    with contextlib.suppress(FileNotFoundError):
        trash_record_path(trash_dir, stamp).unlink()
    fsync_dir(trash_dir)


def _parse(value: dict[str, Any], stamp: str) -> TrashRecord:
    """Insist on a record.

    Raises:
        DamageError: it is none.
    """
    if value.get("schema_version") != _VERSION:
        raise DamageError(f"has a schema_version that this grex does not read: {value.get('schema_version')!r}")
    if parse_stamp(stamp) is None:
        raise DamageError("is not named after a moment")
    for name in _TEXTS:
        if not isinstance(value.get(name), str):
            raise DamageError(f"has no text {name!r}")
    for name in _OPTIONAL_TEXTS:
        if not isinstance(value.get(name), str | None):
            raise DamageError(f"has a {name!r} that is no text")
    wrong = check_pack_path(value["path"])
    if wrong is not None:
        raise DamageError(f"has a 'path' that {wrong}")
    if value.get("kind") not in _KINDS or not isinstance(value.get("owned"), bool):
        raise DamageError("says neither what it is about nor whose it was")
    entries, restoring = value.get("entries"), value.get("restoring")
    optional: dict[str, Any] = {name: value.get(name) for name in _OPTIONAL_TEXTS}
    if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
        raise DamageError("has 'entries' that are no list of texts")
    return TrashRecord(
        stamp=stamp,
        kind=cast("TrashKind", value["kind"]),
        owned=value["owned"],
        entries=tuple(entries),
        restoring=None if restoring is None else _moved_from(restoring),
        **{name: value[name] for name in _TEXTS},
        **optional,
    )


def _moved_from(value: object) -> MovedFrom:
    if not isinstance(value, dict) or not all(type(value.get(name)) is int for name in ("device", "inode")):
        raise DamageError("has a 'restoring' that names no file")
    return MovedFrom(value["device"], value["inode"])
