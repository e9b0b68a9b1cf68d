"""The upstream of the branch that a checkout is on, as git itself understands it, and bringing what it has."""

from __future__ import annotations

import os

from msgspec import Struct

from grex.errors import FetchError
from grex.git.command import BackendHold, GitRunner
from grex.git.commits import branch_ref
from grex.git.observe import CheckoutState
from grex.git.records import MoveNote, noted

__all__ = ["Upstream", "fetch_upstream", "find_upstream"]

_OPTIONS = ("--no-auto-gc", "--no-write-fetch-head", "--no-recurse-submodules", "--progress")


class Upstream(Struct, frozen=True):
    """What a local branch follows.

    Attributes:
        branch: the local branch.
        remote: the remote's name; `.` where it follows another local branch.
        ref: the ref on the remote's side, such as `refs/heads/main`.
        tracking: the ref on this side, such as `refs/remotes/origin/main`.
        url: the remote's address, as the configuration has it; None where there is none.
    """

    branch: str
    remote: str
    ref: str
    tracking: str
    url: str | None


async def find_upstream(runner: GitRunner, state: CheckoutState) -> Upstream | None:
    """What the branch of a checkout follows; None on no branch, and where the branch follows nothing.

    Raises:
        GitError: git could not say.
    """
    if state.head_branch is None:
        return None
    asked = await runner.run(
        [
            "for-each-ref",
            "--format=%(upstream:remotename)%09%(upstream:remoteref)%09%(upstream)",
            branch_ref(state.head_branch),
        ],
        cwd=state.real,
    )
    remote, _, rest = os.fsdecode(asked.stdout).partition("\n")[0].partition("\t")
    ref, _, tracking = rest.partition("\t")
    if not remote or not ref or not tracking:
        return None
    url = None
    if remote != ".":
        found = await runner.run(["config", "--get", f"remote.{remote}.url"], cwd=state.real, accept=(0, 1))
        url = os.fsdecode(found.stdout).strip() or None
    return Upstream(state.head_branch, remote, ref, tracking, url)


async def fetch_upstream(
    runner: GitRunner, state: CheckoutState, upstream: Upstream, *, backend: BackendHold, timeout_s: float | None
) -> None:
    """Fetch from the remote of an upstream, as its owner has configured that remote.

    Cancellation: git has ended; the move note stands, and the next recovery cleans up.

    Raises:
        FetchError: it could not be fetched.
    """
    if upstream.remote == ".":
        return
    with noted(state.dirs.own, MoveNote(op="fetch", pack=".")):
        await runner.run(
            ["fetch", *_OPTIONS, "--", upstream.remote],
            cwd=state.real,
            write=backend,
            timeout_s=timeout_s,
            subject=upstream.url or f"'{state.path}'",
            error=FetchError,
        )
