"""Cloning into a temporary sibling, checked out and complete, before anything is seen at the pack's own path.

One `git clone` does it all where the remote's ref is a branch or a tag: what it came to is read from the files
afterwards. `--branch=NAME` prefers the branch where a tag has the same name, as grex does; only an explicit
`refs/tags/NAME` that met such a branch, and a commit given by its id, need a second command.

`--template=` keeps the machine's template (hooks among it) out. `--no-local` makes a clone of a local path go through
git's transport too: hard links into somebody else's object store would be faster, but the copy that git makes then is
not guarded against a repack going on in the other repository.

The clone's own configuration says that grex made it (`CLONED_KEY`). A completion record proves less: the user's own
clone gets one as well when it is adopted. The log says whose a checkout is; the mark is for when the log is lost.

A kill leaves the temporary directory and nothing else. It is the caller's, who named it, notes it durably before and
removes it after a failure.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import anyio.to_thread
from msgspec import Struct

from grex.errors import FetchError
from grex.fs import TEMP_PREFIX
from grex.git.command import BackendHold, GitRunner, require_backend, require_sha
from grex.git.errors import RefNotFoundError, shown_paths
from grex.git.fetch import fetch_sha, fetch_tag
from grex.git.fittings import Fittings, write_fittings
from grex.git.index import IndexUnreadableError, read_index
from grex.git.observe import CheckoutState, observe
from grex.git.progress import GitProgress
from grex.git.records import CLONED_KEY, CompletionRecord, write_record
from grex.git.refs import RefsUnreadableError, read_ref
from grex.git.remote import DeclaredRef, RemoteRef, not_found, parse_ref
from grex.git.sparse import write_cone
from grex.git.status import ask_head
from grex.names import redact

__all__ = ["ClonedCheckout", "clone"]


class ClonedCheckout(Struct, frozen=True):
    """A finished clone that is not yet in its place."""

    temp: Path
    remote: RemoteRef
    """What the declared ref turned out to be."""
    record: CompletionRecord
    """As it stands in the clone's git directory."""


async def clone(
    runner: GitRunner,
    *,
    url: str,
    identity: str,
    ref: str | None,
    temp: Path,
    pack: str,
    backend: BackendHold,
    timeout_s: float | None,
    commit: str | None = None,
    depth: int | None = None,
    filter_spec: str | None = None,
    cone: Sequence[str] = (),
    lender: Path | None = None,
    on_progress: Callable[[GitProgress], None] | None = None,
) -> ClonedCheckout:
    """Clone a repository into `temp` and check out the declared ref there.

    A branch leaves HEAD on a local branch of that name with its upstream set, a tag or an object id leaves it detached.

    Cancellation: git has ended; `temp` may hold a part and is the caller's to remove, as after any failure.

    Args:
        runner: runs git.
        url: the address as git is given it.
        identity: the address without credentials, for the record.
        ref: the declared ref; None for the remote's HEAD.
        temp: the directory to make; it must not exist, and its parent must.
        pack: the pack's path, for notes.
        backend: the held BACKEND lock of the checkout this is for.
        timeout_s: how long each git command may take.
        commit: check out this commit instead of the one that the ref is at, as a lockfile asks for.
        depth: how many commits of history to fetch.
        filter_spec: which objects to leave out, as `git clone --filter` takes it.
        lender: a repository from which objects are borrowed; the caller makes the clone independent of it.
        cone: the directories that are checked out; none for all of the tree.
        on_progress: is told how far git is.

    Raises:
        RefNotFoundError: the remote has no such branch, tag or commit.
        FetchError: it could not be cloned, or is a repository that grex cannot keep.
        GitError: the checkout failed.
    """
    require_backend(backend)
    declared = parse_ref(ref)
    if declared.kind == "sha":
        commit = commit or declared.name
    options = ["--template=", "--no-local", "--origin=origin", "--progress", f"--config={CLONED_KEY}=true"]
    if depth is not None:
        options.append(f"--depth={depth}")
    if filter_spec is not None:
        options.append(f"--filter={filter_spec}")
    if lender is not None:
        options.append(f"--reference={lender}")
    if commit is not None or cone:
        options.append("--no-checkout")
    if declared.kind != "sha" and declared.name is not None:
        options.append(f"--branch={declared.name}")
    try:
        await runner.run(
            ["clone", *options, "--", url, temp.name],
            cwd=temp.parent,
            write=backend,
            timeout_s=timeout_s,
            subject=url,
            error=FetchError,
            on_progress=on_progress,
        )
    except RefNotFoundError as error:
        raise not_found(declared, url) from error
    job = _Settling(runner, temp, declared, url, pack, backend, timeout_s, depth)
    if cone:  # before the first file is written
        await write_cone(runner, await job.observe(), cone, backend=backend, timeout_s=timeout_s)
    state = await job.settle(commit, is_empty=bool(cone))
    if cone:
        write_fittings(state.dirs.own, Fittings(sparse=tuple(cone)))
    _check_names(temp, url)
    remote = _remote_ref(state, declared)
    record = CompletionRecord(
        url=identity,
        ref=ref,
        kind=remote.kind,
        branch=state.head_branch,
        sha=remote.sha,
        upstream=None if state.head_branch is None else f"origin/{state.head_branch}",
        tree=_tree(state),
    )
    # Flushed in a thread: nobody sees the clone yet, and others go on while the disk is waited for.
    await anyio.to_thread.run_sync(write_record, state.dirs.own, record)
    # Files that were written in the same tick of the clock as the index might have changed since, and git would read
    # them again each time. Here nobody can have: so the index is as new as this moment.
    os.utime(state.dirs.own / "index")
    return ClonedCheckout(temp, remote, record)


