"""A workspace that is not there: what pack types and actions are given, without locks, log and engine.

`RecordingContext` keeps in memory what grex keeps on disk. Actions, predicates and fetchers are real (found by the
registry, or given as `plugins`), the files they touch are real, and their processes are started by the real room;
recording, permits and locks are not. What is decided around an action is decided as the engine does it: what is
planned and what is done, what a failure takes back and how it is told, what a dry run and a look for drift say, and
how long anything may take.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from grex.errors import ActionError, GrexError, PluginError
from grex.fs import TEMP_PREFIX
from grex.pack import ActionEntry, Mark, PackSpec, PredicateNode, parse_pack_spec
from grex.plugin import (
    ActionArguments,
    ActionType,
    Change,
    Claim,
    Done,
    Fetcher,
    Outcome,
    Pack,
    PackSkippedError,
    PackType,
    Planned,
    PredicateType,
    Registry,
)
from grex.plugin.actions import mark_of
from grex.plugin.decoding import decode_actions
from grex.plugin.failures import blamed, described, is_failure
from grex.plugin.limits import limited
from grex.plugin.testing.acting import RecordingActionContext

__all__ = ["RecordingContext", "RecordingHold", "entry", "predicate"]

_NOWHERE = Mark("pack.yaml", 1, 1)


def entry(arguments: ActionArguments) -> ActionEntry:
    """An action of a pack.yaml whose arguments are decoded already; decoding has tests of its own."""
    return ActionEntry(arguments.action, cast("Any", arguments), _NOWHERE)


def predicate(kind: str, value: Any = None, *operands: PredicateNode) -> PredicateNode:
    """A condition, as the parser would have made it."""
    return PredicateNode(kind, _NOWHERE, value, operands)


@dataclass(frozen=True, slots=True)
class _Recorded:
    """One action that was done and is not undone; `action` is its place among those of the pack."""

    action: str
    implementation: ActionType[Any]
    done: Done
    mark: Mark | None


class RecordingContext:
    """A `Context`. `log` has what is done and not undone, by pack; `events` what happened, in order.

    Args:
        directory: an empty one; `home` and `workspace` are made in it.
        platform: on which platform the actions believe to be.
        environ: variables besides `PATH` and `HOME`.
        dry_run: only plan.
        force: as `update --force`.
        keep_partial: as `sync --keep-partial`.
        looks_for_drift: only look what is not any more as it was left.
        offline: as `sync --offline`.
        plugins: those under test; they need no entry points.
    """

    def __init__(
        self,
        directory: Path,
        *,
        platform: str = "linux",
        environ: Mapping[str, str] | None = None,
        dry_run: bool = False,
        force: bool = False,
        keep_partial: bool = False,
        looks_for_drift: bool = False,
        offline: bool = False,
        plugins: Sequence[PackType | ActionType[Any] | PredicateType | Fetcher] = (),
    ) -> None:
        self.home = directory / "home"
        self.workspace = directory / "workspace"
        self.platform = platform
        self.environ: Mapping[str, str] = {"PATH": os.defpath, "HOME": str(self.home), **(environ or {})}
        self.dry_run = dry_run or looks_for_drift
        self.force = force
        self.keep_partial = keep_partial
        self.looks_for_drift = looks_for_drift
        self.offline = offline
        self.events: list[str] = []
        self.log: dict[str, list[_Recorded]] = {}
        self.registry = Registry()
        self.registry.provide(*plugins)
        for made in (self.home, self.workspace):
            made.mkdir(exist_ok=True)

    def make_pack(
        self,
        path: str = "tools",
        *,
        type: str = "declarative",  # noqa: A002 - the word of the pack.yaml
        actions: Sequence[ActionArguments] = (),
        teardown: Sequence[ActionArguments] | None = None,
        pack_yaml: str | None = None,
    ) -> Pack:
        """A pack whose checkout is an empty directory with a `.git`; called again, the same one, declared anew.

        Args:
            path: from the workspace.
            type: the pack type.
            actions: the declared actions, as values.
            teardown: those of `teardown`.
            pack_yaml: the text of a pack.yaml instead of all these; it is read and checked as grex does.

        Raises:
            PackSpecError: the text is no good pack.yaml.
        """
        root = self.workspace / path
        (root / ".git").mkdir(parents=True, exist_ok=True)
        if pack_yaml is not None:
            spec = parse_pack_spec(
                pack_yaml.encode(), file=f"{path}/.grex/pack.yaml", is_root=False, source=root / ".grex/pack.yaml"
            )
        else:
            spec = PackSpec(
                schema_version="1",
                name=root.name,
                type=type,
                source=root / ".grex/pack.yaml",
                actions=tuple(map(entry, actions)),
                teardown=None if teardown is None else tuple(map(entry, teardown)),
            )
        return Pack(path=path, root=root, name=spec.name, type=spec.type, spec=spec, commit="0" * 40)

    def actions(self, pack: Pack) -> tuple[ActionArguments, ...]:
        """The declared actions."""
        return () if pack.spec is None else self.decoded(pack.spec.actions)

    def teardown_actions(self, pack: Pack) -> tuple[ActionArguments, ...] | None:
        """The actions of `teardown`, or None."""
        return None if pack.spec is None or pack.spec.teardown is None else self.decoded(pack.spec.teardown)

    def needs_trust(self, pack: Pack, arguments: ActionArguments) -> tuple[str, ...]:
        """What that action would run, or touch outside the pack."""
        return self.of(pack).needs_trust(arguments)

    def every_action(self, pack: Pack) -> tuple[ActionArguments, ...]:
        """The declared actions and those inside of them."""
        found: list[ActionArguments] = []
        waiting = list(reversed(self.actions(pack)))
        while waiting:
            found.append(waiting.pop())
            waiting.extend(reversed(self.of(pack).nested(found[-1])))
        return tuple(found)

    def undo_needs_trust(self, pack: Pack) -> tuple[str, ...]:
        """What taking back what was done for this pack would run, or touch outside of it."""
        lines = [
            line
            for one in reversed(self.log.get(pack.path, []))
            if one.done.undo is not None
            for line in one.implementation.undo_needs_trust(one.done.undo, self.of(pack, one.implementation.name))
        ]
        return tuple(dict.fromkeys(lines))

    def claims(self, pack: Pack, arguments: ActionArguments) -> tuple[str, ...]:
        """What that action claims for itself."""
        return self.of(pack).claims(arguments)

    def declared_claims(self, pack: Pack) -> tuple[Claim, ...]:
        """What the declared actions claim, each with its place in the pack.yaml."""
        return tuple(
            Claim(what, str(mark_of(arguments) or pack.path))
            for arguments in self.actions(pack)
            for what in self.claims(pack, arguments)
        )

    def decoded(self, entries: Sequence[ActionEntry]) -> tuple[ActionArguments, ...]:
        """The arguments of declared actions: those that were given as values are left as they are."""
        decoded: list[ActionArguments] = []
        for one in entries:
            given = cast("object", one.args)
            decoded += [given] if isinstance(given, ActionArguments) else decode_actions(self.registry, [one])
        return tuple(decoded)

    def of(self, pack: Pack, kind: str = "") -> RecordingActionContext:
        """What an action of that pack is given in a run of its own; of that kind, if what is recorded is asked for."""
        return RecordingActionContext(self, RecordingHold(self, pack), kind)

    def leftovers(self) -> list[Path]:
        """What grex or a plugin began under a temporary name and did not tidy up; what a test wants to be empty."""
        roots = (self.home, self.workspace)
        return sorted(path for root in roots for path in root.rglob(f"{TEMP_PREFIX}*"))

    @asynccontextmanager
    async def hold(self, pack: Pack) -> AsyncGenerator[RecordingHold]:
        """Hold the pack; a failure takes back what was run under this hold, a cancellation does not."""
        self.events.append(f"hold {pack.path}")
        hold = RecordingHold(self, pack)
        try:
            yield hold
        except PackSkippedError:
            raise
        except BaseException as failure:
            if is_failure(failure):
                await hold.take_back(failure)
            raise
        finally:
            self.events.append(f"release {pack.path}")


class RecordingHold:
    """A `Hold`. `changes` and `notes` are what its outcome will be made of, `ran` what it did and recorded."""

    def __init__(self, context: RecordingContext, pack: Pack) -> None:
        self.pack = pack
        self.changes: list[str] = []
        self.notes: list[str] = []
        self.exported: dict[str, str] = {}
        self.declared: list[tuple[str, str]] = []
        self.ran: list[_Recorded] = []
        self.context = context
        self._before = tuple(context.log.get(pack.path, ()))
        self._counter = 0

    @property
    def actions(self) -> tuple[ActionArguments, ...]:
        """The declared actions."""
        return self.context.actions(self.pack)

    @property
    def recorded(self) -> list[_Recorded]:
        """What was done for this pack before and under this hold, oldest first."""
        return [*self._before, *self.ran]

    def remember(self, implementation: ActionType[Any], undo: Mapping[str, Any]) -> None:
        """Let the log say that an earlier run has begun an action, and not what became of it."""
        begun = _Recorded(implementation.name, implementation, Done("begun", undo=undo), None)
        self._keep(begun)
        self._before = (*self._before, begun)

    async def run(self, arguments: ActionArguments, *, using: ActionType[Any] | None = None) -> Change:
        """Run an action and record it; in a dry run it is only planned."""
        name = str(self._counter)
        self._counter += 1
        return await self.run_as(name, arguments, using)

    async def run_kind(self, kind: str) -> None:
        """Run the declared actions of one kind, also those inside of others that apply now."""
        await self._run_kind(kind, "", self.actions)

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
        begun = _Recorded(
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
        _tell(failure, [f"{planned.text} ({why})"] if why else [])
        return why is not None

    async def undo(self, *, using: Sequence[ActionType[Any]] = ()) -> None:
        """Take back what was done for this pack, last first."""
        given = {implementation.name: implementation for implementation in using}
        if self.context.dry_run:
            self.changes += [f"undo {_described(one)}" for one in reversed(self.recorded) if one.done.undo]
            return
        failed: list[str] = []
        for one in reversed(self.recorded):
            if one.done.undo is None:
                continue
            implementation = given.get(one.implementation.name, one.implementation)
            why = await self._take_back(implementation, one, is_teardown=True)
            if why is not None:
                failed.append(f"{_described(one)} ({why})")
            else:
                self.changes.append(f"undid {_described(one)}")
        if failed:
            raise ActionError(
                f"{self.pack.path}: not everything could be undone: {'; '.join(failed)}",
                hint="Put right what it says and run it again; what was undone stays undone.",
                details={"left": failed},
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
        _tell(failure, left[::-1])

    def outcome(self) -> Outcome:
        """What has been done under this hold."""
        return Outcome("changed" if self.changes else "unchanged", tuple(self.changes), tuple(self.notes))

    async def _take_back(
        self, implementation: ActionType[Any], one: _Recorded, *, is_teardown: bool = False
    ) -> str | None:
        self.context.events.append(f"undo {implementation.name}")
        run = RecordingActionContext(self.context, self, implementation.name, one.action)
        run.is_teardown = is_teardown
        why = await self._undo(implementation, _as_recorded(one.done.undo, implementation.name), run)
        if why is None:
            log = self.context.log[self.pack.path]
            log.remove(next(kept for kept in reversed(log) if _key(kept) == _key(one)))
        return why

    def _keep(self, one: _Recorded) -> bool:
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

    def _forget(self, begun: _Recorded, is_new: bool) -> None:
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


def _key(one: _Recorded) -> tuple[str, str]:
    return one.action, one.implementation.name


def _described(one: _Recorded) -> str:
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


def _tell(failure: BaseException, left: Sequence[str]) -> None:
    if not left:
        return
    told = "What it had done before and could not take back: " + "; ".join(left) + "."
    if isinstance(failure, GrexError):
        failure.hint = f"{failure.hint} {told}" if failure.hint else told
    else:
        failure.add_note(told)
