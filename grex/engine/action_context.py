"""What an action is given: the `ActionContext` of the plugin API, made real."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from grex.engine.surroundings import child_environ
from grex.engine.watchdog import plugin_code
from grex.errors import ActionError, PluginError
from grex.locks import child_environment
from grex.names import clean, redact
from grex.pack import MissingVariableError, PredicateNode, evaluate, expand_variables
from grex.plugin import ActionArguments, ActionType, Change, Claim, Planned
from grex.plugin.action_type import DEFAULT_LIMIT_S, FETCH_LIMIT_BYTES
from grex.plugin.arguments import mark_of
from grex.plugin.decoding import ask, decode_actions, nested_entries
from grex.plugin.failures import blamed
from grex.plugin.limits import limited, not_counted
from grex.process import CommandLines, Finished, ProcessTimeoutError, clip_output, run_process
from grex.progress import CommandOutput, CommandStarted, FetchProgress, Slice

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

    def is_anothers(self, directory: Path) -> bool:
        """Whether another pack has made this directory later than this one; only a teardown has to know."""
        return self.is_teardown and self._state.context.owners.made_since(self.pack.path, directory)

    def export(self, name: str, value: str, declared: str | None = None) -> None:
        """Set a variable for what runs later in this pack."""
        self._state.exported[name] = value
        if declared is not None:
            self._state.declared.append((name, declared))

    @property
    def exported(self) -> tuple[tuple[str, str], ...]:
        """What was exported up to now, each as it was declared."""
        return tuple(self._state.declared)

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
        if expanded.startswith("//"):  # of a home that is `/`, and what Python takes for another place than `/`
            expanded = f"/{expanded.lstrip('/')}"
        return (
            Path(os.path.normpath(self.pack.root / expanded))
            if ".." not in Path(expanded).parts
            else self.pack.root / expanded
        )

    def evaluate(self, predicate: PredicateNode) -> bool | None:
        """Whether the condition holds."""
        registry = self._state.context.session.registry
        return evaluate(predicate, lambda node: ask(registry, node, self))

    def note(self, text: str) -> None:
        """Add a line to the outcome's notes."""
        self._state.notes.append(clean(text, 400))

    def nested(self, arguments: ActionArguments, argument: str | None = None) -> tuple[ActionArguments, ...]:
        """The actions inside this one, or inside one argument of it, decoded and checked."""
        return decode_actions(self._state.context.session.registry, nested_entries(arguments, argument))

    async def plan(self, arguments: ActionArguments) -> Planned | None:
        """What another action would change, or None."""
        pack = self.pack.path
        with self._blamed(arguments):
            implementation = self._implementation(arguments)
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
            with self._blamed(arguments):
                wanted = _lines(self._implementation(arguments).claims(arguments, self._for(arguments)), "claims")
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

    def _blamed(self, arguments: ActionArguments) -> AbstractContextManager[None]:
        what = f"the action {arguments.action!r}"
        return blamed(what, pack=self.pack.path, mark=mark_of(arguments))

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
        with self._blamed(arguments):
            return _lines(self._implementation(arguments).needs_trust(arguments, self._for(arguments)), "needs_trust")

    async def fetch(
        self,
        url: str,
        *,
        sha256: str,
        label: str,
        limit_bytes: int = FETCH_LIMIT_BYTES,
        timeout_s: float = DEFAULT_LIMIT_S,
    ) -> Path:
        """A file with the bytes of that hash, brought by the fetcher of the URL's scheme if it is not there already."""
        from grex.plugin.fetching import FETCHED, FetchRequest, Kept, fetch  # noqa: PLC0415 - few packs fetch anything

        context, pack = self._state.context, self.pack.path
        if self.dry_run:
            raise PluginError(
                f"{pack}: a file is fetched where only a plan is asked for",
                hint="Report it to the authors of the plugin: `plan` looks, and `do` fetches.",
            )
        sink = context.session.settings.sink
        shown = clean(redact(label), 80)
        kept = Kept(
            directory=context.session.layout.state_dir / FETCHED,
            environ=self.environ,
            offline=context.offline,
            find=context.session.registry.fetcher,
            progress=lambda received, total: sink(FetchProgress(pack, shown, received, total)),
        )
        start = time.monotonic_ns()
        try:
            with not_counted():
                return await fetch(FetchRequest(url, sha256, limit_bytes, timeout_s), kept)
        finally:
            sink(Slice(f"fetch {shown}", "action", pack, start, time.monotonic_ns(), {}))

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


def _lines(said: object, what: str) -> tuple[str, ...]:
    """What an action says that it would run, or wants for itself. What cannot be understood must not pass for nothing.

    Raises:
        PluginError: it is no sequence of texts.
    """
    if isinstance(said, tuple | list) and all(isinstance(line, str) for line in said):
        return tuple(said)
    raise PluginError(f"its {what} gave no tuple of texts", hint="Report it to the authors of the plugin.")
