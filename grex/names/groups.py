"""What a group of packs may be called."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["GROUP_NAME_HINT", "is_group_name"]

GROUP_NAME_HINT: Final = "letters, digits and . _ -, the first a letter or digit"
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def is_group_name(text: str) -> bool:
    """Say whether this may be the name of a group."""
    return _LABEL.fullmatch(text) is not None
