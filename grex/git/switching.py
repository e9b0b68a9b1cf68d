"""Going over to another branch as a user does, and sending what it has: git's own `switch` and `push`, never forced.

A switch is the user's own move: git carries edits along where it can and refuses where it cannot, before it has
written anything. The completion record stays as it is, for it says where *grex* left the checkout; so a sync finds the
user on another branch and leaves them there. A move note stands around it as around every checkout.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

from grex.git.checkout import move_to_branch
from grex.git.command import BackendHold, GitRunner, require_backend, require_sha
from grex.git.commits import branch_ref
from grex.git.config_file import read_config
from grex.git.errors import PushError, PushHookError, explain_failure
from grex.git.observe import CheckoutState
from grex.git.records import MoveNote, noted
from grex.names import clean, shown_argument
from grex.process.lines import CommandLines

__all__ = [
    "Commit",
    "Upstream",
    "commits_between",
    "count_own_commits",
    "has_remote",
    "own_commits",
    "push_branch",
    "remote_branches",
    "switch_branch",
    "upstream_of",
]

_SHOWN_COMMITS = 1000
_SUBJECT_CHARACTERS = 200
_KEPT_LINES = 20
# With --porcelain the verdict on a ref stands on standard output: "!<tab>from:to<tab>[rejected] (why)".
_REFUSED = re.compile(rb"^!\t[^\t\n]*\t([^\n]*)", re.MULTILINE)
_NOTHING_SENT = b"failed to push some refs"
_OF_GIT = ("remote: ", "error: failed to push some refs")


class Upstream(Struct, frozen=True):
    """What a local branch follows."""

    remote: str
    branch: str
    """Its name there."""

    @property
    def tracking(self) -> str:
        """The remote-tracking ref that stands for it here, as git sets it up."""
        return f"refs/remotes/{self.remote}/{self.branch}"


class Commit(Struct, frozen=True):
    """A commit and its first line."""

    sha: str
    subject: str


def upstream_of(state: CheckoutState, branch: str) -> Upstream | None:
    """The upstream that the repository's configuration gives a branch; None if it has none, or one of its own."""
    config = read_config(state.dirs.common / "config")
    if config is None:
        return None
    remote, merge = (config.get("branch", key, subsection=branch) for key in ("remote", "merge"))
    if remote in (None, "", ".") or merge is None or not merge.startswith("refs/heads/") or remote.startswith("-"):
        return None
    return Upstream(remote, merge.removeprefix("refs/heads/"))


def has_remote(state: CheckoutState, remote: str) -> bool:
    """Whether the repository's configuration has an address for a remote; where it cannot be read, git will say."""
    config = read_config(state.dirs.common / "config")
    return config is None or config.has_includes or bool(config.get("remote", "url", subsection=remote))


async def remote_branches(runner: GitRunner, state: CheckoutState, remote: str = "origin") -> dict[str, str]:
    """The remote's branches as of the last fetch, with their commits.

    Raises:
        GitError: git could not say.
    """
    prefix = f"refs/remotes/{remote}/"
    finished = await runner.run(["for-each-ref", "--format=%(objectname) %(symref) %(refname)", prefix], cwd=state.real)
    found: dict[str, str] = {}
    for line in finished.stdout.splitlines():
        sha, symref, name = line.split(b" ", 2)
        if not symref:  # origin/HEAD is a name for one of the others
            found[os.fsdecode(name).removeprefix(prefix)] = sha.decode("ascii")
    return found


async def commits_between(runner: GitRunner, state: CheckoutState, old: str, new: str) -> list[Commit]:
    """The commits that the second has and the first lacks, newest first, at most a thousand.

    Raises:
        GitError: one of them is not there.
    """
    return await _listed(runner, state, "--end-of-options", f"{require_sha(old)}..{require_sha(new)}")


