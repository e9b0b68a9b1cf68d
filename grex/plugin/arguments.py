"""What the arguments of all actions have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from grex.pack import Mark

__all__ = ["ActionArguments", "mark_of", "put_mark"]


class _Placed:
    """Where arguments were read, in a slot beside the fields: it is no argument, and plays no part in comparing."""

    __slots__ = ("_mark",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionArguments(_Placed):
    """What every action's arguments are: a frozen dataclass that names its action."""

    action: ClassVar[str]


def mark_of(arguments: object) -> Mark | None:
    """Where the pack.yaml has this action; None for one that a plugin made itself."""
    mark = getattr(arguments, "_mark", None)
    return mark if isinstance(mark, Mark) else None


def put_mark(arguments: ActionArguments, mark: Mark) -> None:
    """Note where arguments were read, for the errors of their action."""
    object.__setattr__(arguments, "_mark", mark)
