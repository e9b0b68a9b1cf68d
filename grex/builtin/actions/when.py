"""The `when` action: actions that run only where all of its conditions hold.

The actions inside keep their own brackets and their own undo data in the log, so `when` itself has nothing to undo. It
is conjunctive: `os`, `all_of`, `any_of` and `none_of` must all hold as far as they are given.
"""

from __future__ import annotations

from grex.builtin.conditions import judge
from grex.builtin.paths import shown
from grex.plugin import ActionContext, ActionType, Done
from grex.plugin import When as WhenArguments

__all__ = ["When"]

_PLATFORMS = ("linux", "macos", "windows")


class When(ActionType[WhenArguments]):
    """Runs other actions, or leaves them out."""

    name = "when"
    arguments = WhenArguments

    def check(self, arguments: WhenArguments) -> str | None:
        """A `when` without a condition or for no known platform is a mistake in writing."""
        unknown = [name for name in _names(arguments) if name not in _PLATFORMS]
        if unknown:
            return f"when knows the platforms {', '.join(_PLATFORMS)}, not {shown(', '.join(unknown))}"
        if not (_names(arguments) or arguments.all_of or arguments.any_of or arguments.none_of):
            return "when needs at least one condition: os, all_of, any_of or none_of"
        return None

    def needs_trust(self, arguments: WhenArguments, ctx: ActionContext) -> tuple[str, ...]:
        """What any action inside needs, whether the conditions hold now or not: they may hold when it runs."""
        lines = (line for nested in ctx.nested(arguments) for line in ctx.needs_trust(nested))
        return tuple(dict.fromkeys(lines))

    async def plan(self, arguments: WhenArguments, ctx: ActionContext) -> str | None:
        """What the actions inside would change, if the conditions hold."""
        if not _holds(arguments, ctx):
            return None
        lines = [await ctx.plan(nested) for nested in ctx.nested(arguments)]
        return "; ".join(line for line in lines if line is not None) or None

    async def do(self, arguments: WhenArguments, ctx: ActionContext) -> Done:
        """Run the actions inside one after the other, if the conditions hold."""
        if not _holds(arguments, ctx):
            return Done(changed=False, text="when: does not apply here")
        changes = [await ctx.run(nested) for nested in ctx.nested(arguments)]
        return Done(
            changed=any(change.changed for change in changes), text=f"when: {len(changes)} actions looked after"
        )


def _names(arguments: WhenArguments) -> tuple[str, ...]:
    if arguments.os is None:
        return ()
    return (arguments.os,) if isinstance(arguments.os, str) else arguments.os


def _holds(arguments: WhenArguments, ctx: ActionContext) -> bool:
    names = _names(arguments)
    return (not names or ctx.platform in names) and judge(arguments, ctx).holds
