"""The planner as a table, and exhaustively: nobody's work moves, whatever the combination of facts.

The rows are those of `docs/reference/sync.md`; the second half walks over the product of everything that a situation
can consist of (tens of thousands of them) and states what must hold in each.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from grex.engine.planner import (
    AskRemote,
    Clone,
    Finished,
    Leave,
    Mend,
    Move,
    NothingToMove,
    PutAway,
    Reach,
    Relation,
    Situation,
    Wanted,
    first_look,
    movement,
    strange,
)
from grex.git import CheckoutState, CompletionRecord, MoveNote, RemoteRef
from grex.git.records import RefKind
from grex.manifest import LockLine

OLD, NEW, MINE = "a" * 40, "b" * 40, "c" * 40
URL = "https://host/x"
ON_MAIN = RemoteRef("branch", "main", NEW)
AT_TAG = RemoteRef("tag", "v1", NEW)
AT_SHA = RemoteRef("sha", None, NEW)


def wanted(ref: str | None = "main", **changes: Any) -> Wanted:
    base = Wanted(path="x", identity=URL, ref=ref, line=None, locked=False, offline=False)
    return replace(base, **changes)


def line(ref: str | None = "main", branch: str | None = "main", sha: str = OLD) -> LockLine:
    return LockLine(path="x", url=URL, ref=ref, branch=branch, sha=sha, type="plain", parents=(".",))


def record(ref: str | None = "main", branch: str | None = "main", sha: str = OLD, **changes: Any) -> CompletionRecord:
    kind: RefKind = "branch" if branch is not None else "sha" if ref is not None and len(ref) == 40 else "tag"
    return replace(CompletionRecord(url=URL, ref=ref, kind=kind, branch=branch, sha=sha, upstream=None), **changes)


def checkout(branch: str | None = "main", sha: str | None = OLD, **changes: Any) -> CheckoutState:
    path = Path("/ws/x")
    base = CheckoutState(
        path,
        path,
        is_symlink=False,
        kind="checkout",
        git_dir=path / ".git",
        common_dir=path / ".git",
        head="detached" if branch is None else "unborn" if sha is None else "branch",
        head_branch=branch,
        head_sha=sha,
    )
    return replace(base, **changes)


def at(kind: Any, *entries: str) -> CheckoutState:
    return CheckoutState(Path("/ws/x"), Path("/ws/x"), is_symlink=False, kind=kind, entries=entries)


# -- the first look: what the disk alone says -------------------------------------------------------------------------

FIRST = {
    "nothing there": (wanted(), at("absent"), Clone()),
    "only the lock file there": (wanted(), at("empty"), Clone()),
    "a note of a dead run": (
        wanted(),
        checkout(record=record(), note=MoveNote(op="checkout", pack="x")),
        Mend(),
    ),
    "a note of a dead run where nothing else is to be done": (
        wanted(OLD),
        checkout(None, record=record(OLD, None), note=MoveNote(op="fetch", pack="x")),
        Mend(),
    ),
    "a branch that grex brought": (wanted(), checkout(record=record()), AskRemote()),
    "the remote's HEAD that grex brought": (wanted(None), checkout(record=record(None)), AskRemote()),
    "a branch in the lockfile": (wanted(line=line()), checkout(record=record()), AskRemote()),
    "a checkout that grex did not make": (wanted(), checkout(), AskRemote()),
    "a pinned commit": (wanted(OLD), checkout(None, record=record(OLD, None)), Finished(RemoteRef("sha", None, OLD))),
    "a pinned commit in capitals": (
        wanted(OLD.upper()),
        checkout(None, record=record(OLD.upper(), None)),
        Finished(RemoteRef("sha", None, OLD)),
    ),
    "a matching HEAD without a completion record": (
        wanted(OLD),
        checkout(None),
        Reach(RemoteRef("sha", None, OLD)),
    ),
    "a completion record of another commit than HEAD is at": (
        wanted(NEW),
        checkout(None, NEW, record=record(OLD, None)),
        Reach(RemoteRef("sha", None, NEW)),
    ),
    "a completion record of another URL": (
        wanted(OLD),
        checkout(None, record=record(OLD, None, url="https://host/y")),
        Reach(RemoteRef("sha", None, OLD)),
    ),
    "a pinned commit while HEAD is on a branch": (
        wanted(OLD),
        checkout("mine", OLD, record=record(OLD, None)),
        Reach(RemoteRef("sha", None, OLD)),
    ),
    "a pinned commit in the middle of a bisect": (
        wanted(OLD),
        checkout(None, OLD, operation="bisect", record=record(OLD, None)),
        Reach(RemoteRef("sha", None, OLD)),
    ),
    "another commit pinned than the one that is there": (
        wanted(NEW),
        checkout(None, OLD, record=record(OLD, None)),
        Reach(RemoteRef("sha", None, NEW)),
    ),
    "a tag that was resolved, by the lockfile": (
        wanted("v1", line=line("v1", None)),
        checkout(None, record=record("v1", None)),
        Finished(RemoteRef("tag", "v1", OLD)),
    ),
    "a tag that was resolved, by the completion record": (
        wanted("v1"),
        checkout(None, record=record("v1", None)),
        Finished(RemoteRef("tag", "v1", OLD)),
    ),
    "a tag that somebody else resolved to another commit": (
        wanted("v1", line=line("v1", None, NEW)),
        checkout(None, record=record("v1", None)),
        Reach(RemoteRef("tag", "v1", NEW)),
    ),
    "a tag instead of the branch that was declared before": (wanted("v1"), checkout(record=record()), AskRemote()),
    "a locked branch at its commit": (
        wanted(line=line(), locked=True),
        checkout(record=record()),
        Finished(RemoteRef("branch", "main", OLD)),
    ),
    "a locked branch at another commit": (
        wanted(line=line(sha=NEW), locked=True),
        checkout(record=record()),
        Reach(RemoteRef("branch", "main", NEW)),
    ),
    "offline, a branch that was fetched before": (
        wanted(offline=True, tracking=NEW),
        checkout(record=record()),
        Reach(RemoteRef("branch", "main", NEW)),
    ),
    "offline, a branch at what was fetched": (
        wanted(offline=True, tracking=OLD),
        checkout(record=record()),
        Finished(RemoteRef("branch", "main", OLD)),
    ),
    "offline, a branch that was never brought": (wanted(offline=True), checkout(), AskRemote()),
}


@pytest.mark.parametrize("row", FIRST)
def test_the_first_look_says(row: str) -> None:
    declared, state, expected = FIRST[row]
    assert first_look(declared, state) == expected


@pytest.mark.parametrize(("kind", "code"), [("directory", "directory-in-the-way"), ("other", "file-in-the-way")])
def test_what_grex_did_not_make_is_in_the_way(kind: str, code: str) -> None:
    look = first_look(wanted(), at(kind))
    assert isinstance(look, Leave)
    assert (look.code, look.had_to_move) == (code, True)
    assert "x" in look.hint


def test_a_work_tree_whose_repository_was_moved_is_told_how_to_find_it_again() -> None:
    look = first_look(wanted(), at("directory", ".git", "README"))
    assert isinstance(look, Leave)
    assert look.code == "directory-in-the-way"
    assert "`git worktree repair`" in look.hint
    assert "move x elsewhere" in look.hint


# -- the second look: how the local side stands to the wanted commit --------------------------------------------------


def on_main(relation: Relation | None = Relation.BEHIND, **changes: Any) -> Situation:
    """HEAD on the declared branch, where grex left it, unless said otherwise."""
    base = Situation(
        target=ON_MAIN,
        head_branch="main",
        head_sha=OLD,
        operation=None,
        placed_branch="main",
        placed_sha=OLD,
        branch_sha=None if relation is None else OLD,
        branch_relation=relation,
        branch_is_upstream=False,
        head_is_reachable=True,
        locked=False,
    )
    return replace(base, **changes)


def pinned(**changes: Any) -> Situation:
    """HEAD detached at the old commit, where grex left it, unless said otherwise."""
    return replace(
        on_main(None, target=AT_TAG, head_branch=None, placed_branch=None),
        **changes,
    )


_AHEAD_NOTE = "main has local commits that are not pushed"
_STAYED = "on branch feature, not on {}; HEAD was left there"

SECOND: dict[str, tuple[Situation, Any]] = {
    "up to date": (on_main(Relation.SAME), NothingToMove()),
    "up to date, in the middle of a merge": (
        on_main(Relation.SAME, operation="merge"),
        NothingToMove("a merge is in progress"),
    ),
    "behind": (on_main(), Move("fast-forward")),
    "behind, in the middle of a merge": (on_main(operation="merge"), "operation-in-progress"),
    "ahead": (on_main(Relation.AHEAD), NothingToMove(_AHEAD_NOTE)),
    "ahead, in the middle of a revert": (
        on_main(Relation.AHEAD, operation="revert"),
        NothingToMove(f"{_AHEAD_NOTE}, and a revert is in progress"),
    ),
    "ahead, with --locked": (on_main(Relation.AHEAD, locked=True), "diverged"),
    "ahead by commits of the remote, with --locked": (
        on_main(Relation.AHEAD, locked=True, branch_is_upstream=True),
        Move("rewind", rescue=OLD, note="main went back to the lockfile's commit"),
    ),
    "diverged": (on_main(Relation.DIVERGED), "diverged"),
    "diverged, in the middle of a rebase": (on_main(Relation.DIVERGED, operation="am"), "operation-in-progress"),
    "rewritten upstream": (
        on_main(Relation.DIVERGED, branch_is_upstream=True),
        Move("reset-rewritten", rescue=OLD, note="main was rewritten upstream and followed"),
    ),
    "rewritten upstream, in the middle of a merge": (
        on_main(Relation.DIVERGED, branch_is_upstream=True, operation="merge"),
        "operation-in-progress",
    ),
    "on a branch of the user's": (
        on_main(head_branch="feature"),
        Move("branch-ref", note=_STAYED.format("main")),
    ),
    "on a branch of the user's, nothing comes in": (
        on_main(Relation.SAME, head_branch="feature"),
        NothingToMove(_STAYED.format("main")),
    ),
    "on a branch of the user's, the declared one diverged": (
        on_main(Relation.DIVERGED, head_branch="feature"),
        NothingToMove(_STAYED.format("main")),
    ),
    "on a branch of the user's, the declared one is not there": (
        on_main(None, head_branch="feature"),
        NothingToMove(_STAYED.format("main")),
    ),
    "on a branch of the user's, with --locked": (on_main(head_branch="feature", locked=True), "other-branch"),
    "on the branch that was declared before": (
        on_main(None, head_branch="old", placed_branch="old"),
        Move("switch"),
    ),
    "on the branch that was declared before, in the middle of a rebase": (
        on_main(None, head_branch="old", placed_branch="old", operation="rebase"),
        "operation-in-progress",
    ),
    "detached at the wanted commit": (
        on_main(Relation.SAME, head_branch=None, head_sha=NEW, placed_sha=NEW),
        Move("attach"),
    ),
    "detached where grex never was, on known commits": (on_main(head_branch=None, head_sha=MINE), Move("switch")),
    "detached with commits of its own": (
        on_main(head_branch=None, head_sha=MINE, head_is_reachable=False),
        "detached-with-commits",
    ),
    "detached, the branch is ahead of the commit that HEAD is at": (
        on_main(Relation.AHEAD, head_branch=None, head_sha=NEW),
        NothingToMove("HEAD is detached, and main has local commits that are not pushed"),
    ),
    "detached elsewhere, the branch is ahead": (on_main(Relation.AHEAD, head_branch=None), "branch-ahead"),
    "detached, the branch diverged": (on_main(Relation.DIVERGED, head_branch=None), "diverged"),
    "detached, the branch was rewritten upstream": (
        on_main(Relation.DIVERGED, head_branch=None, branch_is_upstream=True),
        Move("switch", rescue=OLD),
    ),
    "a rebase detached HEAD, nothing comes in": (
        on_main(Relation.AHEAD, head_branch=None, head_sha=MINE, operation="rebase", head_is_reachable=False),
        NothingToMove("a rebase is in progress"),
    ),
    "a rebase detached HEAD, and something comes in": (
        on_main(head_branch=None, head_sha=MINE, operation="rebase", head_is_reachable=False),
        "operation-in-progress",
    ),
    "a rebase detached HEAD, with --locked": (
        on_main(Relation.AHEAD, head_branch=None, head_sha=MINE, operation="rebase", locked=True),
        "operation-in-progress",
    ),
    "pinned, and there": (pinned(head_sha=NEW), NothingToMove()),
    "pinned, and there, in the middle of a bisect": (
        pinned(head_sha=NEW, operation="bisect"),
        NothingToMove("a bisect is in progress"),
    ),
    "pinned, at another commit": (pinned(), Move("switch")),
    "pinned, at another commit, in the middle of a bisect": (pinned(operation="bisect"), "operation-in-progress"),
    "pinned, with commits of its own": (
        pinned(head_sha=MINE, head_is_reachable=False),
        "detached-with-commits",
    ),
    "pinned, on the branch that was declared before": (
        pinned(head_branch="main", placed_branch="main"),
        Move("switch"),
    ),
    "pinned to a tag, on a branch of the user's": (
        pinned(head_branch="feature"),
        NothingToMove(_STAYED.format("v1")),
    ),
    "pinned to a commit, on a branch of the user's": (
        pinned(head_branch="feature", target=AT_SHA),
        NothingToMove(_STAYED.format(NEW[:12])),
    ),
    "pinned, on a branch of the user's, with --locked": (pinned(head_branch="feature", locked=True), "other-branch"),
}


@pytest.mark.parametrize("row", SECOND)
def test_the_second_look_decides(row: str) -> None:
    found, expected = SECOND[row]
    decided = movement(found)
    if isinstance(expected, str):
        assert isinstance(decided, Leave), decided
        assert (decided.code, decided.had_to_move) == (expected, True)
        assert decided.hint.endswith("sync again.")
    else:
        assert decided == expected


@pytest.mark.parametrize("operation", ["rebase", "am", "merge", "cherry-pick", "revert", "bisect"])
def test_the_way_out_of_an_operation_is_a_command_that_git_knows(operation: str) -> None:
    decided = movement(on_main(operation=operation))
    assert isinstance(decided, Leave)
    assert f"a {operation} is in progress" in decided.text
    commands = re.findall(r"`git ([^`]+)`", decided.hint)
    known = {"bisect": ["bisect reset"]}
    assert commands == known.get(operation, [f"{operation} --continue", f"{operation} --abort"])


def test_every_reason_is_in_the_reference() -> None:
    """A code that a program meets can be looked up, with the exit code that it comes with."""
    page = (Path(__file__).parents[2] / "docs/reference/sync.md").read_text()
    codes = {expected for _, expected in SECOND.values() if isinstance(expected, str)}
    codes |= {"directory-in-the-way", "file-in-the-way"}
    assert [code for code in sorted(codes) if f"`{code}`" not in page] == []


# -- all of them ------------------------------------------------------------------------------------------------------


def situations() -> Iterator[Situation]:
    """Every combination of facts that can be told apart and does not contradict itself."""
    for target, head_branch, head_sha, operation, placed_branch, placed_sha in itertools.product(
        (ON_MAIN, AT_TAG, AT_SHA),
        (None, "main", "feature"),
        (None, OLD, NEW, MINE),
        (None, "rebase", "bisect"),
        (None, "main", "feature"),
        (None, OLD, MINE),
    ):
        if head_branch is None and head_sha is None:
            continue  # a detached HEAD has a commit
        relations = (None, *Relation) if target.kind == "branch" else (None,)
        for relation, is_upstream, is_reachable, locked in itertools.product(
            relations, (False, True), (False, True), (False, True)
        ):
            branch_sha = None if relation is None else NEW if relation is Relation.SAME else OLD
            if head_branch == target.name and head_branch is not None and head_sha != branch_sha:
                continue  # HEAD's branch is the wanted one: they are the same ref
            yield Situation(
                target,
                head_branch,
                head_sha,
                operation,
                placed_branch,
                placed_sha,
                branch_sha,
                relation,
                is_upstream,
                is_reachable,
                locked,
            )


def _has_own_commits(found: Situation) -> bool:
    """Whether the wanted branch has commits that its remote never had."""
    return found.branch_relation in (Relation.AHEAD, Relation.DIVERGED) and not found.branch_is_upstream


def test_no_move_takes_a_commit_of_the_users_from_its_branch() -> None:
    """`checkout -B` sets the wanted branch to the target: only where nothing of the user's was on it."""
    count = 0
    for found in situations():
        decided = movement(found)
        count += 1
        if isinstance(decided, Move) and decided.kind != "branch-ref":
            assert not (found.target.kind == "branch" and _has_own_commits(found)), found
    assert count > 10_000


