"""git's index file, read without a process.

Versions 2, 3 and 4, with SHA-1 or SHA-256 object ids, as in git's `gitformat-index`. Of the extensions only the root
of the cached tree is used. Optional extensions (upper-case first letter) never change what the entries mean and are
skipped; every required one - the split index (`link`), sparse directories (`sdir`), and whatever comes later - does,
so it makes the file unreadable here and git is asked instead. So does a checksum that does not fit.
"""

from __future__ import annotations

import hashlib
import os
import struct
from typing import NamedTuple

from grex.fs import open_regular, read_regular
from grex.git.config_file import parse_config
from grex.git.refs import GitDirs

__all__ = ["GITLINK", "REGULAR", "SYMLINK", "Index", "IndexEntry", "IndexUnreadableError", "parse_index", "read_index"]

REGULAR = 0o100000
SYMLINK = 0o120000
GITLINK = 0o160000

_HEADER = struct.Struct(">4sII")
_VERSIONS = (2, 3, 4)
_EXTENDED_SINCE = 3
_PREFIXED_SINCE = 4
_STAGE_SHIFT = 12
_STAGE_MASK = 0x3000
_EXTENDED = 0x4000
_ASSUME_VALID = 0x8000
_INTENT_TO_ADD = 0x2000
_SKIP_WORKTREE = 0x4000
_EXTENSION_HEADER = struct.Struct(">4sI")
_NS = 1_000_000_000
_CONFIG_BYTES = 1 << 20


class IndexUnreadableError(Exception):
    """This index cannot be read here; git has to be asked."""


class IndexEntry(NamedTuple):
    """One tracked path, with the status that its file had when git last looked."""

    path: bytes
    mode: int
    oid: bytes
    ctime_ns: int
    mtime_ns: int
    ino: int
    size: int
    """Modulo 2**32; 0 also for an entry that git wants to be compared by content."""
    stage: int
    assume_valid: bool
    skip_worktree: bool
    intent_to_add: bool


class Index(NamedTuple):
    """The entries in git's order, and the tree that they make where git has cached it."""

    entries: list[IndexEntry]
    tree: str | None
    """Id of the tree of all entries; None if something was staged since it was known."""
    mtime_ns: int
    """Of the index file: an entry that is not older may have changed after it was recorded."""


def read_index(dirs: GitDirs) -> Index:
    """Read the index of a checkout; one that does not exist is empty.

    Raises:
        IndexUnreadableError: git has to be asked.
    """
    algorithm = _object_format(f"{dirs.common}/config")
    if algorithm not in ("sha1", "sha256"):
        raise IndexUnreadableError(f"objects are named by {algorithm}")
    try:
        data, mtime_ns = _read(f"{dirs.own}/index")
    except FileNotFoundError:
        return Index([], None, 0)
    except OSError as error:
        raise IndexUnreadableError(str(error)) from error
    return parse_index(data, mtime_ns=mtime_ns, algorithm=algorithm)


def _object_format(config_file: str) -> str:
    """The algorithm that names objects; the file is taken apart only if it speaks of one, which hardly any does."""
    try:
        data = read_regular(config_file, limit_bytes=_CONFIG_BYTES)
    except OSError as error:
        raise IndexUnreadableError("the repository's configuration cannot be read") from error
    # git knows the key in any case; a value spread over continued lines would still have the name in one piece.
    if b"objectformat" not in data.lower():
        return "sha1"
    config = parse_config(data.decode("utf-8", "surrogateescape"))
    if config is None:
        raise IndexUnreadableError("the repository's configuration cannot be read")
    return config.get("extensions", "objectFormat") or "sha1"


def _read(path: str) -> tuple[bytes, int]:
    """The bytes and the time of one and the same file, though git may replace it meanwhile."""
    fd = open_regular(path)
    try:
        status = os.fstat(fd)
        pieces = []
        # One byte more than is expected, so that an unchanged file is read and its end seen in two calls.
        while piece := os.read(fd, status.st_size + 1):
            pieces.append(piece)
        return b"".join(pieces), status.st_mtime_ns
    finally:
        os.close(fd)


