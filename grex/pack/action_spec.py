"""Arguments of actions: a dataclass declares them, `decode` fills it from pack.yaml.

The class of an action names a frozen dataclass. Its fields are the keys, their annotations the types, their defaults
the defaults; there is no second list anywhere. The annotations that are understood:

* `str`, `bool`, `int`, `float` (a whole number will do), `Mode`, `Literal["a", "b"]`
* `tuple[str, ...]`, `dict[str, str]` or `Mapping[str, str]`
* `str | Path`: text; a plugin that makes the arguments itself may give a path
* `str | tuple[str, ...]`: text, or a list of texts, which comes as a tuple either way
* `tuple[ActionEntry, ...]`: nested actions; their own arguments are decoded when their turn comes
* `tuple[PredicateNode, ...]`: a list of predicates
* `PredicateNode`: the predicates and combiners that stand among the arguments themselves, as in
  `when: {os: linux, any_of: [...], actions: [...]}`; several hold together
* `X | None` of any of these: the key may be left out or null

An annotation outside this list is a mistake of the action's author and raises TypeError when the class is first used.
Every mistake of a pack's author becomes a problem at the place of the argument.
"""

from __future__ import annotations

import dataclasses
import math
import re
import types
import typing
from collections.abc import Callable, Hashable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NewType, TypeVar

from msgspec import Struct

from grex.pack.fields import (
    check_keys,
    read_bool,
    read_choice,
    read_int,
    read_list,
    read_mapping,
    read_text,
    read_text_mapping,
    read_texts,
)
from grex.pack.predicate import (
    COMBINERS,
    NO_PREDICATES,
    PredicateNode,
    Predicates,
    parse_conditions,
    parse_predicate,
)
from grex.pack.problems import Problems, quoted
from grex.pack.spec import ActionEntry
from grex.pack.yaml_events import UNREADABLE, Entry, Node

__all__ = ["Mode", "decode", "mode_bits", "parse_actions"]

T = TypeVar("T")

Mode = NewType("Mode", str)
"""The permissions of a file: text of 3 or 4 octal digits. A bare number would be read as decimal."""

_MODE = re.compile(r"[0-7]{3,4}")
_ACTION_NAME = re.compile(r"[a-z][a-z0-9_-]*")


def mode_bits(mode: Mode) -> int:
    """Return the permission bits."""
    return int(mode, 8)


def parse_actions(node: Node, what: str, problems: Problems) -> tuple[ActionEntry, ...]:
    """Return the actions of a list; each is a mapping with one key, the action's name, over its arguments."""
    items = read_list(node, what, problems)
    parsed = [_parse_action(item, what, problems) for item in items or ()]
    return tuple(action for action in parsed if action is not None)


def _parse_action(node: Node, what: str, problems: Problems) -> ActionEntry | None:
    if isinstance(node.value, str) and _ACTION_NAME.fullmatch(node.value):
        problems.add(node, f"an action of {what} has no arguments", f"write '{node.value}: {{...}}'")
        return None
    entries = read_mapping(node, f"an item of {what}", problems)
    if entries is None:
        return None
    if len(entries) != 1:
        problems.add(
            node,
            f"an item of {what} is a mapping with one key, the action's name",
            "indent the arguments below the name" if entries else "name an action",
        )
        return None
    (entry,) = entries.values()
    if not _ACTION_NAME.fullmatch(entry.key):
        problems.add(
            entry.mark,
            f"{quoted(entry.key)} cannot be the name of an action",
            "write it in lower case, as in 'symlink'",
        )
        return None
    return ActionEntry(entry.key, entry.node, entry.mark)


def decode(
    cls: type[T], node: Node, problems: Problems, *, what: str, predicates: Predicates = NO_PREDICATES
) -> T | None:
    """Return the arguments as an instance of `cls`, or None after recording every mistake in them.

    Args:
        cls: a dataclass whose annotations are of the module's list.
        node: the arguments.
        problems: collects the mistakes.
        what: the action's name, for the messages.
        predicates: those that there are.

    Raises:
        TypeError: `cls` is not such a dataclass.
    """
    fields = _fields(typing.cast("Hashable", cls))  # which mypy does not believe of a class of unknown type
    before = len(problems)
    entries = read_mapping(node, f"the argument of {what}", problems)
    if entries is None:
        return None
    values = _Decoder(what, problems, predicates).decode(fields, entries, node)
    # What could not be read while the file was parsed was reported then, and has added nothing here.
    if len(problems) > before or node.is_unreadable:
        return None
    return cls(**values)


class _Field(Struct, frozen=True):
    """One argument: its name, and its annotation boiled down to what has to be done."""

    name: str
    kind: str
    optional: bool
    required: bool
    choices: tuple[str, ...] = ()


_KINDS: dict[Any, str] = {
    str: "text",
    bool: "bool",
    int: "int",
    float: "float",
    Mode: "mode",
    tuple[str, ...]: "texts",
    "text or texts": "text or texts",
    dict[str, str]: "mapping",
    Mapping[str, str]: "mapping",
    tuple[ActionEntry, ...]: "actions",
    tuple[PredicateNode, ...]: "predicates",
    PredicateNode: "conditions",
}