def test_a_branch_that_leaves_commits_behind_leaves_a_rescue_ref() -> None:
    for found in situations():
        decided = movement(found)
        if not isinstance(decided, Move):
            continue
        leaves_commits = found.branch_relation in (Relation.AHEAD, Relation.DIVERGED)
        assert decided.rescue == (found.branch_sha if leaves_commits else None), found


def test_nothing_moves_while_an_operation_is_in_progress() -> None:
    """Only the ref of a branch that HEAD is not on may go forward meanwhile."""
    for found in situations():
        decided = movement(found)
        if found.operation is not None and isinstance(decided, Move):
            assert decided.kind == "branch-ref", found
            assert found.head_branch not in (None, found.target.name), found


def test_head_never_leaves_a_branch_that_grex_did_not_choose() -> None:
    for found in situations():
        decided = movement(found)
        if isinstance(decided, Move) and found.head_branch not in (None, found.placed_branch):
            assert decided.kind == "branch-ref" or found.head_branch == found.target.name, found


def test_head_never_leaves_commits_that_no_ref_leads_to() -> None:
    for found in situations():
        decided = movement(found)
        is_lost = found.head_branch is None and not found.head_is_reachable and found.head_sha != found.placed_sha
        if is_lost and found.head_sha != found.target.sha:
            assert not isinstance(decided, Move), found