class _Settling(Struct, frozen=True):
    """Brings a fresh clone onto what was declared, where `git clone` alone has not done so."""

    runner: GitRunner
    temp: Path
    declared: DeclaredRef
    url: str
    pack: str
    backend: BackendHold
    timeout_s: float | None
    depth: int | None

    async def settle(self, commit: str | None, *, is_empty: bool) -> CheckoutState:
        """Check out what is left to check out (everything where the work tree is empty), and look at the result."""
        state = await self.observe()
        declared = self.declared
        if declared.kind == "branch" and declared.name is not None and state.head_branch != declared.name:
            raise not_found(declared, self.url)  # a tag of that name was there instead
        if commit is not None:
            # On the declared branch only if a branch was declared; the clone's default has no meaning beside an id.
            branch = state.head_branch if declared.kind in ("branch", None) else None
            return await self._check_out(state, require_sha(commit), branch)
        if declared.kind == "tag" and declared.name is not None and state.head_branch is not None:
            return await self._check_out(state, await self._fetch_tag(state, declared.name), None)
        if state.head_sha is None:
            raise RefNotFoundError(
                f"the repository {redact(self.url)} has no commit on its default branch",
                hint="Push a commit to it, or declare a `ref`.",
            )
        return await self._check_out(state, state.head_sha, state.head_branch) if is_empty else state

    async def _fetch_tag(self, state: CheckoutState, tag: str) -> str:
        """The commit of a tag whose name is that of a branch as well, which is why the branch was cloned."""
        try:
            return await fetch_tag(
                self.runner, state, tag, pack=self.pack, backend=self.backend, timeout_s=self.timeout_s
            )
        except RefNotFoundError as error:
            raise not_found(self.declared, self.url) from error

    async def _check_out(self, state: CheckoutState, sha: str, branch: str | None) -> CheckoutState:
        target = ["--detach"] if branch is None else ["-B", branch]
        command = ["checkout", *target, sha, "--"]
        finished = await self.runner.run(
            command, cwd=self.temp, write=self.backend, timeout_s=self.timeout_s, accept=(0, 1, 128)
        )
        if finished.returncode:
            # Usually the commit is on no branch, or beyond the depth. If it was there all along, the second try fails
            # for the same reason as the first, and says so.
            await fetch_sha(
                self.runner,
                state,
                sha,
                pack=self.pack,
                backend=self.backend,
                timeout_s=self.timeout_s,
                depth=self.depth,
            )
            await self.runner.run(
                command, cwd=self.temp, write=self.backend, timeout_s=self.timeout_s, subject=self.url
            )
        return await self.observe()

    async def observe(self) -> CheckoutState:
        """What the clone is now."""
        state = observe(self.temp)
        if state.kind != "checkout":
            raise FetchError(f"git clone of {redact(self.url)} reported success and left no repository")
        return await ask_head(self.runner, state) if state.head == "unreadable" else state


def _remote_ref(state: CheckoutState, declared: DeclaredRef) -> RemoteRef:
    sha = state.head_sha or ""
    if declared.kind == "sha":
        return RemoteRef("sha", None, sha)
    if state.head_branch is not None:
        return RemoteRef("branch", state.head_branch, sha)
    if declared.name is None:  # the remote's own HEAD is detached
        return RemoteRef("sha", None, sha)
    try:
        peeled = read_ref(state.dirs, f"refs/tags/{declared.name}") not in (sha, None)
    except RefsUnreadableError:
        peeled = False
    return RemoteRef("tag", declared.name, sha, peeled=peeled)


def _tree(state: CheckoutState) -> str | None:
    """The commit's tree: in a clone that nobody has seen yet, it is what the index makes."""
    try:
        return read_index(state.dirs).tree
    except IndexUnreadableError:
        return None


def _check_names(temp: Path, url: str) -> None:
    """Refuse a repository that tracks names which are grex's own beside its other files."""
    bad = sorted(name for name in os.listdir(temp) if _is_reserved(name.lower()))  # noqa: PTH208 - names are wanted
    if bad:
        raise FetchError(
            f"the repository {redact(url)} tracks {shown_paths(bad)}, which is a name that grex uses for itself",
            hint="Remove it from that repository.",
        )


def _is_reserved(name: str) -> bool:
    return name == ".grex-lock" or name.endswith(".grex-backend.lock") or name.startswith(TEMP_PREFIX)
