"""Variables in arguments of actions: `$NAME`, `${NAME}` and `%NAME%`, everywhere the same on every platform.

A name is a letter or `_`, then letters, digits and `_`, all ASCII. `$$` and `%%` stand for `$` and `%`. Whatever has
the form of a variable is one, and a missing one is an error rather than an empty string: `rm -rf $X/bin` has a
history. Everything else stays as it is, to the character: a lone `$`, `100%`, `${`, `$5`. Values are put in as they
are and not looked at again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from grex.names import clean

__all__ = ["MissingVariableError", "escape_variables", "expand_variables", "variable_names"]

_VARIABLE = re.compile(
    r"(?P<escape>\$\$|%%)"
    r"|\$(?P<bare>[A-Za-z_][A-Za-z0-9_]*)"
    r"|\$\{(?P<braced>[A-Za-z_][A-Za-z0-9_]*)\}"
    r"|%(?P<percent>[A-Za-z_][A-Za-z0-9_]*)%"
)


class MissingVariableError(ValueError):
    """A variable is used that is not set: `name`, at `offset` characters from the start of the text."""

    def __init__(self, name: str, offset: int) -> None:
        super().__init__(f"the variable '{clean(name, 80)}' at offset {offset} is not set")
        self.name = name
        self.offset = offset


def expand_variables(text: str, variables: Mapping[str, str]) -> str:
    """Return the text with the values of its variables.

    Raises:
        MissingVariableError: one of them is not in `variables`.
    """

    def value(match: re.Match[str]) -> str:
        name = _name(match)
        if name is None:
            return match.group()[0]
        if name not in variables:
            raise MissingVariableError(name, match.start())
        return variables[name]

    return _VARIABLE.sub(value, text)


def escape_variables(text: str) -> str:
    """Return a text that expands to this one, whatever the variables are."""
    return text.replace("$", "$$").replace("%", "%%")


def variable_names(text: str) -> tuple[str, ...]:
    """Return the names of the variables in a text, each once, in their order."""
    names = [name for match in _VARIABLE.finditer(text) if (name := _name(match)) is not None]
    return tuple(dict.fromkeys(names))


def _name(match: re.Match[str]) -> str | None:
    return match["bare"] or match["braced"] or match["percent"]
