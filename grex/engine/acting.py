"""One action of one pack: planned, done and taken back, each time inside a bracket of the log.

    plan ── None: nothing is recorded, nothing happens
    action_started, with the undo data of the plan ── flushed if something of the user's is about to be touched
    do
    action_completed, with the undo data of what was done; or action_halted

A `do` that raises is taken back at once with the undo data of its plan (unless that says that nobody can know), and so
is whatever this hold ran before it, last first, unless the run keeps partial work. A cancellation takes nothing back:
the bracket is closed as cancelled, what it had begun stays in the log to be undone, and the next sync goes on from
there. Closing a bracket is shielded, so that a cancel cannot tear it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from grex.engine.action_context import ActionRun
from grex.engine.bracket import Bracket, check_recordable, close_bracket, reason_of
from grex.engine.watchdog import plugin_code
from grex.engine.whereabouts import Kept, Places, is_directory, path_of
from grex.errors import ActionError, GrexError, PluginError
from grex.names import clean
from grex.pack import Mark
from grex.plugin import ActionArguments, ActionType, Change, Claim, Done, Pack, PackSkippedError, Planned
from grex.plugin.arguments import mark_of
from grex.plugin.decoding import nested_entries
from grex.plugin.failures import blamed, described, is_failure, tell_what_is_left, with_last_line
from grex.plugin.limits import limited
from grex.progress import Slice

if TYPE_CHECKING:
    from grex.engine.context import RunContext

__all__ = ["HoldState"]

_WHY_CHARACTERS = 400


class _Ran(Struct):
    """An action that this hold completed and could take back."""

    action: str
    kind: str
    implementation: ActionType[Any]
    done: Done
    mark: Mark | None


class HoldState(Struct):
    """What one hold of one pack has come to so far."""

    context: RunContext
    pack: Pack
    changes: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    exported: dict[str, str] = field(default_factory=dict)
    declared: list[tuple[str, str]] = field(default_factory=list)
    """Of what was exported, the text that it was made of; values have no place in the log."""
    ran: list[_Ran] = field(default_factory=list)
    claimed: list[Claim] = field(default_factory=list)
    counter: int = 0
    is_over: bool = False
    """Whether the hold was left: nothing protects the pack any more."""

    def check_held(self) -> None:
        """Insist that the pack is still held.

        Raises:
            PluginError: it is not.
        """
        if self.is_over:
            raise PluginError(
                f"{self.pack.path}: the pack type {self.pack.type!r} uses a hold that it has left",
                hint="Report it to the authors of the plugin: what is run belongs into the `async with`.",
            )

    def place_of(self, arguments: ActionArguments) -> str:
        """Where an action is declared, or of which pack it is."""
        return str(mark_of(arguments) or self.pack.path)

    async def run(self, name: str, arguments: ActionArguments, using: ActionType[Any] | None = None) -> Change:
        """Plan an action and do it; in a dry run it is only planned, and where only drift is looked for, looked at.

        Raises:
            GrexError: it failed; what this action had begun is taken back.
            PackSkippedError: the rest of the pack is to be left out.
        """
        return await _run_action(self, name, arguments, using)

    async def drift(self, implementation: ActionType[Any], arguments: ActionArguments, run: ActionRun) -> str | None:
        """What is not as the action left it; something that is in its way by now is that as well."""
        with self.blamed(arguments):
            try:
                with limited(implementation, self.pack.path, implementation.limit_s(arguments)):
                    return await plugin_code(implementation, self.pack.path, implementation.drift(arguments, run))
            except ActionError as error:
                return error.message

    def blamed(self, arguments: ActionArguments) -> AbstractContextManager[None]:
        """Give every failure of an action its place in the pack.yaml."""
        return blamed(f"the action {arguments.action!r}", pack=self.pack.path, mark=mark_of(arguments))

    def recorded(self, kind: str) -> tuple[Mapping[str, Any], ...]:
        """The undo data of what was done for this pack by actions of a kind, oldest first."""
        record = self.context.session.folded.packs.get(self.pack.path)
        before = () if record is None else record.completed
        found = [done.undo for done in before if done.kind == kind]
        found += [ran.done.undo for ran in self.ran if ran.kind == kind]
        return tuple(undo for undo in found if isinstance(undo, Mapping))

    async def take_back(self, failure: BaseException) -> None:
        """Undo what this hold ran, last first; what cannot be taken back is added to the failure's hint."""
        if self.context.keep_partial or not self.ran:
            return
        left: list[str] = []
        for ran in reversed(self.ran):
            if ran.done.undo is not None:
                actions = ActionRun(self, ran.action, ran.kind)  # which knows what is recorded of its kind
                why = await self.undo(ran.action, ran.kind, ran.implementation, ran.done.undo, actions)
                if why is not None:
                    place = "" if ran.mark is None else f"{ran.mark}: "
                    left.append(f"{place}{ran.done.text} ({why})")
                    continue
            if ran.done.irreversible:
                left.append(ran.done.text)
        self.ran.clear()
        tell_what_is_left(failure, left[::-1])

    async def undo(
        self, action: str, kind: str, implementation: ActionType[Any], undo: Mapping[str, Any], run: ActionRun
    ) -> str | None:
        """Take one action back in a bracket of its own; why that could not be, or None."""
        session, pack = self.context.session, self.pack.path
        bracket = Bracket(pack, action, kind, session.run_id, "undo")
        await session.record(pack, [bracket.started()], durable=False)
        try:
            with limited(implementation, pack, implementation.undo_limit_s(undo)):
                await plugin_code(implementation, pack, implementation.undo(undo, run))
        except BaseException as error:
            if is_failure(error):  # it must not keep the earlier ones from theirs
                await session.record(pack, [bracket.halted("failed")], durable=False)
                return _why(error)
            await close_bracket(session, pack, bracket.halted("cancelled"), durable=True)
            raise
        # What was taken back is named: of one action there may be several entries, and a newer one may have failed.
        await close_bracket(session, pack, bracket.completed(undo), durable=False)
        return None


