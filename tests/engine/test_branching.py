"""What `switch` and `push` decide about a pack, each row one call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from grex.engine.branching import (
    GoTo,
    HasNoBranch,
    NothingToPush,
    Push,
    PushFacts,
    Stay,
    judge_push,
    judge_switch,
)
from grex.engine.planner import Leave
from grex.git import CheckoutState, Upstream

A, B = "a" * 40, "b" * 40
UP = Upstream("origin", "topic")


def at(**facts: Any) -> CheckoutState:
    facts = {"head_branch": "main", "head_sha": A, "head": "branch", **facts}
    return CheckoutState(Path("/p"), Path("/p"), is_symlink=False, kind="checkout", **facts)


@pytest.mark.parametrize(
    ("state", "creates", "local", "remote", "wanted"),
    [
        (at(head_branch="topic"), False, A, None, Stay()),
        (at(head_branch="topic"), True, A, None, Stay()),
        (at(), False, B, None, GoTo(B, is_new=False)),
        (at(), False, B, A, GoTo(B, is_new=False)),
        (at(), False, None, B, GoTo(B, is_new=True, upstream="origin/topic")),
        (at(), False, None, None, HasNoBranch()),
        (at(head_branch=None), False, B, None, GoTo(B, is_new=False)),
        (at(), True, None, None, GoTo(A, is_new=True)),
        (at(), True, None, B, GoTo(A, is_new=True)),
        (at(head_branch=None), True, None, None, GoTo(A, is_new=True)),
        (at(), True, B, None, "branch-exists"),
        (at(head_sha=None), True, None, None, "no-commit"),
        (at(operation="rebase"), False, B, None, "in-progress"),
        (at(operation="merge"), True, None, None, "in-progress"),
    ],
)
def test_a_switch_goes_where_there_is_something_to_go_to(
    state: CheckoutState, creates: bool, local: str | None, remote: str | None, wanted: object
) -> None:
    verdict = judge_switch(state, "topic", creates=creates, local=local, remote=remote)
    assert (verdict.code if isinstance(verdict, Leave) else verdict) == wanted
    assert not isinstance(verdict, Leave) or verdict.hint


@pytest.mark.parametrize(
    ("state", "facts", "wanted"),
    [
        (at(), PushFacts(UP, A, ahead=2), Push("main", UP)),
        (at(), PushFacts(UP, A), NothingToPush()),
        (at(), PushFacts(UP, A, behind=1), NothingToPush()),
        (at(), PushFacts(UP, A, ahead=1, behind=1), "diverged"),
        (at(), PushFacts(None, None, own=1), "no-upstream"),
        (at(), PushFacts(None, None, own=0), NothingToPush()),
        (at(), PushFacts(UP, None, own=3), "no-upstream"),
        (at(head_branch=None), PushFacts(own=1), "detached"),
        (at(head_branch=None), PushFacts(own=0), NothingToPush()),
    ],
)
def test_a_push_is_for_what_is_ahead_and_tells_what_has_nowhere_to_go(
    state: CheckoutState, facts: PushFacts, wanted: object
) -> None:
    verdict = judge_push("libs/x", state, facts)
    assert (verdict.code if isinstance(verdict, Leave) else verdict) == wanted
    assert not isinstance(verdict, Leave) or "libs/x" in verdict.hint


@pytest.mark.parametrize(
    ("state", "facts", "wanted"),
    [
        (at(), PushFacts(None, None, own=1), Push("main", Upstream("origin", "main"), is_new=True)),
        (at(), PushFacts(UP, None, own=1), Push("main", UP, is_new=True)),
        (at(), PushFacts(None, None, own=0), NothingToPush()),
        (at(), PushFacts(UP, A, ahead=2), Push("main", UP)),
        (at(), PushFacts(None, None, own=1, has_origin=False), "no-remote"),
        (at(head_branch=None), PushFacts(own=1), "detached"),
    ],
)
def test_a_new_upstream_is_for_a_branch_with_commits_that_follows_nothing(
    state: CheckoutState, facts: PushFacts, wanted: object
) -> None:
    verdict = judge_push("libs/x", state, facts, sets_upstream=True)
    assert (verdict.code if isinstance(verdict, Leave) else verdict) == wanted
