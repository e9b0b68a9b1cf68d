"""`switch`, `fetch` and `push` in one pack: look under the locks, mend what a dead run left, decide, let git do it.

Tiers: PERMIT (of the disk, or of the network by host), PACK, and BACKEND where git writes. A failure is the pack's own
and an outcome; what was left alone for the user's sake is one as well.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Literal

from msgspec import Struct

from grex.engine.branching import GoTo, HasNoBranch, NothingToPush, Push, PushFacts, Stay, judge_push, judge_switch
from grex.engine.members import Member, look_again
from grex.engine.outcome import recovery_notes, short
from grex.engine.planner import Leave
from grex.engine.session import Session
from grex.engine.situation import ref_of
from grex.engine.surroundings import child_environ
from grex.errors import GrexError, PackError
from grex.git import (
    BackendHold,
    CheckoutRefusedError,
    CheckoutState,
    Commit,
    GitRunner,
    ahead_behind,
    commit_at,
    commits_between,
    count_own_commits,
    edited_paths,
    fetch_branches,
    follow,
    has_plain_refs,
    has_remote,
    has_upstream,
    is_ancestor,
    own_commits,
    push_branch,
    recover,
    remote_branches,
    switch_branch,
    upstream_of,
)
from grex.plugin import Pack
from grex.progress import CommandOutput, PackFinished, PackStarted

__all__ = ["BranchNews", "OverOutcome", "OverStatus", "fetch_one", "has_branch", "push_one", "switch_one"]

OverStatus = Literal["switched", "created", "fetched", "pushed", "unchanged", "planned", "no-branch", "left", "failed"]

_FETCH_TIMEOUT_S = 4 * 3600.0


class BranchNews(Struct, frozen=True):
    """What a fetch brought for one of the remote's branches; `old` is None for a new one."""

    branch: str
    old: str | None
    new: str
    commits: int
    is_rewritten: bool = False

    def line(self) -> str:
        """The news in a few words."""
        if self.old is None:
            return f"new branch {self.branch}"
        many = "1 commit" if self.commits == 1 else f"{self.commits} commits"
        if self.is_rewritten:
            return f"{self.branch} was rewritten, {many} new"
        return f"{many} on {self.branch}"


class OverOutcome(Struct, frozen=True):
    """What became of one pack.

    Attributes:
        path: the pack.
        status: what was done; `left` was not, for the reason in `code` and `text`; `no-branch` has no such branch.
        branch: the branch that it was about.
        text: the same in one line.
        code: why it was left alone; stable.
        hint: what to do about it.
        commits: what is to be sent, or was.
        news: what a fetch brought.
        notes: what else there is to say.
        error: why it failed, or was left alone.
    """

    path: str
    status: OverStatus
    branch: str | None = None
    text: str = ""
    code: str | None = None
    hint: str | None = None
    commits: tuple[Commit, ...] = ()
    news: tuple[BranchNews, ...] = ()
    notes: tuple[str, ...] = ()
    error: GrexError | None = None

    @classmethod
    def failed(cls, path: str, error: GrexError) -> OverOutcome:
        """A pack in which something went wrong."""
        return cls(path, "failed", text=error.message, code=error.code, hint=error.hint, error=error)

    @classmethod
    def left(cls, path: str, leave: Leave, branch: str | None, notes: Sequence[str] = ()) -> OverOutcome:
        """A pack that was not touched, for the user's sake."""
        error = PackError(f"{path} was left alone: {leave.text}", hint=leave.hint, details={"reason": leave.code})
        return cls(path, "left", branch, leave.text, leave.code, leave.hint, notes=tuple(notes), error=error)