async def _run_action(state: HoldState, name: str, arguments: ActionArguments, using: ActionType[Any] | None) -> Change:
    context, pack, kind = state.context, state.pack.path, arguments.action
    session = context.session
    run = ActionRun(state, name, kind)
    with state.blamed(arguments):
        implementation = using or session.registry.action(kind)
        limit_s = implementation.limit_s(arguments)
        if context.looks_for_drift:
            return _noted(state, await state.drift(implementation, arguments, run))
        with limited(implementation, pack, limit_s):
            planned = await plugin_code(implementation, pack, implementation.plan(arguments, run))
        _check_planned(planned, pack, kind)
        if planned is not None:
            _check_claims(state, implementation, arguments, run)
    if planned is None or context.dry_run:
        return _noted(state, None if planned is None else planned.text)
    bracket = Bracket(pack, name, kind, session.run_id)
    started = bracket.started(planned.undo)
    with state.blamed(arguments):
        check_recordable(bracket.longest(planned.undo), pack, kind)
    # What would be needed to take it back stands in the log before anything is changed.
    await session.record(pack, [started], durable=planned.undo is not None and planned.touches_users)
    start = time.monotonic_ns()
    done: Done | None = None
    is_left = False
    try:
        try:
            with state.blamed(arguments):
                with limited(implementation, pack, limit_s):
                    given = await plugin_code(implementation, pack, implementation.do(arguments, planned, run))
                done = _checked(given, pack, kind)
                completed = bracket.completed(done.undo)
                check_recordable(bracket.longest(done.undo), pack, kind)
        except Exception as error:
            is_left = await _take_back_begun(state, implementation, planned, done, run, error)
            raise
    except BaseException as error:
        # What is left keeps its undo data in the log: a backup that could not come back now does so in a teardown.
        await close_bracket(session, pack, bracket.halted("left" if is_left else reason_of(error)), durable=True)
        raise
    finally:
        session.settings.sink(Slice(f"action {kind}", "action", pack, start, time.monotonic_ns(), {"action": name}))
    state.ran.append(_Ran(name, kind, implementation, done, mark_of(arguments)))
    await close_bracket(session, pack, completed, durable=False)
    if done.changed and done.text:
        state.changes.append(done.text)
    return Change(done.changed, done.text)


def _noted(state: HoldState, text: str | None) -> Change:
    if text:
        state.changes.append(text)
    return Change(bool(text), text or "already so")


async def _take_back_begun(
    state: HoldState,
    implementation: ActionType[Any],
    planned: Planned,
    done: Done | None,
    run: ActionRun,
    failure: Exception,
) -> bool:
    """Take back what a `do` that raised had begun, or one that is through and cannot be recorded.

    What cannot be taken back is told by the failure. Gives whether something is left that the plan's undo data fits.
    """
    if done is not None:
        undo = done.undo
    elif isinstance(failure, PackSkippedError) or not planned.undo_if_failed:
        undo = None
    else:
        undo = planned.undo
    if undo is None:
        return False
    if done is None and state.context.keep_partial:
        return True
    try:
        with limited(implementation, state.pack.path, implementation.undo_limit_s(undo)):
            await plugin_code(implementation, state.pack.path, implementation.undo(undo, run))
    except BaseException as error:
        if not is_failure(error):
            raise
        tell_what_is_left(failure, [f"{planned.text} ({_why(error)})"])
        return True
    return False


def _why(error: BaseException) -> str:
    return clean(with_last_line(error) if isinstance(error, GrexError) else described(error), _WHY_CHARACTERS)


def _check_claims(
    state: HoldState, implementation: ActionType[Any], arguments: ActionArguments, run: ActionRun
) -> None:
    """Insist that the action wants nothing that grex keeps for itself.

    It was asked before anything was run, but may not have known: a variable is set by an earlier action, a link that
    leads there is made by a command. What actions inside of this one want, they are asked themselves.
    """
    if nested_entries(arguments):
        return
    places = Places()
    kept = Kept(state.context.session.layout.records, places)
    for claim in implementation.claims(arguments, run):
        if kept.is_on(tuple(places.on_the_way(path_of(claim))), shared=is_directory(claim)):
            what = clean(path_of(claim), _WHY_CHARACTERS)
            raise ActionError(
                f"the action {arguments.action!r} wants {what}, and grex keeps its own files there",
                hint="Give it another place (`dst`, `path`, `name`).",
            )


def _check_planned(planned: object, pack: str, kind: str) -> None:
    if planned is None or isinstance(planned, Planned):
        return
    raise PluginError(
        f"{pack}: the plan of the action {kind!r} gave {type(planned).__name__} instead of Planned",
        hint="Report it to the authors of the plugin.",
    )


def _checked(done: object, pack: str, kind: str) -> Done:
    """What an action gave, if it is what it has to be."""
    if isinstance(done, Done):
        return done
    raise PluginError(
        f"{pack}: the action {kind!r} gave {type(done).__name__} instead of Done",
        hint="Report it to the authors of the plugin.",
    )
