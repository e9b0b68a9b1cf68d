"""What there is to take back of a pack: which actions, how each is told, and what is said where one could not be.

`context` takes them back, in brackets of the log (`acting`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from grex.engine.acting import HoldState
from grex.errors import ActionError, GrexError
from grex.names import clean
from grex.pack import Mark
from grex.plugin import ActionType
from grex.plugin.failures import is_failure

__all__ = [
    "Failed",
    "Undoable",
    "described_undo",
    "not_everything",
    "origin_of",
    "to_take_back",
    "undoable",
    "what_stays",
]

_DESCRIBED_CHARACTERS = 400


class Undoable(Struct, frozen=True):
    """An action that is done and can be taken back, with what that needs."""

    action: str
    kind: str
    undo: Mapping[str, Any]


class Failed(Struct, frozen=True):
    """What could not be taken back and why, and where that is declared or recorded."""

    said: str
    mark: Mark | None


def undoable(state: HoldState) -> list[Undoable]:
    """What there is to take back, oldest first: what the log says, and what this hold did."""
    record = state.context.session.folded.packs.get(state.pack.path)
    before = [(done.action, done.kind, done.undo) for done in (record.completed if record is not None else ())]
    now = [(ran.action, ran.kind, ran.done.undo) for ran in state.ran]
    return [Undoable(action, kind, undo) for action, kind, undo in (*before, *now) if isinstance(undo, Mapping)]


def to_take_back(state: HoldState) -> list[Undoable]:
    """What there is to take back, last first, without what is at a place that another pack has by now."""
    found: list[Undoable] = []
    for done in reversed(undoable(state)):
        taken = state.context.owners.successor(state.pack.path, done.kind, done.undo)
        if taken is None:
            found.append(done)
        else:
            place, other = taken
            state.notes.append(clean(f"{place} stays: {other} has installed it since", _DESCRIBED_CHARACTERS))
    return found


def what_stays(state: HoldState, given: Mapping[str, ActionType[Any]]) -> list[str]:
    """Of each kind of action that was done and cannot be taken back, what it says of that."""
    record = state.context.session.folded.packs.get(state.pack.path)
    found: dict[str, None] = {}
    for done in record.completed if record is not None else ():
        if done.undo is None:
            with contextlib.suppress(GrexError):  # of a plugin that is gone nobody knows
                implementation = given.get(done.kind) or state.context.session.registry.action(done.kind)
                if implementation.stays is not None:
                    found[f"{done.kind}: {implementation.stays}"] = None
    return list(found)


def described_undo(state: HoldState, given: Mapping[str, ActionType[Any]], done: Undoable) -> str:
    """What is taken back, in the action's words; only its kind where the action cannot be asked, or cannot say."""
    try:
        implementation = given.get(done.kind) or state.context.session.registry.action(done.kind)
        return clean(str(implementation.describe_undo(done.undo)), _DESCRIBED_CHARACTERS).strip() or done.kind
    except BaseException as error:  # a plugin may raise anything, and data that was edited makes ours raise too
        if not is_failure(error):
            raise
        return done.kind


def origin_of(state: HoldState, done: Undoable, implementation: ActionType[Any] | None) -> Mark | None:
    """Where it is declared, or recorded."""
    from grex.engine.origins import origin  # noqa: PLC0415 - for failures alone

    return origin(state, done.action, done.kind, done.undo, implementation)


def not_everything(pack: str, failed: Sequence[Failed]) -> ActionError:
    """The failure of a teardown, at the place of the first thing that is left; each other thing has its own."""
    first, *others = failed
    told = [first.said, *(one.said if one.mark is None else f"{one.mark}: {one.said}" for one in others)]
    details: dict[str, Any] = {"left": [one.said for one in failed]}
    if first.mark is not None:
        details.update(file=first.mark.file, line=first.mark.line, column=first.mark.column)
    return ActionError(
        f"{pack if first.mark is None else first.mark}: not everything could be undone: {'; '.join(told)}",
        hint="Put right what it says and run it again; what was undone stays undone.",
        details=details,
    )
