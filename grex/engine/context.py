"""What pack types and actions are given: `Context`, `Hold` and `ActionContext` of the plugin API, made real.

States of a hold: entered (PERMIT and PACK are ours) -> actions run one after the other, each in a bracket of the log
(`action_started`, then `action_completed` or `action_halted`) -> left. Left by a failure, what this hold ran is undone
in reverse (unless the run keeps partial work); left by a cancellation, nothing is undone: the bracket is closed as
cancelled and the next sync goes on from there. Closing the bracket is shielded, so that a cancel cannot tear it.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import anyio

from grex.engine.session import Session
from grex.errors import ActionError, GrexError, PackSpecError, PluginError
from grex.locks import child_environment
from grex.manifest import Event, action_completed_event, action_halted_event, action_started_event, render_line
from grex.names import clean
from grex.pack import (
    ActionEntry,
    MissingVariableError,
    PlainData,
    PredicateNode,
    Problems,
    decode,
    evaluate,
    expand_variables,
)
from grex.pack.problems import raise_problems
from grex.plugin import (
    ActionArguments,
    ActionType,
    Change,
    Done,
    Outcome,
    Pack,
    PackSkippedError,
    Registry,
    When,
)
from grex.process import Finished, ProcessTimeoutError, run_process
from grex.progress import Slice

__all__ = ["EngineHold", "RunContext", "RunStoppedError", "child_environ", "decode_actions"]

_CLOSING_TIME_S = 5.0
_WHY_CHARACTERS = 400
# Trust for one run is this run's: a grex that a hook starts must not inherit it.
_NOT_FOR_CHILDREN = frozenset({"GREX_TRUST"})
_KEPT_GIT_VARIABLES = (
    "GIT_SSH",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_AUTHOR_",
    "GIT_COMMITTER_",
    "GIT_ASKPASS",
)


def child_environ(
    environ: Mapping[str, str], pack: Pack, workspace: Path, platform: str, *, dry_run: bool
) -> dict[str, str]:
    """The environment of a hook or a command: the caller's without git's own variables, and what grex tells it."""
    kept = {
        name: value
        for name, value in environ.items()
        if name not in _NOT_FOR_CHILDREN and (not name.startswith("GIT_") or name.startswith(_KEPT_GIT_VARIABLES))
    }
    kept.update(child_environment())
    kept.update(
        GREX_PACK_NAME=pack.name,
        GREX_PACK_PATH=str(pack.root),
        GREX_PACK_OS=platform,
        GREX_WORKSPACE=str(workspace),
        GREX_DRY_RUN="1" if dry_run else "0",
        GIT_TERMINAL_PROMPT="0",
    )
    return kept


class RunStoppedError(Exception):
    """The run was stopped (`--fail-fast`) while this pack waited for its permit."""


class RunContext:
    """The `Context` of a run: one for all packs, it keeps no state of any of them."""

    def __init__(self, session: Session, *, dry_run: bool = False, keep_partial: bool = False) -> None:
        self.session = session
        self.home = session.settings.home
        self.workspace = session.layout.root
        self.platform = session.settings.platform
        self.environ = session.settings.environ
        self.dry_run = dry_run
        self.keep_partial = keep_partial
        self.is_stopped = False
        """Set to let no further pack begin; those that are held already are finished."""

    def actions(self, pack: Pack) -> tuple[ActionArguments, ...]:
        """The declared actions, decoded and checked.

        Raises:
            PackSpecError: arguments that do not fit; every problem is in its details.
            UnknownActionError: an action that nobody registers.
        """
        if pack.spec is None:
            return ()
        return decode_actions(self.session.registry, pack.spec.actions)

    def teardown_actions(self, pack: Pack) -> tuple[ActionArguments, ...] | None:
        """The actions of `teardown`, decoded and checked; None where the pack.yaml has none."""
        if pack.spec is None or pack.spec.teardown is None:
            return None
        return decode_actions(self.session.registry, pack.spec.teardown)

    def needs_trust(self, pack: Pack, arguments: ActionArguments) -> tuple[str, ...]:
        """What that action would run, or touch outside the pack."""
        return self.session.registry.action(arguments.action).needs_trust(arguments, _ActionRun(_HoldState(self, pack)))

    @asynccontextmanager
    async def hold(self, pack: Pack) -> AsyncGenerator[EngineHold]:
        """Hold the pack for disk work. Tiers: PERMIT, PACK. In a dry run nothing is taken."""
        state = _HoldState(self, pack)
        hold = EngineHold(state)
        if self.dry_run:
            yield hold
            return
        async with self.session.holds.pack(pack.path, pack.root, "disk"):
            if self.is_stopped:
                raise RunStoppedError
            try:
                yield hold
            except PackSkippedError:
                raise
            except Exception as failure:
                await state.take_back(failure)
                raise


def decode_actions(registry: Registry, entries: Sequence[ActionEntry]) -> tuple[ActionArguments, ...]:
    """Decode `actions` entries through the registry; every problem of all of them is reported at once.

    Raises:
        PackSpecError: arguments that do not fit.
        UnknownActionError: an action that nobody registers.
    """
    problems = Problems()
    decoded = _decode(registry, entries, problems)
    if problems:
        raise_problems(problems, PackSpecError)
    return decoded


def _decode(registry: Registry, entries: Sequence[ActionEntry], problems: Problems) -> tuple[ActionArguments, ...]:
    decoded: list[ActionArguments] = []
    for entry in entries:
        try:
            implementation = registry.action(entry.kind)
        except PluginError as error:
            error.message = f"{entry.mark}: {error.message}"
            error.args = (error.message,)
            raise
        arguments = decode(implementation.arguments, entry.args, problems, what=entry.kind)
        if arguments is None:
            continue
        wrong = implementation.check(arguments)
        if wrong is not None:
            problems.add(entry.mark, wrong, "")
        elif isinstance(arguments, When):
            _decode(registry, arguments.actions, problems)
        decoded.append(arguments)
    return tuple(decoded)


@dataclass(slots=True)
class _Ran:
    """An action that this hold completed and could take back."""

    action: str
    arguments: ActionArguments
    implementation: ActionType[Any]
    done: Done


@dataclass(slots=True)
class _HoldState:
    context: RunContext
    pack: Pack
    changes: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    ran: list[_Ran] = field(default_factory=list)
    counter: int = 0

    async def take_back(self, failure: Exception) -> None:
        """Undo what this hold ran, last first; what cannot be taken back is added to the failure's hint."""
        if self.context.keep_partial or not self.ran:
            return
        left: list[str] = []
        undone: list[Event] = []
        actions = _ActionRun(self)
        for ran in reversed(self.ran):
            if ran.done.undo is not None:
                try:
                    await ran.implementation.undo(ran.done.undo, actions)
                except Exception as error:  # noqa: BLE001 - an undo that fails must not keep the earlier ones from theirs
                    why = error.message if isinstance(error, GrexError) else f"{type(error).__name__}: {error}"
                    left.append(f"{ran.done.text} ({clean(why, _WHY_CHARACTERS)})")
                    continue
                undone.append(self.undone(ran.action, ran.arguments.action))
            if ran.done.irreversible:
                left.append(ran.done.text)
        self.ran.clear()
        await self.context.session.record(self.pack.path, undone)
        if not left:
            return
        told = "What it had done before and could not take back: " + "; ".join(reversed(left)) + "."
        if isinstance(failure, GrexError):
            failure.hint = f"{failure.hint} {told}" if failure.hint else told
        else:
            failure.add_note(told)  # becomes the hint of the error that it is turned into

    def halted(self, action: str, kind: str, reason: str) -> Event:
        run = self.context.session.run_id
        return action_halted_event(self.pack.path, action=action, kind=kind, run=run, reason=reason)

    def undone(self, action: str, kind: str) -> Event:
        run = self.context.session.run_id
        return action_completed_event(self.pack.path, action=action, kind=kind, run=run, phase="undo")


