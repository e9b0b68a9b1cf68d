"""Paths of packs: written with `/`, relative to a workspace, and good on every file system that grex may meet.

A path is refused for what it would mean somewhere else (a device name, a drive, a trailing dot), for what it would
do to git or to grex (`.git`, the lock files), and for what it would do to a command line (a leading `-` or `~`).
Refusing on every platform what one platform cannot hold keeps a workspace portable; the cost is a few names that
nobody gives to a directory on purpose.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["check_pack_path", "fold_key", "resolve_pack_path"]

_SEGMENT_BYTES = 255  # NAME_MAX of every file system in use
_PATH_BYTES = 2048  # half of PATH_MAX: the workspace's own path and the content stand on either side

_DEVICE = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])[ ]*(?:\..*)?", re.DOTALL)
_RESERVED = re.compile(
    r"\.git|\.grex|\.grex-lock"
    r"|\.grex.*\.lock"  # .grex.sync.lock, .grex.jsonl.lock and those to come
    r"|.*\.grex-backend\.lock"
    r"|\.grex-tmp-.*",
    re.DOTALL,
)


def fold_key(path: str) -> str:
    """Return the key under which two paths are equal that some file system takes for the same: NFC and case folding."""
    # Case folding is defined on decomposed text and can itself decompose, hence a normalisation on both sides.
    folded = unicodedata.normalize("NFD", path).casefold()
    return unicodedata.normalize("NFC", folded)


def check_pack_path(text: str) -> str | None:
    """Say why this may not be the path of a pack, as the second half of a sentence; None where it may.

    The text is relative to a workspace or to a pack. A leading `/`, which pack.yaml allows, is the caller's to take
    off: `resolve_pack_path` does.
    """
    if not text:
        return "is empty"
    if text.startswith("/"):
        return "is absolute"
    if "\\" in text:
        return "holds a backslash"
    if ":" in text:
        return "holds a colon"
    if not text.isprintable():
        return "holds a control character or one that cannot be printed"
    if len(text.encode()) > _PATH_BYTES:
        return f"is longer than {_PATH_BYTES} bytes"
    for segment in text.split("/"):
        reason = _check_segment(segment)
        if reason is not None:
            return reason
    return None


def resolve_pack_path(declaring: str, path: str) -> str:
    """Return the path from the workspace root of a pack that `declaring` (`""` for the root pack) puts at `path`.

    Raises:
        ValueError: the path is one that `check_pack_path` refuses; the message is its reason.
    """
    relative = path.removeprefix("/")
    reason = check_pack_path(relative)
    if reason is not None:
        raise ValueError(reason)
    if path.startswith("/") or not declaring:
        return relative
    return f"{declaring}/{relative}"


def _check_segment(segment: str) -> str | None:
    if segment in {"", ".", ".."}:
        return "holds an empty segment" if not segment else f"holds the segment {segment!r}"
    if segment[0] in "-~":
        return f"holds a segment that starts with {segment[0]!r}"
    if segment[-1] in ". ":
        return "holds a segment that ends with a dot or a space"
    if len(segment.encode()) > _SEGMENT_BYTES:
        return f"holds a segment of more than {_SEGMENT_BYTES} bytes"
    folded = fold_key(segment)
    if _RESERVED.fullmatch(folded):
        return f"holds {segment!r}, a name that git or grex keeps for itself"
    if _DEVICE.fullmatch(folded):
        return f"holds {segment!r}, a device name on Windows"
    return None
