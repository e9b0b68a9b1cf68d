"""One JSON object a line, read more strictly than the standard library does by itself, and written canonically.

Log and lockfile are files of such lines. Refused as damage: bytes that are not UTF-8, duplicate keys (the last one
would win silently), `NaN` and its kin, numbers that overflow, lone surrogates, and nesting beyond `MAX_DEPTH`. What
passes can always be written again, and equal values are equal bytes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

__all__ = ["MAX_DEPTH", "MAX_LINE_BYTES", "DamageError", "Json", "load_object", "nesting", "render_object"]

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
"""A value that JSON can hold."""

MAX_DEPTH: Final = 32
MAX_LINE_BYTES: Final = 64 * 1024
"""The longest line, its LF included."""


class DamageError(ValueError):
    """Why a line cannot be used, as the end of a sentence that begins with "the line"."""


def load_object(line: bytes, *, limit_bytes: int = MAX_LINE_BYTES) -> dict[str, Any]:
    """The object on a line, with or without its LF.

    Raises:
        DamageError: the line is too long, or no JSON object as the module says.
    """
    if len(line) > limit_bytes:
        raise DamageError(f"is longer than {limit_bytes} bytes")
    value = _load(line)
    # A deep value has as many opening brackets, so the common line does not pay for being measured.
    if line.count(b"{") + line.count(b"[") > MAX_DEPTH and nesting(value) > MAX_DEPTH:
        raise DamageError(f"is nested deeper than {MAX_DEPTH}")
    if not isinstance(value, dict):
        raise DamageError("is not a JSON object")
    return value


def render_object(head: Mapping[str, Json], rest: Mapping[str, Json], *, limit_bytes: int = MAX_LINE_BYTES) -> bytes:
    """The line of an object, its LF included: the keys of `head` in their order, then those of `rest`, sorted.

    Raises:
        ValueError: the values are not JSON, are nested too deeply, or make a line that is too long.
    """
    if nesting(rest) > MAX_DEPTH:
        raise ValueError(f"is nested deeper than {MAX_DEPTH}")
    text = _ENCODER.encode(dict(head))
    if rest:
        text = f"{text[:-1]},{_SORTING_ENCODER.encode(dict(rest))[1:]}"
    line = text.encode("utf-8") + b"\n"  # a lone surrogate is a UnicodeEncodeError, which is a ValueError
    if len(line) > limit_bytes:
        raise ValueError(f"would be a line of {len(line)} bytes, and {limit_bytes} is the limit")
    return line


def nesting(value: object) -> int:
    """How deeply a value is nested; a scalar is 0. Level by level: a recursion would fail where it is needed."""
    depth = 0
    level = [value]
    while containers := [item for item in level if isinstance(item, (Mapping, list, tuple))]:
        depth += 1
        level = [below for item in containers for below in (item.values() if isinstance(item, Mapping) else item)]
    return depth


def _load(line: bytes) -> Any:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        raise DamageError("is not UTF-8") from None
    try:
        value = _DECODER.decode(text)
        if "\\ud" in text or "\\uD" in text:  # only an escape can give half of a surrogate pair
            _ENCODER.encode(value).encode("utf-8")
    except json.JSONDecodeError as error:
        raise DamageError(
            f"is not JSON ({error.msg} at column {error.pos + 1})" if text.strip() else "is empty"
        ) from None
    except UnicodeEncodeError:
        raise DamageError("holds half of a surrogate pair") from None
    except RecursionError:
        raise DamageError(f"is nested deeper than {MAX_DEPTH}") from None
    except DamageError:
        raise
    except ValueError:  # Python reads no integers of thousands of digits
        raise DamageError("holds a number that is too large") from None
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise DamageError(f"has the key {twice!r} twice")
    return found


def _refuse_constant(name: str) -> None:
    raise DamageError(f"holds {name}, which is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise DamageError("holds a number that is too large")
    return number


def _plain(value: object) -> object:
    """What the encoder does not know by itself: mappings and sequences that are not dict, list or tuple."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence):
        return list(value)
    raise ValueError(f"holds a {type(value).__name__}, which is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite)
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)
_SORTING_ENCODER = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain, sort_keys=True
)