async def own_commits(runner: GitRunner, state: CheckoutState, sha: str) -> list[Commit]:
    """The commits that lead to this one and that no remote-tracking ref reaches, newest first, at most a thousand.

    Raises:
        GitError: there is no such commit.
    """
    return await _listed(runner, state, require_sha(sha), "--not", "--remotes")


async def _listed(runner: GitRunner, state: CheckoutState, *which: str) -> list[Commit]:
    options = (f"--max-count={_SHOWN_COMMITS}", "--format=%H%x00%s", "--no-show-signature")
    finished = await runner.run(["log", *options, *which, "--"], cwd=state.real)
    lines = (line.partition(b"\0") for line in finished.stdout.splitlines())
    return [
        Commit(sha.decode("ascii"), clean(subject.decode("utf-8", "replace"), _SUBJECT_CHARACTERS))
        for sha, _, subject in lines
    ]


async def count_own_commits(runner: GitRunner, state: CheckoutState, sha: str) -> int:
    """How many commits lead to this one that no remote-tracking ref reaches.

    Raises:
        GitError: there is no such commit.
    """
    finished = await runner.run(["rev-list", "--count", require_sha(sha), "--not", "--remotes", "--"], cwd=state.real)
    return int(finished.stdout)


async def switch_branch(
    runner: GitRunner,
    state: CheckoutState,
    branch: str,
    *,
    to_sha: str,
    expected: str | None,
    upstream: str | None,
    pack: str,
    was_clean: bool,
    backend: BackendHold,
) -> None:
    """Go over to a local branch, which is made if it is not there.

    Cancellation: git has ended; the move note stands, and the next recovery repairs what was half-written.

    Args:
        runner: runs git.
        state: the checkout as it was when this was decided.
        branch: the branch.
        to_sha: the commit that it is at, or begins at.
        expected: the same for a branch that is there; None for one that is not.
        upstream: what a new branch is to follow, as `origin/main`.
        pack: the pack's path, for the note.
        was_clean: whether nothing was edited, for the note.
        backend: the held BACKEND lock.

    Raises:
        CheckoutRefusedError: something of the user's is in the way; nothing was changed.
        GitError: git failed midway; the note stands.
    """
    await move_to_branch(
        runner,
        state,
        MoveNote("checkout", pack, state.head_sha, to_sha, branch, was_clean=was_clean),
        expected=expected,
        upstream=upstream,
        backend=backend,
    )


