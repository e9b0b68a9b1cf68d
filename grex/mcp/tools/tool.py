"""What a tool is: a verb, as it is shown to a client and as it is asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct

from grex.mcp.arguments import Argument
from grex.mcp.place import Place

if TYPE_CHECKING:
    from grex.engine import Settings
    from grex.verbs.report import Report

__all__ = [
    "CONFIRM",
    "DRY_RUN",
    "FAIL_FAST",
    "FILTERS",
    "JOBS",
    "LOCKING",
    "LOCK_TIMEOUT",
    "NO_WAIT",
    "PACKS",
    "Ask",
    "Asking",
    "Given",
    "Tool",
]

Given: TypeAlias = Mapping[str, Any]
"""The arguments of the verb, each with its value."""


class Asking(Struct, frozen=True):
    """A verb that is ready to run: what it is asked, and the coroutine function that takes the settings."""

    request: Any
    run: Callable[[Settings], Awaitable[Report]]


Ask: TypeAlias = Callable[[Place, Given], Asking]
"""Turns arguments into a verb to run, which is imported only then; may raise `UsageError`."""


class Tool(Struct, frozen=True, kw_only=True):
    """A verb as a tool.

    Attributes:
        name: what clients call it.
        verb: what holder records call it, as for the command of that name.
        says: what it does, in a sentence; a second one where a model has to know more.
        document: whose document its result is, a key of `DOCUMENTS`; None for an object of any form.
        ask: turns arguments into a verb to run.
        arguments: what it takes, without those that say how it waits.
        waiting: what it takes of `jobs`, `no_wait` and `lock_timeout_s`.
        is_read_only: whether nothing of the user's is changed, whatever the arguments.
        is_destructive: whether something can be replaced or taken away.
        is_idempotent: whether a second call with the same arguments changes nothing more.
        is_open_world: whether it can talk to other hosts, or run what others wrote.
        discards: what work these arguments would take away, as in "`rm` with force moves ..."; None where none.
    """

    name: str
    verb: str
    says: str
    document: str | None
    ask: Ask
    arguments: tuple[Argument, ...] = ()
    waiting: tuple[Argument, ...] = ()
    is_read_only: bool = False
    is_destructive: bool = False
    is_idempotent: bool = False
    is_open_world: bool = False
    discards: Callable[[Place, Given], str | None] | None = None

    @property
    def all_arguments(self) -> tuple[Argument, ...]:
        """What a client may say."""
        return (*self.arguments, *((CONFIRM,) if self.discards is not None else ()), *self.waiting)


PACKS = Argument(
    "packs",
    "texts",
    "Only these packs and what they own: paths from the workspace root, or unique names; all if empty.",
)
FILTERS = Argument(
    "filters",
    "texts",
    "Only packs of which one of these holds: a path glob, type:NAME, group:NAME or changed; `,` is and, `!` is not.",
)
DRY_RUN = Argument("dry_run", "flag", "Say what would be done, and do nothing.")
FAIL_FAST = Argument("fail_fast", "flag", "Begin nothing more after a failure.")
CONFIRM = Argument(
    "confirm", "flag", "Needed where these arguments would take work away; set it only when the user wants that."
)
JOBS = Argument("jobs", "count", "Work on so many packs at once, at most; the server may allow fewer.", least=1)
NO_WAIT = Argument("no_wait", "flag", "Fail at once where somebody else holds a lock.")
LOCK_TIMEOUT = Argument(
    "lock_timeout_s", "seconds", "Wait no longer than so many seconds for a lock; for ever if absent."
)
LOCKING = (JOBS, NO_WAIT, LOCK_TIMEOUT)
