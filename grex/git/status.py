"""Questions that are put to git, for when the files alone do not say.

Nothing here takes a lock or writes: `GIT_OPTIONAL_LOCKS=0` keeps even `git status` from refreshing the index.
"""

from __future__ import annotations

import os

from msgspec import Struct
from msgspec.structs import replace

from grex.git.command import GitRunner, require_sha
from grex.git.observe import CheckoutState

__all__ = ["WorkTreeStatus", "ahead_behind", "ask_head", "porcelain", "unpushed_count"]

_SHOWN = 100


class WorkTreeStatus(Struct, frozen=True):
    """What git finds in a work tree; of each kind all are counted, and the first hundred named."""

    edited_count: int
    untracked_count: int
    conflicted_count: int
    edited: tuple[str, ...]
    """Tracked paths that differ from HEAD, staged or not."""
    untracked: tuple[str, ...]
    """A directory that is untracked as a whole ends with `/`."""
    conflicted: tuple[str, ...]

    @property
    def is_clean(self) -> bool:
        """Whether nothing of the user's is in the work tree."""
        return not (self.edited_count or self.untracked_count or self.conflicted_count)


async def porcelain(runner: GitRunner, state: CheckoutState) -> WorkTreeStatus:
    """Ask git what is edited, untracked and in conflict.

    Raises:
        GitError: git could not say.
    """
    finished = await runner.run(
        [
            "status",
            "--porcelain=v2",
            "-z",
            "--untracked-files=normal",
            "--no-renames",
            "--no-ahead-behind",
            "--ignore-submodules=none",  # `.gitmodules` must not be able to hide somebody's work
        ],
        cwd=state.real,
    )
    paths: dict[str, list[str]] = {"edited": [], "untracked": [], "conflicted": []}
    for record in finished.stdout.split(b"\0"):
        kind, _, rest = record.partition(b" ")
        if kind == b"1":  # XY, submodule state, three modes, two ids, path
            paths["edited"].append(os.fsdecode(rest.split(b" ", 7)[-1]))
        elif kind == b"u":  # XY, submodule state, four modes, three ids, path
            paths["conflicted"].append(os.fsdecode(rest.split(b" ", 9)[-1]))
        elif kind == b"?":
            paths["untracked"].append(os.fsdecode(rest))
    return WorkTreeStatus(
        edited_count=len(paths["edited"]),
        untracked_count=len(paths["untracked"]),
        conflicted_count=len(paths["conflicted"]),
        edited=tuple(paths["edited"][:_SHOWN]),
        untracked=tuple(paths["untracked"][:_SHOWN]),
        conflicted=tuple(paths["conflicted"][:_SHOWN]),
    )


async def ahead_behind(runner: GitRunner, state: CheckoutState, local: str, remote: str) -> tuple[int, int]:
    """How many commits the first has and the second lacks, and the other way round.

    Args:
        runner: runs git.
        state: the checkout.
        local: full object id of a commit.
        remote: full object id of another.

    Raises:
        GitError: one of them is not there.
    """
    if require_sha(local) == require_sha(remote):
        return 0, 0
    finished = await runner.run(
        ["rev-list", "--left-right", "--count", f"{local}...{remote}", "--"],
        cwd=state.real,
    )
    ahead, behind = finished.stdout.split()
    return int(ahead), int(behind)


async def unpushed_count(runner: GitRunner, state: CheckoutState) -> int:
    """How many commits HEAD has that no remote is known to have.

    Raises:
        GitError: there is no HEAD.
    """
    not_ours = ["--not", "--remotes", "--glob=refs/grex/tags/*"]
    finished = await runner.run(["rev-list", "--count", "HEAD", *not_ours, "--"], cwd=state.real)
    return int(finished.stdout)


async def ask_head(runner: GitRunner, state: CheckoutState) -> CheckoutState:
    """The same state, with what git says of a HEAD that could not be read from the files.

    Raises:
        GitError: git cannot read it either.
    """
    branch = await runner.run(["symbolic-ref", "--quiet", "HEAD"], cwd=state.real, accept=(0, 1))
    commit = await runner.run(
        ["rev-parse", "--verify", "--quiet", "--end-of-options", "HEAD^{commit}"], cwd=state.real, accept=(0, 1)
    )
    ref = os.fsdecode(branch.stdout).strip()
    sha = commit.stdout.decode("ascii", "replace").strip() or None
    short = ref.removeprefix("refs/heads/")
    return replace(
        state,
        head="detached" if not ref else "unborn" if sha is None else "branch",
        head_branch=short if short != ref else None,
        head_sha=sha,
    )
