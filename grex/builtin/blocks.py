r"""Managed blocks: three lines in a file that is otherwise the user's, told apart by an id.

```text
# >>> grex: EDITOR of the pack tools (id 5e1f0a2b7c3d9e10, sum 90ab12cd34ef5678) >>>
export EDITOR='vim'
# <<< grex: EDITOR of the pack tools (id 5e1f0a2b7c3d9e10) <<<
```

Everything is bytes, and everything outside the block is kept byte for byte. The begin marker holds the hash of the line
that follows, so that an edit by hand is seen without asking anybody; a block whose lines end in CR LF by now counts as
edited, since shells would take the CR for a part of the value. What people can make of markers:

| found                                                  | means                                                      |
|--------------------------------------------------------|------------------------------------------------------------|
| one begin, one line that fits its sum, its end         | the block                                                  |
| one begin, its end, and anything else between          | the block, edited by hand                                  |
| a begin without an end, an end without a begin, two    | nobody can tell what is ours: `BlockError`, with the line  |

Two more things stand in the file and not in the log, because blocks of several packs and workspaces come and go in any
order, each with a log of its own:

- A file whose last line had no end gets one before the block. The marker says so (`newline`, with the hash of that last
  line), and who takes the block away takes that newline with it - or hands the remark to the block behind it.
- A file that was made for a block begins with a line that says so, and goes when the last block goes, unless somebody
  has written something else into it.
"""

from __future__ import annotations

import hashlib
import re

from msgspec import Struct

__all__ = ["Block", "BlockError", "block_sum", "find_block", "with_block", "without_block"]

_BEGIN = re.compile(
    rb"# >>> grex: [^\n]* \(id (?P<id>[0-9a-f]{16}), sum (?P<sum>[0-9a-f]{16})"
    rb"(?:, newline (?P<newline>[0-9a-f]{16}))?\) >>>"
)
_LOOSE_BEGIN = re.compile(rb"\s*# >>> grex: [^\n]*\(id (?P<id>[0-9a-f]{16})\b")
_LOOSE_END = re.compile(rb"\s*# <<< grex: [^\n]*\(id (?P<id>[0-9a-f]{16})\b")
_MADE = b"# >>> grex: this file was made for what follows, and goes with it <<<\n"
_DIGITS = 16


class BlockError(ValueError):
    """The markers of a block do not fit together; `line` is where, counted from one."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason


class Block(Struct, frozen=True):
    """A block that was found.

    Attributes:
        start: where it begins in the file.
        end: the first byte behind it.
        line: the number of its first line.
        sum: of the line between its markers; None if somebody has edited the block.
        newline: the remark about the newline before it, if there is one.
    """

    start: int
    end: int
    line: int
    sum: str | None
    newline: bytes | None


def block_sum(body: bytes) -> str:
    """What tells whether the line between the markers is the one that was written."""
    return hashlib.sha256(body).hexdigest()[:_DIGITS]


def find_block(data: bytes, block_id: str) -> Block | None:
    """The block with this id.

    Raises:
        BlockError: its markers do not fit together.
    """
    wanted = block_id.encode("ascii")
    lines = _lines(data)
    begins = [number for number, line in enumerate(lines) if _id(_LOOSE_BEGIN, line) == wanted]
    ends = [number for number, line in enumerate(lines) if _id(_LOOSE_END, line) == wanted]
    if not begins and not ends:
        return None
    if len(begins) > 1:
        raise BlockError(begins[1] + 1, "a block of grex begins here a second time")
    if len(ends) > 1:
        raise BlockError(ends[1] + 1, "a block of grex ends here a second time")
    if not begins:
        raise BlockError(ends[0] + 1, "a block of grex ends here that begins nowhere")
    if not ends or ends[0] < begins[0]:
        raise BlockError(begins[0] + 1, "a block of grex begins here that has no end")
    first, last = begins[0], ends[0]
    start = sum(map(len, lines[:first]))
    end = start + sum(map(len, lines[first : last + 1]))
    marker = _BEGIN.fullmatch(lines[first].rstrip(b"\n"))
    found = None
    if marker is not None and last == first + 2 and lines[last].rstrip(b"\n").endswith(b") <<<"):
        body = block_sum(lines[first + 1].rstrip(b"\n"))
        found = body if body.encode("ascii") == marker["sum"] else None
    return Block(start, end, first + 1, found, None if marker is None else marker["newline"])


def with_block(data: bytes | None, block_id: str, title: str, body: bytes) -> bytes:
    """The file with the block in it: where it stands already, or at the end.

    Args:
        data: the file; None if there is none yet.
        block_id: 16 hexadecimal digits.
        title: what people read in the markers; one line.
        body: one line, without its end.

    Raises:
        BlockError: the markers of this block do not fit together.
    """
    if data is None:
        return _MADE + _rendered(block_id, title, body, None)
    found = find_block(data, block_id)
    if found is not None:
        return data[: found.start] + _rendered(block_id, title, body, found.newline) + data[found.end :]
    newline = None
    if data and not data.endswith(b"\n"):
        newline = _digest_of_last_line(data)
        data += b"\n"
    return data + _rendered(block_id, title, body, newline)


def without_block(data: bytes, block_id: str) -> bytes | None:
    """The file without the block; None if nothing is left of a file that was made for it.

    Raises:
        BlockError: the markers of this block do not fit together.
    """
    found = find_block(data, block_id)
    if found is None:
        return data
    before, after = data[: found.start], data[found.end :]
    if found.newline is not None and before.endswith(b"\n") and _digest_of_last_line(before[:-1]) == found.newline:
        if not after:
            before = before[:-1]
        else:
            after = _handed_on(after, found.newline)
    left = before + after
    if _MADE in left and not any(_LOOSE_BEGIN.match(line) for line in left.split(b"\n")):
        return left.replace(_MADE, b"", 1) or None
    return left


def _handed_on(after: bytes, newline: bytes) -> bytes:
    """What follows a block that goes, with its remark about the newline if a block follows."""
    line, end, rest = after.partition(b"\n")
    marker = _BEGIN.fullmatch(line)
    if marker is None or marker["newline"] is not None:
        return after  # what follows is the user's, who has need of the newline
    return line[: marker.end("sum")] + b", newline " + newline + line[marker.end("sum") :] + end + rest


def _rendered(block_id: str, title: str, body: bytes, newline: bytes | None) -> bytes:
    name = title.encode("utf-8", "surrogateescape")
    remark = b"" if newline is None else b", newline " + newline
    key = block_id.encode("ascii")
    begin = b"# >>> grex: %s (id %s, sum %s%s) >>>" % (name, key, block_sum(body).encode("ascii"), remark)
    return b"\n".join((begin, body, b"# <<< grex: %s (id %s) <<<" % (name, key), b""))


def _digest_of_last_line(data: bytes) -> bytes:
    return block_sum(data.rsplit(b"\n", 1)[-1]).encode("ascii")


def _lines(data: bytes) -> list[bytes]:
    """Lines as shells see them: only a newline ends one."""
    parts = data.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def _id(pattern: re.Pattern[bytes], line: bytes) -> bytes | None:
    found = pattern.match(line)
    return None if found is None else found["id"]
