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
        has_origin: whether there is an `origin` that a new branch could be sent to.
    """

    upstream: Upstream | None = None
    tracking: str | None = None
    ahead: int = 0
    behind: int = 0
    own: int = 0
    has_origin: bool = True


class NothingToPush(Struct, frozen=True):
    """Every commit is on a remote already, as of the last fetch."""


class Push(Struct, frozen=True):
    """Send the branch to its upstream, which it is to follow from then on where `is_new`."""

    branch: str
    upstream: Upstream
    is_new: bool = False


PushVerdict: TypeAlias = NothingToPush | Push | Leave


def judge_push(path: str, state: CheckoutState, facts: PushFacts, *, sets_upstream: bool = False) -> PushVerdict:
    """Whether a pack's branch is sent, and if not, whether somebody has to do something about it.

    Args:
        path: the pack.
        state: its checkout.
        facts: what was found out.
        sets_upstream: send a branch that follows nothing to `origin` under its own name, and let it follow (`-u`).
    """
    where = shown_argument(path)
    branch = state.head_branch
    if branch is None:
        if not facts.own:
            return NothingToPush()
        return Leave(
            "detached",
            f"HEAD is detached, with {_commits(facts.own)} that no remote has",
            f"Give them a branch: `grex switch -c NAME {where}`, then `grex push -u {where}`.",
        )
    if facts.upstream is None or facts.tracking is None:
        return _judge_new(path, branch, facts, sets_upstream=sets_upstream)
    if not facts.ahead:
        return NothingToPush()
    if facts.behind:
        return Leave(
            "diverged",
            f"the branch {branch} is {facts.ahead} ahead and {facts.behind} behind of its upstream",
            f"`git -C {where} pull --rebase` (or merge), then run this again.",
        )
    return Push(branch, facts.upstream)


def _judge_new(path: str, branch: str, facts: PushFacts, *, sets_upstream: bool) -> PushVerdict:
    """A branch of which nothing is known at a remote."""
    if not facts.own:
        return NothingToPush()
    where, many = shown_argument(path), _commits(facts.own)
    if not facts.has_origin and facts.upstream is None:
        return Leave(
            "no-remote",
            f"there is no remote origin to send the branch {branch} to, and {many} that no remote has",
            f"`git -C {where} remote add origin URL`, then `grex push -u {where}`.",
        )
    if sets_upstream:
        return Push(branch, facts.upstream or Upstream("origin", branch), is_new=True)
    what = "has no upstream" if facts.upstream is None else "was never fetched from its upstream"
    return Leave(
        "no-upstream",
        f"the branch {branch} {what}, and {many} that no remote has",
        f"`grex push -u {where}` sends it to origin, and lets it follow.",
    )


def _commits(count: int) -> str:
    return "a commit" if count == 1 else f"{count} commits"
