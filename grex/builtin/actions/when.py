"""The `when` action: actions that run only where all of its conditions hold.

The actions inside keep their own brackets and their own undo data in the log, so `when` itself has nothing to undo. It
is conjunctive: `os`, `all_of`, `any_of` and `none_of` must all hold as far as they are given.
"""

from __future__ import annotations

from grex.builtin.conditions import judge
from grex.builtin.paths import shown
from grex.plugin import ActionArguments, ActionContext, ActionType, Done, Planned
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

    def claims(self, arguments: WhenArguments, ctx: ActionContext) -> tuple[str, ...]:
        """What the actions inside claim, if the conditions hold."""
        if not _holds(arguments, ctx):
            return ()
        return tuple(claim for nested in ctx.nested(arguments) for claim in ctx.claims(nested))

    def applicable(self, arguments: WhenArguments, ctx: ActionContext) -> tuple[ActionArguments, ...]:
        """The actions inside, if the conditions hold."""
        return ctx.nested(arguments) if _holds(arguments, ctx) else ()

    def limit_s(self, arguments: WhenArguments) -> float | None:
        """None: the actions inside have limits of their own."""
        del arguments
        return None

    async def plan(self, arguments: WhenArguments, ctx: ActionContext) -> Planned | None:
        """Whether the conditions hold; in a dry run, what the actions inside would change."""
        if not _holds(arguments, ctx):
            return None
        if not ctx.dry_run:
            return Planned("when")  # what is planned inside depends on what is done before it there
        plans = [await ctx.plan(nested) for nested in ctx.nested(arguments)]
        text = "; ".join(planned.text for planned in plans if planned is not None)
        return Planned(text) if text else None

    async def do(self, arguments: WhenArguments, planned: Planned, ctx: ActionContext) -> Done:
        """Run the actions inside one after the other."""
        del planned
        changes = [await ctx.run(nested) for nested in ctx.nested(arguments)]
        # Each of them is in the report by itself.
        return Done("", changed=any(change.changed for change in changes))

    async def drift(self, arguments: WhenArguments, ctx: ActionContext) -> str | None:
        """What is not as the actions inside left it, if the conditions hold."""
        if not _holds(arguments, ctx):
            return None
        found = [await ctx.drift(nested) for nested in ctx.nested(arguments)]
        return "\n".join(text for text in found if text) or None


def _names(arguments: WhenArguments) -> tuple[str, ...]:
    if arguments.os is None:
        return ()
    return (arguments.os,) if isinstance(arguments.os, str) else arguments.os


def _holds(arguments: WhenArguments, ctx: ActionContext) -> bool:
    names = _names(arguments)
    return (not names or ctx.platform in names) and judge(arguments, ctx).holds
