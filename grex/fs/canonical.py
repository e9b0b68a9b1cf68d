"""The one spelling of a path by which two of them are compared."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["canonical"]


def canonical(path: str | os.PathLike[str]) -> Path:
    """The absolute path without `..` and without symlinks, as far as it exists; the rest is kept as written.

    Two paths to the same existing directory come out equal however they were spelled, bind mounts and names that a
    file system folds apart: who needs to know for sure compares `(st_dev, st_ino)`, as the locks do.

    Raises:
        ValueError: the path holds a NUL.
    """
    return Path(os.path.realpath(path))
