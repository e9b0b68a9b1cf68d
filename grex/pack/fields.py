"""One value with its type checked: what the readers of pack.yaml and of action arguments have in common.

Each function takes a node and returns the Python value, or None after it has recorded a problem at the node's own
place. A node that was unreadable is passed over: it has been reported. Nothing is converted; a number where text is
wanted is a mistake with the hint to quote it, because `1.10` that became `1.1` is a version that does not exist.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from grex.names import suggest
from grex.pack.problems import Problems, quoted
from grex.pack.yaml_events import UNREADABLE, Entry, Node

__all__ = [
    "check_keys",
    "read_bool",
    "read_choice",
    "read_int",
    "read_list",
    "read_mapping",
    "read_text",
    "read_text_mapping",
    "read_texts",
]


def read_text(node: Node, what: str, problems: Problems, *, empty: bool = False) -> str | None:
    """Return the text; `empty` says whether it may be ''."""
    value = node.value
    if isinstance(value, str):
        if value or empty:
            return value
        problems.add(node, f"{what} is empty", "write its value, or leave the key out")
        return None
    if isinstance(value, bool | int | float):
        problems.add(node, f"{what} is text, and this is {node.kind}", "write it in quotes")
        return None
    _wrong_type(node, what, "text", problems)
    return None


def read_bool(node: Node, what: str, problems: Problems) -> bool | None:
    """Return true or false."""
    value = node.value
    if isinstance(value, bool):
        return value
    _wrong_type(node, what, "true or false", problems)
    return None


def read_int(node: Node, what: str, problems: Problems, *, at_least: int | None = None) -> int | None:
    """Return the whole number."""
    value = node.value
    if not isinstance(value, int) or isinstance(value, bool):
        _wrong_type(node, what, "a whole number", problems)
        return None
    if at_least is not None and value < at_least:
        problems.add(node, f"{what} is {value}", f"write at least {at_least}, or leave the key out")
        return None
    return value


def read_choice(node: Node, what: str, choices: Collection[str], problems: Problems) -> str | None:
    """Return the text if it is one of a few."""
    text = read_text(node, what, problems, empty=True)
    if text is None or text in choices:
        return text
    problems.add(node, f"{what} cannot be {quoted(text)}", suggest(text, choices))
    return None


def read_list(node: Node, what: str, problems: Problems) -> tuple[Node, ...] | None:
    """Return the items of a list."""
    if isinstance(node.value, tuple):
        return node.value
    _wrong_type(node, what, "a list", problems)
    return None


def read_texts(node: Node, what: str, problems: Problems, *, empty: bool = False) -> tuple[str, ...] | None:
    """Return a list of texts; items that are none are reported and left out."""
    items = read_list(node, what, problems)
    if items is None:
        return None
    texts = [read_text(item, f"an item of {what}", problems, empty=empty) for item in items]
    return tuple(text for text in texts if text is not None)


def read_mapping(node: Node, what: str, problems: Problems) -> Mapping[str, Entry] | None:
    """Return the entries of a mapping."""
    if isinstance(node.value, Mapping):
        return node.value
    _wrong_type(node, what, "a mapping of keys to values", problems)
    return None


def read_text_mapping(node: Node, what: str, problems: Problems) -> dict[str, str] | None:
    """Return a mapping of text to text; values that are none are reported and left out."""
    entries = read_mapping(node, what, problems)
    if entries is None:
        return None
    texts = {key: read_text(entry.node, f"{what}.{key}", problems, empty=True) for key, entry in entries.items()}
    return {key: text for key, text in texts.items() if text is not None}


def check_keys(entries: Mapping[str, Entry], what: str, known: Collection[str], problems: Problems) -> None:
    """Report every key that is not known, with the one that was probably meant."""
    for key, entry in entries.items():
        if key not in known:
            hint = "" if problems.is_full else suggest(key, known)
            problems.add(entry.mark, f"{what} has no key {quoted(key)}", hint)


_HINTS: Final = {
    "text": "write its value after the colon",
    "true or false": "write true or false, without quotes",
    "a whole number": "write digits, without quotes",
    "a list": "write one item to a line, each after '- '; or [] for an empty list",
    "a mapping of keys to values": "write 'key: value' lines below it",
}


def _wrong_type(node: Node, what: str, wanted: str, problems: Problems) -> None:
    if node.value is not UNREADABLE:
        problems.add(node, f"{what} is {wanted}, and this is {node.kind}", _HINTS[wanted])
