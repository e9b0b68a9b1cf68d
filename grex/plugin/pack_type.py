"""What a pack type implements (`PackType`), and what it is given (`Context`, `Hold`).

A pack type looks after one pack. It never sees another pack, never walks children and never takes a lock by itself:
its work stands inside `async with ctx.hold(pack)`, which takes what is not yet held of WORKSPACE, PERMIT and PACK in
that order and gives it back in reverse, cancelled or not. Inside the hold, `hold.run(action)` honours a dry run and
records what was done under MANIFEST, last and briefly. That is why no plugin can deadlock another.

Everything that a plugin awaits can be cancelled; a plugin that catches the cancellation must raise it again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, Protocol

from grex.plugin.action_type import DEFAULT_LIMIT_S, ActionType
from grex.plugin.arguments import ActionArguments
from grex.plugin.surroundings import Surroundings
from grex.plugin.values import API_VERSION, Change, Claim, Outcome, Pack

__all__ = ["Context", "Hold", "PackType"]


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

    async def run_kind(self, kind: str) -> None:
        """Run the declared actions of one kind, in their order, also those inside of others that apply now.

        Each has the name in the log that it has in an install, so that it is undone once.

        Raises:
            ActionError: one failed.
            PackSkippedError: as for `run`.
        """

    async def undo(self, *, using: Sequence[ActionType[Any]] = ()) -> None:
        """Take back what the log says was done for this pack, last first.

        Args:
            using: implementations of actions that have no entry point.

        Raises:
            ActionError: something could not be taken back; everything else was.
        """

    def outcome(self) -> Outcome:
        """What has been done under this hold."""


class Context(Surroundings, Protocol):
    """What a pack type is given."""

    @property
    def dry_run(self) -> bool:
        """Whether nothing may be changed."""

    def actions(self, pack: Pack) -> tuple[ActionArguments, ...]:
        """The actions that the pack.yaml declares, decoded and checked."""

    def teardown_actions(self, pack: Pack) -> tuple[ActionArguments, ...] | None:
        """The actions of `teardown`, decoded and checked; None where the pack.yaml has none: undo instead."""

    def every_action(self, pack: Pack) -> tuple[ActionArguments, ...]:
        """The declared actions and, after each, those inside of it, whether they apply here or not."""

    def needs_trust(self, pack: Pack, arguments: ActionArguments) -> tuple[str, ...]:
        """What that action would run, or touch outside the pack."""

    def undo_needs_trust(self, pack: Pack) -> tuple[str, ...]:
        """What taking back what the log has of this pack would run, or touch outside of it."""

    def claims(self, pack: Pack, arguments: ActionArguments) -> tuple[str, ...]:
        """What that action claims for itself; nothing where that is not known yet (a variable that is not set)."""

    def declared_claims(self, pack: Pack) -> tuple[Claim, ...]:
        """What the declared actions claim, each with its place in the pack.yaml."""

    def hold(self, pack: Pack) -> AbstractAsyncContextManager[Hold]:
        """Hold the pack.

        Tiers: WORKSPACE (if the verb does not hold it yet), PERMIT, PACK, in this order; released in reverse.
        Cancellation: nothing is held afterwards; running children are ended first.
        """


class PackType(ABC):
    """The implementation of a pack type; one instance serves all packs, so it keeps no state."""

    name: ClassVar[str]
    api_version: ClassVar[int] = API_VERSION
    takes_actions: ClassVar[bool] = True
    """Whether it runs `actions` and `teardown` of the pack.yaml; a pack that declares some in vain is refused."""

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

    def claims(self, ctx: Context, pack: Pack) -> tuple[Claim, ...]:
        """What installing wants for itself, as things are now; asked before anything of any pack is run.

        Two packs that claim the same are refused, both. The default: what the declared actions claim. A type that makes
        its actions itself says here what they will be.
        """
        return ctx.declared_claims(pack)

    def teardown_needs_trust(self, ctx: Context, pack: Pack) -> tuple[str, ...]:
        """The same for the teardown. The default: what installing needs, and what is undone from the log."""
        return tuple(dict.fromkeys((*self.needs_trust(ctx, pack), *ctx.undo_needs_trust(pack))))

    def wants_sync(self, pack: Pack) -> bool:
        """Whether `sync` is to be called in a run in which nothing of the pack changed; it costs every sync."""
        del pack
        return False

    def run_names(self, ctx: Context, pack: Pack) -> tuple[str, ...]:
        """What `grex run NAME` can run in this pack. The default: the kinds of its declared actions."""
        return tuple(dict.fromkeys(arguments.action for arguments in ctx.every_action(pack)))

    def run_needs_trust(self, ctx: Context, pack: Pack, name: str) -> tuple[str, ...]:
        """What running one of these names would run, or touch outside the pack."""
        wanted = [arguments for arguments in ctx.every_action(pack) if arguments.action == name]
        return tuple(dict.fromkeys(line for arguments in wanted for line in ctx.needs_trust(pack, arguments)))

    def limit_s(self, pack: Pack) -> float | None:
        """How long a lifecycle call may do nothing but its own work, in seconds, before it counts as hanging.

        What it waits for in `ctx.hold`, `hold.run` and `hold.undo` does not count; the clock begins anew afterwards.
        """
        del pack
        return DEFAULT_LIMIT_S

    @abstractmethod
    async def install(self, ctx: Context, pack: Pack) -> Outcome:
        """Bring a new pack into effect. Called again, it changes nothing."""

    async def update(self, ctx: Context, pack: Pack) -> Outcome:
        """Bring a pack that was installed before, and has changed since, into effect."""
        return await self.install(ctx, pack)

    async def sync(self, ctx: Context, pack: Pack) -> Outcome:
        """Look after a pack whose commit and declarations did not change; called where `wants_sync` says so."""
        del ctx, pack
        return Outcome("unchanged")

    async def teardown(self, ctx: Context, pack: Pack) -> Outcome:
        """Take back what `install` did."""
        async with ctx.hold(pack) as hold:
            await hold.undo()
            return hold.outcome()

    async def run(self, ctx: Context, pack: Pack, name: str) -> Outcome:
        """Run one of `run_names`."""
        async with ctx.hold(pack) as hold:
            await hold.run_kind(name)
            return hold.outcome()
