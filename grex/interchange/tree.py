"""What is written for other tools: the whole tree of a workspace, flat, and the notes on what a format cannot say."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from msgspec import Struct, field

__all__ = ["Exported", "ResolvedPack", "scalar"]

_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./@+~-]*", re.ASCII)
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "y", "n", "null"})


class ResolvedPack(Struct, frozen=True):
    """One pack of a workspace, whoever declares it.

    Attributes:
        path: from the workspace root.
        url: in full, without credentials.
        ref: as declared, or the commit that it was resolved to; None for the remote's HEAD.
        branch: the branch that a ref which is None, or a branch, was last seen as.
    """

    path: str
    url: str
    ref: str | None
    branch: str | None = None
    groups: tuple[str, ...] = ()
    depth: int | None = None
    filter: str | None = None
    sparse: tuple[str, ...] = ()
    submodules: bool = False
    remotes: Mapping[str, str] = field(default_factory=dict)


class Exported(Struct, frozen=True):
    """A manifest for another tool, and what it could not be told."""

    text: str
    notes: tuple[str, ...] = ()


def scalar(text: str) -> str:
    """A text as YAML that every reader takes for the same text."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return json.dumps(text, ensure_ascii=False)  # JSON's strings are YAML's
