"""What every verb's report has in common: a schema name, an exit code, and one JSON shape for failures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, cast, overload

from grex.errors import GrexError

if TYPE_CHECKING:
    from grex.verbs.documents import FailureObject

__all__ = ["Report", "exit_code_of", "failure_json", "further_problems"]

_PRECEDENCE = (3, 8, 4, 7)


class Report(Protocol):
    """What one verb did: rendered as text, or as the JSON document of `to_json`."""

    @property
    def exit_code(self) -> int:
        """The exit code that this report means."""

    def to_json(self) -> Mapping[str, Any]:
        """The document of `--json`; its `schema` is `grex.<verb>/1`."""


@overload
def failure_json(error: GrexError) -> FailureObject: ...
@overload
def failure_json(error: None) -> None: ...
def failure_json(error: GrexError | None) -> FailureObject | None:
    """A failure as it stands in a report; None where nothing failed."""
    return None if error is None else cast("FailureObject", error.to_json())


def exit_code_of(errors: Iterable[GrexError | None]) -> int:
    """The one exit code of several packs' failures: 3 before 8 before 4; a pack's lock trouble is 4."""
    codes = {4 if error.exit_code in (1, 5) else error.exit_code for error in errors if error is not None}
    for code in _PRECEDENCE:
        if code in codes:
            return code
    return max(codes, default=0)


def further_problems(error: GrexError | None) -> list[str]:
    """What there is to say beside the message, a line each.

    The problems of a file after the first, which the message has: whoever mends one wants to see them all. And the
    chain of a wait that would never end.
    """
    if error is None:
        return []
    problems = error.details.get("problems", [])
    return [*(_problem_line(problem) for problem in problems[1:]), *map(str, error.details.get("chain", []))]


def _problem_line(problem: object) -> str:
    if not isinstance(problem, Mapping):
        return str(problem)
    hint = f" ({problem['hint']})" if problem.get("hint") else ""
    return f"{problem['file']}:{problem['line']}:{problem['column']}: {problem['message']}{hint}"
