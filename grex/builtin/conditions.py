"""The conditions of `when` and `require`: `all_of`, `any_of` and `none_of`, of which every one that is given must hold.

They are looked at in the order in which they are written, and no further than the answer needs: a condition may
protect the next one (`env_set: X` before a path with `$X` in it). One that this platform cannot decide (of a plugin
for another platform) counts as false; `require` says which ones these were, because a requirement that nobody can
check is worth knowing about.
"""

from __future__ import annotations

from msgspec import Struct, field

from grex.builtin.paths import shown
from grex.pack import PredicateNode
from grex.plugin import ActionContext, Require, When

__all__ = ["Verdict", "judge"]


class Verdict(Struct):
    """How the conditions of one action came out.

    Attributes:
        failure: what keeps them from holding, as a sentence without its end; None if they hold.
        unsupported: those that were taken for false because this platform cannot decide them.
    """

    failure: str | None = None
    unsupported: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether every list that is given holds."""
        return self.failure is None


def judge(arguments: Require | When, ctx: ActionContext) -> Verdict:
    """Evaluate the conditions as things are now.

    Raises:
        ActionError: one that had to be looked at names a variable that is not set.
    """
    verdict = Verdict()

    def holds(node: PredicateNode) -> bool:
        answer = ctx.evaluate(node)
        if answer is None:
            verdict.unsupported.append(_text(node))
        return answer is True

    missing = next((node for node in arguments.all_of if not holds(node)), None)
    if missing is not None:
        verdict.failure = f"{_text(missing)} does not hold"
    elif arguments.any_of and not any(holds(node) for node in arguments.any_of):
        verdict.failure = f"none of these holds: {', '.join(_text(node) for node in arguments.any_of)}"
    else:
        unwanted = next((node for node in arguments.none_of if holds(node)), None)
        if unwanted is not None:
            verdict.failure = f"{_text(unwanted)} holds, and must not"
    return verdict


def _text(node: PredicateNode) -> str:
    """The condition in the words of the pack.yaml: `path_exists ~/bin`, `any_of (os linux, env_set CI)`."""
    if node.operands:
        return f"{node.kind} ({', '.join(_text(operand) for operand in node.operands)})"
    value = node.value
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    elif isinstance(value, dict):
        value = ", ".join(f"{key} {part}" for key, part in value.items())
    return shown(f"{node.kind} {value}")
