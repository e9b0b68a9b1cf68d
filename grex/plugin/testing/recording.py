"""A workspace that is not there: what pack types and actions are given, without locks, log and engine.

`RecordingContext` keeps in memory what grex keeps on disk. Actions are real (found by the registry, or given), the
files they touch are real, and their processes are started by the real room; recording, permits and locks are not.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

from grex.errors import ActionError
from grex.pack import ActionEntry, Mark, MissingVariableError, PackSpec, PredicateNode, evaluate, expand_variables
from grex.plugin import (
    ActionArguments,
    ActionType,
    Change,
    Claim,
    Done,
    Outcome,
    Pack,
    PackSkippedError,
    Planned,
    Registry,
    When,
)
from grex.process import Finished, ProcessTimeoutError, run_process

__all__ = ["RecordingActionContext", "RecordingContext", "RecordingHold", "entry", "perform", "predicate", "would"]

_NOWHERE = Mark("pack.yaml", 1, 1)
_REGISTRY = Registry()
T = TypeVar("T")


def entry(arguments: ActionArguments) -> ActionEntry:
    """An action of a pack.yaml whose arguments are decoded already; decoding has tests of its own."""
    return ActionEntry(arguments.action, cast("Any", arguments), _NOWHERE)


def predicate(kind: str, value: Any = None, *operands: PredicateNode) -> PredicateNode:
    """A condition, as the parser would have made it."""
    return PredicateNode(kind, _NOWHERE, value, operands)


class RecordingContext:
    """A `Context`. `log` has what is done and not undone, by pack; `events` what happened, in order."""

    def __init__(
        self,
        directory: Path,
        *,
        platform: str = "linux",
        environ: Mapping[str, str] | None = None,
        dry_run: bool = False,
        force: bool = False,
        implementations: Mapping[str, ActionType[Any]] | None = None,
    ) -> None:
        self.home = directory / "home"
        self.workspace = directory / "workspace"
        self.platform = platform
        self.environ: Mapping[str, str] = {"PATH": os.defpath, "HOME": str(self.home), **(environ or {})}
        self.dry_run = dry_run
        self.force = force
        self.events: list[str] = []
        self.log: dict[str, list[tuple[ActionType[Any], Done]]] = {}
        self._implementations = dict(implementations or {})
        for made in (self.home, self.workspace):
            made.mkdir(exist_ok=True)

    def make_pack(
        self,
        path: str = "tools",
        *,
        type: str = "declarative",  # noqa: A002 - the word of the pack.yaml
        actions: Sequence[ActionArguments] = (),
        teardown: Sequence[ActionArguments] | None = None,
    ) -> Pack:
        """A pack whose checkout is an empty directory with a `.git`."""
        root = self.workspace / path
        (root / ".git").mkdir(parents=True, exist_ok=True)
        spec = PackSpec(
            schema_version="1",
            name=root.name,
            type=type,
            source=root / ".grex/pack.yaml",
            actions=tuple(map(entry, actions)),
            teardown=None if teardown is None else tuple(map(entry, teardown)),
        )
        return Pack(path=path, root=root, name=root.name, type=type, spec=spec, commit="0" * 40)

    def actions(self, pack: Pack) -> tuple[ActionArguments, ...]:
        """The declared actions."""
        return () if pack.spec is None else _decoded(pack.spec.actions)

    def teardown_actions(self, pack: Pack) -> tuple[ActionArguments, ...] | None:
        """The actions of `teardown`, or None."""
        return None if pack.spec is None or pack.spec.teardown is None else _decoded(pack.spec.teardown)

    def needs_trust(self, pack: Pack, arguments: ActionArguments) -> tuple[str, ...]:
        """What that action would run, or touch outside the pack."""
        return self.of(pack).needs_trust(arguments)

    def every_action(self, pack: Pack) -> tuple[ActionArguments, ...]:
        """The declared actions and those inside of them."""
        found: list[ActionArguments] = []
        waiting = list(reversed(self.actions(pack)))
        while waiting:
            found.append(waiting.pop())
            if isinstance(found[-1], When):
                waiting.extend(reversed(self.of(pack).nested(found[-1])))
        return tuple(found)

    def undo_needs_trust(self, pack: Pack) -> tuple[str, ...]:
        """What taking back what was done for this pack would run, or touch outside of it."""
        lines = [
            line
            for implementation, done in reversed(self.log.get(pack.path, []))
            if done.undo is not None
            for line in implementation.undo_needs_trust(done.undo, self.of(pack))
        ]
        return tuple(dict.fromkeys(lines))

    def claims(self, pack: Pack, arguments: ActionArguments) -> tuple[str, ...]:
        """What that action claims for itself."""
        return self.of(pack).claims(arguments)

    def declared_claims(self, pack: Pack) -> tuple[Claim, ...]:
        """What the declared actions claim."""
        entries = () if pack.spec is None else pack.spec.actions
        return tuple(
            Claim(what, str(declared.mark))
            for declared, arguments in zip(entries, self.actions(pack), strict=True)
            for what in self.claims(pack, arguments)
        )

    def implementation(self, name: str) -> ActionType[Any]:
        """The given implementation of an action, or the registered one."""
        return self._implementations.get(name) or _REGISTRY.action(name)

    def of(self, pack: Pack) -> RecordingActionContext:
        """What an action of that pack is given, outside of any hold."""
        return RecordingActionContext(self, RecordingHold(self, pack))

    @asynccontextmanager
    async def hold(self, pack: Pack) -> AsyncGenerator[RecordingHold]:
        """Hold the pack; a failure takes back what was run under this hold."""
        self.events.append(f"hold {pack.path}")
        hold = RecordingHold(self, pack)
        try:
            yield hold
        except PackSkippedError:
            raise
        except BaseException:
            await hold.undo_last(hold.count)
            raise
        finally:
            self.events.append(f"release {pack.path}")


class RecordingHold:
    """A `Hold`. `changes` and `notes` are what its outcome will be made of, `count` how many actions it recorded."""

    def __init__(self, context: RecordingContext, pack: Pack) -> None:
        self.pack = pack
        self.changes: list[Change] = []
        self.notes: list[str] = []
        self.exported: dict[str, str] = {}
        self.count = 0
        self._context = context

    @property
    def actions(self) -> tuple[ActionArguments, ...]:
        """The declared actions."""
        return self._context.actions(self.pack)

    async def run(self, arguments: ActionArguments, *, using: ActionType[Any] | None = None) -> Change:
        """Run an action and record it; in a dry run it is only planned."""
        implementation = using or self._context.implementation(arguments.action)
        action_context = RecordingActionContext(self._context, self, arguments.action)
        planned = await implementation.plan(arguments, action_context)
        if planned is None:
            change = Change(changed=False, text="already so")
        elif self._context.dry_run:
            change = Change(changed=False, text=planned.text)
            self._context.events.append(f"plan {planned.text}")
        else:
            change = await self._do(implementation, arguments, planned, action_context)
        self.changes.append(change)
        return change

    async def run_kind(self, kind: str) -> None:
        """Run the declared actions of one kind, also those inside of others that apply now."""
        await self._run_kind(kind, self.actions)

    async def _run_kind(self, kind: str, actions: Sequence[ActionArguments]) -> None:
        for arguments in actions:
            if arguments.action == kind:
                await self.run(arguments)
                continue
            implementation = self._context.implementation(arguments.action)
            context = RecordingActionContext(self._context, self, arguments.action)
            await self._run_kind(kind, implementation.applicable(arguments, context))

    async def _do(
        self,
        implementation: ActionType[Any],
        arguments: ActionArguments,
        planned: Planned,
        action_context: RecordingActionContext,
    ) -> Change:
        self._context.events.append(f"run {arguments.action}")
        done = await _do(implementation, arguments, planned, action_context)
        self._context.log.setdefault(self.pack.path, []).append((implementation, done))
        self.count += 1
        return Change(changed=done.changed, text=done.text)

    async def undo(self, *, using: Sequence[ActionType[Any]] = ()) -> None:
        """Take back what was done for this pack, last first."""
        del using  # the implementations are known here
        if not self._context.dry_run:
            await self.undo_last(len(self._context.log.get(self.pack.path, [])), is_teardown=True)

    async def undo_last(self, count: int, *, is_teardown: bool = False) -> None:
        """Take back the last actions, the last first."""
        recorded = self._context.log.get(self.pack.path, [])
        for _ in range(count):
            implementation, done = recorded.pop()
            self._context.events.append(f"undo {implementation.name}")
            if done.undo is not None:
                facts = json.loads(json.dumps(done.undo))
                action_context = RecordingActionContext(self._context, self, implementation.name)
                action_context.is_teardown = is_teardown
                await implementation.undo(facts, action_context)

    def outcome(self) -> Outcome:
        """What has been done under this hold."""
        changes = tuple(change.text for change in self.changes if change.changed)
        return Outcome("changed" if changes else "unchanged", changes, tuple(self.notes))


async def _do(
    implementation: ActionType[Any], arguments: ActionArguments, planned: Planned, ctx: RecordingActionContext
) -> Done:
    json.dumps(planned.undo)  # what cannot be written down cannot be undone later
    try:
        done = await implementation.do(arguments, planned, ctx)
    except Exception:
        if planned.undo is not None and planned.undo_if_failed:
            await implementation.undo(json.loads(json.dumps(planned.undo)), ctx)
        raise
    json.dumps(done.undo)
    return done


async def perform(implementation: ActionType[Any], arguments: ActionArguments, ctx: RecordingActionContext) -> Done:
    """Plan an action and do it, as grex would; one that finds everything in place gives a `Done` without change.

    Raises:
        Exception: what the action raised; what it had begun is taken back.
    """
    planned = await implementation.plan(arguments, ctx)
    return Done("already so", changed=False) if planned is None else await _do(implementation, arguments, planned, ctx)


async def would(implementation: ActionType[Any], arguments: ActionArguments, ctx: RecordingActionContext) -> str | None:
    """What a dry run would print for an action, or None."""
    before, ctx.dry_run = ctx.dry_run, True
    try:
        planned = await implementation.plan(arguments, ctx)
    finally:
        ctx.dry_run = before
    return None if planned is None else planned.text


class RecordingActionContext:
    """An `ActionContext`. It answers conditions by looking, and does not know those of plugins."""

    def __init__(self, context: RecordingContext, hold: RecordingHold, kind: str = "") -> None:
        self.pack = hold.pack
        self.home = context.home
        self.workspace = context.workspace
        self.platform = context.platform
        self.dry_run = context.dry_run
        self.force = context.force
        self.is_teardown = False
        self._context = context
        self._hold = hold
        self._kind = kind

    @property
    def environ(self) -> Mapping[str, str]:
        """The given variables, what was exported, and what grex tells commands."""
        return {
            **self._context.environ,
            **self._hold.exported,
            "GREX_PACK_NAME": self.pack.name,
            "GREX_PACK_PATH": str(self.pack.root),
            "GREX_PACK_OS": self.platform,
            "GREX_WORKSPACE": str(self.workspace),
        }

    def recorded(self) -> tuple[Mapping[str, Any], ...]:
        """The undo data of what this kind of action has done for this pack."""
        done = self._context.log.get(self.pack.path, [])
        return tuple(one.undo for made, one in done if made.name == self._kind and one.undo is not None)

    def export(self, name: str, value: str) -> None:
        """Set a variable for what runs later under this hold."""
        self._hold.exported[name] = value

    @property
    def notes(self) -> list[str]:
        """What was noted under this hold."""
        return self._hold.notes

    def expand(self, text: str) -> str:
        """The text with its variables replaced."""
        try:
            return expand_variables(text, self.environ)
        except MissingVariableError as error:
            raise ActionError(f"{error}") from error

    def path(self, text: str | Path) -> Path:
        """The absolute path, variables and a leading `~` expanded."""
        expanded = self.expand(text) if isinstance(text, str) else str(text)
        if expanded == "~" or expanded.startswith("~/"):
            return self.home / expanded[2:]
        return self.pack.root / expanded

    def evaluate(self, predicate: PredicateNode) -> bool | None:
        """Whether the condition holds."""
        return evaluate(predicate, _Machine(self))

    def note(self, text: str) -> None:
        """Add a line to the notes."""
        self._hold.notes.append(text)

    def nested(self, arguments: ActionArguments) -> tuple[ActionArguments, ...]:
        """The actions inside this one."""
        return _decoded(cast("Any", arguments).actions)

    def needs_trust(self, arguments: ActionArguments) -> tuple[str, ...]:
        """What another action would run, or touch outside the pack."""
        return self._context.implementation(arguments.action).needs_trust(arguments, self._for(arguments))

    def claims(self, arguments: ActionArguments) -> tuple[str, ...]:
        """What another action claims for itself."""
        try:
            return self._context.implementation(arguments.action).claims(arguments, self._for(arguments))
        except ActionError:  # not known yet
            return ()

    async def plan(self, arguments: ActionArguments) -> Planned | None:
        """What another action would change, or None."""
        return await self._context.implementation(arguments.action).plan(arguments, self._for(arguments))

    async def drift(self, arguments: ActionArguments) -> str | None:
        """What is not as another action left it, or None."""
        try:
            return await self._context.implementation(arguments.action).drift(arguments, self._for(arguments))
        except ActionError as error:
            return error.message

    def _for(self, arguments: ActionArguments) -> RecordingActionContext:
        nested = RecordingActionContext(self._context, self._hold, arguments.action)
        nested.dry_run = self.dry_run
        return nested

    async def run(self, arguments: ActionArguments) -> Change:
        """Run another action as a part of this one."""
        return await self._hold.run(arguments)

    async def exclusively(self, path: Path, change: Callable[[], T]) -> T:
        """Call `change`; nobody else is here."""
        del path
        return change()

    async def run_process(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        timeout_s: float,
        label: str,
    ) -> Finished:
        """Run a command in a session of its own."""
        try:
            return await run_process(argv, cwd=cwd, env=env, timeout_s=timeout_s, ends_daemons=True)
        except (OSError, ProcessTimeoutError) as error:
            raise ActionError(f"{label}: {error}") from error


class _Machine:
    """The facts of this machine, as far as the tests of actions ask for them."""

    def __init__(self, context: RecordingActionContext) -> None:
        self._context = context

    def path_exists(self, path: str) -> bool:
        return self._context.path(path).exists()

    def cmd_available(self, name: str) -> bool:
        return shutil.which(name, path=self._context.environ["PATH"]) is not None

    def os_is(self, platform: str) -> bool:
        return platform == self._context.platform

    def env_set(self, name: str) -> bool:
        return name in self._context.environ

    def symlink_ok(self, src: str, dst: str) -> bool:
        link = self._context.path(dst)
        return link.is_symlink() and link.exists() and link.samefile(self._context.path(src))

    def plugin_predicate(self, kind: str, value: object) -> bool | None:
        del kind, value
        return None


def _decoded(entries: Sequence[ActionEntry]) -> tuple[ActionArguments, ...]:
    return tuple(cast("ActionArguments", declared.args) for declared in entries)
