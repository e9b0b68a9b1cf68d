"""Declared actions become typed arguments, checked against what the registry knows, before anything of a pack runs."""

from __future__ import annotations

from collections.abc import Sequence

from grex.errors import PackSpecError, PluginError
from grex.pack import ActionEntry, Problems, decode
from grex.pack.problems import raise_problems
from grex.plugin import ActionArguments, Registry, When

__all__ = ["decode_actions"]


def decode_actions(registry: Registry, entries: Sequence[ActionEntry]) -> tuple[ActionArguments, ...]:
    """Decode `actions` entries through the registry; every problem of all of them is reported at once.

    Raises:
        PackSpecError: arguments that do not fit.
        UnknownActionError: an action that nobody registers.
    """
    problems = Problems()
    decoded = _decode(registry, entries, problems)
    if problems:
        raise_problems(problems, PackSpecError)
    return decoded


def _decode(registry: Registry, entries: Sequence[ActionEntry], problems: Problems) -> tuple[ActionArguments, ...]:
    decoded: list[ActionArguments] = []
    for entry in entries:
        try:
            implementation = registry.action(entry.kind)
        except PluginError as error:
            error.message = f"{entry.mark}: {error.message}"
            error.args = (error.message,)
            raise
        arguments = decode(implementation.arguments, entry.args, problems, what=entry.kind)
        if arguments is None:
            continue
        wrong = implementation.check(arguments)
        if wrong is not None:
            problems.add(entry.mark, wrong, "")
        elif isinstance(arguments, When):
            _decode(registry, arguments.actions, problems)
        decoded.append(arguments)
    return tuple(decoded)
