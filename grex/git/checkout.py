"""Moving an existing checkout to another commit, so that a kill at any point can be repaired and no edit is lost.

The order is: the move note, durable; git's checkout; the completion record, durable; the note's removal, durable.

git itself refuses to overwrite anything that the user has edited, staged or left untracked where the new commit has
something else; `--no-overwrite-ignore` extends that to ignored files, which git by default takes for worthless. Edits
elsewhere stay as they are. A refusal is made before the first byte is written, so the note is removed again. Any other
failure leaves the note for `grex.git.recover`.

Between a decision and the move a user may commit, switch branches or begin a rebase, for their git knows nothing of
our locks. So HEAD and the branch are looked at again right before git starts. What remains is the time that git takes
to take its own locks.
"""

from __future__ import annotations

import os

from msgspec.structs import replace

from grex.git.command import LOCAL_TIMEOUT_S, BackendHold, GitRunner, require_backend, require_sha
from grex.git.commits import branch_ref, tree_of, worktree_on_branch
from grex.git.config_file import read_config
from grex.git.errors import CheckoutRefusedError, GitError, explain_failure, shown_paths
from grex.git.observe import CheckoutState, running_operation
from grex.git.records import CompletionRecord, MoveNote, remove_note, write_note, write_record
from grex.git.refs import GitDirs, RefsUnreadableError, read_head, read_ref

__all__ = ["check_out", "follow", "has_upstream", "move_to_branch"]

_FOREIGN = b"detected dubious ownership"

_PACK_LOCK = ".grex-lock"
_REFUSALS = (
    "would be overwritten by checkout",
    "would be removed by checkout",
    "would lose untracked files",
    "resolve your current index first",
    "cannot switch branch while",
    "is already checked out at",
    "is already used by worktree at",
)


async def check_out(
    runner: GitRunner,
    state: CheckoutState,
    record: CompletionRecord,
    *,
    pack: str,
    was_clean: bool,
    backend: BackendHold,
    expected: str | None = None,
    timeout_s: float | None = LOCAL_TIMEOUT_S,
) -> CompletionRecord:
    """Move a checkout to `record.sha`: onto the local branch `record.branch`, or detached if that is None.

    Cancellation: git has ended; the move note stands, and the next recovery repairs what was half-written.

    Args:
        runner: runs git.
        state: the checkout as it was when the move was decided.
        record: what the checkout is to become; it is written once that is so. Its upstream is set if the branch has
            none yet, and its tree is found here.
        pack: the pack's path, for the note.
        was_clean: whether nothing was edited when the move was decided, for the note.
        backend: the held BACKEND lock.
        expected: where the local branch was when the move was decided; None if it did not exist. For the branch that
            HEAD is on, HEAD's commit is expected.
        timeout_s: how long the checkout may take.

    Returns:
        The record as it was written.

    Raises:
        CheckoutRefusedError: something of the user's is in the way; nothing was changed.
        GitError: git failed midway; the note stands.
    """
    require_backend(backend)
    to_sha = require_sha(record.sha)
    dirs = state.dirs
    _check_unmoved(state)
    if record.branch is not None:
        _check_branch(state, record.branch, state.head_sha if record.branch == state.head_branch else expected)
    record = replace(record, tree=await tree_of(runner, state, to_sha))
    note = MoveNote(
        op="checkout",
        pack=pack,
        from_sha=state.head_sha,
        to_sha=to_sha,
        branch=record.branch,
        was_clean=was_clean,
        record=record,
    )
    await _move(runner, state, note, to_sha, backend, timeout_s)
    record = await _with_upstream(runner, state, record, backend)
    write_record(dirs.own, record)
    remove_note(dirs.own)
    return record


async def move_to_branch(
    runner: GitRunner,
    state: CheckoutState,
    note: MoveNote,
    *,
    expected: str | None,
    upstream: str | None,
    backend: BackendHold,
    timeout_s: float | None = LOCAL_TIMEOUT_S,
) -> None:
    """Move a checkout onto a local branch at `note.to_sha`, for a user who wants to be there.

    Nothing is recorded: where grex left the checkout is still where grex left it. Cancellation, `expected` and what is
    raised are those of `check_out`.

    Args:
        runner: runs git.
        state: the checkout as it was when the move was decided.
        note: the branch and the two commits.
        expected: where the local branch was when the move was decided; None if it did not exist.
        upstream: what a new branch follows, as `origin/main`; None for nothing.
        backend: the held BACKEND lock.
        timeout_s: how long the checkout may take.

    Raises:
        CheckoutRefusedError: something of the user's is in the way; nothing was changed.
        GitError: git failed midway; the note stands.
        ValueError: the note has no branch or no commit: a bug in the caller.
    """
    require_backend(backend)
    if note.branch is None or note.to_sha is None:
        raise ValueError("a move onto a branch needs the branch and its commit")
    to_sha = require_sha(note.to_sha)
    _check_unmoved(state)
    _check_branch(state, note.branch, expected)
    await _move(runner, state, note, to_sha, backend, timeout_s)
    if upstream is not None and not has_upstream(state.dirs, note.branch):
        await follow(runner, state, note.branch, upstream, backend=backend)
    remove_note(state.dirs.own)


