"""Decides what has to happen to one checkout: pure functions from what was observed to what is to be done.

Everything that must not be got wrong about somebody's work stands here, away from git and from locks, so that each
row of the table in `docs/reference/sync.md` is a test of one call. The work is split in two looks:

- `first_look` needs only the disk: is there a checkout, is it ours, is it finished, is the wanted commit known?
- `movement` needs the wanted commit to be present: how do the local commits relate to it?

Whether *edits* are in the way is not decided here: git itself refuses a checkout that would touch them, before it
has changed anything, and only git knows for sure.
"""

from __future__ import annotations

from enum import Enum
from typing import Literal, TypeAlias

from msgspec import Struct

from grex.git import CheckoutState, RemoteRef
from grex.manifest import LockLine
from grex.names import is_full_sha, shown_argument

__all__ = [
    "AskRemote",
    "Clone",
    "Finished",
    "FirstLook",
    "Leave",
    "Mend",
    "Move",
    "MoveKind",
    "Movement",
    "NothingToMove",
    "PutAway",
    "Reach",
    "Relation",
    "Situation",
    "SubmoduleFound",
    "Wanted",
    "first_look",
    "movement",
    "strange",
    "submodule_step",
]


class Wanted(Struct, frozen=True):
    """What is declared for a path, and what the lockfile resolved it to before.

    `line` is the lockfile's line if it is about the same URL and ref; `locked` makes it binding. `tracking` is the
    remote's branch as of the last fetch. With `anew`, a tag is what the remote has it at now. With `force`, what is in
    the way may be kept in the trash.
    """

    path: str
    identity: str
    ref: str | None
    line: LockLine | None
    locked: bool
    offline: bool
    tracking: str | None = None
    anew: bool = False
    force: bool = False


class Clone(Struct, frozen=True):
    """There is nothing there yet."""


class Mend(Struct, frozen=True):
    """A dead run left a note here: recover first, then look again."""


class AskRemote(Struct, frozen=True):
    """Only the remote knows which commit is wanted now."""


class Reach(Struct, frozen=True):
    """The wanted commit is known; bring it here if it is missing, and move to it."""

    target: RemoteRef


class Finished(Struct, frozen=True):
    """The checkout is finished and at the wanted commit: no network, no git."""

    target: RemoteRef


class Leave(Struct, frozen=True):
    """It must not be touched.

    `code` is stable for JSON; `had_to_move` says whether that is a failure (exit 4) or a note (exit 0).
    """

    code: str
    text: str
    hint: str
    had_to_move: bool = True


class PutAway(Struct, frozen=True):
    """Something else stands there: all of it goes to the trash, and then there is nothing there.

    `why` is the reason for which it would be left alone without `--force`.
    """

    why: Leave


FirstLook: TypeAlias = Clone | PutAway | Mend | AskRemote | Reach | Finished | Leave


def first_look(wanted: Wanted, state: CheckoutState) -> FirstLook:
    """What can be said from the disk alone."""
    match state.kind:
        case "absent" | "empty":
            return Clone()
        case "directory":
            if ".git" in state.entries:
                what = "a directory whose .git is no repository, or leads to none that is there, is in the way"
                moved = (
                    "If its repository was moved, `git worktree repair` in that finds this again (for a fork: `grex "
                    "exec -- git worktree repair` in the workspace). Or else move"
                )
                return _in_the_way(wanted, "directory-in-the-way", what, moved)
            what = "a directory that is not a git repository is in the way"
            return _in_the_way(wanted, "directory-in-the-way", what)
        case "other":
            return _in_the_way(wanted, "file-in-the-way", "something that is not a directory is in the way")
        case _:
            pass
    if state.note is not None:
        return Mend()
    record = state.record
    target = _known_target(wanted, state)
    if target is None:
        return AskRemote()
    finished = (
        record is not None
        and record.url == wanted.identity
        and record.sha == target.sha
        and state.head_sha == target.sha
        and state.operation is None
        and (state.head_branch is None if target.kind != "branch" else state.head_branch == target.name)
    )
    return Finished(target) if finished else Reach(target)


def _in_the_way(wanted: Wanted, code: str, what: str, move: str = "Move") -> PutAway | Leave:
    leave = Leave(
        code,
        what,
        f"{move} {wanted.path} elsewhere and run the command again; grex does not touch what it did not make.",
    )
    return PutAway(leave) if wanted.force else leave


def strange(why: Leave, *, force: bool) -> PutAway | Leave:
    """What becomes of a checkout that is of another repository: with `force`, it makes room whole."""
    return PutAway(why) if force else why