def test_a_ref_alone_moves_only_forward() -> None:
    for found in situations():
        decided = movement(found)
        if isinstance(decided, Move) and decided.kind in ("branch-ref", "fast-forward"):
            assert found.branch_relation is Relation.BEHIND, found


def test_with_locked_only_the_locked_commit_counts_as_there() -> None:
    for found in situations():
        decided = movement(found)
        if found.locked and isinstance(decided, NothingToMove):
            assert found.head_sha == found.target.sha, found


def test_nothing_that_came_in_is_passed_over_in_silence() -> None:
    """Where HEAD is not at a commit that holds the wanted one, the report has a move, a reason or a note."""
    for found in situations():
        decided = movement(found)
        if isinstance(decided, NothingToMove) and decided.note is None:
            assert found.head_sha == found.target.sha, found


def test_every_move_and_every_reason_does_occur() -> None:
    """The walk above is not empty in any of its corners."""
    decided = [movement(found) for found in situations()]
    kinds = {move.kind for move in decided if isinstance(move, Move)}
    assert kinds == {"switch", "fast-forward", "reset-rewritten", "rewind", "attach", "branch-ref"}
    codes = {leave.code for leave in decided if isinstance(leave, Leave)}
    assert codes == {expected for _, expected in SECOND.values() if isinstance(expected, str)}


