"""The hold of a `RecordingContext`: what is decided around an action, as the engine does it.

What is planned, done, recorded and taken back follows `grex.engine.acting`; one table of tests holds the two together.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from grex.errors import ActionError, GrexError, PluginError
from grex.pack import Mark
from grex.plugin import ActionArguments, ActionType, Change, Done, Outcome, Pack, PackSkippedError, Planned
from grex.plugin.arguments import mark_of
from grex.plugin.failures import blamed, described, is_failure, tell_what_is_left
from grex.plugin.limits import limited
from grex.plugin.testing.acting import RecordingActionContext

if TYPE_CHECKING:
    from grex.plugin.testing.recording import RecordingContext

__all__ = ["Recorded", "RecordingHold"]


class Recorded(Struct, frozen=True):
    """One action that was done and is not undone; `action` is its place among those of the pack."""

    action: str
    implementation: ActionType[Any]
    done: Done
    mark: Mark | None


class RecordingHold:
    """A `Hold`. `changes` and `notes` are what its outcome will be made of, `ran` what it did and recorded."""

    def __init__(self, context: RecordingContext, pack: Pack) -> None:
        self.pack = pack
        self.changes: list[str] = []
        self.notes: list[str] = []
        self.exported: dict[str, str] = {}
        self.declared: list[tuple[str, str]] = []
        self.is_over = False
        self.ran: list[Recorded] = []
        self.context = context
        self._before = tuple(context.log.get(pack.path, ()))
        self._counter = 0

    @property
    def actions(self) -> tuple[ActionArguments, ...]:
        """The declared actions."""
        return self.context.actions(self.pack)

    @property
    def recorded(self) -> list[Recorded]:
        """What was done for this pack before and under this hold, oldest first."""
        return [*self._before, *self.ran]

    def remember(self, implementation: ActionType[Any], undo: Mapping[str, Any]) -> None:
        """Let the log say that an earlier run has begun an action, and not what became of it."""
        begun = Recorded(implementation.name, implementation, Done("begun", undo=undo), None)
        self._keep(begun)
        self._before = (*self._before, begun)

    async def run(self, arguments: ActionArguments, *, using: ActionType[Any] | None = None) -> Change:
        """Run an action and record it; in a dry run it is only planned."""
        self._check_held()
        name = str(self._counter)
        self._counter += 1
        return await self.run_as(name, arguments, using)

    async def run_kind(self, kind: str) -> None:
        """Run the declared actions of one kind, also those inside of others that apply now."""
        self._check_held()
        await self._run_kind(kind, "", self.actions)

    def _check_held(self) -> None:
        if self.is_over:
            raise PluginError(f"{self.pack.path}: the pack type {self.pack.type!r} uses a hold that it has left")

    async def _run_kind(self, kind: str, within: str, actions: Sequence[ActionArguments]) -> None:
        for number, arguments in enumerate(actions):
            name = f"{within}{number}"
            if arguments.action == kind:
                await self.run_as(name, arguments)
                continue
            implementation = self.context.registry.action(arguments.action)
            run = RecordingActionContext(self.context, self, arguments.action, name)
            await self._run_kind(kind, f"{name}.", implementation.applicable(arguments, run))

    async def run_as(self, name: str, arguments: ActionArguments, using: ActionType[Any] | None = None) -> Change:
        """Run the action of that place: the second one, or the first inside of the second (`1.0`)."""
        context = self.context
        run = RecordingActionContext(context, self, arguments.action, name)
        with self._blamed(arguments):
            implementation = using or context.registry.action(arguments.action)
            if context.looks_for_drift:
                return self._noted(await run.drift(arguments, using=implementation))
            with limited(implementation, self.pack.path, implementation.limit_s(arguments)):
                planned = await implementation.plan(arguments, run)
            _check(planned, "its plan", Planned, type(None))
        if planned is None or context.dry_run:
            return self._noted(None if planned is None else planned.text)
        context.events.append(f"run {arguments.action}")
        with self._blamed(arguments):
            done = await self.do(implementation, arguments, planned, run)
        if done.changed and done.text:
            self.changes.append(done.text)
        return Change(done.changed, done.text)

    async def do(
        self,
        implementation: ActionType[Any],
        arguments: ActionArguments,
        planned: Planned,
        run: RecordingActionContext,
    ) -> Done:
        """Do what was planned, and record it; a `do` that raises is taken back."""
        _as_recorded(planned.undo, implementation.name)
        begun = Recorded(
            run.name or implementation.name, implementation, Done(planned.text, undo=planned.undo), mark_of(arguments)
        )
        is_new = planned.undo is not None and self._keep(begun)
        done: Done | None = None
        try:
            with limited(implementation, self.pack.path, implementation.limit_s(arguments)):
                done = await implementation.do(arguments, planned, run)
            _check(done, "it", Done)
            _as_recorded(done.undo, implementation.name)
        except PackSkippedError:
            self._forget(begun, is_new)
            raise
        except BaseException as failure:
            if is_failure(failure) and not await self._take_back_begun(implementation, planned, done, run, failure):
                self._forget(begun, is_new)
            raise
        self._forget(begun, is_new and done.undo != planned.undo)
        completed = replace(begun, done=done)
        self._keep(completed)
        self.ran.append(completed)
        return done

    async def _take_back_begun(
        self,
        implementation: ActionType[Any],
        planned: Planned,
        done: object,
        run: RecordingActionContext,
        failure: BaseException,
    ) -> bool:
        """Take back what a `do` that raised had begun; whether something is left, which stays to be undone."""
        undo = done.undo if isinstance(done, Done) else planned.undo if planned.undo_if_failed else None
        if undo is None:
            return False
        if not isinstance(done, Done) and self.context.keep_partial:
            return True
        why = await self._undo(implementation, json.loads(json.dumps(undo, default=str)), run)
        tell_what_is_left(failure, [f"{planned.text} ({why})"] if why else [])
        return why is not None

    async def undo(self, *, using: Sequence[ActionType[Any]] = ()) -> None:
        """Take back what was done for this pack, last first."""
        self._check_held()
        given = {implementation.name: implementation for implementation in using}
        if self.context.dry_run:
            self.changes += [f"undo {_described(one)}" for one in reversed(self.recorded) if one.done.undo]
            return
        failed: list[str] = []
        marks: list[Mark | None] = []
        for one in reversed(self.recorded):
            if one.done.undo is None:
                continue
            implementation = given.get(one.implementation.name, one.implementation)
            why = await self._take_back(implementation, one, is_teardown=True)
            if why is not None:
                failed.append(f"{_described(one)} ({why})")
                marks.append(one.mark)
            else:
                self.changes.append(f"undid {_described(one)}")
        if failed:
            mark, *others = marks
            told = [
                failed[0],
                *(f"{place or self.pack.path}: {said}" for place, said in zip(others, failed[1:], strict=True)),
            ]
            place = {} if mark is None else {"file": mark.file, "line": mark.line, "column": mark.column}
            raise ActionError(
                f"{mark or self.pack.path}: not everything could be undone: {'; '.join(told)}",
                hint="Put right what it says and run it again; what was undone stays undone.",
                details={"left": failed, **place},
            )

    async def take_back(self, failure: BaseException) -> None:
        """Undo what this hold ran, last first; what cannot be taken back is added to the failure's hint."""
        if self.context.keep_partial:
            return
        left: list[str] = []
        for one in reversed(self.ran):
            why = None if one.done.undo is None else await self._take_back(one.implementation, one)
            if why is not None:
                left.append(f"{'' if one.mark is None else f'{one.mark}: '}{one.done.text} ({why})")
            elif one.done.irreversible:
                left.append(one.done.text)
        self.ran.clear()
        tell_what_is_left(failure, left[::-1])

    def outcome(self) -> Outcome:
        """What has been done under this hold."""
        return Outcome("changed" if self.changes else "unchanged", tuple(self.changes), tuple(self.notes))

    async def _take_back(
        self, implementation: ActionType[Any], one: Recorded, *, is_teardown: bool = False
    ) -> str | None:
        self.context.events.append(f"undo {implementation.name}")
        run = RecordingActionContext(self.context, self, implementation.name, one.action)
        run.is_teardown = is_teardown
        why = await self._undo(implementation, _as_recorded(one.done.undo, implementation.name), run)
        if why is None:
            log = self.context.log[self.pack.path]
            log.remove(next(kept for kept in reversed(log) if _key(kept) == _key(one)))
        return why

    def _keep(self, one: Recorded) -> bool:
        """Keep it as the log does: done again with the same undo data, it stays where it is. Whether it is new."""
        log = self.context.log.setdefault(self.pack.path, [])
        same = [kept for kept in log if _key(kept) == _key(one)]
        if one.done.undo is None and same:
            return False
        again = [index for index, kept in enumerate(log) if kept in same and kept.done.undo == one.done.undo]
        if again:
            log[again[0]] = one
        else:
            log[:] = [kept for kept in log if kept not in same or kept.done.undo is not None] + [one]
        return not again

    def _forget(self, begun: Recorded, is_new: bool) -> None:
        """Take out of the log what stands there only because it was begun."""
        if is_new:
            self.context.log[self.pack.path].remove(begun)

    async def _undo(self, implementation: ActionType[Any], undo: Any, run: RecordingActionContext) -> str | None:
        """Call an undo; why it could not, or None."""
        try:
            with limited(implementation, self.pack.path, implementation.undo_limit_s(undo)):
                await implementation.undo(undo, run)
        except BaseException as error:
            if not is_failure(error):  # one that fails must not keep the others from theirs
                raise
            return error.message if isinstance(error, GrexError) else described(error)
        return None

    def _noted(self, text: str | None) -> Change:
        if text:
            self.changes.append(text)
            self.context.events.append(f"plan {text}")
        return Change(bool(text), text or "already so")

    def _blamed(self, arguments: ActionArguments) -> Any:
        return blamed(f"the action {arguments.action!r}", pack=self.pack.path, mark=mark_of(arguments))


def _key(one: Recorded) -> tuple[str, str]:
    return one.action, one.implementation.name


def _described(one: Recorded) -> str:
    return one.implementation.describe_undo(one.done.undo or {})


def _as_recorded(undo: Mapping[str, Any] | None, kind: str) -> Any:
    """Undo data as it comes back from the log.

    Raises:
        PluginError: it cannot be written there.
    """
    try:
        return json.loads(json.dumps(undo))
    except (TypeError, ValueError) as error:
        raise PluginError(
            f"the undo data of the action {kind!r} cannot be recorded: {error}",
            hint="Report it to the authors of the plugin.",
        ) from error


def _check(found: object, what: str, *wanted: type) -> None:
    if not isinstance(found, wanted):
        raise PluginError(f"{what} gave {type(found).__name__} instead of {wanted[0].__name__}")
