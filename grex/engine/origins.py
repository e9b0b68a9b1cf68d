"""Where an action stands that a teardown could not take back: in the pack.yaml, or else in the log.

Undo data does not say where its action was declared, and the pack.yaml may say something else by now. So an action of
the pack.yaml is taken for the one that was done if it is of the same kind and what the two have in common is the same:
a path that both are about, or arguments that the undo data has under the same name. Where they have nothing in common
(commands), the number of the action decides. If nothing there fits, it is the line of the log.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from grex.engine.action_context import ActionRun
from grex.errors import GrexError
from grex.pack import Mark
from grex.plugin import ActionArguments, ActionType
from grex.plugin.arguments import mark_of
from grex.plugin.failures import is_failure

if TYPE_CHECKING:
    from grex.engine.acting import HoldState

__all__ = ["origin"]


def origin(
    state: HoldState, action: str, kind: str, undo: Mapping[str, Any], implementation: ActionType[Any] | None
) -> Mark | None:
    """Where an action is declared, or the line of the log that has what takes it back.

    Args:
        state: the hold of its pack.
        action: its number in the log, such as `0` or `1.0`.
        kind: its name, such as `symlink`.
        undo: its undo data.
        implementation: of the action, if there is one.
    """
    if implementation is not None:
        try:
            found = _declared(state, action, kind, undo, implementation)
        except BaseException as error:
            if not is_failure(error):
                raise  # a plugin may raise anything; this is for the message of another failure
            found = None
        if found is not None:
            return found
    return _line(state, action, kind, undo)


def _declared(
    state: HoldState, action: str, kind: str, undo: Mapping[str, Any], implementation: ActionType[Any]
) -> Mark | None:
    run = ActionRun(state, action, kind)
    fitting: dict[str, Mark] = {}
    for name, arguments in _numbered(run, "", state.context.actions(state.pack)):
        mark = mark_of(arguments)
        if arguments.action == kind and mark is not None:
            is_same = _is_same(run, implementation, arguments, undo)
            if is_same or (is_same is None and name == action):
                fitting[name] = mark
    return fitting.get(action) or next(iter(fitting.values()), None)


def _numbered(run: ActionRun, within: str, actions: Sequence[ActionArguments]) -> Iterator[tuple[str, ActionArguments]]:
    for number, arguments in enumerate(actions):
        name = f"{within}{number}"
        yield name, arguments
        yield from _numbered(run, f"{name}.", run.nested(arguments))


def _is_same(
    run: ActionRun, implementation: ActionType[Any], arguments: ActionArguments, undo: Mapping[str, Any]
) -> bool | None:
    """Whether these arguments are of what was done; None where nothing tells."""
    about = _paths(implementation.undo_claims(undo))
    try:
        wanted = _paths(implementation.claims(arguments, run))
    except GrexError:  # a variable that is not set
        wanted = set()
    if about and wanted:
        return not about.isdisjoint(wanted)
    common = [(getattr(arguments, key), value) for key, value in undo.items() if hasattr(arguments, key)]
    texts = [(one, other) for one, other in common if isinstance(one, str) and isinstance(other, str)]
    return all(one == other for one, other in texts) if texts else None


def _paths(claims: Sequence[str]) -> set[str]:
    return {claim for claim in claims if "/" in claim}


def _line(state: HoldState, action: str, kind: str, undo: Mapping[str, Any]) -> Mark | None:
    """The newest line of the log with this undo data."""
    session = state.context.session
    try:
        events = session.log.read().events
    except (GrexError, OSError):
        return None
    for number in range(len(events), 0, -1):
        event = events[number - 1]
        said = (event.id, event.data.get("action"), event.data.get("kind"), event.data.get("undo"))
        if said == (state.pack.path, action, kind, undo) and event.data.get("phase", "do") == "do":
            return Mark(session.layout.log.name, number, 1)
    return None
