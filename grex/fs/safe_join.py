"""Joining a path that was given to us, without leaving where we are.

Pack paths come from files that other people wrote, and the tree below a workspace holds what they committed,
symlinks included. `safe_join` therefore judges the text (absolute, `..`, empty segments) and then the disk: every
directory on the way that exists must, with its links resolved, still lie under the root. The last segment may itself
be a symlink - a pack may be one - and is not resolved: what is done with it (`remove_tree`, a rename, an open with
`O_NOFOLLOW`) does not follow it.

The answer is true for the moment of the call. Somebody who swaps a directory for a link between the check and the
use is this very user, who needs no such detour.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["UnsafeJoinError", "safe_join"]


class UnsafeJoinError(ValueError):
    """A path would leave the directory that it is relative to."""


def safe_join(root: Path, relative: str) -> Path:
    """`root / relative`, when that stays under `root` in text and on disk.

    Args:
        root: the directory to stay in; it need not exist.
        relative: segments divided by `/`.

    Raises:
        UnsafeJoinError: `relative` is empty or absolute, has an empty, `.` or `..` segment or a NUL, or passes
            through a symlink that leads out of `root`.
    """
    reason = _refusal(relative)
    if reason is not None:
        raise UnsafeJoinError(f"{relative!r} is not a path below {root}: {reason}")
    base = os.path.realpath(root)
    segments = relative.split("/")
    here = base
    for segment in segments[:-1]:
        here = os.path.realpath(os.path.join(here, segment))  # noqa: PTH118 - text in, text out: realpath gives str
        if not _is_within(here, base):
            raise UnsafeJoinError(
                f"{relative!r} is not a path below {root}: {segment!r} is a link that leads to {here}"
            )
    return root.joinpath(*segments)


def _refusal(relative: str) -> str | None:
    """Why this text is refused, whatever is on the disk."""
    if "\0" in relative:
        return "it holds a NUL"
    if relative.startswith("/"):
        return "it is absolute"
    if os.name == "nt" and ("\\" in relative or ":" in relative):
        return "it holds a drive or a backslash"
    segments = relative.split("/")
    if ".." in segments:
        return "it goes up with '..'"
    if "" in segments or "." in segments:
        return "it has an empty segment"
    return None


def _is_within(path: str, base: str) -> bool:
    return path == base or path.startswith(base if base.endswith(os.sep) else base + os.sep)
