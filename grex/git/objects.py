"""The beginning of a loose object, read without a process.

A commit that has just been fetched, or a tag that has just been made, usually lies in a file of its own. What is in a
pack is left to git: the answer here is None.
"""

from __future__ import annotations

import os
import re
import zlib
from pathlib import Path
from typing import NamedTuple

from grex.fs import open_regular

__all__ = ["LooseObject", "read_loose_object"]

_READ_BYTES = 4096
_HEADER = re.compile(rb"(blob|commit|tag|tree) \d+\0")
_FIELD = re.compile(rb"(tree|object|type) ([0-9a-z]+)\n")


class LooseObject(NamedTuple):
    """What stands in the first lines of a commit or tag."""

    kind: str
    tree: str | None
    """Of a commit: its tree."""
    target: str | None
    """Of a tag: what it names, of the kind `target_kind`."""
    target_kind: str | None


def read_loose_object(common_dir: Path, sha: str) -> LooseObject | None:
    """The object's first lines; None if it is not loose, or cannot be read."""
    try:
        fd = open_regular(common_dir / "objects" / sha[:2] / sha[2:])
    except OSError:
        return None
    with os.fdopen(fd, "rb") as file:
        try:
            data = zlib.decompressobj().decompress(file.read(_READ_BYTES), _READ_BYTES)
        except (OSError, zlib.error):
            return None
    header = _HEADER.match(data)
    if header is None:
        return None
    fields: dict[bytes, str] = {}
    position = header.end()
    while match := _FIELD.match(data, position):
        fields.setdefault(match[1], match[2].decode())
        position = match.end()
    return LooseObject(header[1].decode(), fields.get(b"tree"), fields.get(b"object"), fields.get(b"type"))