def _known_target(wanted: Wanted, state: CheckoutState) -> RemoteRef | None:
    """The wanted commit, if it can be known without the network."""
    ref = wanted.ref
    if ref is not None and is_full_sha(ref):
        return RemoteRef(kind="sha", name=None, sha=ref.lower())
    line = wanted.line
    if line is not None and (wanted.locked or (line.branch is None and not wanted.anew)):
        # The lockfile's word is binding with --locked; without it, for everything that is not a branch:
        # a resolved tag is kept even if it moved upstream.
        kind: Literal["branch", "tag"] = "branch" if line.branch is not None else "tag"
        return RemoteRef(kind=kind, name=line.branch if kind == "branch" else line.ref, sha=line.sha)
    record = state.record
    if record is not None and record.url == wanted.identity and record.ref == ref:
        if record.kind == "tag" and not wanted.anew:
            return RemoteRef(kind="tag", name=ref, sha=record.sha)
        if wanted.offline and record.kind == "branch":
            return RemoteRef(kind="branch", name=record.branch, sha=wanted.tracking or record.sha)
    return None


class Relation(Enum):
    """How a local commit stands to the wanted one."""

    SAME = "same"
    BEHIND = "behind"
    AHEAD = "ahead"
    DIVERGED = "diverged"


MoveKind: TypeAlias = Literal[
    "switch", "fast-forward", "reset-rewritten", "reset-forced", "rewind", "attach", "branch-ref"
]


class Situation(Struct, frozen=True):
    """Everything about the local side that the second look needs.

    Attributes:
        target: the wanted commit; it is present in the repository.
        head_branch: the branch that HEAD is on, None when detached.
        head_sha: the commit of HEAD, None on an unborn branch.
        operation: what git is in the middle of (`rebase`, `merge`, ...).
        placed_branch: the branch on which grex itself left HEAD last, None if detached or never.
        placed_sha: the commit at which grex itself left HEAD last.
        branch_sha: the local branch of the wanted name, None if there is none (or no branch is wanted).
        branch_relation: how that branch stands to the target.
        branch_is_upstream: whether all commits of that branch were in the remote's branch before this fetch.
        head_is_reachable: whether HEAD's commit is on any branch, tag or remote branch.
        locked: whether the target is exactly what must be there in the end.
        force: whether own commits may be left behind, under a rescue ref.
        fork_branch: in a fork, the branch that the pack was given there, and that is nowhere declared.
        is_branch_held: whether another work tree of the repository is on the branch of the wanted name.
    """

    target: RemoteRef
    head_branch: str | None
    head_sha: str | None
    operation: str | None
    placed_branch: str | None
    placed_sha: str | None
    branch_sha: str | None
    branch_relation: Relation | None
    branch_is_upstream: bool
    head_is_reachable: bool
    locked: bool
    force: bool = False
    fork_branch: str | None = None
    is_branch_held: bool = False


class NothingToMove(Struct, frozen=True):
    """HEAD is where it belongs; `note` is what is worth saying about local work.

    `is_elsewhere` says that it is on the branch of a fork, and not where the declaration has it.
    """

    note: str | None = None
    is_elsewhere: bool = False


class Move(Struct, frozen=True):
    """HEAD (or, for `branch-ref`, only a ref) has to move to the target.

    `rescue` asks for a rescue ref to the commit that the branch leaves behind; `note` goes into the report.
    """

    kind: MoveKind
    rescue: str | None = None
    note: str | None = None


Movement: TypeAlias = NothingToMove | Move | Leave


class SubmoduleFound(Struct, frozen=True):
    """A submodule, against the commit that the pack's own commit names for it.

    Attributes:
        path: where it lies in the pack.
        wanted_sha: the commit that it is to be at.
        head_sha: the commit that it is at; None if nothing is checked out.
        is_recorded: whether its last checkout of ours was finished, or it is the user's own.
        work: what of the user's is in it; None if nothing is.
    """

    path: str
    wanted_sha: str
    head_sha: str | None
    is_recorded: bool
    work: str | None


def submodule_step(found: SubmoduleFound) -> Leave | bool:
    """Whether a submodule has to be brought to its commit, or why it must not be."""
    if found.head_sha is not None and found.head_sha == found.wanted_sha and found.is_recorded:
        return False
    if found.head_sha is not None and found.work is not None:
        return Leave(
            "submodule-work",
            f"the submodule {found.path} would have to move to {found.wanted_sha[:12]}, and {found.work}",
            "Commit and push it (or stash and drop it) there, then sync again.",
        )
    return True


def movement(found: Situation) -> Movement:
    """What has to move, now that the wanted commit is here."""
    if found.target.kind == "branch":
        return _branch_movement(found)
    return _pinned_movement(found)


def _pinned_movement(found: Situation) -> Movement:
    at_target = found.head_sha == found.target.sha
    if found.head_branch is not None and found.head_branch != found.placed_branch:
        # A branch that grex did not choose: the user's. HEAD stays.
        return _stays_on_branch(found, at_target=at_target)
    if at_target and found.head_branch is None:
        return _busy(found) if found.operation is not None else NothingToMove()
    if found.operation is not None:
        return _in_the_middle(found)
    if found.head_branch is None and _own_detached_commits(found):
        return _detached_with_commits(found)
    return Move("switch")