class EngineHold:
    """The `Hold` of the plugin API."""

    def __init__(self, state: _HoldState) -> None:
        self._state = state

    @property
    def pack(self) -> Pack:
        """The pack that is held."""
        return self._state.pack

    @property
    def actions(self) -> tuple[ActionArguments, ...]:
        """The declared actions, decoded and checked."""
        return self._state.context.actions(self._state.pack)

    async def run(self, arguments: ActionArguments, *, using: ActionType[Any] | None = None) -> Change:
        """Run an action in a bracket of the log; in a dry run it is only planned."""
        state = self._state
        name = str(state.counter)
        state.counter += 1
        return await _run_action(state, name, arguments, using)

    async def undo(self) -> None:
        """Take back what the log says was done for this pack, last first."""
        state = self._state
        session = state.context.session
        record = session.folded.packs.get(state.pack.path)
        for done in reversed(record.completed if record is not None else ()):
            if done.undo is None:
                continue
            implementation = session.registry.action(done.kind)
            if not state.context.dry_run:
                if isinstance(done.undo, Mapping):
                    await implementation.undo(done.undo, _ActionRun(state))
                await session.record(state.pack.path, [state.undone(done.action, done.kind)])
            state.changes.append(f"undid {done.kind}")

    def outcome(self) -> Outcome:
        """What has been done under this hold."""
        state = self._state
        return Outcome("changed" if state.changes else "unchanged", tuple(state.changes), tuple(state.notes))


