"""Commits and the refs that keep them: is it there, does it follow from another, and never losing one.

Commits are given as full object ids only. A rescue ref (`refs/grex/rescue/<utc>-<n>`) keeps a commit that a reset or a
recovery is about to leave behind; it is durable before the caller goes on, and its reflog says why it was made. Refs of
ours do not count when it is asked whether somebody still needs a commit.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from grex.fs import utc_stamp
from grex.git.command import BackendHold, GitRunner, require_backend, require_sha
from grex.git.errors import CheckoutRefusedError, GitError
from grex.git.objects import read_loose_object
from grex.git.observe import CheckoutState
from grex.git.refs import GitDirs, RefsUnreadableError, read_head
from grex.names import check_ref, clean, shown_argument

__all__ = [
    "DURABLE",
    "branch_ref",
    "commit_at",
    "fast_forward_ref",
    "has_commit",
    "is_ancestor",
    "is_reachable",
    "keep_rescue_ref",
    "tree_of",
    "worktree_on_branch",
]

_OWN_REFS = b"refs/grex/"
_RESCUE = "refs/grex/rescue/"
_MOST_RESCUES = 100
DURABLE = ("core.fsync=committed",)
"""Flush refs and loose objects, which git by default does not; before 2.36 the setting is not known and ignored."""


def branch_ref(branch: str) -> str:
    """The full name of a branch.

    Raises:
        GitError: git would not take it as a name.
    """
    reason = check_ref(branch)
    if reason is not None:
        raise GitError(f"the branch name '{clean(branch)}' {reason}")
    return f"refs/heads/{branch}"


async def has_commit(runner: GitRunner, state: CheckoutState, sha: str) -> bool:
    """Whether the repository has this commit; a partial clone is not made to fetch it.

    Raises:
        GitError: git could not look.
    """
    finished = await runner.run(
        ["cat-file", "-e", f"{require_sha(sha)}^{{commit}}"],
        cwd=state.real,
        accept=(0, 1, 128),
        extra_env={"GIT_NO_LAZY_FETCH": "1"},
    )
    return finished.returncode == 0


async def commit_at(runner: GitRunner, state: CheckoutState, ref: str) -> str | None:
    """The commit that a ref leads to, through an annotated tag as well; None if there is none.

    Raises:
        GitError: git could not look.
    """
    finished = await runner.run(
        ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}"], cwd=state.real, accept=(0, 1)
    )
    return finished.stdout.decode("ascii").strip() or None


async def tree_of(runner: GitRunner, state: CheckoutState, sha: str) -> str:
    """The id of a commit's tree, without a process where the commit is a loose object.

    Raises:
        GitError: there is no such commit.
    """
    found = read_loose_object(state.dirs.common, require_sha(sha))
    if found is not None and found.tree is not None:
        return found.tree
    finished = await runner.run(["rev-parse", "--verify", "--end-of-options", f"{sha}^{{tree}}"], cwd=state.real)
    return finished.stdout.decode("ascii").strip()


async def is_ancestor(runner: GitRunner, state: CheckoutState, older: str, newer: str) -> bool:
    """Whether the first commit is the second one or among its ancestors.

    Raises:
        GitError: one of them is not there.
    """
    if require_sha(older) == require_sha(newer):
        return True
    finished = await runner.run(["merge-base", "--is-ancestor", older, newer], cwd=state.real, accept=(0, 1))
    return finished.returncode == 0


async def is_reachable(runner: GitRunner, state: CheckoutState, sha: str) -> bool:
    """Whether some ref leads to this commit; refs of grex and HEAD itself do not count.

    Raises:
        GitError: there is no such commit.
    """
    finished = await runner.run(
        ["for-each-ref", "--format=%(refname)", f"--contains={require_sha(sha)}"], cwd=state.real
    )
    return any(not name.startswith(_OWN_REFS) for name in finished.stdout.splitlines())


async def keep_rescue_ref(runner: GitRunner, state: CheckoutState, sha: str, why: str, *, backend: BackendHold) -> str:
    """Keep a commit reachable, durably.

    Args:
        runner: runs git.
        state: the checkout.
        sha: the commit.
        why: one line for the ref's reflog.
        backend: the held BACKEND lock.

    Returns:
        The full name of the new ref.

    Raises:
        GitError: the ref could not be made; the commit must not be left behind.
    """
    stamp = utc_stamp()
    for number in range(1, _MOST_RESCUES):
        name = f"{_RESCUE}{stamp}-{number}"
        if (state.dirs.common / name).exists():
            continue
        await runner.run(
            # The zeros say that the ref must not exist yet.
            ["update-ref", "--create-reflog", "-m", clean(f"grex: {why}"), name, require_sha(sha), "0" * len(sha)],
            cwd=state.real,
            write=backend,
            config=DURABLE,
        )
        return name
    raise GitError(f"no free name for a rescue ref was found in '{state.path}'")


async def fast_forward_ref(
    runner: GitRunner, state: CheckoutState, branch: str, *, to_sha: str, expected: str, backend: BackendHold
) -> None:
    """Move a branch that no work tree is on forward.

    Args:
        runner: runs git.
        state: the checkout.
        branch: the short name of the local branch.
        to_sha: where it goes.
        expected: where it is; if it is elsewhere by now, nothing is changed.
        backend: the held BACKEND lock.

    Raises:
        CheckoutRefusedError: a work tree is on the branch, or it has commits that the new place lacks.
        GitError: git would not.
    """
    ref = branch_ref(branch)
    require_backend(backend)
    holder = worktree_on_branch(state.dirs, ref)
    if holder is not None:
        raise CheckoutRefusedError(f"the branch '{branch}' is checked out in '{holder}' and was not moved")
    if not await is_ancestor(runner, state, expected, to_sha):
        raise CheckoutRefusedError(
            f"the branch '{branch}' of '{state.path}' has commits of its own and was not moved",
            hint=f"Merge or rebase it: `git rebase {shown_argument(f'origin/{branch}')} {shown_argument(branch)}`.",
        )
    await runner.run(
        ["update-ref", "-m", "grex: fast-forward", ref, require_sha(to_sha), require_sha(expected)],
        cwd=state.real,
        write=backend,
    )


def worktree_on_branch(dirs: GitDirs, ref: str, *, besides: Path | None = None) -> Path | None:
    """The git directory of a work tree whose HEAD is on this ref, leaving one out; None if there is none.

    The repository's other work trees share its refs, so a branch moved here would move under them.
    """
    candidates = [dirs.common]
    with contextlib.suppress(OSError):  # most repositories have no others
        candidates += sorted((dirs.common / "worktrees").iterdir())
    for candidate in candidates:
        if besides is not None and os.path.realpath(candidate) == os.path.realpath(besides):
            continue
        try:
            if read_head(GitDirs(candidate, dirs.common)).ref == ref:
                return candidate
        except RefsUnreadableError:
            continue
    return None
