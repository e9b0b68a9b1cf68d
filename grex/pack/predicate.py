"""Conditions on a machine: their syntax, and what they come to once somebody has looked.

A predicate is a mapping with one key, its name: `{cmd_available: git}`. Combiners are predicates over a list of
others: `all_of`, `any_of`, `none_of`. Parsing makes a small tree with the place of each part; `evaluate` walks it and
asks a `Facts` for every leaf, so nothing here touches the machine, and a plan can be made for another one.

A predicate that a plugin offers for one platform is *unsupported* on the others: neither true nor false. Inside a
combiner it counts as false (so `any_of` may name the ways of several platforms); on its own the answer is None, which
`require` reports. A name that nobody offers is no such predicate but a mistake, and refused when it is parsed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from grex.names import suggest
from grex.pack.fields import check_keys, read_list, read_mapping, read_text
from grex.pack.problems import Mark, Problems, quoted
from grex.pack.spec import PLATFORMS
from grex.pack.yaml_events import Entry, Node, PlainData

__all__ = [
    "BUILTIN_PREDICATES",
    "COMBINERS",
    "Facts",
    "PredicateNode",
    "evaluate",
    "parse_conditions",
    "parse_predicate",
]

COMBINERS: Final = ("all_of", "any_of", "none_of")
BUILTIN_PREDICATES: Final = ("cmd_available", "env_set", "os", "path_exists", "symlink_ok")


@dataclass(frozen=True, slots=True)
class PredicateNode:
    """A predicate and what it is about; for a combiner, the predicates that it combines."""

    kind: str
    mark: Mark
    value: PlainData = None
    """Text; for `os` a list of platforms; for `symlink_ok` a mapping of `src` and `dst`; as declared for a plugin's."""
    operands: tuple[PredicateNode, ...] = ()


class Facts(Protocol):
    """What a machine answers."""

    def path_exists(self, path: str) -> bool:
        """Whether something is there, symlinks followed."""

    def cmd_available(self, name: str) -> bool:
        """Whether a command of this name would be found."""

    def os_is(self, platform: str) -> bool:
        """Whether this is `linux`, `macos` or `windows`."""

    def env_set(self, name: str) -> bool:
        """Whether the environment variable is set."""

    def symlink_ok(self, src: str, dst: str) -> bool:
        """Whether `dst` is a symlink to `src`, which exists."""

    def plugin_predicate(self, kind: str, value: PlainData) -> bool | None:
        """The answer of a plugin's predicate; None where this platform does not support it."""


def evaluate(predicate: PredicateNode, facts: Facts) -> bool | None:
    """Return whether the predicate holds; None for one that is unsupported here and stands on its own."""
    operands = (evaluate(operand, facts) is True for operand in predicate.operands)
    if predicate.kind == "all_of":
        return all(operands)
    if predicate.kind == "any_of":
        return any(operands)
    if predicate.kind == "none_of":
        return not any(operands)
    return _ask(predicate.kind, predicate.value, facts)


def _ask(kind: str, value: PlainData, facts: Facts) -> bool | None:
    match kind, value:
        case "path_exists", str():
            return facts.path_exists(value)
        case "cmd_available", str():
            return facts.cmd_available(value)
        case "env_set", str():
            return facts.env_set(value)
        case "os", list():
            return any(facts.os_is(str(platform)) for platform in value)
        case "symlink_ok", {"src": str(src), "dst": str(dst)}:
            return facts.symlink_ok(src, dst)
    return facts.plugin_predicate(kind, value)


def parse_predicate(node: Node, problems: Problems, *, plugin_predicates: Collection[str] = ()) -> PredicateNode | None:
    """Return the predicate that a node declares, or None after recording what is wrong with it.

    Args:
        node: a mapping with one key.
        problems: collects what is wrong.
        plugin_predicates: names that plugins offer, on whatever platform.
    """
    entries = read_mapping(node, "a predicate", problems)
    if entries is None:
        return None
    if len(entries) != 1:
        problems.add(node, "a predicate is a mapping with one key, its name", "start a new item with '-' for another")
        return None
    (entry,) = entries.values()
    return _parse_entry(entry, problems, plugin_predicates)


def parse_conditions(
    entries: Mapping[str, Entry], mark: Mark, problems: Problems, *, plugin_predicates: Collection[str] = ()
) -> PredicateNode | None:
    """Return what several keys of one mapping demand together: the one predicate itself, or an `all_of` of them.

    Args:
        entries: the keys that are predicates or combiners.
        mark: the place of the whole.
        problems: collects what is wrong.
        plugin_predicates: names that plugins offer, on whatever platform.
    """
    parsed = [_parse_entry(entry, problems, plugin_predicates) for entry in entries.values()]
    predicates = tuple(predicate for predicate in parsed if predicate is not None)
    if not predicates or len(predicates) < len(parsed):
        return None
    return predicates[0] if len(predicates) == 1 else PredicateNode("all_of", mark, operands=predicates)


def _parse_entry(entry: Entry, problems: Problems, plugin_predicates: Collection[str]) -> PredicateNode | None:
    kind, node = entry.key, entry.node
    value: PlainData
    if kind in COMBINERS:
        return _parse_combiner(entry, problems, plugin_predicates)
    if kind == "os":
        value = _parse_platforms(node, problems)
    elif kind == "symlink_ok":
        value = _parse_link(node, problems)
    elif kind in BUILTIN_PREDICATES:
        value = read_text(node, kind, problems)
    elif kind in plugin_predicates:
        return PredicateNode(kind, entry.mark, node.plain())
    else:
        known = {*COMBINERS, *BUILTIN_PREDICATES, *plugin_predicates}
        problems.add(entry.mark, f"there is no predicate {quoted(kind)}", suggest(kind, known))
        return None
    return None if value is None else PredicateNode(kind, entry.mark, value)


def _parse_combiner(entry: Entry, problems: Problems, plugin_predicates: Collection[str]) -> PredicateNode | None:
    items = read_list(entry.node, entry.key, problems)
    if items is None:
        return None
    if not items:
        problems.add(entry.node, f"{entry.key} is empty", "name a predicate, or leave the key out")
        return None
    parsed = [parse_predicate(item, problems, plugin_predicates=plugin_predicates) for item in items]
    operands = tuple(operand for operand in parsed if operand is not None)
    # One operand less would be another condition.
    return None if len(operands) < len(parsed) else PredicateNode(entry.key, entry.mark, operands=operands)


def _parse_platforms(node: Node, problems: Problems) -> list[PlainData] | None:
    items = node.value if isinstance(node.value, tuple) else (node,)
    if not items:
        problems.add(node, "os is empty", f"known: {', '.join(PLATFORMS)}")
        return None
    platforms: list[PlainData] = []
    for item in items:
        name = read_text(item, "os", problems)
        if name is not None and name not in PLATFORMS:
            problems.add(item, f"os cannot be {quoted(name)}", suggest(name, PLATFORMS))
        elif name is not None:
            platforms.append(name)
    return None if len(platforms) < len(items) else platforms


def _parse_link(node: Node, problems: Problems) -> dict[str, PlainData] | None:
    entries = read_mapping(node, "symlink_ok", problems)
    if entries is None:
        return None
    check_keys(entries, "symlink_ok", ("dst", "src"), problems)
    value: dict[str, PlainData] = {}
    for key in ("src", "dst"):
        if key not in entries:
            problems.add(node, f"symlink_ok needs '{key}'", "write {src: ..., dst: ...}")
            continue
        text = read_text(entries[key].node, f"symlink_ok.{key}", problems)
        if text is not None:
            value[key] = text
    return None if len(value) < len(("src", "dst")) else value
