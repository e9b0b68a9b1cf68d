"""Conditions on a machine: their syntax, and what they come to once somebody has looked.

A predicate is a mapping with one key, its name: `{cmd_available: git}`. Combiners are predicates over a list of
others: `all_of`, `any_of`, `none_of`; they are all that is known here. Every other name is a plugin's, those that ship
with grex among them: `Predicates` says which there are and what their values may be. Parsing makes a small tree with
the place of each part; `evaluate` walks it and asks for every leaf, so nothing here touches the machine, and a plan
can be made for another one.

A predicate that is offered for one platform is *unsupported* on the others: neither true nor false. Inside a combiner
it counts as false (so `any_of` may name the ways of several platforms); on its own the answer is None, which `require`
reports. A name that nobody offers is no such predicate but a mistake, and refused when it is parsed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final, Protocol

from msgspec import Struct

from grex.names import suggest
from grex.pack.fields import read_list, read_mapping
from grex.pack.problems import Mark, Problems, quoted
from grex.pack.yaml_events import Entry, Node, PlainData

__all__ = [
    "COMBINERS",
    "NO_PREDICATES",
    "PredicateNode",
    "Predicates",
    "evaluate",
    "parse_conditions",
    "parse_predicate",
]

COMBINERS: Final = ("all_of", "any_of", "none_of")


class PredicateNode(Struct, frozen=True):
    """A predicate and what it is about; for a combiner, the predicates that it combines."""

    kind: str
    mark: Mark
    value: PlainData = None
    """As declared; only the predicate of that name knows what it means."""
    operands: tuple[PredicateNode, ...] = ()


class Predicates(Protocol):
    """The predicates that there are."""

    def knows(self, kind: str) -> bool:
        """Whether somebody offers it, on whatever platform."""

    def check(self, kind: str, value: PlainData, mark: Mark) -> str | None:
        """Why a value of one that is known cannot be meant, in one sentence, or None.

        Args:
            kind: the predicate's name.
            value: as declared.
            mark: where it stands, for the failure of a plugin.
        """

    def names(self) -> Collection[str]:
        """Every name, for the hint of a mistake only: to know them all may take a search."""


class _NoPredicates:
    """What is left where nobody offers any: the combiners."""

    def knows(self, kind: str) -> bool:
        del kind
        return False

    def check(self, kind: str, value: PlainData, mark: Mark) -> str | None:
        del kind, value, mark
        return None

    def names(self) -> Collection[str]:
        return ()


NO_PREDICATES: Final[Predicates] = _NoPredicates()


def evaluate(predicate: PredicateNode, ask: Callable[[PredicateNode], bool | None]) -> bool | None:
    """Return whether the predicate holds; None for one that is unsupported here and stands on its own.

    Args:
        predicate: what was parsed.
        ask: answers for a predicate that is no combiner; asked for no more of them than the answer needs.
    """
    operands = (evaluate(operand, ask) is True for operand in predicate.operands)
    if predicate.kind == "all_of":
        return all(operands)
    if predicate.kind == "any_of":
        return any(operands)
    if predicate.kind == "none_of":
        return not any(operands)
    return ask(predicate)


def parse_predicate(node: Node, problems: Problems, *, predicates: Predicates = NO_PREDICATES) -> PredicateNode | None:
    """Return the predicate that a node declares, or None after recording what is wrong with it.

    Args:
        node: a mapping with one key.
        problems: collects what is wrong.
        predicates: those that there are.
    """
    entries = read_mapping(node, "a predicate", problems)
    if entries is None:
        return None
    if len(entries) != 1:
        problems.add(node, "a predicate is a mapping with one key, its name", "start a new item with '-' for another")
        return None
    (entry,) = entries.values()
    return _parse_entry(entry, problems, predicates)


def parse_conditions(
    entries: Mapping[str, Entry], mark: Mark, problems: Problems, *, predicates: Predicates = NO_PREDICATES
) -> PredicateNode | None:
    """Return what several keys of one mapping demand together: the one predicate itself, or an `all_of` of them.

    Args:
        entries: the keys that are predicates or combiners.
        mark: the place of the whole.
        problems: collects what is wrong.
        predicates: those that there are.
    """
    parsed = [_parse_entry(entry, problems, predicates) for entry in entries.values()]
    found = tuple(predicate for predicate in parsed if predicate is not None)
    if not found or len(found) < len(parsed):
        return None
    return found[0] if len(found) == 1 else PredicateNode("all_of", mark, operands=found)


def _parse_entry(entry: Entry, problems: Problems, predicates: Predicates) -> PredicateNode | None:
    kind, node = entry.key, entry.node
    if kind in COMBINERS:
        return _parse_combiner(entry, problems, predicates)
    if not predicates.knows(kind):
        hint = "" if problems.is_full else suggest(kind, {*COMBINERS, *predicates.names()})
        problems.add(entry.mark, f"there is no predicate {quoted(kind)}", hint)
        return None
    if node.is_unreadable:
        return None  # it has been reported
    value = node.plain()
    wrong = predicates.check(kind, value, entry.mark)
    if wrong is None:
        return PredicateNode(kind, entry.mark, value)
    problems.add(node, wrong, "")
    return None


def _parse_combiner(entry: Entry, problems: Problems, predicates: Predicates) -> PredicateNode | None:
    items = read_list(entry.node, entry.key, problems)
    if items is None:
        return None
    if not items:
        problems.add(entry.node, f"{entry.key} is empty", "name a predicate, or leave the key out")
        return None
    parsed = [parse_predicate(item, problems, predicates=predicates) for item in items]
    operands = tuple(operand for operand in parsed if operand is not None)
    # One operand less would be another condition.
    return None if len(operands) < len(parsed) else PredicateNode(entry.key, entry.mark, operands=operands)
