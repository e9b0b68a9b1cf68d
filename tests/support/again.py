"""A workspace made once and put back as it was: a copy costs a tenth of the clones that it is made of."""

from __future__ import annotations

import shutil
from pathlib import Path

__all__ = ["copy_aside", "put_back"]


def copy_aside(base: Path, name: str) -> Path:
    """Copy a directory to a place beside it, from which `put_back` takes it; gives that place."""
    copy = base.with_name(f"{base.name}.{name}")
    shutil.copytree(base, copy, symlinks=True)
    return copy


def put_back(base: Path, copy: Path) -> None:
    """Let a directory be what it was when it was copied, at the same path."""
    shutil.rmtree(base)
    shutil.copytree(copy, base, symlinks=True)
    for kept in base.rglob(".git/grex-lock"):  # one file with two names, which a copy makes two
        name = kept.parent.with_name(".grex-lock")
        name.unlink()
        name.hardlink_to(kept)
