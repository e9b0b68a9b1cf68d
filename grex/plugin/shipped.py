"""What ships with grex and is needed by nearly every call, known without reading what is installed.

All of grex's plugins are registered as anybody's are, by entry points; `grex plugins` and the registry find them so.
Reading those costs 8 ms of a start of 150, and most of what a workspace has are packs of two types. So these are known
here as well, by the same words: a test compares them with the entry points of the distribution.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

__all__ = ["SHIPPED", "load_shipped"]

SHIPPED: Mapping[tuple[str, str], str] = {
    ("grex.pack_types", "meta"): "grex.builtin.pack_types.meta:Meta",
    ("grex.pack_types", "plain"): "grex.builtin.pack_types.plain:Plain",
}
"""By group and name, where a class is."""


def load_shipped(group: str, name: str) -> object | None:
    """A new instance of what is known by that name; None if it is not known here."""
    value = SHIPPED.get((group, name))
    if value is None:
        return None
    module, _, attribute = value.partition(":")
    made: object = getattr(import_module(module), attribute)()
    return made
