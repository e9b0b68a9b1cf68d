"""The `require` action: the rest of the pack runs only if these conditions hold."""

from __future__ import annotations

from grex.builtin.conditions import Verdict, judge
from grex.errors import ActionError
from grex.plugin import ActionContext, ActionType, Done, PackSkippedError, Planned
from grex.plugin import Require as RequireArguments

__all__ = ["Require"]


class Require(ActionType[RequireArguments]):
    """Checks conditions, and fails, skips or warns. It changes nothing and runs nothing, so it needs no trust."""

    name = "require"
    arguments = RequireArguments

    def check(self, arguments: RequireArguments) -> str | None:
        """Nothing to require is a mistake in writing, and would hold always."""
        if arguments.all_of or arguments.any_of or arguments.none_of:
            return None
        return "require needs at least one condition in all_of, any_of or none_of"

    def needs_trust(self, arguments: RequireArguments, ctx: ActionContext) -> tuple[str, ...]:
        """Nothing."""
        del arguments, ctx
        return ()

    async def plan(self, arguments: RequireArguments, ctx: ActionContext) -> Planned | None:
        """Go on, or not.

        In a dry run an earlier action of the pack may still make it hold (it makes the path that is asked for), so only
        `skip` is acted on there: a plan that goes on behind it would list what a run never does.
        """
        verdict = judge(arguments, ctx)
        if verdict.holds:
            for text in verdict.unsupported:
                ctx.note(f"require: {text} cannot be decided on {ctx.platform} and was taken for false")
            return None
        sentence = _sentence(verdict)
        if ctx.dry_run and arguments.on_fail != "skip":
            return Planned(f"{'warn' if arguments.on_fail == 'warn' else 'fail'} unless it holds by then: {sentence}")
        if arguments.on_fail == "error":
            raise ActionError(
                sentence,
                hint="Make it hold and sync again, or say `on_fail: skip` or `warn` in the pack.yaml.",
                details={"unsupported": list(verdict.unsupported)},
            )
        if arguments.on_fail == "skip":
            raise PackSkippedError(sentence)
        ctx.note(sentence)
        return None

    async def drift(self, arguments: RequireArguments, ctx: ActionContext) -> str | None:
        """None: it left nothing. Where it skips by now, nobody says what became of the rest of the pack."""
        if arguments.on_fail == "skip":
            verdict = judge(arguments, ctx)
            if not verdict.holds:
                raise PackSkippedError(_sentence(verdict))
        return None

    async def do(self, arguments: RequireArguments, planned: Planned, ctx: ActionContext) -> Done:
        """Nothing: whether the pack goes on was decided by the plan."""
        del arguments, ctx
        return Done(planned.text, changed=False)


def _sentence(verdict: Verdict) -> str:
    text = f"require: {verdict.failure}"
    if verdict.unsupported:
        text += f" ({', '.join(verdict.unsupported)} cannot be decided on this platform)"
    return text