async def push_branch(
    runner: GitRunner,
    state: CheckoutState,
    branch: str,
    upstream: Upstream,
    *,
    pack: str,
    backend: BackendHold,
    timeout_s: float | None,
    sets_upstream: bool = False,
    hook_env: Mapping[str, str] | None = None,
    on_line: Callable[[str], None] | None = None,
) -> None:
    """Send a branch to its upstream; never forced, so that nothing of others is overwritten.

    The user's hooks in this repository run, as for a `git push` of theirs: git-lfs sends its objects in `pre-push`.
    With `sets_upstream` the branch follows it from then on, once the remote has taken it.

    Cancellation: git has ended, and its hook with all that it started. Whether the remote has taken the commits, the
    next fetch tells.

    Args:
        runner: runs git.
        state: the checkout.
        branch: the branch.
        upstream: where to.
        pack: the pack's path, for the note.
        backend: the held BACKEND lock.
        timeout_s: how long it may take; not heeded where there is a hook, which may run for as long as it likes.
        sets_upstream: see above.
        hook_env: further variables for the hook.
        on_line: is told what the hook says, as it comes, fit to be shown.

    Raises:
        PushHookError: the hook refused; nothing was sent.
        PushError: the remote has not taken it; what is there is as it was.
    """
    require_backend(backend)
    refspec = f"{branch_ref(branch)}:{branch_ref(upstream.branch)}"
    hook = await _pre_push_hook(runner, state)
    said_by_hook = _HookLines(on_line)
    with noted(state.dirs.own, MoveNote(op="refs", pack=pack)):
        finished = await runner.run(
            [
                *("push", "--porcelain", "--no-recurse-submodules", "--no-follow-tags"),
                *(("--set-upstream",) if sets_upstream else ()),
                *("--", upstream.remote, refspec),
            ],
            cwd=state.real,
            write=backend,
            timeout_s=timeout_s if hook is None else None,
            subject=f"'{state.path}'",
            accept=(0, 1, 128),
            error=PushError,
            extra_env=hook_env,
            on_stderr=None if hook is None else said_by_hook.stderr,
            runs_hooks=True,
        )
        if hook is not None:
            said_by_hook.end(finished.stdout)
        if finished.returncode:
            said = [match[1] for match in re.finditer(_REFUSED, finished.stdout)]
            if hook is not None and not said and finished.returncode == 1 and _NOTHING_SENT in finished.stderr:
                reason = said_by_hook.lines[-1] if said_by_hook.lines else "it did not say why"
                raise PushHookError(
                    f"git push of '{state.path}': nothing was sent, its pre-push hook refused or failed: {reason}",
                    hint=f"Mend what it says, or see to the hook, {shown_argument(str(hook))}.",
                    details={"hook": str(hook), "said": said_by_hook.lines[-_KEPT_LINES:]},
                )
            stderr = b"\n".join([*(b"error: " + line for line in said), finished.stderr])
            failure = explain_failure(
                f"git push of '{state.path}'", f"git {finished.describe_end()}", stderr, error=PushError
            )
            if said and failure.hint is None:
                failure.hint = (
                    f"fetch and look at what is new: `git -C {shown_argument(str(state.path))} pull --rebase`"
                )
            raise failure
        if sets_upstream:
            await _let_be_fetched(runner, state, branch, upstream, backend)


async def _pre_push_hook(runner: GitRunner, state: CheckoutState) -> Path | None:
    """The hook that git runs before it sends; git knows where `core.hooksPath` and linked work trees have it."""
    asked = await runner.run(["rev-parse", "--git-path", "hooks/pre-push"], cwd=state.real, runs_hooks=True)
    hook = state.real / os.fsdecode(asked.stdout.removesuffix(b"\n"))
    return hook if os.access(hook, os.X_OK) and hook.is_file() else None


class _HookLines:
    """What a hook says, line by line, without what git says around it."""

    def __init__(self, on_line: Callable[[str], None] | None) -> None:
        self._on_line = on_line
        self._hearing = CommandLines(self._hear)
        self.lines: list[str] = []

    def stderr(self, piece: bytes) -> None:
        """Hear a piece of standard error."""
        self._hearing.stderr(piece)

    def end(self, stdout: bytes) -> None:
        """Hear the whole of standard output, where the verdicts of git follow on what the hook wrote."""
        if not stdout.startswith(b"To "):
            self._hearing.stdout(stdout.partition(b"\nTo ")[0])
        self._hearing.finish()

    def _hear(self, line: str, _: object) -> None:
        if line.strip() and not line.startswith(_OF_GIT):
            self.lines.append(line)
            if self._on_line is not None:
                self._on_line(line)


async def _let_be_fetched(
    runner: GitRunner, state: CheckoutState, branch: str, upstream: Upstream, backend: BackendHold
) -> None:
    """Have a new upstream fetched from now on: a shallow clone asks only for the branches that it was made for.

    Only after the remote has taken it: git cannot fetch at all while it is to ask for a branch that is not there.
    """
    tracking = f"refs/remotes/{upstream.remote}/{upstream.branch}"
    known = await runner.run(["show-ref", "--verify", "--quiet", tracking], cwd=state.real, accept=(0, 1))
    if known.returncode:
        add = ["remote", "set-branches", "--add", upstream.remote, upstream.branch]
        await runner.run(add, cwd=state.real, write=backend)
        await runner.run(["update-ref", tracking, branch_ref(branch)], cwd=state.real, write=backend)
