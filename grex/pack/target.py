"""What a pack says differently for one platform: `.grex/targets/{linux,macos,windows}.yaml` over pack.yaml.

Targets are merged as trees, before anything is checked. So a target is held to the same rules as the base, may hold
any part of it, and each value keeps the file and place where it was written. Scalars replace, lists append, mappings
merge key by key; `actions_replace: true` makes the target's `actions` take the place of the base's, also where it
has none.
"""

from __future__ import annotations

from collections.abc import Mapping

from grex.pack.yaml_events import Entry, Node

__all__ = ["merge_target"]

ACTIONS_REPLACE = "actions_replace"


def merge_target(base: Node, target: Node) -> Node:
    """Return `base` with `target` over it; both are whole files. `actions_replace` is not part of the result."""
    if not isinstance(base.value, Mapping) or not isinstance(target.value, Mapping):
        return base
    over = dict(target.value)
    switch = over.pop(ACTIONS_REPLACE, None)
    under = dict(base.value)
    if switch is not None and switch.node.value is True:
        under.pop("actions", None)
    return Node(_merge_entries(under, over), base.mark)


def _merge_entries(base: Mapping[str, Entry], target: Mapping[str, Entry]) -> dict[str, Entry]:
    merged = dict(base)
    for key, entry in target.items():
        under = merged.get(key)
        merged[key] = entry if under is None else Entry(key, under.mark, _merge_values(under.node, entry.node))
    return merged


def _merge_values(base: Node, target: Node) -> Node:
    if isinstance(base.value, tuple) and isinstance(target.value, tuple):
        return Node((*base.value, *target.value), base.mark)
    if isinstance(base.value, Mapping) and isinstance(target.value, Mapping):
        return Node(_merge_entries(base.value, target.value), base.mark)
    return target
