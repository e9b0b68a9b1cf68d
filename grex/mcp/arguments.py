"""The arguments of tools: what a client is shown of them, and how what it sends is read.

What is wrong is said in one sentence about one argument, since it is read by whoever made the call, mostly a model,
and has to lead to the right call at once. A library's own account of it would not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

from grex.errors import UsageError
from grex.names import as_hint, clean, suggest

__all__ = ["Argument", "Kind", "read_arguments", "schema_of"]

Kind = Literal["text", "texts", "flag", "count", "seconds"]

_SHOWN_CHARACTERS = 60

_SCHEMAS: dict[Kind, dict[str, Any]] = {
    "text": {"type": "string"},
    "texts": {"type": "array", "items": {"type": "string"}},
    "flag": {"type": "boolean"},
    "count": {"type": "integer"},
    "seconds": {"type": "number"},
}

_WANTED: dict[Kind, str] = {
    "text": "a string",
    "texts": "a list of strings",
    "flag": "true or false",
    "count": "a whole number",
    "seconds": "a number of seconds",
}


class Argument(Struct, frozen=True):
    """One argument of a tool.

    Attributes:
        name: what it is called; mostly the field of the verb's request.
        kind: what it is.
        says: what it is for, in a sentence.
        required: whether a call without it makes no sense.
        choices: what a text may be; empty for anything.
        least: of a number, the least one.
    """

    name: str
    kind: Kind
    says: str
    required: bool = False
    choices: tuple[str, ...] = ()
    least: int = 0

    @property
    def schema(self) -> dict[str, Any]:
        """Its JSON Schema."""
        found = {**_SCHEMAS[self.kind], "description": self.says}
        if self.choices:
            found["enum"] = list(self.choices)
        if self.kind in ("count", "seconds"):
            found["minimum"] = self.least
        if self.kind == "texts" and self.required:
            found["minItems"] = 1
        if self.kind == "flag":
            found["default"] = False
        return found

    def read(self, value: Any) -> Any:
        """The value as a request has it.

        Raises:
            UsageError: it is none of this kind.
        """
        if not self._is_right(value):
            raise UsageError(f"`{self.name}` is {_shown(value)}, not {self._wanted}", hint=self.says)
        return tuple(value) if self.kind == "texts" else float(value) if self.kind == "seconds" else value

    @property
    def missing(self) -> Any:
        """What it is where nobody said it."""
        return {"texts": (), "flag": False}.get(self.kind)

    @property
    def _wanted(self) -> str:
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        least = f", {self.least} or more" if self.kind in ("count", "seconds") else ""
        return f"{_WANTED[self.kind]}{least}"

    def _is_right(self, value: Any) -> bool:
        match self.kind:
            case "text":
                return isinstance(value, str) and "\0" not in value and (not self.choices or value in self.choices)
            case "texts":
                return isinstance(value, list) and all(isinstance(one, str) and "\0" not in one for one in value)
            case "flag":
                return isinstance(value, bool)
            case "count":
                return isinstance(value, int) and not isinstance(value, bool) and self.least <= value < 2**31
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and math.isfinite(value) and value >= self.least


def schema_of(arguments: Sequence[Argument]) -> dict[str, Any]:
    """The JSON Schema of a tool's arguments."""
    found: dict[str, Any] = {
        "type": "object",
        "properties": {one.name: one.schema for one in arguments},
        "additionalProperties": False,
    }
    required = [one.name for one in arguments if one.required]
    return {**found, "required": required} if required else found


def read_arguments(arguments: Sequence[Argument], given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Every argument with its value; null is as good as not saying it.

    Raises:
        UsageError: one is not known, has a wrong value, or is missing.
    """
    said = {name: value for name, value in (given or {}).items() if value is not None}
    known = {one.name: one for one in arguments}
    for name in said:
        if name not in known:
            hint = as_hint(suggest(name, known)) if known else "The tool takes none."
            raise UsageError(f"there is no argument `{clean(name, _SHOWN_CHARACTERS)}`", hint=hint)
    for one in arguments:
        if one.required and said.get(one.name) in (None, []):
            raise UsageError(f"`{one.name}` is missing: {one.says[:1].lower()}{one.says[1:]}")
    return {name: one.read(said[name]) if name in said else one.missing for name, one in known.items()}


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return repr(clean(value, _SHOWN_CHARACTERS))
    if isinstance(value, Mapping):
        return "an object"
    return clean(str(value), _SHOWN_CHARACTERS) if not isinstance(value, bool) else str(value).lower()
