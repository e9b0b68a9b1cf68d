"""Pack types and actions for tests: well-behaved ones whose steps can be watched and held back, and broken ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import anyio

from grex.errors import ActionError
from grex.plugin import ActionArguments, ActionContext, ActionType, Context, Done, Outcome, Pack, PackType, Planned

__all__ = ["Calls", "Declared", "Mark", "MarkArguments", "Watched"]


class Calls:
    """What was called, in order; `gates` hold a call back, `raises` make it fail, `gives` replace its result."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.gates: dict[str, anyio.Event] = {}
        self.raises: dict[str, BaseException] = {}
        self.gives: dict[str, Any] = {}
        self._seen: dict[str, anyio.Event] = {}

    def seen(self, call: str) -> anyio.Event:
        """Set when the call is made."""
        return self._seen.setdefault(call, anyio.Event())

    async def make(self, call: str) -> None:
        """Note a call, wait at its gate, and fail if it is to."""
        self.made.append(call)
        self.seen(call).set()
        if call in self.gates:
            await self.gates[call].wait()
        if call in self.raises:
            raise self.raises[call]


class Watched(PackType):
    """A type that only tells what is called; it needs no trust unless it is given lines."""

    name: ClassVar[str] = "watched"

    def __init__(self, calls: Calls, *, would: Any = (), wants_sync: bool = False) -> None:
        self.calls = calls
        self.would = would
        self.wanted = wants_sync

    def wants_sync(self, pack: Pack) -> bool:
        """As it was made."""
        return self.wanted

    def needs_trust(self, ctx: Context, pack: Pack) -> tuple[str, ...]:
        """The lines, whatever they are; a function is called."""
        return self.would(pack) if callable(self.would) else self.would  # type: ignore[no-any-return] # may be garbage

    async def install(self, ctx: Context, pack: Pack) -> Outcome:
        """Hold the pack and note it."""
        return await self._note(ctx, pack, "install")

    async def update(self, ctx: Context, pack: Pack) -> Outcome:
        """Hold the pack and note it."""
        return await self._note(ctx, pack, "update")

    async def sync(self, ctx: Context, pack: Pack) -> Outcome:
        """Hold the pack and note it."""
        return await self._note(ctx, pack, "sync")

    async def _note(self, ctx: Context, pack: Pack, what: str) -> Outcome:
        call = f"{what} {pack.path}"
        async with ctx.hold(pack) as hold:
            await self.calls.make(call)
            if call in self.calls.gives:
                return self.calls.gives[call]  # type: ignore[no-any-return] # garbage is what some tests are about
            return hold.outcome()


class Declared(PackType):
    """Runs what is declared."""

    name: ClassVar[str] = "declared"

    def needs_trust(self, ctx: Context, pack: Pack) -> tuple[str, ...]:
        """Nothing."""
        return ()

    async def install(self, ctx: Context, pack: Pack) -> Outcome:
        """Run every action."""
        async with ctx.hold(pack) as hold:
            for arguments in hold.actions:
                await hold.run(arguments)
            return hold.outcome()


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkArguments(ActionArguments):
    """The arguments of `mark`."""

    action: ClassVar[str] = "mark"
    name: str
    undo: bool = True
    irreversible: bool = False


class Mark(ActionType[MarkArguments]):
    """An action that only notes that it was planned, done and undone."""

    name: ClassVar[str] = "mark"
    arguments = MarkArguments

    def __init__(self, calls: Calls) -> None:
        self.calls = calls

    def needs_trust(self, arguments: MarkArguments, ctx: ActionContext) -> tuple[str, ...]:
        """Nothing."""
        return ()

    async def plan(self, arguments: MarkArguments, ctx: ActionContext) -> Planned | None:
        """Say what it would do."""
        call = f"plan {arguments.name}"
        if ctx.dry_run or call in {*self.calls.gates, *self.calls.raises, *self.calls.gives}:
            await self.calls.make(call)
        if call in self.calls.gives:
            return self.calls.gives[call]  # type: ignore[no-any-return] # garbage is what some tests are about
        return Planned(f"mark {arguments.name}", undo={"name": arguments.name} if arguments.undo else None)

    async def do(self, arguments: MarkArguments, planned: Planned, ctx: ActionContext) -> Done:
        """Note it."""
        call = f"do {arguments.name}"
        await self.calls.make(call)
        if call in self.calls.gives:
            return self.calls.gives[call]  # type: ignore[no-any-return] # garbage is what some tests are about
        return Done(
            changed=True,
            text=f"mark {arguments.name}",
            undo=planned.undo,
            irreversible=arguments.irreversible,
        )

    async def undo(self, undo: Mapping[str, Any], ctx: ActionContext) -> None:
        """Note it."""
        await self.calls.make(f"undo {undo['name']}")
        if undo["name"] == "stuck":
            raise ActionError("it is stuck")
