"""Unpacks an archive that a stranger made into a directory, and lets nothing of it out.

Every name is judged before anything is written under it; nothing is written through a link, because no directory on
the way may be one; and where the links lead is asked when everything is there, before anybody sees it. Sizes are
counted as they are written: what an archive says about itself is not relied on.
"""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from anyio.from_thread import check_cancelled

__all__ = ["UnsafeArchiveError", "remove", "unpack"]

LIMIT_BYTES = 4 << 30
LIMIT_ENTRIES = 200_000
_PIECE_BYTES = 1 << 18
_LINK_TEXT_BYTES = 4096


class UnsafeArchiveError(Exception):
    """The archive cannot be unpacked, or must not be; the message is the reason."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """One member: `file`, `directory`, `link` (to `target`), `copy` (of `target`), or anything else."""

    name: str
    kind: str
    mode: int = 0o644
    target: str = ""
    content: IO[bytes] | None = None


def unpack(archive: Path, into: Path, *, strip: int = 0) -> None:
    """Unpack an archive into a directory that is there and empty. To be called in a worker thread of anyio.

    Raises:
        UnsafeArchiveError: it is no archive, or must not be unpacked; a part of it may have been.
        OSError: the disk refuses.
    """
    left, count = LIMIT_BYTES, 0
    try:
        for entry in _zip(archive) if zipfile.is_zipfile(archive) else _tar(archive):
            count += 1
            if count > LIMIT_ENTRIES:
                raise UnsafeArchiveError(f"it has more than {LIMIT_ENTRIES} entries")
            parts = _parts(entry.name)[strip:]
            if parts:
                left = _write(entry, into, parts, strip, left)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, ValueError, RuntimeError) as error:
        raise UnsafeArchiveError(f"it cannot be read: {error}") from error
    except OSError as error:
        if error.errno is None:  # gzip tells so that the data is damaged
            raise UnsafeArchiveError(f"it cannot be read: {error}") from error
        raise
    _check_links(into)
    if not any(into.iterdir()):
        raise UnsafeArchiveError("nothing is in it" + (f" below {strip} directories" if strip else ""))


def _parts(name: str) -> list[str]:
    if name.startswith("/") or "\\" in name or "\0" in name or ":" in name.partition("/")[0]:
        raise UnsafeArchiveError(f"the name {name!r} is not relative")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise UnsafeArchiveError(f"the name {name!r} leads out of it")
    return parts


def _write(entry: _Entry, into: Path, parts: list[str], strip: int, left: int) -> int:
    """Write one entry; gives how many bytes may still come."""
    path = into.joinpath(*parts)
    directory = into
    for part in parts[:-1]:
        directory /= part
        if directory.is_symlink() or (directory.exists() and not directory.is_dir()):
            raise UnsafeArchiveError(f"{entry.name!r} goes through {directory.name!r}, which is no directory")
        directory.mkdir(exist_ok=True)
    if entry.kind == "directory":
        if path.is_symlink():
            raise UnsafeArchiveError(f"{entry.name!r} is there twice")
        path.mkdir(exist_ok=True)
        return left
    if os.path.lexists(path):
        raise UnsafeArchiveError(f"{entry.name!r} is there twice")
    if entry.kind == "link":
        if not entry.target or entry.target.startswith("/"):
            raise UnsafeArchiveError(f"the link {entry.name!r} leads out of it")
        path.symlink_to(entry.target)
        return left
    if entry.kind == "copy":
        source = into.joinpath(*_parts(entry.target)[strip:])
        if source.resolve() != source.absolute() or not source.is_file():
            raise UnsafeArchiveError(f"the link {entry.name!r} is not to a file before it")
        with source.open("rb") as content:
            return _write_file(content, path, stat.S_IMODE(source.stat().st_mode), left)
    if entry.kind != "file" or entry.content is None:
        raise UnsafeArchiveError(f"{entry.name!r} is neither a file nor a directory nor a link")
    # The owner may read and write it, nobody but the owner may write it, and it runs as whoever starts it.
    return _write_file(entry.content, path, (entry.mode & 0o755) | 0o600, left)


def _write_file(content: IO[bytes], path: Path, mode: int, left: int) -> int:
    with path.open("xb") as file:
        while piece := content.read(_PIECE_BYTES):
            check_cancelled()
            left -= len(piece)
            if left < 0:
                raise UnsafeArchiveError(f"it holds more than {LIMIT_BYTES} bytes")
            file.write(piece)
    path.chmod(mode)
    return left


def _tar(archive: Path) -> Iterator[_Entry]:
    with tarfile.open(archive, "r:*") as tar:
        for member in tar:
            if member.isdir():
                yield _Entry(member.name, "directory")
            elif member.isreg():
                yield _Entry(member.name, "file", member.mode, content=tar.extractfile(member))
            elif member.issym():
                yield _Entry(member.name, "link", target=member.linkname)
            elif member.islnk():
                yield _Entry(member.name, "copy", target=member.linkname)
            else:
                yield _Entry(member.name, "other")


def _zip(archive: Path) -> Iterator[_Entry]:
    with zipfile.ZipFile(archive) as found:
        for info in found.infolist():
            mode = info.external_attr >> 16
            if info.is_dir():
                yield _Entry(info.filename, "directory")
                continue
            with found.open(info) as content:
                if stat.S_ISLNK(mode):
                    target = content.read(_LINK_TEXT_BYTES).decode("utf-8")
                    yield _Entry(info.filename, "link", target=target)
                elif stat.S_IFMT(mode) in (0, stat.S_IFREG):
                    yield _Entry(info.filename, "file", mode or 0o644, content=content)
                else:
                    yield _Entry(info.filename, "other")


def _check_links(root: Path) -> None:
    real = os.path.realpath(root)
    for directory, names, files in os.walk(root):
        for name in (*names, *files):
            path = Path(directory, name)
            if path.is_symlink() and not os.path.realpath(path).startswith(f"{real}/"):
                raise UnsafeArchiveError(f"the link {path.relative_to(root).as_posix()!r} leads out of it")


def remove(path: Path) -> None:
    """Remove a directory that was unpacked, whatever its permissions became."""
    shutil.rmtree(path)