async def _run_action(
    state: _HoldState, name: str, arguments: ActionArguments, using: ActionType[Any] | None
) -> Change:
    context = state.context
    session = context.session
    implementation = using or session.registry.action(arguments.action)
    run = _ActionRun(state, name)
    if context.dry_run:
        planned = await implementation.plan(arguments, run)
        if planned is not None:
            state.changes.append(planned)
        return Change(planned is not None, planned or "already so")
    kind = arguments.action
    pack = state.pack.path
    await session.record(pack, [action_started_event(pack, action=name, kind=kind, run=session.run_id)], durable=False)
    start = time.monotonic_ns()
    try:
        done = _checked(await implementation.do(arguments, run), pack, kind)
        state.ran.append(_Ran(name, arguments, implementation, done))
        completed = action_completed_event(
            pack, action=name, kind=kind, run=session.run_id, undo=None if done.undo is None else dict(done.undo)
        )
        _check_recordable(completed, pack, kind)
    except BaseException as error:
        await _close(session, pack, state.halted(name, kind, _reason(error)), durable=True)
        raise
    finally:
        session.settings.sink(Slice(f"action {kind}", "action", pack, start, time.monotonic_ns(), {"action": name}))
    await _close(session, pack, completed, durable=False)
    if done.changed:
        state.changes.append(done.text)
    return Change(done.changed, done.text)


def _checked(done: object, pack: str, kind: str) -> Done:
    """What an action gave, if it is what it has to be."""
    if isinstance(done, Done):
        return done
    raise PluginError(
        f"{pack}: the action {kind!r} gave {type(done).__name__} instead of Done",
        hint="Report it to the authors of the plugin.",
    )


def _check_recordable(completed: Event, pack: str, kind: str) -> None:
    """Undo data that cannot be written down could not be undone later: the action fails, and is taken back now."""
    try:
        render_line(completed)
    except (TypeError, ValueError) as error:
        raise PluginError(
            f"{pack}: the undo data of the action {kind!r} cannot be recorded: {error}",
            hint="Report it to the authors of the plugin.",
        ) from error


async def _close(session: Session, pack: str, event: Event, *, durable: bool) -> None:
    """Record the end of an action, also when the run is cancelled: what has been done can only be undone if it stands.

    Tier: MANIFEST. Cancellation: goes on after the event is recorded, or could not be within a few seconds.
    """
    try:
        await session.record(pack, [event], durable=durable)
    except anyio.get_cancelled_exc_class():
        with anyio.CancelScope(shield=True), anyio.move_on_after(_CLOSING_TIME_S):
            await session.record(pack, [event], durable=True)
        raise


def _reason(error: BaseException) -> Literal["failed", "skipped", "cancelled"]:
    if isinstance(error, PackSkippedError):
        return "skipped"
    return (
        "failed"
        if isinstance(error, Exception) and not isinstance(error, anyio.get_cancelled_exc_class())
        else "cancelled"
    )


