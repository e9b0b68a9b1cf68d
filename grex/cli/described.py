"""The command line as values: what completion scripts, manual pages and the reference are written from.

Read from the app itself, so that none of them can say something else than `--help`.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

__all__ = ["Described", "Parameter", "describe", "every_verb"]


class Parameter(Struct, frozen=True):
    """An argument (without `names`) or an option of a verb.

    `metavar` is what stands for its value, empty for a flag; `choices` are the only values, where there are such.
    """

    names: tuple[str, ...]
    metavar: str
    help: str
    default: str = ""
    choices: tuple[str, ...] = ()
    is_repeated: bool = False
    is_required: bool = False


class Described(Struct, frozen=True):
    """A verb: its words (`cache`, `size`; none for grex itself), what its help says, and the verbs below it."""

    words: tuple[str, ...]
    summary: str
    text: str
    usage: str
    arguments: tuple[Parameter, ...]
    options: tuple[Parameter, ...]
    verbs: tuple[Described, ...] = ()

    @property
    def name(self) -> str:
        """Its words joined by blanks."""
        return " ".join(self.words)


def describe() -> Described:
    """The whole command line, hidden verbs left out, in the order of the help."""
    from typer.main import get_command  # noqa: PLC0415 - the app imports this module's users

    from grex.cli.app import VERBS, app_with  # noqa: PLC0415 - as above

    return _command(get_command(app_with(VERBS)), ())


def every_verb(root: Described) -> Iterator[Described]:
    """The verbs below, each before those below it, without the root."""
    for verb in root.verbs:
        yield verb
        yield from every_verb(verb)


def _command(command: Any, words: tuple[str, ...]) -> Described:
    text = inspect.cleandoc(command.help or "")
    below = getattr(command, "commands", {})
    parameters = [_parameter(one) for one in command.params if not getattr(one, "hidden", False)]
    arguments = tuple(one for one in parameters if not one.names)
    tail = ["VERB"] if below else [one.metavar for one in arguments]
    if getattr(command, "takes_behind_dashes", False):
        tail.append("-- CMD...")
    return Described(
        words=words,
        summary=text.partition("\n\n")[0].replace("\n", " "),
        text=text,
        usage=" ".join(["grex", *words, "[OPTIONS]", *tail]),
        arguments=arguments,
        options=(*(one for one in parameters if one.names), Parameter(("--help", "-h"), "", "Show the help.")),
        verbs=tuple(_command(one, (*words, name)) for name, one in below.items() if not one.hidden),
    )


def _parameter(one: Any) -> Parameter:
    is_argument = one.param_type_name == "argument"
    choices = tuple(map(str, getattr(one.type, "choices", ()) or ()))
    choices = tuple(str(getattr(choice, "value", choice)) for choice in getattr(one.type, "choices", ()) or choices)
    shown = one.metavar or ("|".join(choices) if choices else str(one.name).upper())
    return Parameter(
        names=() if is_argument else (*one.opts, *one.secondary_opts),
        metavar="" if getattr(one, "is_flag", False) else shown,
        help=" ".join((one.help or "").split()),
        default=_default(one),
        choices=choices,
        is_repeated=bool(getattr(one, "multiple", False)) or one.nargs == -1,
        is_required=bool(one.required),
    )


def _default(one: Any) -> str:
    """What counts where it is not given, as far as that is worth saying."""
    if isinstance(one.show_default, str):
        return one.show_default
    value = one.default
    if value is None or callable(value) or isinstance(value, bool | list | tuple) or getattr(one, "is_flag", False):
        return ""
    return str(getattr(value, "value", value))
