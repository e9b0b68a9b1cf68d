"""What every verb's report has in common: a schema name, an exit code, and one JSON shape for failures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, cast, overload

from grex.errors import GrexError

if TYPE_CHECKING:
    from grex.engine.removal import RemovalOutcome
    from grex.git.history import History
    from grex.verbs.documents import FailureObject, HistoryObject, RemovedObject

__all__ = ["Report", "exit_code_of", "explained", "failure_json", "first_error", "history_json", "removed_json"]

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


def removed_json(pack: RemovalOutcome) -> RemovedObject:
    """A pack that went or was to go, as it stands in a document."""
    return {
        "path": pack.path,
        "status": pack.status,
        "trash": pack.trash,
        "code": pack.code,
        "text": pack.text,
        "hint": pack.hint,
        "error": failure_json(pack.error),
    }


def history_json(history: History | None) -> HistoryObject | None:
    """The commits between two, as they stand in a report; None where they are not known."""
    if history is None:
        return None
    return {
        "added": history.added,
        "gone": history.gone,
        "subjects": [{"sha": one.sha, "subject": one.subject, "gone": one.is_gone} for one in history.commits],
    }


def exit_code_of(errors: Iterable[GrexError | None], also: Iterable[int] = ()) -> int:
    """The one exit code of several packs' failures: 3 before 8 before 4; a pack's lock trouble is 4.

    `also` are exit codes of what went wrong without an exception.
    """
    codes = {4 if error.exit_code in (1, 5) else error.exit_code for error in errors if error is not None}
    codes.update(also)
    for code in _PRECEDENCE:
        if code in codes:
            return code
    return max(codes, default=0)


def first_error(group: BaseExceptionGroup[BaseException]) -> GrexError | None:
    """The failure that a group of tasks ended with, if all of them are ours; the one with the lowest exit code."""
    found: list[GrexError] = []
    stack: list[BaseException] = [group]
    while stack:
        failure = stack.pop()
        if isinstance(failure, BaseExceptionGroup):
            stack.extend(failure.exceptions)
        elif isinstance(failure, GrexError):
            found.append(failure)
        else:
            return None
    return min(found, key=lambda one: (one.exit_code, one.message), default=None)


def explained(error: GrexError | None) -> list[str]:
    """What there is to say below the message, a line each: what to do, and what else is wrong.

    Of a file with several problems the message has the first, and its hint follows it; then come the others, each with
    its own. The chain of a circle, or of a wait that would never end, stands before the hint.
    """
    if error is None:
        return []
    hint = [f"hint: {error.hint}"] if error.hint else []
    further = [line for problem in error.details.get("problems", [])[1:] for line in _problem_lines(problem)]
    return [*map(str, error.details.get("chain", [])), *hint, *further]


def _problem_lines(problem: object) -> list[str]:
    if not isinstance(problem, Mapping):
        return [str(problem)]
    line = f"{problem['file']}:{problem['line']}:{problem['column']}: {problem['message']}"
    return [line, f"  hint: {problem['hint']}"] if problem.get("hint") else [line]
