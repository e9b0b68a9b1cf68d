"""Letting go of edits without losing them: a commit of all under a rescue ref, then the index as HEAD has it."""

from __future__ import annotations

import os
from collections.abc import Sequence

from grex.git.command import BackendHold, GitRunner, require_backend
from grex.git.commits import DURABLE, keep_rescue_ref
from grex.git.observe import CheckoutState

__all__ = ["keep_edits", "unstage"]

_IDENTITY = {
    f"GIT_{role}_{part}": value
    for role in ("AUTHOR", "COMMITTER")
    for part, value in (("NAME", "grex"), ("EMAIL", "grex@localhost"))
}


async def keep_edits(runner: GitRunner, state: CheckoutState, why: str, *, backend: BackendHold) -> str | None:
    """Keep everything that is edited or staged under a rescue ref, as `git stash` would; no file changes.

    Args:
        runner: runs git.
        state: the checkout.
        why: one line for the ref's reflog.
        backend: the held BACKEND lock.

    Returns:
        The full name of the ref, None where nothing is edited.

    Raises:
        GitError: git could not, as in the middle of a conflict; nothing was changed.
    """
    require_backend(backend)
    made = await runner.run(
        ["stash", "create", "grex: edits"], cwd=state.real, write=backend, extra_env=_IDENTITY, config=DURABLE
    )
    sha = made.stdout.decode("ascii", "replace").strip()
    return await keep_rescue_ref(runner, state, sha, why, backend=backend) if sha else None


async def unstage(runner: GitRunner, state: CheckoutState, paths: Sequence[str], *, backend: BackendHold) -> None:
    """Make the index say of these paths what HEAD does.

    Raises:
        GitError: git could not.
    """
    await runner.run(
        ["reset", "--quiet", "--pathspec-from-file=-", "--pathspec-file-nul", "HEAD"],
        cwd=state.real,
        write=backend,
        stdin_data=b"".join(os.fsencode(path) + b"\0" for path in paths),
    )
