"""What `switch` and `push` decide about one pack: pure functions from what was observed to what is to be done.

Nothing is ever forced. What git can carry along, git carries; what it refuses is left as it is, with its reason.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from grex.engine.planner import Leave
from grex.git import CheckoutState, Upstream
from grex.names import shown_argument

__all__ = [
    "GoTo",
    "HasNoBranch",
    "NothingToPush",
    "Push",
    "PushFacts",
    "PushVerdict",
    "Stay",
    "SwitchVerdict",
    "judge_push",
    "judge_switch",
]


class Stay(Struct, frozen=True):
    """It is on that branch already."""


class HasNoBranch(Struct, frozen=True):
    """Neither the pack nor its remote, as of the last fetch, has that branch."""


class GoTo(Struct, frozen=True):
    """Go over to the branch, which is at `sha` or begins there; `is_new` one is made, and follows `upstream`."""

    sha: str
    is_new: bool
    upstream: str | None = None


SwitchVerdict: TypeAlias = Stay | HasNoBranch | GoTo | Leave


def judge_switch(
    state: CheckoutState, branch: str, *, creates: bool, local: str | None, remote: str | None
) -> SwitchVerdict:
    """Whether a checkout goes over to a branch.

    Args:
        state: the checkout.
        branch: the branch.
        creates: whether it is to be made here (`-c`).
        local: the commit of the local branch; None if there is none.
        remote: the commit of `origin`'s branch of that name as of the last fetch; None if there is none.
    """
    if state.head_branch == branch:
        return Stay()
    if state.operation is not None:
        return Leave(
            "in-progress",
            f"a {state.operation} is in progress",
            f"Finish or abort it (`git {state.operation}`), then run this again.",
        )
    if creates:
        if local is not None:
            return Leave("branch-exists", f"there is a branch {branch} already", "Leave `-c` out to go over to it.")
        if state.head_sha is None:
            return Leave("no-commit", "it has no commit to begin a branch at", "Commit something first.")
        return GoTo(state.head_sha, is_new=True)
    if local is not None:
        return GoTo(local, is_new=False)
    if remote is not None:
        return GoTo(remote, is_new=True, upstream=f"origin/{branch}")
    return HasNoBranch()


class PushFacts(Struct, frozen=True):
    """What a push goes by.

    Attributes:
        upstream: what the branch follows; None for nothing.
        tracking: the upstream's commit as of the last fetch; None if it was never fetched.
        ahead: commits that the upstream lacks.
        behind: commits of the upstream that are missing here.
        own: commits that no remote-tracking ref reaches; asked for where there is no upstream to compare with.
    """

    upstream: Upstream | None = None
    tracking: str | None = None
    ahead: int = 0
    behind: int = 0
    own: int = 0


class NothingToPush(Struct, frozen=True):
    """Every commit is on a remote already, as of the last fetch."""


class Push(Struct, frozen=True):
    """Send the branch to its upstream."""

    branch: str
    upstream: Upstream


PushVerdict: TypeAlias = NothingToPush | Push | Leave


def judge_push(path: str, state: CheckoutState, facts: PushFacts) -> PushVerdict:
    """Whether a pack's branch is sent, and if not, whether somebody has to do something about it."""
    where = shown_argument(path)
    branch = state.head_branch
    if branch is None:
        if not facts.own:
            return NothingToPush()
        return Leave(
            "detached",
            f"HEAD is detached, with {_commits(facts.own)} that no remote has",
            f"Give them a branch: `grex switch -c NAME {where}`, then `git -C {where} push -u origin NAME`.",
        )
    if facts.upstream is None or facts.tracking is None:
        if not facts.own:
            return NothingToPush()
        what = "has no upstream" if facts.upstream is None else "was never fetched from its upstream"
        return Leave(
            "no-upstream",
            f"the branch {branch} {what}, and {_commits(facts.own)} that no remote has",
            f"`git -C {where} push -u origin {shown_argument(branch)}` sends it once and lets it follow.",
        )
    if not facts.ahead:
        return NothingToPush()
    if facts.behind:
        return Leave(
            "diverged",
            f"the branch {branch} is {facts.ahead} ahead and {facts.behind} behind of its upstream",
            f"`git -C {where} pull --rebase` (or merge), then run this again.",
        )
    return Push(branch, facts.upstream)


def _commits(count: int) -> str:
    return "a commit" if count == 1 else f"{count} commits"
