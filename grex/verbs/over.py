"""git's own verbs over packs, `switch`, `fetch` and `push`: one request in, one report of the same form out.

Recipe: read the records, choose, ask each pack, report. WORKSPACE is not held; each pack is held while git works in it.
Nothing is forced, and what is left alone is told with its reason.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from grex.engine import Session, Settings
from grex.engine.members import Member, Members, in_parallel, members_of
from grex.engine.over_git import OverOutcome, fetch_one, has_branch, push_one, switch_one
from grex.errors import PackError, UsageError
from grex.names import check_ref, clean, redact
from grex.progress import PacksFound
from grex.verbs.report import exit_code_of, failure_json

if TYPE_CHECKING:
    from grex.verbs.documents import FetchDocument, OverPackObject, PushDocument, SwitchDocument

__all__ = [
    "FetchReport",
    "FetchRequest",
    "OverReport",
    "OverRequest",
    "PushReport",
    "PushRequest",
    "SwitchReport",
    "SwitchRequest",
    "fetch",
    "push",
    "switch",
]


class OverRequest(Struct, frozen=True, kw_only=True):
    """On which packs.

    Attributes:
        root: the workspace.
        packs: PACK arguments: paths or unique names, with their descendants; empty for all.
        filters: expressions, one of which a pack has to be of.
    """

    root: Path
    packs: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()


class SwitchRequest(OverRequest, frozen=True, kw_only=True):
    """To which branch; `create` makes it, `dry_run` only says what would be done."""

    branch: str
    create: bool = False
    dry_run: bool = False


class FetchRequest(OverRequest, frozen=True, kw_only=True):
    """What to fetch."""


class PushRequest(OverRequest, frozen=True, kw_only=True):
    """What to push; `dry_run` lists the commits and asks no remote.

    With `set_upstream`, a branch that follows nothing goes to `origin` under its name, and follows that.
    """

    dry_run: bool = False
    set_upstream: bool = False


class OverReport(Struct, frozen=True):
    """What became of each pack, sorted by path."""

    root: Path
    packs: tuple[OverOutcome, ...]
    dry_run: bool = False
    notes: tuple[str, ...] = ()
    elapsed_s: float = 0.0

    @property
    def exit_code(self) -> int:
        """0, or 4 if a pack failed or was left alone."""
        return exit_code_of(pack.error for pack in self.packs)

    def packs_json(self) -> list[OverPackObject]:
        """The packs as they stand in the document."""
        return [
            {
                "path": pack.path,
                "status": pack.status,
                "branch": pack.branch,
                "text": pack.text,
                "code": pack.code,
                "hint": pack.hint,
                "commits": [{"sha": one.sha, "subject": redact(one.subject)} for one in pack.commits],
                "news": [
                    {
                        "branch": one.branch,
                        "old": one.old,
                        "new": one.new,
                        "commits": one.commits,
                        "rewritten": one.is_rewritten,
                    }
                    for one in pack.news
                ],
                "notes": list(pack.notes),
                "error": failure_json(pack.error),
            }
            for pack in self.packs
        ]


class SwitchReport(OverReport, frozen=True, kw_only=True):
    """Where the packs are now."""

    branch: str

    def to_json(self) -> SwitchDocument:
        """The document of `--json`."""
        return {
            "schema": "grex.switch/1",
            "workspace": str(self.root),
            "branch": self.branch,
            "dry_run": self.dry_run,
            "exit_code": self.exit_code,
            "packs": self.packs_json(),
            "notes": list(self.notes),
            "elapsed_s": round(self.elapsed_s, 3),
        }


class FetchReport(OverReport, frozen=True):
    """What is new at the remotes."""

    def to_json(self) -> FetchDocument:
        """The document of `--json`."""
        return {
            "schema": "grex.fetch/1",
            "workspace": str(self.root),
            "exit_code": self.exit_code,
            "packs": self.packs_json(),
            "notes": list(self.notes),
            "elapsed_s": round(self.elapsed_s, 3),
        }


class PushReport(OverReport, frozen=True):
    """What was sent."""

    def to_json(self) -> PushDocument:
        """The document of `--json`."""
        return {
            "schema": "grex.push/1",
            "workspace": str(self.root),
            "dry_run": self.dry_run,
            "exit_code": self.exit_code,
            "packs": self.packs_json(),
            "notes": list(self.notes),
            "elapsed_s": round(self.elapsed_s, 3),
        }


async def switch(request: SwitchRequest, settings: Settings) -> SwitchReport:
    """Go over to a branch in every pack that has it, or make it in all of them.

    A pack without the branch stays where it is, which is worth a line and no failure, unless it was named itself. That
    no pack at all has it is a mistake, and nothing is done.

    Tiers: PERMIT, PACK and BACKEND for each pack. Cancellation: no new pack is begun, git is ended, and its note lets
    the next command put right what was half-written.

    Raises:
        ManifestError: the root's pack.yaml, the log or the lockfile cannot be used.
        UsageError: a PACK argument or a filter means no pack, or no pack has the branch.
    """
    reason = check_ref(request.branch)
    if reason is not None:
        raise UsageError(
            f"{clean(request.branch, 100)!r} is no name of a branch: it {reason}", hint="As in `grex switch main`."
        )
    session, members, started = await _opened(request, settings)
    if not request.create and members.here:
        await _refuse_unknown(session, members, request.branch)

    async def one(member: Member) -> OverOutcome:
        outcome = await switch_one(session, member, request.branch, creates=request.create, dry_run=request.dry_run)
        if outcome.status == "no-branch" and member.path in members.chosen.named:
            hint = f"`grex switch -c {request.branch} {member.path}` makes it."
            return OverOutcome.failed(
                member.path, PackError(f"{member.path} has no branch {request.branch}", hint=hint)
            )
        return outcome

    packs = await _over(members, one)
    return SwitchReport(
        session.layout.root,
        packs,
        request.dry_run,
        members.notes,
        time.monotonic() - started,
        branch=request.branch,
    )


async def fetch(request: FetchRequest, settings: Settings) -> FetchReport:
    """Fetch every branch of every pack's remote; no checkout moves, and nothing that is gone there goes here.

    Tiers, cancellation and what is raised: as `switch`, with a network permit by host.
    """
    session, members, started = await _opened(request, settings)

    async def one(member: Member) -> OverOutcome:
        return await fetch_one(session, member)

    packs = await _over(members, one)
    return FetchReport(session.layout.root, packs, notes=members.notes, elapsed_s=time.monotonic() - started)


async def push(request: PushRequest, settings: Settings) -> PushReport:
    """Send the branch of every pack that is ahead of its upstream; never forced.

    Tiers, cancellation and what is raised: as `fetch`. A dry run takes none and asks no remote.
    """
    session, members, started = await _opened(request, settings)

    async def one(member: Member) -> OverOutcome:
        return await push_one(session, member, dry_run=request.dry_run, sets_upstream=request.set_upstream)

    packs = await _over(members, one)
    return PushReport(session.layout.root, packs, request.dry_run, members.notes, time.monotonic() - started)


async def _opened(request: OverRequest, settings: Settings) -> tuple[Session, Members, float]:
    started = time.monotonic()
    session = Session.open(request.root, settings)
    members = await members_of(session, request.packs, request.filters)
    settings.sink(PacksFound(len(members.here)))
    return session, members, started


async def _over(members: Members, one: Callable[[Member], Awaitable[OverOutcome]]) -> tuple[OverOutcome, ...]:
    outcomes = {path: OverOutcome.failed(path, error) for path, error in members.refused.items()}

    async def work(member: Member) -> None:
        outcomes[member.path] = await one(member)

    await in_parallel(members.here, work, {})
    return tuple(outcomes[path] for path in sorted(outcomes))


async def _refuse_unknown(session: Session, members: Members, branch: str) -> None:
    """Refuse a branch that no pack has, before anything is done."""
    for member in members.here:
        try:
            if await has_branch(session, member, branch):
                return
        except PackError:
            return  # the pack says itself what is wrong with it
    raise UsageError(
        f"no pack has a branch {branch!r}, here or at its remote as of the last fetch",
        hint=f"`grex fetch` asks the remotes; `grex switch -c {branch}` makes it.",
    )
