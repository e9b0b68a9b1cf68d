"""What may stand as a `ref`: the name of a branch or tag, or a full object id.

The rules are those of `git check-ref-format --allow-onelevel`, with a leading `-` refused as well because git would
read it as an option. An abbreviated object id is a name like any other: it is never looked up as an abbreviation,
since what it means changes as a repository grows.
"""

from __future__ import annotations

import re

__all__ = ["check_ref", "is_full_sha"]

_REF_BYTES = 1024
_FULL_SHA = re.compile(r"[0-9a-fA-F]{40}|[0-9a-fA-F]{64}")
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def is_full_sha(text: str) -> bool:
    """Say whether this is a whole object id: 40 hexadecimal digits (SHA-1) or 64 (SHA-256)."""
    return _FULL_SHA.fullmatch(text) is not None


def check_ref(text: str) -> str | None:
    """Say why git would not take this as a branch or tag, as the second half of a sentence; None if it would."""
    reason = _check_whole(text)
    if reason is not None:
        return reason
    for component in text.split("/"):
        if not component:
            return "holds an empty component"
        if component.startswith("."):
            return "holds a component that starts with a dot"
        if component.endswith(".lock"):
            return "holds a component that ends with '.lock'"
    return None


def _check_whole(text: str) -> str | None:
    if not text:
        return "is empty"
    if text.startswith("-"):
        return "starts with '-'"
    if text in {"@", "HEAD"}:
        return "names no branch or tag"
    forbidden = _FORBIDDEN.search(text)
    if forbidden is not None:
        return f"holds {forbidden.group()!r}"
    for pair in ("..", "@{"):
        if pair in text:
            return f"holds {pair!r}"
    if text.endswith("."):
        return "ends with a dot"
    if _SURROGATE.search(text) or len(text.encode()) > _REF_BYTES:
        return f"is not UTF-8 of at most {_REF_BYTES} bytes"
    return None
