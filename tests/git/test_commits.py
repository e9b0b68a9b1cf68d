"""Questions about commits, rescue refs, and branches that nobody is on."""

from __future__ import annotations

import pytest

from grex.git import (
    CheckoutRefusedError,
    CheckoutState,
    GitError,
    ahead_behind,
    ask_head,
    fast_forward_ref,
    is_ancestor,
    is_reachable,
    keep_rescue_ref,
    observe,
    porcelain,
    read_ref,
)
from grex.git.commits import tree_of
from tests.git.conftest import Lab
from tests.support.git_server import git

pytestmark = pytest.mark.anyio


@pytest.fixture
def state(lab: Lab) -> CheckoutState:
    pack = lab.path / "pack"
    git(lab.path, "init", "--quiet", "--initial-branch=main", str(pack))
    for number in range(3):
        (pack / "f").write_text(str(number))
        git(pack, "add", "f")
        git(pack, "commit", "--quiet", "-m", str(number))
    return observe(pack)


def sha(state: CheckoutState, name: str) -> str:
    return git(state.real, "rev-parse", f"{name}^{{commit}}")


async def test_descent_and_distance(lab: Lab, state: CheckoutState) -> None:
    old, new = sha(state, "main~2"), sha(state, "main")
    git(state.real, "checkout", "--quiet", "-b", "side", old)
    git(state.real, "commit", "--quiet", "--allow-empty", "-m", "side")
    side = sha(state, "side")
    assert await is_ancestor(lab.runner, state, old, new)
    assert not await is_ancestor(lab.runner, state, new, old)
    assert await is_ancestor(lab.runner, state, new, new)
    assert await ahead_behind(lab.runner, state, side, new) == (1, 2)
    assert await ahead_behind(lab.runner, state, new, new) == (0, 0)
    with pytest.raises(GitError):
        await is_ancestor(lab.runner, state, "f" * 40, new)
    with pytest.raises(ValueError, match="not a full object id"):
        await is_ancestor(lab.runner, state, "main", new)


@pytest.mark.parametrize("packed", [False, True])
async def test_the_tree_of_a_commit_is_found_loose_and_packed(lab: Lab, state: CheckoutState, packed: bool) -> None:
    if packed:
        git(state.real, "gc", "--quiet")
    assert await tree_of(lab.runner, state, sha(state, "main")) == git(state.real, "rev-parse", "main^{tree}")
    assert len(lab.commands) == packed


async def test_a_rescued_commit_is_kept_but_counts_for_nobody(lab: Lab, state: CheckoutState) -> None:
    tip = sha(state, "main")
    assert await is_reachable(lab.runner, state, tip)
    git(state.real, "reset", "--quiet", "--hard", "main~1")
    assert not await is_reachable(lab.runner, state, tip)
    first = await keep_rescue_ref(lab.runner, state, tip, "the branch\nwas rewritten", backend=lab.backend)
    second = await keep_rescue_ref(lab.runner, state, tip, "again", backend=lab.backend)
    assert first != second
    assert first.startswith("refs/grex/rescue/")
    assert read_ref(state.dirs, first) == tip
    assert "grex: the branch was rewritten" in git(state.real, "reflog", first)
    assert not await is_reachable(lab.runner, state, tip)
    git(state.real, "-c", "gc.reflogExpire=now", "gc", "--quiet", "--prune=now")
    assert git(state.real, "cat-file", "-t", tip) == "commit"


async def test_a_branch_that_nobody_is_on_is_fast_forwarded(lab: Lab, state: CheckoutState) -> None:
    old, new = sha(state, "main~2"), sha(state, "main")
    git(state.real, "branch", "other", old)
    await fast_forward_ref(lab.runner, state, "other", to_sha=new, expected=old, backend=lab.backend)
    assert read_ref(state.dirs, "refs/heads/other") == new
    with pytest.raises(CheckoutRefusedError, match="commits of its own"):
        await fast_forward_ref(lab.runner, state, "other", to_sha=old, expected=new, backend=lab.backend)
    with pytest.raises(GitError):  # it is not where it was said to be
        await fast_forward_ref(lab.runner, state, "other", to_sha=new, expected=old, backend=lab.backend)
    with pytest.raises(CheckoutRefusedError, match="checked out"):
        await fast_forward_ref(lab.runner, state, "main", to_sha=new, expected=old, backend=lab.backend)
    git(state.real, "worktree", "add", "--quiet", str(lab.path / "side"), "other")
    with pytest.raises(CheckoutRefusedError, match="worktrees/side"):
        await fast_forward_ref(lab.runner, state, "other", to_sha=new, expected=new, backend=lab.backend)
    for bad in ("-d", "--create-reflog", "a..b"):
        with pytest.raises(GitError, match="branch name"):
            await fast_forward_ref(lab.runner, state, bad, to_sha=new, expected=old, backend=lab.backend)


async def test_status_counts_each_kind(lab: Lab, state: CheckoutState) -> None:
    assert (await porcelain(lab.runner, state)).is_clean
    for branch in ("x", "y"):
        git(state.real, "checkout", "--quiet", "-b", branch, "main")
        (state.real / "f").write_text(branch)
        git(state.real, "commit", "--quiet", "-am", branch)
    git(state.real, "merge", "x", check=False)
    (state.real / "staged with space").write_text("")
    git(state.real, "add", "staged with space")
    for number in range(120):
        (state.real / f"new\n{number}").touch()
    status = await porcelain(lab.runner, state)
    assert (status.edited, status.conflicted) == (("staged with space",), ("f",))
    assert (status.edited_count, status.untracked_count, status.conflicted_count) == (1, 120, 1)
    assert len(status.untracked) == 100
    assert "new\n0" in status.untracked
    assert not status.is_clean


async def test_git_is_asked_for_a_head_that_cannot_be_read(lab: Lab, state: CheckoutState) -> None:
    assert await ask_head(lab.runner, state) == state
    git(state.real, "checkout", "--quiet", "--detach")
    detached = observe(state.path)
    assert await ask_head(lab.runner, detached) == detached
    git(state.real, "checkout", "--quiet", "--orphan", "new")
    unborn = observe(state.path)
    assert await ask_head(lab.runner, unborn) == unborn