async def follow(runner: GitRunner, state: CheckoutState, branch: str, upstream: str, *, backend: BackendHold) -> None:
    """Let a local branch follow one of a remote, such as `origin/main`.

    Raises:
        GitError: one of them is not there.
    """
    command = ["branch", f"--set-upstream-to={upstream}", branch]
    finished = await runner.run(command, cwd=state.real, write=backend, accept=(0, 128))
    if finished.returncode:
        # A shallow clone follows the one branch that it was cloned for; git takes no other one for a branch of the
        # remote, and the user's `git pull` would not ask for it, until the remote's configuration names it.
        add = ["remote", "set-branches", "--add", "origin", upstream.removeprefix("origin/")]
        await runner.run(add, cwd=state.real, write=backend)
        await runner.run(command, cwd=state.real, write=backend)


async def _move(
    runner: GitRunner,
    state: CheckoutState,
    note: MoveNote,
    to_sha: str,
    backend: BackendHold,
    timeout_s: float | None,
) -> None:
    """Write the note and let git do the checkout; the note goes again if git refused, and stands otherwise."""
    dirs = state.dirs
    write_note(dirs.own, note)
    target = ["--detach"] if note.branch is None else ["-B", note.branch]
    finished = await runner.run(
        ["checkout", "--no-overwrite-ignore", *target, to_sha, "--"],
        cwd=state.real,
        write=backend,
        timeout_s=timeout_s,
        subject=f"'{state.path}'",
        accept=(0, 1, 128),
    )
    if finished.returncode:
        refusal = _refusal(state, finished.stderr)
        if refusal is None:  # the note stands: files may be half-written
            if _FOREIGN in finished.stderr:
                remove_note(dirs.own)  # git looks at the owner before anything else
            what = f"git checkout of '{state.path}'"
            raise explain_failure(what, f"git {finished.describe_end()}", finished.stderr, error=GitError)
        remove_note(dirs.own)
        raise refusal
    _check_arrived(dirs, note.branch, to_sha, state)


def _check_unmoved(state: CheckoutState) -> None:
    """Refuse if HEAD is not where it was when the move was decided, or something has been begun since."""
    operation = running_operation(state.dirs.own)
    if operation is not None:
        raise CheckoutRefusedError(
            f"a {operation} is in progress in '{state.path}', which was left alone",
            hint=f"Finish or abort it (`git {operation}`), then run this again.",
        )
    try:
        head = read_head(state.dirs)
    except RefsUnreadableError:
        return  # it was git that was asked for HEAD, a moment ago
    if (head.branch, head.sha) != (state.head_branch, state.head_sha):
        raise CheckoutRefusedError(
            f"HEAD of '{state.path}' has moved since it was looked at; the checkout was left alone",
            hint="Run this again once nobody works in it.",
        )


def _check_branch(state: CheckoutState, branch: str, expected: str | None) -> None:
    """Refuse if the local branch is not where it was, or another work tree is on it."""
    ref = branch_ref(branch)
    try:
        current = read_ref(state.dirs, ref)
    except RefsUnreadableError:
        current = expected
    if current != expected:
        raise CheckoutRefusedError(
            f"the branch '{branch}' of '{state.path}' has moved since it was looked at; it was left alone",
            hint="Run this again once nobody works in it.",
        )
    # `checkout -B` of git before 2.43 does not look at the other work trees.
    holder = worktree_on_branch(state.dirs, ref, besides=state.dirs.own)
    if holder is not None:
        raise CheckoutRefusedError(f"the branch '{branch}' of '{state.path}' is checked out in '{holder}' as well")


def _check_arrived(dirs: GitDirs, branch: str | None, sha: str, state: CheckoutState) -> None:
    try:
        head = read_head(dirs)
    except RefsUnreadableError:
        return
    if (head.branch, head.sha) != (branch, sha):
        raise GitError(f"git reported success, but '{state.path}' is not at {sha}")


def _refusal(state: CheckoutState, stderr: bytes) -> CheckoutRefusedError | None:
    """The refusal that git's words amount to; None if it failed for another reason."""
    text = os.fsdecode(stderr)
    if not any(phrase in text for phrase in _REFUSALS):
        return None
    paths = sorted({line[1:] for line in text.split("\n") if line.startswith("\t")})
    if _PACK_LOCK in paths:
        return CheckoutRefusedError(
            f"the new commit of '{state.path}' tracks '{_PACK_LOCK}', which is the name of grex's own lock file",
            paths=paths,
            hint=f"Remove '{_PACK_LOCK}' from that repository.",
        )
    if not paths:
        what = f"'{state.path}' was left alone, because git checkout"
        failure = explain_failure(what, "it refused", stderr, error=GitError)
        return CheckoutRefusedError(failure.message, hint=failure.hint or "`git status` there shows what is in the way")
    return CheckoutRefusedError(
        f"'{state.path}' was left alone, because the new commit touches {shown_paths(paths)}",
        paths=paths,
        hint="Commit, stash or move these files, then run this again.",
    )


async def _with_upstream(
    runner: GitRunner, state: CheckoutState, record: CompletionRecord, backend: BackendHold
) -> CompletionRecord:
    """Set the branch's upstream if it has none; the record says which one it then has."""
    if record.branch is None or record.upstream is None:
        return replace(record, upstream=None)
    if has_upstream(state.dirs, record.branch):
        return record
    try:
        known = read_ref(state.dirs, f"refs/remotes/{record.upstream}")
    except RefsUnreadableError:
        known = record.upstream
    if known is None:  # never fetched under that name: there is nothing to point to
        return replace(record, upstream=None)
    await follow(runner, state, record.branch, record.upstream, backend=backend)
    return record


def has_upstream(dirs: GitDirs, branch: str) -> bool:
    """Whether the repository's own configuration gives the branch an upstream."""
    config = read_config(dirs.common / "config")
    return config is not None and config.get("branch", "merge", subsection=branch) is not None
