"""The lines of the log that stand around one action, so that whatever a kill leaves can be taken back.

`action_started`, with what would take the action back, stands there before anything is changed; `action_completed` or
`action_halted` closes the bracket. Closing is shielded, so that a cancel cannot tear it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import anyio
from msgspec import Struct
from msgspec.structs import replace

from grex.engine.session import Session
from grex.errors import ActionError, PluginError
from grex.manifest import (
    Event,
    action_completed_event,
    action_halted_event,
    action_started_event,
    render_line,
)
from grex.plugin import PackSkippedError

__all__ = ["Bracket", "check_recordable", "close_bracket", "reason_of"]

_CLOSING_TIME_S = 5.0


class Bracket(Struct, frozen=True):
    """The lines of the log that stand around one action."""

    pack: str
    action: str
    kind: str
    run: str
    phase: Literal["do", "undo"] = "do"

    def started(self, undo: Mapping[str, Any] | None = None) -> Event:
        """The line before anything is changed, with what would take it back."""
        return action_started_event(
            self.pack,
            action=self.action,
            kind=self.kind,
            run=self.run,
            phase=self.phase,
            undo=None if undo is None else dict(undo),
        )

    def completed(self, undo: Mapping[str, Any] | None) -> Event:
        """The line after it is done, with what takes back what was done."""
        return action_completed_event(
            self.pack,
            action=self.action,
            kind=self.kind,
            run=self.run,
            phase=self.phase,
            undo=None if undo is None else dict(undo),
        )

    def longest(self, undo: Mapping[str, Any] | None) -> Event:
        """The longest line that will have to hold this undo data: the one that says that it was taken back."""
        return replace(self, phase="undo").completed(undo)

    def halted(self, reason: str) -> Event:
        """The line after it was not done, and why."""
        return action_halted_event(
            self.pack, action=self.action, kind=self.kind, run=self.run, phase=self.phase, reason=reason
        )


def check_recordable(event: Event, pack: str, kind: str) -> None:
    """Insist that undo data can be written down: else it could not be undone later, and is taken back now.

    Raises:
        ActionError: it holds bytes that are not UTF-8.
        PluginError: it is nothing that JSON can say.
    """
    try:
        render_line(event)
    except (TypeError, ValueError) as error:
        if isinstance(error.__cause__, UnicodeEncodeError):
            raise ActionError(
                f"{pack}: what taking back the action {kind!r} needs holds bytes that are not UTF-8, and the log cannot"
                " keep them",
                hint="Choose a path whose name is UTF-8, or for the workspace or the home such a directory.",
            ) from error
        raise PluginError(
            f"{pack}: the undo data of the action {kind!r} cannot be recorded: {error}",
            hint="Report it to the authors of the plugin.",
        ) from error


async def close_bracket(session: Session, pack: str, event: Event, *, durable: bool) -> None:
    """Record the end of an action, also when the run is cancelled: what has been done can only be undone if it stands.

    Tier: MANIFEST. Cancellation: goes on after the event is recorded, or could not be within a few seconds.
    """
    try:
        await session.record(pack, [event], durable=durable)
    except anyio.get_cancelled_exc_class():
        with anyio.CancelScope(shield=True), anyio.move_on_after(_CLOSING_TIME_S):
            await session.record(pack, [event], durable=True)
        raise


def reason_of(error: BaseException) -> Literal["failed", "skipped", "cancelled"]:
    """Why an action was halted."""
    if isinstance(error, PackSkippedError):
        return "skipped"
    return (
        "failed"
        if isinstance(error, Exception) and not isinstance(error, anyio.get_cancelled_exc_class())
        else "cancelled"
    )
