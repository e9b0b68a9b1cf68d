"""The `declarative` pack type: runs the `actions` of its pack.yaml, in their order.

Each action is done again without change, so an update is an install: what is right stays, what is new is done. What an
earlier version of the pack.yaml did and this one no longer names is known to the log, and goes with the teardown.

The workspace's root is no checkout, and what it copies may come from other packs, which move without the root changing.
So a sync looks after its copies and links each time: a new version is copied, and what a `when` waited for is made. Of
its other actions nothing is run then.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from grex.plugin import (
    ActionArguments,
    Context,
    Copy,
    Hold,
    Outcome,
    Pack,
    PackSkippedError,
    PackType,
    Symlink,
    When,
)

__all__ = ["Declarative"]

_ROOT = "."


class Declarative(PackType):
    """Runs what the pack.yaml declares."""

    name = "declarative"

    def has_install(self, pack: Pack) -> bool:
        """Whether any action is declared."""
        return pack.spec is not None and bool(pack.spec.actions)

    def wants_sync(self, pack: Pack) -> bool:
        """Whether this is the root, and it copies files or waits with that for something."""
        if pack.path != _ROOT or pack.spec is None:
            return False
        return any(entry.kind in ("copy", "when") for entry in pack.spec.actions)

    async def sync(self, ctx: Context, pack: Pack) -> Outcome:
        """Look after the copies and links."""
        links = [arguments for arguments in ctx.actions(pack) if _is_link(arguments)]
        async with ctx.hold(pack) as hold:
            return await _run(hold, links)

    def needs_trust(self, ctx: Context, pack: Pack) -> tuple[str, ...]:
        """What any of its actions would run or touch outside the pack, those of its teardown among them."""
        every = (*ctx.actions(pack), *(ctx.teardown_actions(pack) or ()))
        return tuple(dict.fromkeys(line for arguments in every for line in ctx.needs_trust(pack, arguments)))

    def teardown_needs_trust(self, ctx: Context, pack: Pack) -> tuple[str, ...]:
        """What the actions of `teardown` need, or, where there is none, what is undone from the log."""
        declared = ctx.teardown_actions(pack)
        if declared is None:
            return ctx.undo_needs_trust(pack)
        return tuple(dict.fromkeys(line for arguments in declared for line in ctx.needs_trust(pack, arguments)))

    async def install(self, ctx: Context, pack: Pack) -> Outcome:
        """Run the actions."""
        async with ctx.hold(pack) as hold:
            return await _run(hold, hold.actions)

    async def teardown(self, ctx: Context, pack: Pack) -> Outcome:
        """Undo the actions in reverse, or run those of `teardown` where it is declared (an empty one: nothing)."""
        declared = ctx.teardown_actions(pack)
        async with ctx.hold(pack) as hold:
            if declared is None:
                await hold.undo()
                return hold.outcome()
            return await _run(hold, declared)


def _is_link(arguments: ActionArguments) -> bool:
    """Whether an action only copies or links, at once or when something holds."""
    if isinstance(arguments, When):
        return all(inner.kind in ("copy", "symlink") for inner in arguments.actions)
    return isinstance(arguments, Copy | Symlink)


async def _run(hold: Hold, actions: Iterable[ActionArguments]) -> Outcome:
    """Run actions until one says that the rest is to be left out. Caught inside the hold: it is no failure of it."""
    try:
        for arguments in actions:
            await hold.run(arguments)
    except PackSkippedError as skipped:
        outcome = hold.outcome()
        reason = str(skipped)
        notes = outcome.notes if not reason or reason in outcome.notes else (*outcome.notes, reason)
        return replace(outcome, status="skipped", notes=notes)
    return hold.outcome()