class _ActionRun:
    """The `ActionContext` of one action."""

    def __init__(self, state: _HoldState, name: str = "") -> None:
        self._state = state
        self._name = name
        self._nested = 0
        context = state.context
        self.pack = state.pack
        self.home = context.home
        self.workspace = context.workspace
        self.platform = context.platform
        self.environ: Mapping[str, str] = child_environ(
            context.environ, state.pack, context.workspace, context.platform, dry_run=context.dry_run
        )

    def expand(self, text: str) -> str:
        """The text with its variables replaced."""
        try:
            return expand_variables(text, self.environ)
        except MissingVariableError as error:
            raise ActionError(
                f"{self.pack.path}: {error}", hint="Set the variable, or write $$ (or %%) for the character itself."
            ) from error

    def path(self, text: str | Path) -> Path:
        """The absolute path, variables and a leading `~` expanded."""
        if isinstance(text, Path):
            return text if text.is_absolute() else self.pack.root / text
        expanded = self.expand(text)
        if expanded == "~" or expanded.startswith("~/"):
            expanded = str(self.home) + expanded[1:]
        return (
            Path(os.path.normpath(self.pack.root / expanded))
            if ".." not in Path(expanded).parts
            else self.pack.root / expanded
        )

    def evaluate(self, predicate: PredicateNode) -> bool | None:
        """Whether the condition holds."""
        return evaluate(predicate, _Facts(self))

    def note(self, text: str) -> None:
        """Add a line to the outcome's notes."""
        self._state.notes.append(clean(text, 400))

    def nested(self, arguments: ActionArguments) -> tuple[ActionArguments, ...]:
        """The actions inside this one, decoded and checked."""
        if isinstance(arguments, When):
            return decode_actions(self._state.context.session.registry, arguments.actions)
        return ()

    async def plan(self, arguments: ActionArguments) -> str | None:
        """What another action would change, or None."""
        return await self._state.context.session.registry.action(arguments.action).plan(arguments, self)

    async def run(self, arguments: ActionArguments) -> Change:
        """Run another action as a part of this one."""
        name = f"{self._name}.{self._nested}"
        self._nested += 1
        return await _run_action(self._state, name, arguments, None)

    def needs_trust(self, arguments: ActionArguments) -> tuple[str, ...]:
        """What that action would run, or touch outside the pack."""
        return self._state.context.session.registry.action(arguments.action).needs_trust(arguments, self)

    async def run_process(
        self, argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout_s: float, label: str
    ) -> Finished:
        """Run a command in a session of its own; it is ended with its group on cancel and on timeout."""
        start = time.monotonic_ns()
        try:
            return await run_process(
                list(argv), cwd=cwd, env={**self.environ, **child_environment(), **env}, timeout_s=timeout_s
            )
        except ProcessTimeoutError as error:
            raise ActionError(
                f"{self.pack.path}: {label} took longer than {timeout_s:g} s and was ended",
                hint="Raise timeout_s if it needs longer.",
            ) from error
        except OSError as error:
            raise ActionError(
                f"{self.pack.path}: {label} could not be started: {error.strerror or error}",
                hint="Check that the command exists and may be executed.",
            ) from error
        finally:
            category = "hook" if label.startswith("hook") else "action"
            self._state.context.session.settings.sink(
                Slice(label, category, self.pack.path, start, time.monotonic_ns(), {"cwd": str(cwd)})
            )


class _Facts:
    """What predicates ask about this machine, relative to one pack."""

    def __init__(self, run: _ActionRun) -> None:
        self._run = run

    def os_is(self, platform: str) -> bool:
        return self._run.platform == platform

    def path_exists(self, path: str) -> bool:
        return self._run.path(path).exists()

    def cmd_available(self, name: str) -> bool:
        from shutil import which  # noqa: PLC0415 - only packs with this predicate need it

        return which(name, path=self._run.environ.get("PATH")) is not None

    def env_set(self, name: str) -> bool:
        return name in self._run.environ

    def symlink_ok(self, src: str, dst: str) -> bool:
        link = self._run.path(dst)
        try:
            return link.is_symlink() and link.resolve() == self._run.path(src).resolve()
        except (OSError, RuntimeError):
            return False

    def plugin_predicate(self, kind: str, value: PlainData) -> bool | None:
        del kind, value
        return None  # no plugin of this environment brings it
