"""`grex override`: says something over the declaration of a pack, whoever declares it; or lists what is said so.

Recipe for one pack: hold WORKSPACE, finish what a kill left, make the edit in memory and judge what would be declared
then; for another URL find out what repository it is; write the override; sync the pack. The list only reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from grex.engine import Session, Settings, Survey, survey
from grex.engine.exclusive import exclusive
from grex.engine.graph import Graph, Node
from grex.engine.overriding import LOCAL_YAML, OverrideEdit
from grex.engine.redeclaring import redeclared
from grex.engine.survey import read_root_spec
from grex.engine.teardown import TeardownOutcome
from grex.errors import UsageError
from grex.names import check_ref, redact
from grex.pack import OverrideSpec, parse_pack_spec, read_local
from grex.verbs.asking import TrustQuestion
from grex.verbs.redeclaring import (
    Changed,
    Readdressed,
    checked_url,
    exit_code_after,
    one_pack,
    put_right,
    readdress,
    record_change,
    sync_after,
    torn_down_json,
)
from grex.verbs.report import removed_json
from grex.verbs.sync import SyncReport

if TYPE_CHECKING:
    from grex.verbs.documents import OverrideDocument

__all__ = ["OverrideReport", "OverrideRequest", "Overriding", "override"]


class OverrideRequest(Struct, frozen=True, kw_only=True):
    """What to say over a declaration; without a pack, what is said is listed.

    Attributes:
        root: the workspace.
        pack: the PACK argument; None for the list.
        ref: branch, tag or full SHA.
        url: the repository's URL or path, as typed.
        remove: take the override away.
        is_local: in `.grex/local.yaml`, for this machine only.
        no_sync: leave the pack as it is.
        dry_run: say what would be done and write nothing.
        ask_trust: asks the user about untrusted packs; None where nobody can be asked.
    """

    root: Path
    pack: str | None = None
    ref: str | None = None
    url: str | None = None
    remove: bool = False
    is_local: bool = False
    no_sync: bool = False
    dry_run: bool = False
    ask_trust: TrustQuestion | None = None


class Overriding(Struct, frozen=True):
    """One override that is there.

    Attributes:
        spec: what it says.
        is_local: whether it is this machine's.
        is_in_force: whether no other one of the same pack stands over it.
        touches: whether a pack is declared at its path, as far as is known here.
    """

    spec: OverrideSpec
    is_local: bool
    is_in_force: bool
    touches: bool


class OverrideReport(Struct, frozen=True, kw_only=True):
    """What is said over declarations, and what followed from a change of it.

    Attributes:
        root: the workspace.
        overrides: all of them, as they are after this.
        path: the pack that it was about; None for the list.
        file: where it was written.
        dry_run: whether this is what would be done.
        changes: what it says differently; none if all of it was so.
        readdressed: what another URL came to.
        recovered: what a run before had left, and was put right.
        notes: what else is worth saying.
        sync: the sync that followed; None if there was none.
    """

    root: Path
    overrides: tuple[Overriding, ...]
    path: str | None = None
    file: str = ""
    dry_run: bool = False
    changes: tuple[Changed, ...] = ()
    readdressed: Readdressed = field(default_factory=Readdressed)
    recovered: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    sync: SyncReport | None = None

    @property
    def torn_down(self) -> Mapping[str, TeardownOutcome]:
        """What became of what the old checkout had installed."""
        return self.readdressed.torn_down

    @property
    def exit_code(self) -> int:
        """0, or what the failures come to."""
        return exit_code_after(self.torn_down, self.sync)

    def to_json(self) -> OverrideDocument:
        """The document of `--json`."""
        return {
            "schema": "grex.override/1",
            "workspace": str(self.root),
            "path": self.path,
            "dry_run": self.dry_run,
            "exit_code": self.exit_code,
            "changes": [{"key": one.key, "old": one.old, "new": one.new} for one in self.changes],
            "overrides": [
                {
                    "path": one.spec.path,
                    "url": None if one.spec.url is None else redact(one.spec.url),
                    "ref": one.spec.ref,
                    "place": str(one.spec.mark),
                    "is_local": one.is_local,
                    "is_in_force": one.is_in_force,
                    "touches_a_pack": one.touches,
                }
                for one in self.overrides
            ],
            "address": self.readdressed.address,
            "torn_down": torn_down_json(self.torn_down),
            "removed": [removed_json(one) for _, one in sorted(self.readdressed.removed.items())],
            "recovered": list(self.recovered),
            "notes": list(self.notes),
            "sync": None if self.sync is None else self.sync.to_json(),
        }


async def override(request: OverrideRequest, settings: Settings) -> OverrideReport:
    """List the overrides, or change one.

    Tiers: MANIFEST, shared, for the list; all, in order, for a change. Cancellation: what is said is the old or the
    new, and the next sync goes on from there.

    Raises:
        UsageError: the options contradict themselves, or PACK means no pack.
        PackError: what would be declared then is a conflict, or the checkout cannot make room for another repository.
        ManifestError: a file cannot be used or edited.
        LockError: the workspace could not be had.
    """
    _check(request)
    session = Session.open(request.root, settings)
    if request.pack is None:
        found = await session.read_manifest(lambda: _listed(session))
        return OverrideReport(root=session.layout.root, overrides=found, notes=tuple(session.notes))
    async with exclusive(session, dry_run=request.dry_run):
        return await _override(session, request, request.pack)


def _check(request: OverrideRequest) -> None:
    says = request.ref is not None or request.url is not None
    if request.pack is None and (says or request.remove or request.is_local or request.no_sync or request.dry_run):
        raise UsageError("no PACK is given", hint="`grex override PACK --ref REF`; without anything, they are listed.")
    if request.pack is not None and says == request.remove:
        wrong = "--remove excludes --ref and --url" if says else "nothing is to be said"
        raise UsageError(wrong, hint="Give --ref or --url, or --remove to take the override away.")
    if request.ref is not None and (wrong_ref := check_ref(request.ref)) is not None:
        raise UsageError(f"{request.ref!r} is no ref: it {wrong_ref}", hint="Give a branch, a tag or a commit id.")


def _listed(session: Session) -> tuple[Overriding, ...]:
    """All of them, sorted by path, this machine's behind the root's."""
    found = survey(session.layout, session.settings.platform)
    local = read_local(session.layout.root)
    over = {one.path for one in local}
    listed = [
        Overriding(one, False, one.path not in over, one.path in found.graph.nodes) for one in found.root_spec.overrides
    ]
    listed += [Overriding(one, True, True, one.path in found.graph.nodes) for one in local]
    return tuple(sorted(listed, key=lambda one: (one.spec.path, one.is_local)))


async def _override(session: Session, request: OverrideRequest, pack: str) -> OverrideReport:
    recovered = () if request.dry_run else tuple(await put_right(session))
    found = survey(session.layout, session.settings.platform)
    edit = _edit(session, request, found, pack)
    text = edit.read(session)
    before = {one.path: one for one in edit.parse(text)}.get(edit.path)
    new = edit.apply(text)
    said = {one.path: one for one in edit.parse(new)}.get(edit.path)
    node = found.graph.nodes.get(edit.path)
    after = None if node is None else _after(session, found, edit, new)
    report = OverrideReport(
        root=session.layout.root,
        overrides=(),
        path=edit.path,
        file=edit.file,
        dry_run=request.dry_run,
        changes=_changed(before, said),
        recovered=recovered,
        notes=tuple(_notes(session, edit, node)),
    )
    if node is not None and after is not None:
        readdressed = await readdress(
            session,
            found,
            node,
            after,
            ask_trust=request.ask_trust,
            asks_ref=not request.no_sync,
            dry_run=request.dry_run,
        )
        report = replace(report, readdressed=readdressed, notes=(*report.notes, *readdressed.notes))
    if request.dry_run or report.readdressed.is_stopped:
        return replace(report, overrides=_listed(session))
    async with session.holds.manifest_exclusive(edit.path) as hold:
        edit.write(session, hold)
    report = replace(report, overrides=_listed(session))
    if node is None or after is None:
        return report
    await record_change(session, node, after, report.readdressed.removed)
    if request.no_sync or not after.is_active:
        return report
    wanted = {after.path, *report.torn_down}
    sync = await sync_after(session, wanted, ask_trust=request.ask_trust, what=f"{edit.file} says so")
    return replace(report, sync=sync)


def _edit(session: Session, request: OverrideRequest, found: Survey, pack: str) -> OverrideEdit:
    edit = OverrideEdit(pack, {}, remove=request.remove, is_local=request.is_local)
    if request.remove:
        wanted = pack.rstrip("/").removeprefix("./")
        if any(one.path == wanted for one in edit.parse(edit.read(session))):
            return replace(edit, path=wanted)  # also one that touches no pack
    path = one_pack(session, found, pack).path
    changes: dict[str, str] = {}
    if request.ref is not None:
        changes["ref"] = request.ref
    if request.url is not None:
        checked_url(request.url, session)
        changes["url"] = request.url
    return replace(edit, path=path, changes=changes)


def _after(session: Session, found: Survey, edit: OverrideEdit, text: str) -> Node:
    """The pack as it will be declared."""
    layout = session.layout
    root_spec = read_root_spec(layout, session.settings.platform, session.check_type)
    shared = root_spec.overrides if edit.is_local else parse_pack_spec(text.encode(), file="", is_root=True).overrides
    local = edit.parse(text) if edit.is_local else read_local(layout.root)
    overrides = {one.path: one for one in (*shared, *local)}
    node = found.graph.nodes[edit.path]
    probe = _with_url(node, overrides.get(edit.path), session.base)
    graph = Graph(session.base, overrides, found.graph.groups)
    return redeclared(found, graph, root_spec, unknown=(edit.path,) if probe else ()).nodes[edit.path]


def _with_url(node: Node, over: OverrideSpec | None, root: Path) -> bool:
    """Whether the pack will be under another URL, so that what it declares is not known."""
    from grex.names import parse_url  # noqa: PLC0415 - only here

    if over is None or over.url is None:
        return node.first.overridden
    return parse_url(over.url, relative_to=root).identity != node.url.identity


def _changed(before: OverrideSpec | None, after: OverrideSpec | None) -> tuple[Changed, ...]:
    pairs = [
        ("url", _said(before, "url"), _said(after, "url")),
        ("ref", _said(before, "ref"), _said(after, "ref")),
    ]
    return tuple(Changed(*pair) for pair in pairs if pair[1] != pair[2])


def _said(spec: OverrideSpec | None, key: str) -> str | None:
    value = None if spec is None else getattr(spec, key)
    return None if value is None else redact(value)


def _notes(session: Session, edit: OverrideEdit, node: Node | None) -> list[str]:
    notes: list[str] = []
    if node is None:
        notes.append(f"no pack is declared at {edit.path}")
    if not edit.is_local and any(one.path == edit.path for one in read_local(session.layout.root)):
        notes.append(f"the override for {edit.path} in {LOCAL_YAML} stands over it on this machine")
    return notes
