"""Extended attributes of files, where the file system has them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

__all__ = ["set_attribute"]


def set_attribute(path: Path, value: bytes) -> None:
    """Give a file the attribute `user.note`; the test is skipped where that cannot be."""
    try:
        os.setxattr(path, "user.note", value)
    except (AttributeError, OSError) as error:
        pytest.skip(f"no extended attributes here: {error}")