async def switch_one(
    session: Session, member: Member, branch: str, *, creates: bool, dry_run: bool = False
) -> OverOutcome:
    """Go over to a branch in one pack. Tiers: PERMIT, PACK, BACKEND. Cancellation: git is ended, its note lets recover.

    A dry run takes no lock and only says what would be done.
    """
    if dry_run:
        try:
            return await _switch_plan(session, member, branch, creates=creates)
        except (GrexError, OSError) as error:
            return OverOutcome.failed(member.path, _explained(member, error))
    session.settings.sink(PackStarted(member.path, "switch"))
    try:
        async with session.holds.pack(member.path, member.root, "disk"):
            outcome = await _switch(session, member, branch, creates=creates)
    except (GrexError, OSError) as error:
        outcome = OverOutcome.failed(member.path, _explained(member, error))
    return _told(session, outcome)


async def has_branch(session: Session, member: Member, branch: str) -> bool:
    """Whether a pack, or its remote as of the last fetch, has that branch. Takes no lock.

    Raises:
        GrexError: it cannot be told.
    """
    local, remote = await _branch(session.git_for(member.path), await look_again(session, member), branch)
    return local is not None or remote is not None


async def _branch(git: GitRunner, state: CheckoutState, branch: str) -> tuple[str | None, str | None]:
    """The commits of the local branch and of the remote's, as of the last fetch."""
    names = (f"refs/heads/{branch}", f"refs/remotes/origin/{branch}")
    if has_plain_refs(state.dirs):
        local, remote = (ref_of(state, name) for name in names)
    else:
        local, remote = [await commit_at(git, state, name) for name in names]
    return local, remote


async def _switch_plan(session: Session, member: Member, branch: str, *, creates: bool) -> OverOutcome:
    state = await look_again(session, member)
    local, remote = await _branch(session.git_for(member.path), state, branch)
    verdict = judge_switch(state, branch, creates=creates, local=local, remote=remote)
    if isinstance(verdict, GoTo):
        return OverOutcome(member.path, "planned", branch, _going(state, branch, verdict))
    return _stays(member, verdict, branch, ())


def _stays(member: Member, verdict: Stay | HasNoBranch | Leave, branch: str, notes: tuple[str, ...]) -> OverOutcome:
    match verdict:
        case Leave():
            return OverOutcome.left(member.path, verdict, branch, notes)
        case HasNoBranch():
            return OverOutcome(member.path, "no-branch", branch, f"no branch {branch}", notes=notes)
        case Stay():
            return OverOutcome(member.path, "unchanged", branch, f"on {branch} already", notes=notes)


async def _switch(session: Session, member: Member, branch: str, *, creates: bool) -> OverOutcome:
    git = session.git_for(member.path)
    async with session.holds.backend(member.path, (await look_again(session, member)).real) as backend:
        state, notes = await _mended(session, member, git, backend)
        local, remote = await _branch(git, state, branch)
        verdict = judge_switch(state, branch, creates=creates, local=local, remote=remote)
        if isinstance(verdict, Stay) and notes and not creates and remote and not has_upstream(state.dirs, branch):
            # The run that made the branch was killed before it could say what the branch follows.
            await follow(git, state, branch, f"origin/{branch}", backend=backend)
        if not isinstance(verdict, GoTo):
            return _stays(member, verdict, branch, notes)
        edits = edited_paths(state)
        try:
            await switch_branch(
                git,
                state,
                branch,
                to_sha=verdict.sha,
                expected=local,
                upstream=verdict.upstream,
                pack=member.path,
                was_clean=edits.decided and not edits.edited,
                backend=backend,
            )
        except CheckoutRefusedError as error:
            code = "edits-in-the-way" if error.paths else "checkout-refused"
            return OverOutcome.left(member.path, Leave(code, error.message, error.hint or ""), branch, notes)
    status: OverStatus = "created" if verdict.is_new and verdict.upstream is None else "switched"
    return OverOutcome(member.path, status, branch, _going(state, branch, verdict), notes=notes)


