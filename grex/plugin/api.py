"""What a plugin implements (`PackType`, `ActionType`) and what it is given (`Context`, `Hold`, `ActionContext`).

A pack type looks after one pack. It never sees another pack, never walks children and never takes a lock by itself:
its work stands inside `async with ctx.hold(pack)`, which takes what is not yet held of WORKSPACE, PERMIT and PACK in
that order and gives it back in reverse, cancelled or not. Inside the hold, `hold.run(action)` honours a dry run and
records what was done under MANIFEST, last and briefly. That is why no plugin can deadlock another.

Everything that a plugin awaits can be cancelled; a plugin that catches the cancellation must raise it again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar

from grex.pack import PackSpec, PredicateNode
from grex.plugin.actions import ActionArguments
from grex.process import Finished

__all__ = [
    "API_VERSION",
    "ActionContext",
    "ActionType",
    "Change",
    "Context",
    "Done",
    "Hold",
    "Outcome",
    "Pack",
    "PackSkippedError",
    "PackType",
]

API_VERSION = 1

A = TypeVar("A", bound=ActionArguments)


@dataclass(frozen=True, slots=True)
class Pack:
    """One pack as its type sees it.

    Attributes:
        path: from the workspace root with `/`, `.` for the root itself; the pack's id.
        root: the checkout, absolute.
        name: the declared name, or the last segment of the path.
        type: the declared type, `plain` where there is no pack.yaml.
        spec: the checked pack.yaml, if there is one.
        commit: the commit that is checked out; empty for a root without a repository.
    """

    path: str
    root: Path
    name: str
    type: str
    spec: PackSpec | None
    commit: str


@dataclass(frozen=True, slots=True)
class Change:
    """What one action came to: `changed` is false where everything was so already (or would be, in a dry run)."""

    changed: bool
    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """What an action implementation did.

    Attributes:
        changed: whether anything is different now.
        text: one line for the report.
        undo: JSON facts from which `ActionType.undo` can take it back, or None where there is nothing to take back.
        irreversible: true where something was done that no undo takes back.
    """

    changed: bool
    text: str
    undo: Mapping[str, Any] | None = None
    irreversible: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one lifecycle call on one pack came to."""

    status: Literal["changed", "unchanged", "skipped"]
    changes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class PackSkippedError(Exception):
    """Raised by an action to end the pack's remaining actions without failing (`require` with `on_fail: skip`)."""


class ActionContext(Protocol):
    """What an action implementation may use. Everything happens inside the pack's hold."""

    @property
    def pack(self) -> Pack:
        """The pack that is being looked after."""

    @property
    def home(self) -> Path:
        """The user's home directory."""

    @property
    def workspace(self) -> Path:
        """The workspace root."""

    @property
    def platform(self) -> str:
        """`linux`, `macos` or `windows`."""

    @property
    def environ(self) -> Mapping[str, str]:
        """The variables of the caller, together with `GREX_PACK_NAME` and the others of the reference."""

    def expand(self, text: str) -> str:
        """The text with its variables replaced.

        Raises:
            ActionError: a variable is not set; the message has its name and offset.
        """

    def path(self, text: str | Path) -> Path:
        """The absolute path: variables and a leading `~` expanded, relative ones joined to the pack."""

    def evaluate(self, predicate: PredicateNode) -> bool | None:
        """Whether the condition holds; None where this platform cannot tell."""

    def note(self, text: str) -> None:
        """Add a line to the outcome's notes."""

    def nested(self, arguments: ActionArguments) -> tuple[ActionArguments, ...]:
        """The actions inside this one (`when`), decoded and checked."""

    def needs_trust(self, arguments: ActionArguments) -> tuple[str, ...]:
        """What another action would run, or touch outside the pack."""

    async def plan(self, arguments: ActionArguments) -> str | None:
        """What another action would change, or None; raises what its `plan` raises."""

    async def run(self, arguments: ActionArguments) -> Change:
        """Run another action as a part of this one, with its own bracket in the log."""

    async def run_process(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        timeout_s: float,
        label: str,
    ) -> Finished:
        """Run a command in a session of its own; it is ended with its group on cancel and on timeout.

        Raises:
            ActionError: it could not be started, or it took longer than `timeout_s` seconds.
        """


