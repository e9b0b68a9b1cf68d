"""The actions of a pack.yaml become typed arguments, checked against what the registry knows, before anything runs.

What an action is about is its own business, so what is inside of it is found by the annotation alone: every argument
of type `tuple[ActionEntry, ...]` holds actions, which are decoded and checked with the one around them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any

from grex.errors import PackSpecError, PluginError, UnknownActionError, UnknownPredicateError
from grex.names import clean
from grex.pack import ActionEntry, Mark, PlainData, PredicateNode, Problems, decode
from grex.pack.problems import raise_problems
from grex.plugin.arguments import ActionArguments, put_mark
from grex.plugin.failures import blamed
from grex.plugin.predicate_type import PredicateContext
from grex.plugin.registry import PREDICATES_GROUP, Registry

__all__ = ["RegisteredPredicates", "ask", "decode_actions", "nested_entries"]

_SENTENCE_CHARACTERS = 400


def decode_actions(registry: Registry, entries: Sequence[ActionEntry]) -> tuple[ActionArguments, ...]:
    """Decode `actions` entries through the registry; every problem of all of them is reported at once.

    Raises:
        PackSpecError: arguments that do not fit.
        PluginError: an action or predicate that nobody registers, that does not load, or that fails to check.
    """
    problems = Problems()
    unknown: list[tuple[Mark, UnknownActionError]] = []
    decoded = _decode(registry, entries, problems, unknown)
    if len(problems) == len(unknown) == 1:
        mark, error = unknown[0]
        with blamed("", mark=mark):
            raise error
    if problems:
        raise_problems(problems, UnknownActionError if unknown else PackSpecError)
    return decoded


def nested_entries(arguments: object, argument: str | None = None) -> tuple[ActionEntry, ...]:
    """The actions inside of an action, in the order of its arguments; of one argument only, if that is named."""
    if not dataclasses.is_dataclass(arguments):
        return ()
    names = [field.name for field in dataclasses.fields(arguments) if argument in (None, field.name)]
    values = [getattr(arguments, name) for name in names]
    return tuple(
        item for value in values if isinstance(value, tuple) for item in value if isinstance(item, ActionEntry)
    )


class RegisteredPredicates:
    """The `Predicates` of the parser: those that the registry knows."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def knows(self, kind: str) -> bool:
        """Whether somebody registers it."""
        return self._registry.has(PREDICATES_GROUP, kind)

    def check(self, kind: str, value: PlainData, mark: Mark) -> str | None:
        """Why the value cannot be meant.

        Raises:
            PluginError: it does not load, or fails to check.
        """
        with blamed(f"the predicate {kind!r}", mark=mark):
            return _sentence(self._registry.predicate(kind).check(value))

    def names(self) -> Collection[str]:
        """Every name."""
        return self._registry.names(PREDICATES_GROUP)


def ask(registry: Registry, node: PredicateNode, ctx: PredicateContext) -> bool | None:
    """What a predicate answers; None on a platform that it does not support, and for one that nobody registers.

    Raises:
        ActionError: it cannot be found out.
        PluginError: it does not load, or fails.
    """
    with blamed(f"the predicate {node.kind!r}", pack=ctx.pack.path, mark=node.mark):
        try:
            implementation = registry.predicate(node.kind)
        except UnknownPredicateError:
            return None  # of a plugin's own making: what a pack.yaml says has been checked
        if implementation.platforms and ctx.platform not in implementation.platforms:
            return None
        return bool(implementation.holds(node.value, ctx))


def _decode(
    registry: Registry,
    entries: Sequence[ActionEntry],
    problems: Problems,
    unknown: list[tuple[Mark, UnknownActionError]],
) -> tuple[ActionArguments, ...]:
    decoded: list[ActionArguments] = []
    predicates = RegisteredPredicates(registry)
    for entry in entries:
        with blamed(f"the action {entry.kind!r}", mark=entry.mark):
            try:
                implementation = registry.action(entry.kind)
            except UnknownActionError as error:
                problems.add(entry.mark, error.message, error.hint or "")
                unknown.append((entry.mark, error))
                continue
            arguments: Any = decode(
                implementation.arguments, entry.args, problems, what=entry.kind, predicates=predicates
            )
            if arguments is None:
                continue
            wrong = _sentence(implementation.check(arguments))
        if wrong is not None:
            problems.add(entry.mark, wrong, "")
        else:
            _decode(registry, nested_entries(arguments), problems, unknown)
        put_mark(arguments, entry.mark)
        decoded.append(arguments)
    return tuple(decoded)


def _sentence(said: object) -> str | None:
    """What a `check` gave, if it is what it has to be."""
    if said is None:
        return None
    if not isinstance(said, str):
        raise PluginError(
            f"its check gave {type(said).__name__} instead of a sentence",
            hint="Report it to the authors of the plugin.",
        )
    return clean(said, _SENTENCE_CHARACTERS)