def _going(state: CheckoutState, branch: str, verdict: GoTo) -> str:
    before = state.head_branch or f"detached {short(state.head_sha)}"
    if verdict.is_new and verdict.upstream is None:
        return f"{before} -> new branch {branch} at {short(verdict.sha)}"
    follows = f", which follows {verdict.upstream}" if verdict.is_new else ""
    return f"{before} -> {branch} at {short(verdict.sha)}{follows}"


async def fetch_one(session: Session, member: Member) -> OverOutcome:
    """Fetch every branch of a pack's remote. Tiers: PERMIT (network), PACK, BACKEND. Cancellation: as `switch_one`."""
    session.settings.sink(PackStarted(member.path, "fetch"))
    try:
        async with _on_the_network(session, member) as (git, state, backend, notes):
            before = await remote_branches(git, state)
            await fetch_branches(
                git,
                state,
                pack=member.path,
                backend=backend,
                timeout_s=_FETCH_TIMEOUT_S,
                on_progress=session.git_progress(member.path),
            )
            after = await remote_branches(git, state)
            news = [
                await _news(git, state, branch, before.get(branch), sha)
                for branch, sha in sorted(after.items())
                if before.get(branch) != sha
            ]
        outcome = OverOutcome(
            member.path,
            "fetched" if news else "unchanged",
            text="; ".join(one.line() for one in news) or "nothing new",
            news=tuple(news),
            notes=notes,
        )
    except (GrexError, OSError) as error:
        outcome = OverOutcome.failed(member.path, _explained(member, error))
    return _told(session, outcome)


async def _news(git: GitRunner, state: CheckoutState, branch: str, old: str | None, new: str) -> BranchNews:
    if old is None:
        return BranchNews(branch, None, new, 0)
    _, added = await ahead_behind(git, state, old, new)
    return BranchNews(branch, old, new, added, is_rewritten=not await is_ancestor(git, state, old, new))


async def push_one(session: Session, member: Member, *, dry_run: bool, sets_upstream: bool = False) -> OverOutcome:
    """Send a pack's branch to its upstream, if it is ahead. Tiers: PERMIT (network), PACK, BACKEND.

    With `sets_upstream`, a branch that follows nothing goes to `origin` and follows that.

    A pack with nothing to send is found out without a permit and without a lock; and so is what a dry run tells.
    Cancellation: git is ended; whether the remote has taken the commits, the next fetch tells.
    """
    try:
        git = session.git_for(member.path, member.url)
        state = await look_again(session, member)
        verdict, commits = await _push_verdict(git, member, state, sets_upstream=sets_upstream)
        if isinstance(verdict, Push) and not dry_run:
            sink = session.settings.sink
            sink(PackStarted(member.path, "push"))
            async with _on_the_network(session, member) as (git, state, backend, notes):
                verdict, commits = await _push_verdict(git, member, state, sets_upstream=sets_upstream)
                if isinstance(verdict, Push):
                    await push_branch(
                        git,
                        state,
                        verdict.branch,
                        verdict.upstream,
                        pack=member.path,
                        backend=backend,
                        timeout_s=_FETCH_TIMEOUT_S,
                        sets_upstream=verdict.is_new,
                        hook_env=_hook_environ(session, member),
                        on_line=lambda line: sink(CommandOutput(member.path, "pre-push", line, "stderr")),
                    )
                outcome = _push_outcome(member, state, verdict, commits, notes, is_done=True)
            return _told(session, outcome)
        return _push_outcome(member, state, verdict, commits, (), is_done=False)
    except (GrexError, OSError) as error:
        return _told(session, OverOutcome.failed(member.path, _explained(member, error)))


def _hook_environ(session: Session, member: Member) -> dict[str, str]:
    """What a hook of git is told in variables, as a command of `exec` is; to be asked for while the locks are held."""
    settings = session.settings
    pack = Pack(member.path, member.root, member.name, "plain", None, "")
    environ = child_environ(settings.environ, pack, session.layout.root, settings.platform, dry_run=False)
    told = {name: value for name, value in environ.items() if name.startswith("GREX_")}
    return {**told, "GREX_TRUST": ""}  # trust for one run is this run's


