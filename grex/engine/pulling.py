"""Fast-forwards the workspace's own repository: `sync --pull`, before anything else is looked at.

git decides about edits: it refuses before it has written anything, and nothing is ever forced. What cannot be
fast-forwarded (a branch that has diverged, edits that the new commits touch, no branch, no upstream) ends the run,
because the declarations that were asked for were not reached.

The root's pack.yaml, the lockfile and config.toml are among the files that git moves. So MANIFEST is held exclusively
while it does, inside of PACK of the root (commands that run in it) and BACKEND of the repository. A kill may leave one
of these files half-written, or gone at that moment: a marker in `.grex/state/`, which no commit holds, says that this
is a workspace all the same, and the move note in the git directory says how it is mended. Both are settled as soon as
any verb holds WORKSPACE, before it reads a record.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from grex.engine.hiding import Hiding
from grex.engine.session import Session
from grex.errors import PackError, UsageError
from grex.exclude import enclosing_repository
from grex.fs import canonical, fsync_dir, replace_file
from grex.git import (
    CheckoutRefusedError,
    CheckoutState,
    CompletionRecord,
    RecoveryReport,
    ask_head,
    check_out,
    edited_paths,
    is_ancestor,
    observe,
    recover,
    resolve_remote,
)
from grex.git.commits import commit_at
from grex.git.records import own_note_path
from grex.git.upstream import Upstream, fetch_upstream, find_upstream
from grex.names import InvalidUrlError, clean, parse_url, redact
from grex.workspace import PULL_MARKER

__all__ = ["Pulled", "finish_pull", "pull"]

_FETCH_TIMEOUT_S = 4 * 3600.0
_ASK_TIMEOUT_S = 300.0
_SHORT = 10


class Pulled(Struct, frozen=True):
    """What became of the workspace's own repository.

    Attributes:
        branch: the branch that it is on.
        upstream: what that follows, such as `origin/main`.
        old: the commit before.
        new: the commit now; the same if there was nothing to pull. In a dry run, what the remote has.
    """

    branch: str
    upstream: str
    old: str
    new: str


async def pull(session: Session, *, dry_run: bool) -> Pulled:
    """Fast-forward the workspace's own repository to what its branch follows.

    Tiers: WORKSPACE is held; PERMIT, PACK, BACKEND and MANIFEST, exclusively. Cancellation: git has ended; the next run
    mends what was half-written.

    Raises:
        UsageError: the workspace is no repository of its own.
        PackError: it could not be fast-forwarded; nothing of the user's was changed.
    """
    root = session.layout.root
    state = await _look(session)
    upstream = await find_upstream(session.git_for("."), state)
    if upstream is None:
        raise PackError(
            f"the workspace's own repository is on {state.head_branch!r}, which follows nothing, so there is nothing "
            "to pull",
            hint="`git branch --set-upstream-to=origin/NAME` says what it follows.",
        )
    if dry_run:
        return await _forecast(session, state, upstream)
    around = enclosing_repository(root.parent)
    if around is not None:  # BACKEND lies beside the workspace
        await Hiding(session.layout, session.holds).hide_own(*around)
    async with (
        session.holds.pack(".", root, "network"),
        session.holds.backend(".", canonical(root)) as backend,
    ):
        git = session.git_for(".")
        await fetch_upstream(git, state, upstream, backend=backend, timeout_s=_FETCH_TIMEOUT_S)
        state = await _look(session)
        target = await _target(session, state, upstream)
        pulled = Pulled(upstream.branch, _shown(upstream), state.head_sha or "", target)
        if pulled.old == pulled.new:
            return pulled
        edits = edited_paths(state)
        try:
            async with session.holds.manifest_exclusive("pull"):
                with _marked(session):
                    await check_out(
                        git,
                        state,
                        _record(state, upstream, target),
                        pack=".",
                        was_clean=edits.decided and not edits.edited,
                        backend=backend,
                    )
        except CheckoutRefusedError as refused:
            message = refused.message.replace(f"'{state.path}'", "the workspace's own repository")
            raise PackError(message, hint=refused.hint, details=refused.details) from refused
    return pulled


async def _look(session: Session) -> CheckoutState:
    """The workspace's own repository, if it can be moved at all."""
    root = session.layout.root
    state = observe(root)
    if state.kind != "checkout":
        around = enclosing_repository(root)
        where = f"; it lies in {around[0]}, which is moved by nobody but you" if around is not None else ""
        raise UsageError(
            f"{root} is no git repository of its own, so there is nothing to pull{where}", hint="Sync without --pull."
        )
    if state.head == "unreadable":
        state = await ask_head(session.git_for("."), state)
    if state.operation is not None:
        raise PackError(
            f"a {state.operation} is in progress in the workspace's own repository, so it was not pulled",
            hint=f"Finish or abort it (`git {state.operation}`), then run this again.",
        )
    if state.head_branch is None or state.head_sha is None:
        what = "is on no branch" if state.head_branch is None else "has no commit yet"
        raise PackError(
            f"the workspace's own repository {what}, so there is nothing to pull",
            hint="`git switch BRANCH`, or sync without --pull.",
        )
    return state


