"""What is known of forks: a record of each in the workspace whose repositories it shares, a mark in the fork itself.

The **record**, `.grex/state/forks/<id>.json`, is written before anything of the fork is made and removed after the last
of it is gone. It names every branch that may have been made, with the commit at which it begins; so whoever comes after
a kill knows them from those of the user. It is not changed in between.

The **mark**, `.grex/state/fork.json` in the fork, says whose fork it is and how far it has come: `making`, `whole`,
`removing`. It is the first file of the fork, and is changed under the fork's own WORKSPACE.

A fork that is made in a fork shares the same repositories, and is recorded where that one is (`home`), so the fork in
between may go.

Both are JSON objects of version 1, replaced atomically and durably. They lie in a workspace, which may be the clone of
somebody else's repository: paths are checked as those of a pack.yaml are, and what they name is believed only as far as
git says the same.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, TypeVar

import msgspec
from msgspec import Struct

from grex.errors import ManifestError
from grex.fs import fsync_dir, read_regular, replace_file, sweep_temporary_files
from grex.manifest.strict_json import DamageError, load_object, render_object
from grex.names import check_pack_path, check_ref, is_full_sha

__all__ = [
    "FORK_ROOT",
    "ForkMark",
    "ForkPack",
    "ForkRecord",
    "ForkStage",
    "read_fork_mark",
    "read_fork_records",
    "remove_fork_record",
    "write_fork_mark",
    "write_fork_record",
]

FORK_ROOT: Final = "."
"""The path of the workspace's own repository among the packs of a fork."""

ForkStage = Literal["making", "whole", "removing"]

_VERSION: Final = 1
_LIMIT_BYTES = 16 << 20
_ID = re.compile(r"[0-9a-f]{12}", re.ASCII)
_PLACES = ("directory", "home", "source", "base")
_MARK = "fork.json"
_RECORDS = "forks"

T = TypeVar("T", "ForkRecord", "ForkMark")


class ForkPack(Struct, frozen=True):
    """A pack of a fork: its path (`.` for the workspace's own repository), its branch, and where that begins."""

    path: str
    branch: str
    sha: str


class ForkRecord(Struct, frozen=True):
    """A fork, as the workspace knows it whose repositories it shares.

    Attributes:
        id: of the fork; its mark has the same.
        directory: where it is.
        source: the workspace of which it was made: this one, or a fork of it.
        branch: the branch of its packs.
        provider: how its directories are made.
        created_at: when, as the log writes it.
        packs: all that may have been made.
    """

    id: str
    directory: str
    source: str
    branch: str
    provider: str
    created_at: str
    packs: tuple[ForkPack, ...]


class ForkMark(Struct, frozen=True):
    """What a fork is told of itself.

    Attributes:
        id: as in its record.
        home: the workspace that has the record.
        source: the workspace of which it was made.
        base: the directory at which relative URLs start.
        branch: the branch of its packs.
        stage: how far it has come.
        packs: what was made, and stands on which branch; all that may have been while it is being made.
        left_out: paths of packs that it does not have although they are declared.
        copied: of the files that were copied from the source, by their names, the SHA-256.
        heads: where HEAD of each pack was when the fork was taken away, by path.
    """

    id: str
    home: str
    source: str
    base: str
    branch: str
    stage: ForkStage
    packs: tuple[ForkPack, ...] = ()
    left_out: tuple[str, ...] = ()
    copied: Mapping[str, str] = {}
    heads: Mapping[str, str] = {}

    def branch_of(self, path: str) -> str | None:
        """The branch that was made for a pack of the fork; None for a pack that came otherwise."""
        return next((pack.branch for pack in self.packs if pack.path == path), None)


def write_fork_record(state_dir: Path, record: ForkRecord) -> None:
    """Write the record of a new fork, durably.

    Raises:
        OSError: nothing was changed.
    """
    _write(state_dir / _RECORDS / f"{record.id}.json", record)


def read_fork_records(state_dir: Path) -> tuple[list[ForkRecord], list[str]]:
    """All records, the oldest first; and a sentence for each file that should be one and is none.

    Raises:
        OSError: the directory cannot be listed; one that is not there has no records.
    """
    records: list[ForkRecord] = []
    damaged: list[str] = []
    try:
        paths = sorted((state_dir / _RECORDS).glob("*.json"))
    except FileNotFoundError:
        return [], []
    for path in paths:
        try:
            record = _read(path, ForkRecord)
            if f"{record.id}.json" != path.name:
                raise DamageError(f"is the record {record.id!r} under another name")  # noqa: TRY301 - told in one place
            records.append(record)
        except FileNotFoundError:
            continue  # its fork was removed in this moment
        except (DamageError, OSError) as error:
            damaged.append(f"{path}: the record of a fork {error}")
    records.sort(key=lambda record: (record.created_at, record.id))
    return records, damaged


def remove_fork_record(state_dir: Path, fork_id: str) -> None:
    """Remove a record, durably; one that is not there is fine.

    Raises:
        OSError: it is still there.
    """
    path = state_dir / _RECORDS / f"{fork_id}.json"
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
        fsync_dir(path.parent)


def write_fork_mark(state_dir: Path, mark: ForkMark) -> None:
    """Write or replace the mark of a fork, durably.

    Raises:
        OSError: nothing was changed.
    """
    _write(state_dir / _MARK, mark)


def read_fork_mark(state_dir: Path) -> ForkMark | None:
    """What a workspace is told of itself as a fork; None for one that is none.

    Raises:
        ManifestError: the file cannot be used.
    """
    path = state_dir / _MARK
    try:
        return _read(path, ForkMark)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (DamageError, OSError) as error:
        raise ManifestError(
            f"{path}: what says whose fork this is {error}",
            hint="Restore the file, or remove it to let the directory be a workspace like any other.",
            details={"file": str(path)},
        ) from error


def _write(path: Path, value: ForkRecord | ForkMark) -> None:
    data = render_object({"v": _VERSION, **msgspec.to_builtins(value)}, {}, limit_bytes=_LIMIT_BYTES)
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        fsync_dir(path.parent.parent)
    sweep_temporary_files(path.parent)
    replace_file(path, data)


def _read(path: Path, kind: type[T]) -> T:
    value = load_object(read_regular(path, limit_bytes=_LIMIT_BYTES), limit_bytes=_LIMIT_BYTES)
    if value.get("v") != _VERSION:
        raise DamageError(f"has the version {value.get('v')!r}, which this grex does not read")
    try:
        found = msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise DamageError(f"is damaged: {error}") from None
    if _ID.fullmatch(found.id) is None:
        raise DamageError(f"has the id {found.id!r}, which is none")
    for place in (value[key] for key in _PLACES if key in value):
        if not place.startswith("/") or "\0" in place:
            raise DamageError(f"names the place {place!r}, which is no absolute path")
    for pack in found.packs:
        reason = None if pack.path == FORK_ROOT else check_pack_path(pack.path)
        reason = reason or check_ref(pack.branch) or (None if is_full_sha(pack.sha) else "has no commit")
        if reason is not None:
            raise DamageError(f"has the pack {pack.path!r}, which {reason}")
    return found
