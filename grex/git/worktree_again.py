"""Gives a directory back to a repository that has forgotten the work tree in it, without touching a file of it.

A new work tree is made beside, without files; its `.git` then takes the place of the one that leads to nothing, and
the index is made to agree with HEAD, so that all that is different in the directory shows as an edit.
"""

from __future__ import annotations

import os
from pathlib import Path

from grex.fs import canonical, remove_tree
from grex.git.command import BackendHold, GitRunner, require_backend, require_sha
from grex.git.commits import branch_ref
from grex.git.errors import GitError
from grex.git.observe import CheckoutState
from grex.git.refs import find_git_dirs, read_ref
from grex.git.worktree import forget_work_tree, registered_at, settle_work_tree
from grex.names import GREX_TMP_PREFIX

__all__ = ["take_back_work_tree"]

_TEMP = f"{GREX_TMP_PREFIX}again"


async def take_back_work_tree(
    runner: GitRunner, state: CheckoutState, place: Path, *, branch: str, sha: str, backend: BackendHold
) -> str | None:
    """Make a directory a work tree again, at the commit where it was; gives the branch that HEAD is on.

    The branch is made again where it is gone. Where it is at another commit by now, or checked out elsewhere, HEAD is
    detached at the commit: a branch is never moved under anybody. Cancellation and kill: the same call goes on.

    Args:
        runner: runs git.
        state: the repository.
        place: the directory, with its files.
        branch: the branch that it was on.
        sha: the commit that HEAD was at.
        backend: the held BACKEND lock of the repository.

    Raises:
        GitError: git would not; no file of the directory was touched.
    """
    require_backend(backend)
    common, temp = canonical(state.dirs.common), place / _TEMP / place.name
    dirs = find_git_dirs(place)
    if dirs is None or canonical(dirs.common) != common:
        if registered_at(common, temp) is not None and not os.path.lexists(temp / ".git"):
            remove_tree(temp)  # no file is ever written there
            await forget_work_tree(runner, state, temp, backend=backend)
        if not os.path.lexists(temp / ".git"):
            await _add(runner, state, temp, branch, require_sha(sha), backend)
        (temp / ".git").replace(place / ".git")
    remove_tree(place / _TEMP)
    await settle_work_tree(runner, state, place, backend=backend)
    dirs = find_git_dirs(place)
    if dirs is None:
        raise GitError(f"'{place}' did not become a work tree again")
    if not os.path.lexists(dirs.own / "index"):
        await runner.run(["read-tree", "HEAD"], cwd=place, write=backend)
    head = (dirs.own / "HEAD").read_text().strip()
    return head.removeprefix("ref: refs/heads/") if head.startswith("ref: ") else None


async def _add(
    runner: GitRunner, state: CheckoutState, temp: Path, branch: str, sha: str, backend: BackendHold
) -> None:
    before = read_ref(state.dirs, branch_ref(branch))
    add = ["worktree", "add", "--quiet", "--no-checkout"]
    detached = [*add, "--detach", "--", str(temp), sha]
    if before not in (None, sha):
        await runner.run(detached, cwd=state.real, write=backend)
        return
    new = ["--no-track", "-b", branch] if before is None else []
    attached = [*add, *new, "--", str(temp), sha if new else branch]
    try:
        await runner.run(attached, cwd=state.real, write=backend)
    except GitError:  # it is checked out elsewhere by now
        await runner.run(detached, cwd=state.real, write=backend)