# -- with force -------------------------------------------------------------------------------------------------------

FORCED = {
    "a branch with commits on both sides": (on_main(Relation.DIVERGED), "diverged", "reset-forced"),
    "a detached HEAD with commits of its own": (
        on_main(Relation.SAME, head_branch=None, head_sha=MINE, head_is_reachable=False),
        "detached-with-commits",
        "switch",
    ),
    "pinned, with commits of its own": (
        pinned(head_sha=MINE, head_is_reachable=False),
        "detached-with-commits",
        "switch",
    ),
}


@pytest.mark.parametrize("row", FORCED)
def test_by_force_own_commits_are_left_behind_under_a_rescue_ref(row: str) -> None:
    found, code, kind = FORCED[row]
    decided = movement(found)
    assert isinstance(decided, Leave)
    assert decided.code == code
    forced = movement(replace(found, force=True))
    assert isinstance(forced, Move)
    assert (forced.kind, forced.note is not None) == (kind, True)
    assert forced.rescue == (found.branch_sha if code == "diverged" else MINE)


def test_force_changes_nothing_but_two_refusals_and_loses_no_commit() -> None:
    """Whatever the combination: what is left behind is kept, and nothing else is decided than without force."""
    changed = 0
    for found in situations():
        calm, forced = movement(found), movement(replace(found, force=True))
        if calm == forced:
            continue
        changed += 1
        assert isinstance(calm, Leave), found
        assert calm.code in ("diverged", "detached-with-commits"), found
        assert isinstance(forced, Move), found
        if calm.code == "diverged":
            assert forced.rescue == found.branch_sha is not None, found
            assert found.head_branch is not None or found.head_is_reachable or found.head_sha == found.placed_sha, found
        else:
            assert forced.rescue == found.head_sha is not None, found
            assert not _has_own_commits(found), found
    assert changed > 100


@pytest.mark.parametrize("kind", ["directory", "other"])
def test_by_force_what_stands_at_the_place_makes_room(kind: str) -> None:
    calm = first_look(wanted(), at(kind))
    assert isinstance(calm, Leave)
    assert first_look(wanted(force=True), at(kind)) == PutAway(calm)
    assert strange(calm, force=False) == calm
    assert strange(calm, force=True) == PutAway(calm)
