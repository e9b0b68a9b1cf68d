"""The `scripted` pack type: runs the scripts under `.grex/hooks/`.

| step     | hooks                                               |
|----------|-----------------------------------------------------|
| install  | `setup`, then `sync`; those that exist              |
| update   | `sync`; `setup` where there is no `sync`            |
| teardown | `teardown`, then what the log has is undone         |

A hook is looked for under the hold, because the checkout may have moved before the pack was ours.
"""

from __future__ import annotations

from grex.builtin.actions.hook import HookAction, HookArguments, HookName, hook_file
from grex.builtin.command import shown_command
from grex.plugin import Claim, Context, Hold, Outcome, Pack, PackType

__all__ = ["Scripted"]

_INSTALL: tuple[HookName, ...] = ("setup", "sync")
_ALL: tuple[HookName, ...] = (*_INSTALL, "teardown")


class Scripted(PackType):
    """Runs hooks."""

    name = "scripted"

    def has_install(self, pack: Pack) -> bool:
        """Whether there is a hook to run, on whatever platform."""
        return any(hook_file(pack, hook, platform) for hook in _INSTALL for platform in ("linux", "windows"))

    def needs_trust(self, ctx: Context, pack: Pack) -> tuple[str, ...]:
        """Every hook that exists, the one for the teardown among them."""
        files = [hook_file(pack, hook, ctx.platform) for hook in _ALL]
        return tuple(
            f"hook {shown_command([path.relative_to(pack.root).as_posix()])}" for path in files if path is not None
        )

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
            return hold.outcome()


async def _run(ctx: Context, hold: Hold, hook: HookName) -> None:
    """Run a hook if the pack has it; one that is not there leaves no trace in the log."""
    if hook_file(hold.pack, hook, ctx.platform) is not None:
        await hold.run(HookArguments(hook=hook), using=HookAction())
