"""Whether another address is one of the same repository.

A repository is known by its history. If the other side names a commit that is here, its history and ours have met. If
it names none, it may be far ahead: then the commits of its HEAD, and nothing else, are fetched into a scratch
repository, and both histories are compared by the commits in which they begin.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from grex.errors import FetchError
from grex.fs import TEMP_PREFIX
from grex.git.command import BackendHold, GitRunner
from grex.git.errors import GitError
from grex.git.observe import CheckoutState
from grex.names import is_full_sha

__all__ = ["is_same_repository", "scratch_repositories"]

_MOST_NAMED = 10_000
_SCRATCH_PREFIX = f"{TEMP_PREFIX}kinship-"


async def is_same_repository(
    runner: GitRunner,
    state: CheckoutState,
    url: str,
    *,
    scratch_in: Path,
    backend: BackendHold,
    timeout_s: float | None,
) -> bool:
    """Whether the repository at an address has a history in common with a checkout. Nothing in the checkout changes.

    Cancellation: git has ended; the scratch repository is removed.

    Args:
        runner: runs git; it knows the credentials of the address.
        state: the checkout.
        url: the address as git is given it.
        scratch_in: where the scratch repository is made; `scratch_repositories` finds what a killed run left of it.
        backend: the held BACKEND lock.
        timeout_s: how long each question to the remote may take.

    Raises:
        FetchError: the remote could not be asked.
    """
    top = Path(os.path.abspath(os.sep))  # noqa: PTH100 - the root; no repository's configuration is to be used
    asked = await runner.run(
        ["ls-remote", "--", url], cwd=top, write=backend, timeout_s=timeout_s, subject=url, error=FetchError
    )
    named = {line.split("\t", 1)[0] for line in os.fsdecode(asked.stdout).splitlines()}
    named = set(sorted(sha for sha in named if is_full_sha(sha))[:_MOST_NAMED])
    if not named:
        return False
    looked = await runner.run(
        ["cat-file", "--batch-check=%(objecttype)"],
        cwd=state.real,
        stdin_data="".join(f"{sha}\n" for sha in sorted(named)).encode(),
        extra_env={"GIT_NO_LAZY_FETCH": "1"},
    )
    if any(kind in (b"commit", b"tag") for kind in looked.stdout.splitlines()):
        return True
    ours = await _beginnings(runner, state.real, "HEAD")
    scratch_in.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=_SCRATCH_PREFIX, dir=scratch_in) as directory:
        scratch = Path(directory)
        await runner.run(["init", "--quiet", "--bare", "--template=", "."], cwd=scratch, write=backend)
        options = ["--quiet", "--no-tags", "--filter=tree:0", "--no-write-fetch-head", "--no-auto-gc"]
        await runner.run(
            ["fetch", *options, "--", url, "+HEAD:refs/heads/theirs"],
            cwd=scratch,
            write=backend,
            timeout_s=timeout_s,
            subject=url,
            error=FetchError,
        )
        theirs = await _beginnings(runner, scratch, "refs/heads/theirs")
    return not ours.isdisjoint(theirs)


def scratch_repositories(directory: Path) -> list[Path]:
    """The scratch repositories of a directory: leftovers, unless the run still goes on that made them."""
    try:
        names = sorted(os.listdir(directory))  # noqa: PTH208 - names are what is wanted
    except FileNotFoundError:
        return []
    found = [directory / name for name in names if name.startswith(_SCRATCH_PREFIX)]
    return [path for path in found if path.is_dir() and not path.is_symlink()]


async def _beginnings(runner: GitRunner, cwd: Path, ref: str) -> set[str]:
    try:
        found = await runner.run(
            ["rev-list", "--max-parents=0", ref, "--"], cwd=cwd, extra_env={"GIT_NO_LAZY_FETCH": "1"}
        )
    except GitError:  # no commit yet
        return set()
    return set(found.stdout.decode("ascii").split())
