"""Permission checks in a test run that may be root, to whom permissions do not apply."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["unprivileged_directory"]

_NOBODY = 65534


@contextmanager
def unprivileged_directory() -> Generator[Path]:
    """A directory of a user who is not root, and that user for as long as the block lasts."""
    # Not below pytest's own directory, which only root may enter.
    directory = Path(tempfile.mkdtemp(prefix="grex-test-"))
    root = os.geteuid() == 0
    try:
        if root:
            os.chown(directory, _NOBODY, _NOBODY)
            os.setegid(_NOBODY)
            os.seteuid(_NOBODY)
        yield directory
    finally:
        if root:
            os.seteuid(0)
            os.setegid(0)
        for parent, names, _ in os.walk(directory):
            for name in names:
                if not Path(parent, name).is_symlink():
                    Path(parent, name).chmod(0o700)
        shutil.rmtree(directory)
