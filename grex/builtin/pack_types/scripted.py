"""The `scripted` pack type: runs the scripts under `.grex/hooks/`.

| step     | hooks                                               |
|----------|-----------------------------------------------------|
| install  | `setup`, then `sync`; those that exist              |
| update   | `sync`; `setup` where there is no `sync`            |
| teardown | `teardown`, then what the log has is undone         |
| run NAME | `NAME`                                              |

`sync` runs when the pack was installed or has changed, and not in a sync that found nothing new: such a sync runs
nothing and writes nothing. What is to happen again and again is for `grex run NAME`.

A hook is looked for under the hold, because the checkout may have moved before the pack was ours.
"""

from __future__ import annotations

from collections.abc import Iterable

from grex.builtin.actions.hook import HookAction, HookArguments, hook_file, hook_names
from grex.builtin.command import shown_command
from grex.plugin import Claim, Context, Hold, Outcome, Pack, PackType

__all__ = ["Scripted"]

_INSTALL = ("setup", "sync")
_ALL = (*_INSTALL, "teardown")


class Scripted(PackType):
    """Runs hooks."""

    name = "scripted"
    takes_actions = False

    def has_install(self, pack: Pack) -> bool:
        """Whether there is a hook to run, on whatever platform."""
        return any(hook_file(pack, hook, platform) for hook in _INSTALL for platform in ("linux", "windows"))

    def needs_trust(self, ctx: Context, pack: Pack) -> tuple[str, ...]:
        """Every hook that exists, the one for the teardown among them."""
        return _lines(ctx, pack, _ALL)

    def teardown_needs_trust(self, ctx: Context, pack: Pack) -> tuple[str, ...]:
        """The hook for the teardown, and what is undone from the log."""
        return (*_lines(ctx, pack, ("teardown",)), *ctx.undo_needs_trust(pack))

    def run_names(self, ctx: Context, pack: Pack) -> tuple[str, ...]:
        """The hooks that are there, whatever they are called."""
        return hook_names(pack, ctx.platform)

    def run_needs_trust(self, ctx: Context, pack: Pack, name: str) -> tuple[str, ...]:
        """The hook."""
        return _lines(ctx, pack, (name,))

    def claims(self, ctx: Context, pack: Pack) -> tuple[Claim, ...]:
        """Nothing: what a hook wants, only it knows."""
        del ctx, pack
        return ()

    async def install(self, ctx: Context, pack: Pack) -> Outcome:
        """Run `setup`, then `sync`."""
        async with ctx.hold(pack) as hold:
            for hook in _INSTALL:
                await _run(ctx, hold, hook)
            return hold.outcome()

    async def update(self, ctx: Context, pack: Pack) -> Outcome:
        """Run `sync`, or `setup` where there is no `sync`."""
        async with ctx.hold(pack) as hold:
            await _run(ctx, hold, "setup" if hook_file(pack, "sync", ctx.platform) is None else "sync")
            return hold.outcome()

    async def teardown(self, ctx: Context, pack: Pack) -> Outcome:
        """Run `teardown`, then take back what the log has (of a time when the pack was of another type)."""
        async with ctx.hold(pack) as hold:
            await _run(ctx, hold, "teardown")
            await hold.undo()
            outcome = hold.outcome()
        if hook_file(pack, "teardown", ctx.platform) is not None or not self.has_install(pack):
            return outcome
        note = "what its hooks did stays, for it has no `teardown` hook"
        return Outcome(outcome.status, outcome.changes, (*outcome.notes, note))

    async def run(self, ctx: Context, pack: Pack, name: str) -> Outcome:
        """Run one hook."""
        async with ctx.hold(pack) as hold:
            await _run(ctx, hold, name)
            return hold.outcome()


def _lines(ctx: Context, pack: Pack, hooks: Iterable[str]) -> tuple[str, ...]:
    files = [hook_file(pack, hook, ctx.platform) for hook in hooks]
    return tuple(
        f"hook {shown_command([path.relative_to(pack.root).as_posix()])}" for path in files if path is not None
    )


async def _run(ctx: Context, hold: Hold, hook: str) -> None:
    """Run a hook if the pack has it; one that is not there leaves no trace in the log."""
    if hook_file(hold.pack, hook, ctx.platform) is not None:
        await hold.run(HookArguments(hook=hook), using=HookAction())
