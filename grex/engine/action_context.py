"""What an action is given: the `ActionContext` of the plugin API, made real."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from grex.engine.decoding import decode_actions
from grex.engine.limits import limited, not_counted
from grex.engine.surroundings import PackFacts, child_environ
from grex.engine.watchdog import plugin_code
from grex.errors import ActionError, PluginError
from grex.locks import child_environment
from grex.names import clean
from grex.pack import MissingVariableError, PredicateNode, evaluate, expand_variables
from grex.plugin import ActionArguments, ActionType, Change, Claim, Planned, When
from grex.process import CommandLines, Finished, ProcessTimeoutError, clip_output, run_process
from grex.progress import CommandOutput, CommandStarted, Slice

if TYPE_CHECKING:
    from grex.engine.acting import HoldState

__all__ = ["ActionRun"]

_STDOUT_LIMIT_BYTES = 1 << 20
# Hooks have one limit for all, which no pack changes.
_WHERE_TIME_IS_GIVEN = {"exec": " with `timeout_s`", "hook": ": an `exec` action has a `timeout_s`"}
T = TypeVar("T")


class ActionRun:
    """The `ActionContext` of one action."""

    def __init__(self, state: HoldState, name: str = "", kind: str = "", *, is_teardown: bool = False) -> None:
        self._state = state
        self._name = name
        self._kind = kind
        self._nested = 0
        context = state.context
        self.pack = state.pack
        self.home = context.home
        self.workspace = context.workspace
        self.platform = context.platform
        self.dry_run = context.dry_run
        self.force = context.force
        self.is_teardown = is_teardown

    @property
    def environ(self) -> Mapping[str, str]:
        """The variables of commands: the caller's, what the pack exported, and what grex tells them."""
        context = self._state.context
        environ = {**context.environ, **self._state.exported}
        return child_environ(environ, self.pack, context.workspace, context.platform, dry_run=context.dry_run)

    def recorded(self) -> tuple[Mapping[str, Any], ...]:
        """The undo data of what this kind of action has done for this pack, oldest first."""
        return self._state.recorded(self._kind)

    def export(self, name: str, value: str) -> None:
        """Set a variable for what runs later in this pack."""
        self._state.exported[name] = value

    def expand(self, text: str) -> str:
        """The text with its variables replaced."""
        if "$" not in text and "%" not in text:
            return text  # most have none, and the environment is put together anew each time
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
        return evaluate(predicate, PackFacts(self.path, self.environ, self.platform))

    def note(self, text: str) -> None:
        """Add a line to the outcome's notes."""
        self._state.notes.append(clean(text, 400))

    def nested(self, arguments: ActionArguments) -> tuple[ActionArguments, ...]:
        """The actions inside this one, decoded and checked."""
        if isinstance(arguments, When):
            decoded = decode_actions(self._state.context.session.registry, arguments.actions)
            self._state.marks += zip(decoded, (entry.mark for entry in arguments.actions), strict=True)
            return decoded
        return ()

    async def plan(self, arguments: ActionArguments) -> Planned | None:
        """What another action would change, or None."""
        implementation, pack = self._implementation(arguments), self.pack.path
        with not_counted(), limited(implementation, pack, implementation.limit_s(arguments)):
            return await plugin_code(implementation, pack, implementation.plan(arguments, self._for(arguments)))

    async def drift(self, arguments: ActionArguments) -> str | None:
        """What is not as another action left it, or None."""
        with not_counted():
            return await self._state.drift(self._implementation(arguments), arguments, self._for(arguments))

    def claims(self, arguments: ActionArguments) -> tuple[str, ...]:
        """What another action claims for itself; the places are noted with the hold."""
        claimed = self._state.claimed
        before = len(claimed)
        try:
            wanted = tuple(self._implementation(arguments).claims(arguments, self._for(arguments)))
        except ActionError:  # not known yet: a variable that an earlier action may set
            return ()
        inner = [claim.what for claim in claimed[before:]]
        for what in wanted:
            if what in inner:
                inner.remove(what)  # of an action inside this one, which has told its own place
            else:
                claimed.append(Claim(what, self._state.place_of(arguments)))
        return wanted

    def _implementation(self, arguments: ActionArguments) -> ActionType[Any]:
        return self._state.context.session.registry.action(arguments.action)

    def _for(self, arguments: ActionArguments) -> ActionRun:
        return ActionRun(self._state, self._name, arguments.action, is_teardown=self.is_teardown)

    async def run(self, arguments: ActionArguments) -> Change:
        """Run another action as a part of this one."""
        name = f"{self._name}.{self._nested}"
        self._nested += 1
        with not_counted():
            return await self._state.run(name, arguments)

    def needs_trust(self, arguments: ActionArguments) -> tuple[str, ...]:
        """What that action would run, or touch outside the pack."""
        return self._implementation(arguments).needs_trust(arguments, self._for(arguments))

    async def exclusively(self, path: Path, change: Callable[[], T]) -> T:
        """Call `change` while no other run of this user is in here with the same file. Tier: MANIFEST."""
        session = self._state.context.session
        with not_counted():
            async with session.holds.shared_file(path, session.settings.state_dir):
                return change()

    async def run_process(
        self, argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout_s: float, label: str
    ) -> Finished:
        """Run a command in a session of its own; it is ended with its group on cancel and on timeout."""
        if self._state.context.looks_for_drift:
            raise PluginError(
                f"{self.pack.path}: the action {self._kind!r} wants to run a command to see how things are",
                hint="A look runs nothing; report it to the authors of the plugin, whose `drift` has to do without.",
            )
        sink = self._state.context.session.settings.sink
        pack = self.pack.path
        lines = CommandLines(lambda line, stream: sink(CommandOutput(pack, label, line, stream)))
        sink(CommandStarted(pack, label))
        start = time.monotonic_ns()
        try:
            with not_counted():
                finished = await run_process(
                    list(argv),
                    cwd=cwd,
                    env={**self.environ, **child_environment(), **env},
                    timeout_s=timeout_s,
                    stdout_limit_bytes=_STDOUT_LIMIT_BYTES,
                    on_stdout=lines.stdout,
                    on_stderr=lines.stderr,
                    ends_daemons=True,
                )
        except ProcessTimeoutError as error:
            raise ActionError(
                f"{pack}: {label} took longer than {timeout_s:g} s and was ended",
                hint=f"Look at what it waits for, or give it more time{_WHERE_TIME_IS_GIVEN.get(self._kind, '')}.",
                details={"output": clip_output(error.stdout, error.stderr)},
            ) from error
        except OSError as error:
            raise ActionError(
                f"{self.pack.path}: {label} could not be started: {error.strerror or error}",
                hint="Check that the command exists and may be executed.",
            ) from error
        else:
            if self._state.context.said is not None:
                self._state.context.said.add(self.pack.path, finished)
            return finished
        finally:
            lines.finish()
            category = "hook" if label.startswith("hook") else "action"
            sink(Slice(label, category, pack, start, time.monotonic_ns(), {"cwd": str(cwd)}))
