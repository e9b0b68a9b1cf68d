"""What is wrong with a file, where, and what to do: collected, so that one reading reports everything.

A `Mark` is a place in a file. It travels with whatever was read there (a key, a child, an argument of an action), so
that a check that can only be made much later, against the registry or the other packs, still names file, line and
column. Lines and columns count from 1, columns in characters, as editors do.

Messages quote text that strangers wrote, always through `quoted`: short, printable, without credentials.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, NoReturn, Protocol

from msgspec import Struct, field

from grex.errors import GrexError
from grex.names import as_hint, clean, redact

__all__ = ["Mark", "Marked", "Problem", "Problems", "quoted", "raise_problems"]

# A file that is wrong in a thousand places is wrong in one way; nobody reads on.
MAX_PROBLEMS = 100


class Mark(NamedTuple):
    """A place in a file. A tuple, not a dataclass: there is one for every value that is read."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        """The place as compilers write it."""
        return f"{self.file}:{self.line}:{self.column}"

    def seen_from(self, here: Mark) -> str:
        """The place in words, shorter for a reader who is in the same file."""
        return f"in line {self.line}" if here.file == self.file else f"in line {self.line} of {self.file}"


class Marked(Protocol):
    """Anything that knows where it was read."""

    @property
    def mark(self) -> Mark:
        """Where it stands."""


class Problem(Struct, frozen=True):
    """One thing that is wrong, and where; `hint` is a fragment, of which the error makes a sentence."""

    file: str
    line: int
    column: int
    message: str
    hint: str

    def render(self) -> str:
        """The problem on one line."""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.file}:{self.line}:{self.column}: {self.message}{hint}"

    def to_json(self) -> dict[str, str | int]:
        """The problem as it stands in the details of an error."""
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "message": self.message,
            "hint": as_hint(self.hint),
        }


class Problems(Struct):
    """What one reading found, in the order of the file once `sorted` is asked."""

    _found: list[Problem] = field(default_factory=list)
    _total: int = 0
    _files: list[str] = field(default_factory=list)

    def begin(self, file: str) -> None:
        """Say that a file is read now: problems are listed in this order, whenever they are found."""
        self._files.append(file)

    def add(self, at: Mark | Marked, message: str, hint: str) -> None:
        """Record a problem at a place, or at the place of something that was read."""
        mark = at if isinstance(at, Mark) else at.mark
        self._total += 1
        if len(self._found) < MAX_PROBLEMS:
            self._found.append(Problem(mark.file, mark.line, mark.column, message, hint))

    def extend(self, others: Problems) -> None:
        """Take over what another reading found."""
        self._total += others._total
        self._found.extend(others._found[: max(0, MAX_PROBLEMS - len(self._found))])
        self._files.extend(file for file in others._files if file not in self._files)

    @property
    def is_full(self) -> bool:
        """Whether another problem would only be counted, so that looking for its hint is wasted work."""
        return self._total >= MAX_PROBLEMS

    def sorted(self) -> tuple[Problem, ...]:
        """All problems: the base file before its target, from the top down."""
        order = {file: index for index, file in enumerate(self._files)}
        return tuple(
            sorted(self._found, key=lambda problem: (order.get(problem.file, 0), problem.line, problem.column))
        )

    def __len__(self) -> int:
        """How many were found; beyond `MAX_PROBLEMS` they are only counted."""
        return self._total

    def __iter__(self) -> Iterator[Problem]:
        """In the order of the file."""
        return iter(self.sorted())


def quoted(text: str, limit: int = 80) -> str:
    """Return somebody else's text in quotes, fit for a message."""
    return f"'{clean(redact(text), limit)}'"


def raise_problems(problems: Problems, error: type[GrexError]) -> NoReturn:
    """Raise one error that names the first problem and carries them all."""
    found = problems.sorted()
    first, rest = found[0], len(problems) - 1
    more = f" (and {rest} more problem{'' if rest == 1 else 's'})" if rest else ""
    raise error(
        f"{first.file}:{first.line}:{first.column}: {first.message}{more}.",
        hint=as_hint(first.hint) or None,
        details={"problems": [problem.to_json() for problem in found]},
    )
