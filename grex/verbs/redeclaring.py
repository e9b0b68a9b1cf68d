"""What `set` and `override` have in common: what follows when a pack is declared differently."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct, field

from grex.engine import ROOT, RunContext, Session, Survey, recover_workspace
from grex.engine.graph import Node
from grex.engine.places import look_at
from grex.engine.readdressing import (
    Address,
    find_address,
    first_refusal,
    point_origin,
    replaced_packs,
    replacing,
    require_new_ref,
    require_ref,
)
from grex.engine.removal import RemovalOutcome
from grex.engine.restoring import finish_restores
from grex.engine.standing import stand
from grex.engine.survey import named
from grex.engine.teardown import (
    TeardownOutcome,
    prepare_teardown,
    refuse_committed_log,
    run_teardown,
    with_dependents,
)
from grex.errors import PackError, UsageError
from grex.manifest import rm_event, update_event
from grex.names import InvalidUrlError, PackUrl, clean, parse_url, redact
from grex.verbs.asking import TrustQuestion, ask_for_trust
from grex.verbs.report import exit_code_of, failure_json
from grex.verbs.sync import SyncReport, SyncRequest, sync_session

if TYPE_CHECKING:
    from grex.verbs.documents import TornDownObject

__all__ = [
    "Changed",
    "Readdressed",
    "checked_url",
    "exit_code_after",
    "one_pack",
    "put_right",
    "readdress",
    "record_change",
    "sync_after",
    "take_back",
    "torn_down_json",
]


class Changed(Struct, frozen=True):
    """One key of the declaration; None is "not declared"."""

    key: str
    old: str | None
    new: str | None


class Readdressed(Struct, frozen=True):
    """What another URL came to.

    Attributes:
        address: what the URL is to the checkout; None if the URL is as before, or if a dry run could not tell.
        torn_down: what became of what the old checkout had installed.
        removed: what became of the old checkout and of those in it, if it is another repository.
        notes: what is worth saying.
    """

    address: Address | None = None
    torn_down: Mapping[str, TeardownOutcome] = field(default_factory=dict)
    removed: Mapping[str, RemovalOutcome] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def is_stopped(self) -> bool:
        """Whether something could not be taken back, so that nothing was moved."""
        return any(outcome.error is not None for outcome in self.torn_down.values())


async def put_right(session: Session) -> list[str]:
    """Finish what a killed run has left, before anything is looked at; WORKSPACE is held."""
    said = [*session.recovered, *await finish_restores(session)]
    recovered = await recover_workspace(session)
    if recovered.notes:
        await session.read_records()
    for _, error in sorted(recovered.failures.items()):
        raise error
    return [*said, *sorted(recovered.notes)]


def one_pack(session: Session, found: Survey, text: str) -> Node:
    """The declared pack that a PACK argument means.

    Raises:
        UsageError: it means none, several, or the root.
    """
    path = next(iter(named(found, {*session.lines, *session.folded.packs}, [text])))
    if path == ROOT:
        raise UsageError("the root is nobody's child, so nothing declares it", hint="Edit its .grex/pack.yaml.")
    node = found.graph.nodes.get(path)
    if node is None:
        raise UsageError(f"{path} is declared by no pack", hint="`grex ls` lists the packs; `grex add` declares one.")
    return node


def checked_url(text: str, session: Session) -> PackUrl:
    """A URL as a person typed it, for a file that is made to be committed.

    Raises:
        UsageError: grex would not clone from it, or it holds credentials.
    """
    try:
        url = parse_url(text, relative_to=session.base)
    except InvalidUrlError as error:
        raise UsageError(str(error), hint=error.hint or "Give an https, ssh or file URL, or a path.") from error
    if redact(text) != text:
        raise UsageError(
            f"{clean(url.redacted)} holds credentials, and what is declared is made to be shared",
            hint="Give the URL without them, and set up a credential helper (`git help credentials`) or an ssh key.",
        )
    return url


async def take_back(
    session: Session, found: Survey, packs: Collection[str], *, ask_trust: TrustQuestion | None, dry_run: bool
) -> dict[str, TeardownOutcome]:
    """Take back what these packs have installed, with every installed pack that needs one of them."""
    standing = stand(session, found)
    wanted = with_dependents(session, standing, packs)
    if not wanted:
        return {}
    context = RunContext(session, dry_run=dry_run, tears_down=True)
    plan = prepare_teardown(session, context, standing, wanted)
    if any(step.needs_trust for step in plan.steps):
        refuse_committed_log(session)
    if not dry_run:
        await ask_for_trust(session, ask_trust, plan.steps)
    outcomes = await run_teardown(session, context, plan, fail_fast=True)
    if not dry_run:
        await session.read_records()
    return outcomes


async def readdress(
    session: Session,
    found: Survey,
    before: Node,
    after: Node,
    *,
    ask_trust: TrustQuestion | None,
    asks_ref: bool,
    dry_run: bool,
) -> Readdressed:
    """Bring the checkout of a pack to another URL, before that is declared; a new ref is asked for if `asks_ref`.

    Killed here, the old URL is still declared, and a sync brings back what it needs.

    Raises:
        FetchError: the new remote could not be asked, or has not the declared ref.
        PackError: it is another repository, and the old checkout has to stay.
    """
    path, url = before.path, after.url
    new_ref = after.ref if asks_ref and after.is_active and not dry_run and after.ref != before.ref else None
    if new_ref is not None:
        await require_new_ref(session, path, url, new_ref)
    if (url.identity, url.plain) == (before.url.identity, before.url.plain):
        return Readdressed()
    if dry_run:
        state = look_at(session.layout.pack_dir(path))
        if state.kind == "checkout" and (state.record is None or state.record.url != session.address(url).identity):
            return Readdressed(notes=("whether the URL is the same repository is found out when this is done",))
        return Readdressed()
    address = await find_address(session, path, url)
    if address in ("same", "known"):
        await point_origin(session, path, url)
        return Readdressed(address)
    if address == "absent":
        return Readdressed(address)
    await require_ref(session, path, url, after.ref)
    going = replaced_packs(session, found, path)
    removals = replacing(session, found, path, going)
    refused = first_refusal(await removals.judge_all())
    if refused is not None:
        raise refused
    torn = await take_back(session, found, going, ask_trust=ask_trust, dry_run=False)
    if any(outcome.error is not None for outcome in torn.values()):
        return Readdressed(address, torn)
    removed = await removals.take_away()
    refused = first_refusal(removed)
    if refused is not None:
        raise refused
    return Readdressed(address, torn, removed)


async def record_change(session: Session, before: Node, after: Node, removed: Mapping[str, RemovalOutcome]) -> None:
    """Let the log say what is declared now, and what went. Tier: MANIFEST."""
    gone = [
        rm_event(path, trash=outcome.trash)
        for path, outcome in sorted(removed.items())
        if outcome.is_gone and path in session.folded.packs
    ]
    if gone:
        await session.record("log", gone)
        await session.read_records()
    known = session.folded.packs.get(after.path)
    if known is not None and (before.url.redacted, before.ref) != (after.url.redacted, after.ref):
        await session.record(after.path, [update_event(after.path, url=after.url.redacted, ref=after.ref)])
        await session.read_records()


async def sync_after(
    session: Session, packs: Collection[str], *, ask_trust: TrustQuestion | None, what: str
) -> SyncReport:
    """Bring packs to what is declared now.

    Raises:
        GrexError: as for a sync; its hint says that the declaration is written.
    """
    try:
        return await sync_session(
            session, SyncRequest(root=session.layout.root, packs=tuple(sorted(packs)), ask_trust=ask_trust)
        )
    except PackError as error:
        error.hint = f"{what}; `grex sync` does the rest. {error.hint or ''}".strip()
        raise


def torn_down_json(torn: Mapping[str, TeardownOutcome]) -> list[TornDownObject]:
    """What was taken back, as it stands in a document."""
    return [
        {
            "path": pack.path,
            "status": pack.status,
            "changes": list(pack.changes),
            "notes": list(pack.notes),
            "error": failure_json(pack.error),
        }
        for _, pack in sorted(torn.items())
    ]


def exit_code_after(torn: Mapping[str, TeardownOutcome], synced: SyncReport | None) -> int:
    """0, or what the failures of what a change of a declaration brought with it come to."""
    failed = exit_code_of(pack.error for pack in torn.values())
    return failed or (0 if synced is None else synced.exit_code)