def _branch_movement(found: Situation) -> Movement:
    name = found.target.name
    if found.head_branch == name:
        return _on_the_branch(found)
    if found.head_branch is not None and found.head_branch != found.placed_branch:
        return _stays_on_branch(found, at_target=False)
    # HEAD is where grex left it (another declared branch, a pin) or detached.
    if found.operation is not None:
        # A rebase or a bisect detaches HEAD by itself; where nothing comes in, that is nobody's trouble.
        is_there = not found.locked and found.branch_relation in (Relation.SAME, Relation.AHEAD)
        return _busy(found) if is_there else _in_the_middle(found)
    if found.head_branch is None and _own_detached_commits(found):
        return _detached_with_commits(found)
    match found.branch_relation:
        case None | Relation.SAME | Relation.BEHIND:
            return Move("switch" if found.head_sha != found.target.sha else "attach")
        case Relation.AHEAD if not found.locked:
            return _ahead_of_head(found)
        case _ if found.branch_is_upstream:
            return Move("switch", rescue=found.branch_sha)
        case _:
            return _diverged(found)


def _on_the_branch(found: Situation) -> Movement:
    match found.branch_relation:
        case Relation.SAME:
            return _busy(found) if found.operation is not None else NothingToMove()
        case Relation.AHEAD if not found.locked:
            begun = f", and a {found.operation} is in progress" if found.operation is not None else ""
            return NothingToMove(f"{found.target.name} has local commits that are not pushed{begun}")
        case Relation.BEHIND:
            return _in_the_middle(found) if found.operation is not None else Move("fast-forward")
        case _:
            pass
    if found.operation is not None:
        return _in_the_middle(found)
    if found.branch_is_upstream:
        if found.branch_relation is Relation.AHEAD:
            return Move(
                "rewind", rescue=found.branch_sha, note=f"{found.target.name} went back to the lockfile's commit"
            )
        return Move(
            "reset-rewritten", rescue=found.branch_sha, note=f"{found.target.name} was rewritten upstream and followed"
        )
    return _diverged(found)


def _ahead_of_head(found: Situation) -> Movement:
    name = found.target.name
    if found.head_branch is None and found.head_sha == found.target.sha:
        return NothingToMove(f"HEAD is detached, and {name} has local commits that are not pushed")
    return Leave(
        "branch-ahead",
        f"HEAD is not on {name}, and the local branch {name} has commits of its own",
        f"`git switch {shown_argument(name or '')}` in the pack, then sync again.",
    )


def _own_detached_commits(found: Situation) -> bool:
    return found.head_sha is not None and found.head_sha != found.placed_sha and not found.head_is_reachable


def _stays_on_branch(found: Situation, *, at_target: bool) -> Movement:
    if found.locked and not at_target:
        return Leave(
            "other-branch",
            f"it is on the branch {found.head_branch}, not at the locked commit {found.target.sha[:12]}",
            "Switch back (`git switch -`, or `git checkout --detach`) and sync again.",
        )
    wanted = found.target.name or found.target.sha[:12]
    is_fork = found.head_branch == found.fork_branch  # HEAD is on it because it was put there
    note = None if is_fork else f"on branch {found.head_branch}, not on {wanted}; HEAD was left there"
    if found.target.kind == "branch" and found.branch_relation is Relation.BEHIND and not found.is_branch_held:
        return Move("branch-ref", note=note)
    return NothingToMove(note, is_elsewhere=is_fork)


def _busy(found: Situation) -> Movement:
    return NothingToMove(f"a {found.operation} is in progress")


def _in_the_middle(found: Situation) -> Leave:
    ways = "End it (`git bisect reset`)"  # the one that knows neither --continue nor --abort
    if found.operation != "bisect":
        ways = f"Finish it (`git {found.operation} --continue`) or drop it (`git {found.operation} --abort`)"
    return Leave(
        "operation-in-progress", f"a {found.operation} is in progress", f"{ways} in the pack, then sync again."
    )


def _detached_with_commits(found: Situation) -> Move | Leave:
    # A branch that has own commits as well would be reset by the same switch: one reason is settled at a time.
    if found.force and found.branch_relation in (None, Relation.SAME, Relation.BEHIND):
        note = f"HEAD was detached at {(found.head_sha or '')[:12]}, which had commits that are on no branch"
        return Move("switch", rescue=found.head_sha, note=note)
    return Leave(
        "detached-with-commits",
        f"HEAD is detached at {(found.head_sha or '')[:12]}, which has commits that are on no branch",
        "Keep them with `git branch NAME`, then sync again.",
    )


def _diverged(found: Situation) -> Move | Leave:
    told = f"the local branch {found.target.name} and the wanted commit {found.target.sha[:12]} have diverged"
    if found.force and found.branch_sha is not None:  # an unborn branch has nothing that a ref could keep
        return Move("reset-forced", rescue=found.branch_sha, note=told)
    return Leave(
        "diverged",
        told,
        f"Rebase or merge (`git rebase {shown_argument(f'origin/{found.target.name}')}`), then sync again.",
    )