@lru_cache(maxsize=256)
def _fields(cls: type) -> tuple[_Field, ...]:
    if not dataclasses.is_dataclass(cls):
        raise TypeError(f"{cls.__qualname__} is not a dataclass")
    hints = typing.get_type_hints(cls)
    return tuple(_field(cls, field, hints[field.name]) for field in dataclasses.fields(cls))


def _field(cls: type, field: dataclasses.Field[Any], hint: Any) -> _Field:
    optional = False
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        parts = typing.get_args(hint)
        rest = [part for part in parts if part not in (types.NoneType, Path)]
        optional = types.NoneType in parts
        if rest == [str, tuple[str, ...]]:
            rest = ["text or texts"]
        if len(rest) != 1:
            raise TypeError(f"{cls.__qualname__}.{field.name} has more than one type")
        hint = rest[0]
    required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    if typing.get_origin(hint) is Literal:
        return _Field(field.name, "choice", optional, required, tuple(str(choice) for choice in typing.get_args(hint)))
    kind = _KINDS.get(hint)
    if kind is None:
        raise TypeError(f"{cls.__qualname__}.{field.name} has a type that cannot stand in pack.yaml: {hint}")
    return _Field(field.name, kind, optional, required)


class _Decoder(Struct, frozen=True):
    """What is the same for all arguments of one action."""

    what: str
    problems: Problems
    predicates: Predicates

    def decode(self, fields: tuple[_Field, ...], entries: Mapping[str, Entry], node: Node) -> dict[str, Any]:
        known = {field.name for field in fields if field.kind != "conditions"}
        conditions: set[str] = set()
        if len(known) < len(fields):
            conditions = {key for key in entries if key not in known and self._is_condition(key)}
            known |= {*COMBINERS, *conditions}
            if not known.issuperset(entries):
                known.update(self.predicates.names())  # for the hint
        check_keys(entries, self.what, known, self.problems)
        values: dict[str, Any] = {}
        for field in fields:
            if field.kind == "conditions":
                found = {key: entry for key, entry in entries.items() if key in conditions}
                if found:
                    values[field.name] = parse_conditions(found, node.mark, self.problems, predicates=self.predicates)
                elif field.required:
                    self.problems.add(node, f"{self.what} needs a condition", "write os, all_of, any_of or none_of")
            elif field.name in entries:
                values[field.name] = self._value(field, entries[field.name].node)
            elif field.required:
                self.problems.add(node, f"{self.what} needs '{field.name}'", "give it a value")
        return values

    def _is_condition(self, key: str) -> bool:
        return key in COMBINERS or self.predicates.knows(key)

    def _value(self, field: _Field, node: Node) -> object:
        what = f"{self.what}.{field.name}"
        if node.value is None and field.optional:
            return None
        if field.kind == "choice":
            return read_choice(node, what, field.choices, self.problems)
        if field.kind == "predicates":
            return self._predicates(node, what)
        return _READERS[field.kind](node, what, self.problems)

    def _predicates(self, node: Node, what: str) -> tuple[PredicateNode | None, ...]:
        items = read_list(node, what, self.problems)
        if items is not None and not items:
            self.problems.add(node, f"{what} is empty", "name a predicate, or leave the key out")
        return tuple(parse_predicate(item, self.problems, predicates=self.predicates) for item in items or ())


def _read_float(node: Node, what: str, problems: Problems) -> float | None:
    value = node.value
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    if value is not UNREADABLE:
        problems.add(node, f"{what} is a finite number, and this is {node.kind}", "write digits, without quotes")
    return None


def _read_mode(node: Node, what: str, problems: Problems) -> str | None:
    value = node.value
    if isinstance(value, int) and not isinstance(value, bool):
        problems.add(node, f"{what} is text of 3 or 4 octal digits, and this is a number", 'quote it, as in "0755"')
        return None
    text = read_text(node, what, problems)
    if text is not None and not _MODE.fullmatch(text):
        problems.add(
            node, f"{what} is text of 3 or 4 octal digits, and this is {quoted(text, 20)}", 'write it as in "0755"'
        )
        return None
    return text


def _read_text_or_texts(node: Node, what: str, problems: Problems) -> tuple[str, ...] | None:
    if isinstance(node.value, tuple):
        return read_texts(node, what, problems)
    text = read_text(node, what, problems)
    return None if text is None else (text,)


_READERS: dict[str, Callable[[Node, str, Problems], object]] = {
    "text": lambda node, what, problems: read_text(node, what, problems, empty=True),
    "bool": read_bool,
    "int": read_int,
    "float": _read_float,
    "mode": _read_mode,
    "texts": lambda node, what, problems: read_texts(node, what, problems, empty=True),
    "text or texts": _read_text_or_texts,
    "mapping": read_text_mapping,
    "actions": parse_actions,
}
