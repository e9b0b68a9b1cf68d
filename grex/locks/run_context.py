"""What a run says about itself, for holder records and for the check of nested commands.

Both values are context variables and not arguments: they are facts of the whole run, every lock below the verb needs
them, and several verbs may run at once in one server process.
"""

from __future__ import annotations

import os
from contextvars import ContextVar

__all__ = ["current_verb", "current_workspace", "set_verb", "set_workspace"]

_VERB: ContextVar[str] = ContextVar("grex_verb", default="")
_WORKSPACE: ContextVar[str | None] = ContextVar("grex_workspace", default=None)


def set_verb(verb: str) -> None:
    """Name the verb that this task and the tasks it starts work for; holder records carry it."""
    _VERB.set(verb)


def current_verb() -> str:
    """The verb of this task; empty if nobody said."""
    return _VERB.get()


def set_workspace(path: str | os.PathLike[str]) -> None:
    """Say on which workspace this task and the tasks it starts work.

    The check of nested commands compares tiers only within one workspace. Without this call it is concluded from the
    workspace lock that the task holds, and failing that from where the locked path lies.
    """
    _WORKSPACE.set(os.path.realpath(path))


def current_workspace() -> str | None:
    """The workspace of this task, canonical; None if nobody said."""
    return _WORKSPACE.get()