async def _target(session: Session, state: CheckoutState, upstream: Upstream) -> str:
    """Where the branch belongs: at its upstream, or where it is if that has nothing more."""
    git = session.git_for(".")
    tip = await commit_at(git, state, upstream.tracking)
    head = state.head_sha or ""
    if tip is None:
        raise PackError(
            f"{_shown(upstream)} is gone, which the workspace's own repository follows",
            hint="Sync without --pull, or let the branch follow another one.",
        )
    if await is_ancestor(git, state, tip, head):
        return head
    if not await is_ancestor(git, state, head, tip):
        raise PackError(
            f"the workspace's own repository has diverged: {upstream.branch} and {_shown(upstream)} have commits that "
            "the other one lacks",
            hint="`git rebase` or `git merge` there, then run this again.",
            details={"head": head, "upstream": tip},
        )
    return tip


async def _forecast(session: Session, state: CheckoutState, upstream: Upstream) -> Pulled:
    """What a pull would come to, without fetching."""
    head = state.head_sha or ""
    if upstream.url is None:
        return Pulled(upstream.branch, _shown(upstream), head, await _target(session, state, upstream))
    try:
        address = parse_url(upstream.url, relative_to=state.real).plain
    except InvalidUrlError as error:
        raise PackError(str(error), hint=error.hint) from error
    tip = (await resolve_remote(session.git_for("."), address, upstream.ref, _ASK_TIMEOUT_S)).sha
    known = await commit_at(session.git_for("."), state, tip)
    if known is not None and await is_ancestor(session.git_for("."), state, known, head):
        tip = head
    return Pulled(upstream.branch, _shown(upstream), head, tip)


def _shown(upstream: Upstream) -> str:
    return clean(upstream.tracking.removeprefix("refs/remotes/").removeprefix("refs/heads/"))


def _record(state: CheckoutState, upstream: Upstream, target: str) -> CompletionRecord:
    """What is recorded of the checkout; one that another workspace keeps as a pack stays the record of that."""
    if state.record is not None:
        return replace(state.record, sha=target)
    try:
        url = parse_url(upstream.url or "", relative_to=state.real).identity
    except InvalidUrlError:
        url = redact(upstream.url or "")
    return CompletionRecord(
        url=url, ref=upstream.branch, kind="branch", branch=upstream.branch, sha=target, upstream=_shown(upstream)
    )


@contextlib.contextmanager
def _marked(session: Session) -> Generator[None]:
    """Let the marker stand while git moves the files by which a workspace is known."""
    marker = _marker(session)
    if not marker.parent.is_dir():
        marker.parent.mkdir(parents=True, exist_ok=True)
        fsync_dir(marker.parent.parent)
    replace_file(marker, b"a pull is under way\n")
    try:
        yield
    except CheckoutRefusedError:
        _remove(marker)  # refused before the first byte
        raise
    _remove(marker)


def _marker(session: Session) -> Path:
    return session.layout.root / PULL_MARKER


def _remove(marker: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        marker.unlink()
        fsync_dir(marker.parent)


async def finish_pull(session: Session) -> list[str]:
    """Mend the workspace's own repository after a run was killed in a pull; gives what was done, a line each.

    Tiers: WORKSPACE is held; PERMIT, PACK, BACKEND and MANIFEST. Cancellation: the notes stand.

    Raises:
        GrexError: it could not be mended; the notes stand.
    """
    root = session.layout.root
    said: list[str] = []
    if own_note_path(root) is not None:
        async with (
            session.holds.pack(".", root, "disk"),
            session.holds.backend(".", canonical(root)) as backend,
            session.holds.manifest_exclusive("pull"),
        ):
            said = _told(await recover(session.git_for("."), observe(root), backend=backend))
    _remove(_marker(session))
    return said


def _told(report: RecoveryReport) -> list[str]:
    if report.note is None:
        return []
    lines = ["the workspace's own repository: recovered from an interrupted pull"]
    if report.target is not None and report.restored:
        lines.append(f"the workspace's own repository: it is at {report.target[:_SHORT]} again")
    if report.rescue_ref is not None:
        lines.append(f"the workspace's own repository: what was replaced is kept as {report.rescue_ref}")
    lines += [f"the workspace's own repository: {path} could not be restored" for path in report.left]
    return lines
