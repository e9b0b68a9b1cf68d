"""What a check gives: something that is not in order, as a value.

| severity | means | exit code |
|---|---|---|
| `error` | a verb fails because of it, or what was known is lost | that of the failure: 3, 4 of a pack, 8, 2 |
| `warning` | half-done or out of date; the next sync, teardown or fix sees to it | 0 |
| `note` | worth knowing, nothing to do | 0 |
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal

from msgspec import Struct

from grex.engine.checks.ground import Ground
from grex.errors import GrexError
from grex.names import clean

__all__ = ["Check", "Finding", "Fix", "Severity", "of_error", "plural"]

Severity = Literal["error", "warning", "note"]

_CHARACTERS = 600


class Finding(Struct, frozen=True, kw_only=True):
    """Something that is not in order.

    Attributes:
        code: what it is, stable for programs.
        severity: how much it matters.
        subject: where it is: a pack, a file from the workspace root, or a place in a file.
        text: what it is, one sentence without a full stop.
        why: why it matters, the same.
        fix: what `--fix` does about it; None where nothing is safe to do.
        hint: what a person has to do, or can.
        pack: the pack that it is about, None for the workspace as a whole.
        target: what its fix works on, where `subject` is not enough: a path, an id.
        exit_code: what it means for the exit code, as an error.
    """

    code: str
    severity: Severity
    subject: str
    text: str
    why: str
    fix: str | None = None
    hint: str | None = None
    pack: str | None = None
    target: str = ""
    exit_code: int = 3


Check = Callable[[Ground], Awaitable[list[Finding]]]
"""Looks and changes nothing; an OSError or a GrexError that it raises becomes a finding."""

Fix = Callable[[Ground, Finding], Awaitable[str]]
"""Mends one finding, WORKSPACE being held, and says what was done. What is mended already is said to be so."""


def of_error(
    error: GrexError, *, code: str, subject: str, why: str, pack: str | None = None, exit_code: int | None = None
) -> list[Finding]:
    """Findings of a refused file or pack: one for each problem that the error speaks of."""
    code_of = error.exit_code if exit_code is None else exit_code
    problems = [one for one in error.details.get("problems", ()) if isinstance(one, dict) and "message" in one]
    found: list[Finding] = []
    for one in problems:
        place = f"{one.get('file', subject)}:{one.get('line', 1)}:{one.get('column', 1)}"
        text = clean(str(one["message"]).removeprefix(f"{place}: "), _CHARACTERS)
        hint = clean(str(one["hint"]), _CHARACTERS) if one.get("hint") else None
        found.append(
            Finding(
                code=code,
                severity="error",
                subject=place,
                text=text,
                why=why,
                hint=hint,
                pack=pack,
                exit_code=code_of,
            )
        )
    if found:
        return found
    details = error.details
    place = subject
    if isinstance(details.get("file"), str) and isinstance(details.get("line"), int):
        place = ":".join(str(details[key]) for key in ("file", "line", "column") if key in details)
    text = clean(error.message.removeprefix(f"{place}: ").rstrip("."), _CHARACTERS)
    return [
        Finding(
            code=code,
            severity="error",
            subject=place,
            text=text,
            why=why,
            hint=error.hint,
            pack=pack,
            exit_code=code_of,
        )
    ]


def plural(number: int, one: str) -> str:
    """A number of things."""
    return f"{number} {one}{'' if number == 1 else 's'}"
