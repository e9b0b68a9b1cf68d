"""What an action under test is given, and the two ways to call one: `perform` and `would`."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from grex.errors import ActionError, PluginError
from grex.names import clean
from grex.pack import MissingVariableError, PredicateNode, evaluate, expand_variables
from grex.plugin import ActionArguments, ActionType, Change, Done, Planned
from grex.plugin.action_type import DEFAULT_LIMIT_S, FETCH_LIMIT_BYTES
from grex.plugin.decoding import ask, nested_entries
from grex.plugin.fetching import FETCHED, FetchRequest, Kept, fetch
from grex.plugin.limits import limited, not_counted
from grex.process import Finished, ProcessTimeoutError, run_process

if TYPE_CHECKING:
    from grex.plugin.testing.holding import RecordingHold
    from grex.plugin.testing.recording import RecordingContext

__all__ = ["RecordingActionContext", "perform", "would"]

T = TypeVar("T")


async def perform(implementation: ActionType[Any], arguments: ActionArguments, ctx: RecordingActionContext) -> Done:
    """Plan an action and do it, as grex would; one that finds everything in place gives a `Done` without change.

    Raises:
        Exception: what the action raised; what it had begun is taken back.
    """
    with ctx.acting_as(implementation.name):
        planned = await implementation.plan(arguments, ctx)
        if planned is None:
            return Done("already so", changed=False)
        return await ctx.hold.do(implementation, arguments, planned, ctx)


async def would(implementation: ActionType[Any], arguments: ActionArguments, ctx: RecordingActionContext) -> str | None:
    """What a dry run would print for an action, or None."""
    with ctx.acting_as(implementation.name, dry_run=True):
        planned = await implementation.plan(arguments, ctx)
    return None if planned is None else planned.text


class RecordingActionContext:
    """An `ActionContext`; `notes` has what was noted under its hold."""

    def __init__(self, context: RecordingContext, hold: RecordingHold, kind: str = "", name: str = "") -> None:
        self.pack = hold.pack
        self.home = context.home
        self.workspace = context.workspace
        self.platform = context.platform
        self.dry_run = context.dry_run
        self.force = context.force
        self.is_teardown = False
        self.hold = hold
        self.name = name
        self._nested = 0
        self._context = context
        self._kind = kind

    @property
    def environ(self) -> Mapping[str, str]:
        """The given variables, what was exported, and what grex tells commands."""
        return {
            **self._context.environ,
            **self.hold.exported,
            "GREX_PACK_NAME": self.pack.name,
            "GREX_PACK_PATH": str(self.pack.root),
            "GREX_PACK_OS": self.platform,
            "GREX_WORKSPACE": str(self.workspace),
            "GREX_DRY_RUN": "1" if self.dry_run else "0",
        }

    @property
    def notes(self) -> list[str]:
        """What was noted under this hold."""
        return self.hold.notes

    def for_kind(self, kind: str) -> RecordingActionContext:
        """The same for an action of that kind, which knows by `recorded` what it did before."""
        other = RecordingActionContext(self._context, self.hold, kind)
        other.dry_run = self.dry_run
        other.force = self.force
        other.is_teardown = self.is_teardown
        return other

    @contextmanager
    def acting_as(self, kind: str, *, dry_run: bool | None = None) -> Generator[None]:
        """Be the context of an action of that kind for a while."""
        before = self._kind, self.dry_run
        self._kind, self.dry_run = kind, self.dry_run if dry_run is None else dry_run
        try:
            yield
        finally:
            self._kind, self.dry_run = before

    def remember(self, implementation: ActionType[Any], undo: Mapping[str, Any]) -> None:
        """Let the log say that an earlier run has begun an action, and not what became of it."""
        self.hold.remember(implementation, undo)

    def recorded(self) -> tuple[Mapping[str, Any], ...]:
        """The undo data of what this kind of action has done for this pack."""
        return tuple(
            one.done.undo
            for one in self.hold.recorded
            if one.implementation.name == self._kind and one.done.undo is not None
        )

    def is_anothers(self, directory: Path) -> bool:
        """False: nothing is known of other packs here."""
        del directory
        return False

    def export(self, name: str, value: str, declared: str | None = None) -> None:
        """Set a variable for what runs later under this hold."""
        self.hold.exported[name] = value
        if declared is not None:
            self.hold.declared.append((name, declared))

    @property
    def exported(self) -> tuple[tuple[str, str], ...]:
        """What was exported up to now, each as it was declared."""
        return tuple(self.hold.declared)

    def expand(self, text: str) -> str:
        """The text with its variables replaced."""
        try:
            return expand_variables(text, self.environ)
        except MissingVariableError as error:
            raise ActionError(
                f"{error}", hint="Set the variable, or write $$ (or %%) for the character itself."
            ) from error

    def path(self, text: str | Path) -> Path:
        """The absolute path, variables and a leading `~` expanded."""
        expanded = self.expand(text) if isinstance(text, str) else str(text)
        if expanded == "~" or expanded.startswith("~/"):
            return self.home / expanded[2:]
        return self.pack.root / expanded

    def evaluate(self, predicate: PredicateNode) -> bool | None:
        """Whether the condition holds."""
        return evaluate(predicate, lambda node: ask(self._context.registry, node, self))

    def note(self, text: str) -> None:
        """Add a line to the notes."""
        self.hold.notes.append(clean(text, 400))

    def nested(self, arguments: ActionArguments, argument: str | None = None) -> tuple[ActionArguments, ...]:
        """The actions inside this one."""
        return self._context.decoded(nested_entries(arguments, argument))

    def needs_trust(self, arguments: ActionArguments) -> tuple[str, ...]:
        """What another action would run, or touch outside the pack."""
        return self._implementation(arguments).needs_trust(arguments, self.for_kind(arguments.action))

    def claims(self, arguments: ActionArguments) -> tuple[str, ...]:
        """What another action claims for itself."""
        try:
            return self._implementation(arguments).claims(arguments, self.for_kind(arguments.action))
        except ActionError:  # not known yet: a variable that an earlier action may set
            return ()

    async def plan(self, arguments: ActionArguments) -> Planned | None:
        """What another action would change, or None."""
        implementation = self._implementation(arguments)
        with not_counted(), limited(implementation, self.pack.path, implementation.limit_s(arguments)):
            return await implementation.plan(arguments, self.for_kind(arguments.action))

    async def drift(self, arguments: ActionArguments, *, using: ActionType[Any] | None = None) -> str | None:
        """What is not as another action left it, or None."""
        implementation = using or self._implementation(arguments)
        try:
            with limited(implementation, self.pack.path, implementation.limit_s(arguments)):
                return await implementation.drift(arguments, self.for_kind(arguments.action))
        except ActionError as error:
            return error.message

    async def run(self, arguments: ActionArguments) -> Change:
        """Run another action as a part of this one."""
        name = f"{self.name}.{self._nested}"
        self._nested += 1
        with not_counted():
            return await self.hold.run_as(name, arguments)

    async def exclusively(self, path: Path, change: Callable[[], T]) -> T:
        """Call `change`; nobody else is here."""
        del path
        return change()

    async def fetch(
        self,
        url: str,
        *,
        sha256: str,
        label: str,
        limit_bytes: int = FETCH_LIMIT_BYTES,
        timeout_s: float = DEFAULT_LIMIT_S,
    ) -> Path:
        """A file with the bytes of that hash, by the very code that grex fetches with."""
        if self.dry_run:
            raise PluginError("a file is fetched where only a plan is asked for")
        self._context.events.append(f"fetch {label}")
        kept = Kept(
            directory=self.workspace / ".grex/state" / FETCHED,
            environ=self.environ,
            offline=self._context.offline,
            find=self._context.registry.fetcher,
            progress=lambda *_: None,
        )
        with not_counted():
            return await fetch(FetchRequest(url, sha256, limit_bytes, timeout_s), kept)

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
        if self._context.looks_for_drift:
            raise PluginError(
                f"{self.pack.path}: the action {self._kind!r} wants to run a command to see how things are",
                hint="A look runs nothing; report it to the authors of the plugin, whose `drift` has to do without.",
            )
        try:
            with not_counted():
                return await run_process(
                    argv, cwd=cwd, env={**self.environ, **env}, timeout_s=timeout_s, ends_daemons=True
                )
        except (OSError, ProcessTimeoutError) as error:
            raise ActionError(f"{label}: {error}") from error

    def _implementation(self, arguments: ActionArguments) -> ActionType[Any]:
        return self._context.registry.action(arguments.action)
