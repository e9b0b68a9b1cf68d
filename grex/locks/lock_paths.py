"""Which file a lock is on, for those who only look."""

from __future__ import annotations

import os
import stat

from grex.names import PACK_LOCK_NAME

__all__ = ["KEPT_LINK_NAME", "standing_path"]

KEPT_LINK_NAME = "grex-lock"
"""The name of a pack's lock file in its git directory: see `pack_lock`."""


def standing_path(path: str) -> str:
    """Where the file of a lock is whose file has this name.

    That is the path itself, but for a pack whose lock is kept in its git directory: its name in the work tree may have
    been swept away, or lead to a stranger's file, while the lock is held.
    """
    directory, name = os.path.split(path)
    if name != PACK_LOCK_NAME:
        return path
    git_dir = f"{directory}/.git"
    kept = f"{git_dir}/{KEPT_LINK_NAME}"
    try:
        if stat.S_ISDIR(os.lstat(git_dir).st_mode) and stat.S_ISREG(os.lstat(kept).st_mode):
            return kept
    except OSError:
        pass
    return path