class ActionType(ABC, Generic[A]):
    """The implementation of an action; one instance serves all packs, so it keeps no state."""

    name: ClassVar[str]
    # A subclass of ActionArguments. Typed openly, because each implementation names a narrower class, and mypy counts
    # that as an unsafe override of a class variable, which may not mention `A` either.
    arguments: ClassVar[type[Any]]

    def check(self, arguments: A) -> str | None:
        """Why these arguments cannot be meant, in one sentence, or None. Types and missing ones are checked before.

        It is asked before anything of the pack is done, so it looks at nothing but the arguments.
        """
        del arguments
        return None

    def needs_trust(self, arguments: A, ctx: ActionContext) -> tuple[str, ...]:
        """What this would run, or touch outside the pack, one line each; empty when it needs no trust.

        The default asks for trust: an action says itself when it is harmless.
        """
        del arguments, ctx
        return (f"action {self.name}",)

    @abstractmethod
    async def plan(self, arguments: A, ctx: ActionContext) -> str | None:
        """What `do` would change, in one line, or None when all is as it should be. Changes nothing.

        Earlier actions of the pack may not have been done yet (a dry run), so what they could still put right is said
        in the line and not raised.

        Raises:
            ActionError: `do` would fail, whatever is done before it.
            PackSkippedError: the rest of the pack would be left out.
        """

    @abstractmethod
    async def do(self, arguments: A, ctx: ActionContext) -> Done:
        """Make it so. Called again, it changes nothing.

        Raises:
            ActionError: it cannot be done; whatever this call had begun is taken back first.
            PackSkippedError: the rest of the pack is to be left out.
        """

    async def undo(self, undo: Mapping[str, Any], ctx: ActionContext) -> None:
        """Take back what `do` reported in `Done.undo`; called again, it changes nothing."""
        del undo, ctx


class Hold(Protocol):
    """A pack that is held: PERMIT and PACK are ours until the `async with` block ends."""

    @property
    def pack(self) -> Pack:
        """The pack that is held."""

    @property
    def actions(self) -> tuple[ActionArguments, ...]:
        """The actions that the pack.yaml declares, decoded and checked."""

    async def run(self, arguments: ActionArguments, *, using: ActionType[Any] | None = None) -> Change:
        """Run an action and record it. In a dry run it is only planned.

        The implementation is the registered one of that name, or `using`. When it fails, what this hold ran before
        is undone in reverse as the block is left.

        Raises:
            ActionError: the action failed.
            PackSkippedError: the rest of the pack is to be left out; what was done before stays.
        """

    async def undo(self) -> None:
        """Take back what the log says was done for this pack, last first."""

    def outcome(self) -> Outcome:
        """What has been done under this hold."""


class Context(Protocol):
    """What a pack type is given."""

    @property
    def home(self) -> Path:
        """The user's home directory."""

    @property
    def workspace(self) -> Path:
        """The workspace root."""

    @property
    def platform(self) -> str:
        """`linux`, `macos` or `windows`."""

    @property
    def environ(self) -> Mapping[str, str]:
        """The variables of the caller."""

    @property
    def dry_run(self) -> bool:
        """Whether nothing may be changed."""

    def actions(self, pack: Pack) -> tuple[ActionArguments, ...]:
        """The actions that the pack.yaml declares, decoded and checked."""

    def teardown_actions(self, pack: Pack) -> tuple[ActionArguments, ...] | None:
        """The actions of `teardown`, decoded and checked; None where the pack.yaml has none: undo instead."""

    def needs_trust(self, pack: Pack, arguments: ActionArguments) -> tuple[str, ...]:
        """What that action would run, or touch outside the pack."""

    def hold(self, pack: Pack) -> AbstractAsyncContextManager[Hold]:
        """Hold the pack.

        Tiers: WORKSPACE (if the verb does not hold it yet), PERMIT, PACK, in this order; released in reverse.
        Cancellation: nothing is held afterwards; running children are ended first.
        """


class PackType(ABC):
    """The implementation of a pack type; one instance serves all packs, so it keeps no state."""

    name: ClassVar[str]

    def has_install(self, pack: Pack) -> bool:
        """Whether there is anything to install; false keeps the pack out of the install phase."""
        del pack
        return True

    def needs_trust(self, ctx: Context, pack: Pack) -> tuple[str, ...]:
        """What installing would run, or touch outside the pack, one line each; empty when it needs no trust.

        The default asks for trust: a type says itself when it is harmless.
        """
        del ctx, pack
        return (f"pack type {self.name}",)

    @abstractmethod
    async def install(self, ctx: Context, pack: Pack) -> Outcome:
        """Bring a new pack into effect. Called again, it changes nothing."""

    async def update(self, ctx: Context, pack: Pack) -> Outcome:
        """Bring a pack that was installed before, and has changed since, into effect."""
        return await self.install(ctx, pack)

    async def sync(self, ctx: Context, pack: Pack) -> Outcome:
        """Look after a pack whose commit and declarations did not change."""
        del ctx, pack
        return Outcome("unchanged")

    async def teardown(self, ctx: Context, pack: Pack) -> Outcome:
        """Take back what `install` did."""
        async with ctx.hold(pack) as hold:
            await hold.undo()
            return hold.outcome()