def parse_index(data: bytes, *, mtime_ns: int, algorithm: str = "sha1") -> Index:
    """Read the bytes of an index file.

    Raises:
        IndexUnreadableError: they are damaged, or of a kind that only git understands.
    """
    oid_size = hashlib.new(algorithm, usedforsecurity=False).digest_size
    if len(data) < _HEADER.size + oid_size:
        raise IndexUnreadableError("the file is too short")
    signature, version, count = _HEADER.unpack_from(data)
    if signature != b"DIRC" or version not in _VERSIONS:
        raise IndexUnreadableError(f"version {version} is not known")
    checksum = data[-oid_size:]
    # A file without a checksum (index.skipHash) carries zeros.
    if any(checksum) and hashlib.new(algorithm, data[:-oid_size], usedforsecurity=False).digest() != checksum:
        raise IndexUnreadableError("the checksum does not fit")
    try:
        entries, position = _parse_entries(data, version, count, oid_size)
        tree = _parse_extensions(data, position, oid_size)
    except (struct.error, IndexError, ValueError) as error:
        raise IndexUnreadableError(f"the file is damaged: {error}") from error
    return Index(entries, tree, mtime_ns)


def _parse_entries(data: bytes, version: int, count: int, oid_size: int) -> tuple[list[IndexEntry], int]:
    fixed = struct.Struct(f">10I{oid_size}sH")
    end = len(data) - oid_size
    entries: list[IndexEntry] = []
    position = _HEADER.size
    path = b""
    for _ in range(count):
        start = position
        if position + fixed.size > end:
            raise ValueError("an entry reaches past the end")
        ctime, ctime_ns, mtime, mtime_ns, _, ino, mode, _, _, size, oid, flags = fixed.unpack_from(data, position)
        position += fixed.size
        extended = 0
        if flags & _EXTENDED:
            if version < _EXTENDED_SINCE:
                raise ValueError("extended flags in version 2")
            extended = int.from_bytes(data[position : position + 2], "big")
            position += 2
        if version >= _PREFIXED_SINCE:
            dropped, position = _parse_varint(data, position)
            if dropped > len(path):
                raise ValueError("a prefix longer than the path before it")
            nul = data.index(b"\0", position, end)
            path = path[: len(path) - dropped] + data[position:nul]
            position = nul + 1
        else:
            nul = data.index(b"\0", position, end)
            path = data[position:nul]
            position = start + (nul - start + 8) // 8 * 8  # one to eight NULs, up to a multiple of eight
        entries.append(
            IndexEntry(
                path,
                mode,
                oid,
                ctime * _NS + ctime_ns,
                mtime * _NS + mtime_ns,
                ino,
                size,
                (flags & _STAGE_MASK) >> _STAGE_SHIFT,
                bool(flags & _ASSUME_VALID),
                bool(extended & _SKIP_WORKTREE),
                bool(extended & _INTENT_TO_ADD),
            )
        )
    return entries, position


def _parse_varint(data: bytes, position: int) -> tuple[int, int]:
    """The offset encoding of git's packs: seven bits a byte, most significant first, one added at each."""
    byte = data[position]
    position += 1
    value = byte & 0x7F
    while byte & 0x80:
        byte = data[position]
        position += 1
        value = ((value + 1) << 7) | (byte & 0x7F)
    return value, position


def _parse_extensions(data: bytes, position: int, oid_size: int) -> str | None:
    tree = None
    end = len(data) - oid_size
    while position < end:
        signature, size = _EXTENSION_HEADER.unpack_from(data, position)
        position += _EXTENSION_HEADER.size
        if position + size > end:
            raise ValueError("an extension reaches past the end")
        if signature == b"TREE":
            tree = _parse_root_tree(data[position : position + size], oid_size)
        elif not b"A" <= signature[:1] <= b"Z":
            raise IndexUnreadableError(f"the required extension {signature!r} is not known")
        position += size
    return tree


def _parse_root_tree(data: bytes, oid_size: int) -> str | None:
    """The first record: an empty path, NUL, `<entries> <subtrees>` LF, and the id unless the count is negative."""
    name, _, rest = data.partition(b"\0")
    counts, newline, rest = rest.partition(b"\n")
    if name or not newline or len(rest) < oid_size or int(counts.split(b" ")[0]) < 0:
        return None
    return rest[:oid_size].hex()