async def _push_verdict(
    git: GitRunner, member: Member, state: CheckoutState, *, sets_upstream: bool
) -> tuple[NothingToPush | Push | Leave, list[Commit]]:
    facts = await _push_facts(git, state)
    verdict = judge_push(member.path, state, facts, sets_upstream=sets_upstream)
    if isinstance(verdict, Push) and verdict.is_new and state.head_sha is not None:
        return verdict, await own_commits(git, state, state.head_sha)
    if isinstance(verdict, Push) and facts.tracking is not None and state.head_sha is not None:
        return verdict, await commits_between(git, state, facts.tracking, state.head_sha)
    return verdict, []


async def _push_facts(git: GitRunner, state: CheckoutState) -> PushFacts:
    if state.head_sha is None:
        return PushFacts()
    upstream = None if state.head_branch is None else upstream_of(state, state.head_branch)
    tracking = None
    if upstream is not None:
        tracking = ref_of(state, upstream.tracking) or await commit_at(git, state, upstream.tracking)
    if upstream is None or tracking is None:
        own = await count_own_commits(git, state, state.head_sha)
        return PushFacts(upstream, own=own, has_origin=has_remote(state, "origin"))
    ahead, behind = await ahead_behind(git, state, state.head_sha, tracking)
    return PushFacts(upstream, tracking, ahead, behind)


def _push_outcome(
    member: Member,
    state: CheckoutState,
    verdict: NothingToPush | Push | Leave,
    commits: Sequence[Commit],
    notes: Sequence[str],
    *,
    is_done: bool,
) -> OverOutcome:
    match verdict:
        case Leave():
            return OverOutcome.left(member.path, verdict, state.head_branch, notes)
        case NothingToPush():
            return OverOutcome(member.path, "unchanged", state.head_branch, "nothing to push", notes=tuple(notes))
        case Push(branch, upstream, is_new):
            follows = (", which it follows then", ", which it follows now")[is_done] if is_new else ""
            many = "1 commit" if len(commits) == 1 else f"{len(commits)} commits"
            return OverOutcome(
                member.path,
                "pushed" if is_done else "planned",
                branch,
                f"{many} of {branch} to {upstream.remote}/{upstream.branch}{follows}",
                commits=tuple(commits),
                notes=tuple(notes),
            )


@asynccontextmanager
async def _on_the_network(
    session: Session, member: Member
) -> AsyncGenerator[tuple[GitRunner, CheckoutState, BackendHold, tuple[str, ...]]]:
    """Hold a pack and its git to talk to its remote. Tiers: PERMIT (network, by host), PACK, BACKEND."""
    url = member.url
    git = session.git_for(member.path, url)
    host = None if url is None else url.limit_key
    async with session.holds.pack(member.path, member.root, "network", host=host):
        real = (await look_again(session, member)).real
        async with session.holds.backend(member.path, real) as backend:
            state, notes = await _mended(session, member, git, backend)
            yield git, state, backend, notes


async def _mended(
    session: Session, member: Member, git: GitRunner, backend: BackendHold
) -> tuple[CheckoutState, tuple[str, ...]]:
    """The checkout, after what a dead run left in it was put right: its note must not be lost under one of ours."""
    state = await look_again(session, member)
    if state.note is None:
        return state, ()
    report = await recover(git, state, backend=backend)
    return await look_again(session, member), tuple(recovery_notes(report))


def _explained(member: Member, error: GrexError | OSError) -> GrexError:
    if isinstance(error, GrexError):
        return error
    what = error.strerror or str(error)
    return PackError(
        f"{member.path}: {what} ({error.filename or member.root})",
        hint="Check the permissions and the free space there, then run the command again.",
    )


def _told(session: Session, outcome: OverOutcome) -> OverOutcome:
    session.settings.sink(PackFinished(outcome.path, outcome.status, outcome.text))
    return outcome
