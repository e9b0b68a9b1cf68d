"""`grex set`: edits what the root's pack.yaml declares of a pack, and brings the pack to it.

Recipe: hold WORKSPACE, finish what a kill left, make the edit in memory and judge what would be declared then; for
another URL find out what repository it is; take back what is installed where the checkout goes or moves; move it
(`engine.movable`, `engine.relocating`) or make room (`engine.readdressing`); write the declaration; sync the pack.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from grex.engine import ROOT, Session, Settings, Survey, survey
from grex.engine.exclusive import exclusive
from grex.engine.graph import Graph, Node
from grex.engine.movable import leads_into, plan_relocation
from grex.engine.redeclaring import edit_entry, moved_path, only_the_root_declares, redeclared
from grex.engine.relocating import relocate
from grex.engine.standing import stand
from grex.engine.survey import read_overrides
from grex.engine.teardown import TeardownOutcome, with_dependents
from grex.errors import PackError, UsageError
from grex.manifest import ManifestWriteHold, Value, edit_root
from grex.names import (
    GROUP_NAME_HINT,
    PACK_YAML,
    check_pack_path,
    check_ref,
    clean,
    is_group_name,
    parse_url,
    redact,
    shown_argument,
)
from grex.pack import ChildSpec, PackSpec, parse_pack_spec
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
    take_back,
    torn_down_json,
)
from grex.verbs.report import removed_json
from grex.verbs.sync import SyncReport

if TYPE_CHECKING:
    from grex.verbs.documents import SetDocument

__all__ = ["Changed", "SetReport", "SetRequest", "set_pack"]


class SetRequest(Struct, frozen=True, kw_only=True):
    """What to declare of a pack; what is None stays.

    Attributes:
        root: the workspace.
        pack: the PACK argument.
        ref: branch, tag or full SHA.
        no_ref: declare no ref.
        url: the repository's URL or path, as typed.
        path: where the pack is to be, relative to the workspace root.
        groups: the groups that it belongs to.
        no_groups: declare no groups.
        depth: how many commits of history a clone fetches.
        no_sync: leave the pack as it is.
        dry_run: say what would be done and write nothing.
        ask_trust: asks the user about untrusted packs; None where nobody can be asked.
    """

    root: Path
    pack: str
    ref: str | None = None
    no_ref: bool = False
    url: str | None = None
    path: str | None = None
    groups: tuple[str, ...] = ()
    no_groups: bool = False
    depth: int | None = None
    no_sync: bool = False
    dry_run: bool = False
    ask_trust: TrustQuestion | None = None


class SetReport(Struct, frozen=True, kw_only=True):
    """What was set.

    Attributes:
        root: the workspace.
        path: the pack, by its path after this.
        dry_run: whether this is what would be done.
        changes: what is declared differently; none if all of it was so.
        moved_from: its path before, if it was moved.
        readdressed: what another URL came to.
        torn_down: what became of what had to be taken back.
        recovered: what a run before had left, and was put right.
        notes: what else is worth saying.
        sync: the sync that followed; None if there was none.
    """

    root: Path
    path: str
    dry_run: bool
    changes: tuple[Changed, ...]
    moved_from: str | None = None
    readdressed: Readdressed = field(default_factory=Readdressed)
    torn_down: Mapping[str, TeardownOutcome] = field(default_factory=dict)
    recovered: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    sync: SyncReport | None = None

    @property
    def exit_code(self) -> int:
        """0, or what the failures come to."""
        return exit_code_after(self.torn_down, self.sync)

    def to_json(self) -> SetDocument:
        """The document of `--json`."""
        return {
            "schema": "grex.set/1",
            "workspace": str(self.root),
            "path": self.path,
            "dry_run": self.dry_run,
            "exit_code": self.exit_code,
            "changes": [{"key": one.key, "old": one.old, "new": one.new} for one in self.changes],
            "moved_from": self.moved_from,
            "address": self.readdressed.address,
            "torn_down": torn_down_json(self.torn_down),
            "removed": [removed_json(one) for _, one in sorted(self.readdressed.removed.items())],
            "recovered": list(self.recovered),
            "notes": list(self.notes),
            "sync": None if self.sync is None else self.sync.to_json(),
        }


async def set_pack(request: SetRequest, settings: Settings) -> SetReport:
    """Set what the root declares of a pack.

    Tiers: all, in order. Cancellation: what is declared is the old or the new; the next run finishes a move that was
    under way, or takes it back.

    Raises:
        UsageError: nothing is to be set, a value is refused, or PACK means no pack.
        PackError: another pack declares it, its new path is taken, or the checkout cannot make room.
        ManifestError: the root's pack.yaml, the log or the lockfile cannot be used.
        LockError: the workspace, or the pack, could not be had.
    """
    _check(request)
    session = Session.open(request.root, settings)
    async with exclusive(session, dry_run=request.dry_run):
        return await _Setting(session, request).run()


def _check(request: SetRequest) -> None:
    for one, other, names in (
        (request.ref is not None, request.no_ref, "--ref and --no-ref"),
        (bool(request.groups), request.no_groups, "--group and --no-groups"),
    ):
        if one and other:
            raise UsageError(f"{names} exclude each other", hint="Give one of them.")
    wanted = (request.ref, request.url, request.path, request.depth, request.groups or None)
    if all(one is None for one in wanted) and not request.no_ref and not request.no_groups:
        raise UsageError(
            "nothing is to be set", hint="Give --ref, --no-ref, --url, --path, --group, --no-groups or --depth."
        )
    if request.ref is not None and (wrong := check_ref(request.ref)) is not None:
        raise UsageError(f"{request.ref!r} is no ref: it {wrong}", hint="Give a branch, a tag or a full commit id.")
    for group in request.groups:
        if not is_group_name(group):
            raise UsageError(f"{clean(group, 80)!r} is no group: a name has {GROUP_NAME_HINT}", hint="Give another.")


class _Setting:
    """One run."""

    def __init__(self, session: Session, request: SetRequest) -> None:
        self._session = session
        self._request = request

    async def run(self) -> SetReport:
        session, request = self._session, self._request
        recovered = () if request.dry_run else tuple(await put_right(session))
        found = survey(session.layout, session.settings.platform)
        node = one_pack(session, found, request.pack)
        changes = self._changes(found, node)
        only_the_root_declares(node, shared=not {"ref", "url", "path"} & changes.keys())
        new = self._new_path(node)
        moved = None if new == node.path else (node.path, new)
        if moved is not None:
            inner = plan_relocation(session, found, *moved).inner  # refused before anything is done
            self._refuse_links(found, node.path, inner)
        text = session.layout.pack_yaml.read_text(encoding="utf-8")
        edited = edit_entry(text, node, changes, moved=moved)
        after = self._after(found, node, edited.spec, moved)
        report = SetReport(
            root=session.layout.root,
            path=new,
            dry_run=request.dry_run,
            changes=_changed(node, after),
            moved_from=node.path if moved is not None else None,
            recovered=recovered,
            notes=tuple(_notes(node, after, request)),
        )
        return await self._carry_out(report, found, node, after, changes, moved)

    async def _carry_out(
        self,
        report: SetReport,
        found: Survey,
        node: Node,
        after: Node,
        changes: Mapping[str, Value | None],
        moved: tuple[str, str] | None,
    ) -> SetReport:
        session, request = self._session, self._request
        readdressed = await readdress(
            session,
            found,
            node,
            after,
            ask_trust=request.ask_trust,
            asks_ref=not request.no_sync,
            dry_run=request.dry_run,
        )
        report = replace(report, readdressed=readdressed, torn_down=readdressed.torn_down)
        report = replace(report, notes=(*report.notes, *readdressed.notes))
        if readdressed.is_stopped:
            return _unchanged(report, node.path)
        edit = _Edit(session, node, changes, moved)
        if moved is not None:
            plan = plan_relocation(session, found, *moved)
            torn = await take_back(
                session, found, {plan.old, *plan.inner}, ask_trust=request.ask_trust, dry_run=request.dry_run
            )
            report = replace(report, torn_down={**report.torn_down, **torn})
            if any(outcome.error is not None for outcome in torn.values()):
                return _unchanged(report, node.path)
            if request.dry_run:
                return report
            report = replace(report, notes=(*report.notes, *await relocate(session, plan, edit.write)))
        elif request.dry_run:
            return report
        elif report.changes:
            async with session.holds.manifest_exclusive(node.path) as hold:
                edit.write(hold)
        await record_change(session, node, after, readdressed.removed)
        if request.no_sync or not after.is_active:
            return report
        again = {moved_path(path, *moved) if moved else path for path in report.torn_down}
        wanted = {after.path, *(path for path in again if not path.startswith(f"{after.path}/"))}
        what = f"{after.path} is declared so"
        return replace(report, sync=await sync_after(session, wanted, ask_trust=request.ask_trust, what=what))

    def _changes(self, found: Survey, node: Node) -> dict[str, Value | None]:
        request = self._request
        changes: dict[str, Value | None] = {}
        if request.ref is not None or request.no_ref:
            changes["ref"] = request.ref
        if request.url is not None:
            url = checked_url(request.url, self._session)
            changes["url"] = request.url
            if request.path is None and url.default_name != node.path and self._is_named_after_url(found, node):
                changes["path"] = node.path  # it was named after the old URL, and stays where it is
        if request.path is not None:
            changes["path"] = self._new_path(node)
        if request.groups or request.no_groups:
            changes["groups"] = list(dict.fromkeys(request.groups)) or None
        if request.depth is not None:
            changes["depth"] = request.depth
        return changes

    def _is_named_after_url(self, found: Survey, node: Node) -> bool:
        child = next((one.child for one in node.declarations if one.parent == ROOT), None)
        if child is None:
            return False
        url = parse_url(child.url, base=found.root_spec.defaults.base, relative_to=self._session.base)
        return child.path == url.default_name

    def _new_path(self, node: Node) -> str:
        text = self._request.path
        if text is None:
            return node.path
        cleaned = text.removeprefix("/").removeprefix("./").rstrip("/")
        wrong = check_pack_path(cleaned)
        if wrong is not None:
            raise UsageError(
                f"{text!r} is no pack path: {wrong}", hint="Give a path inside the workspace, such as libs/x."
            )
        return cleaned

    def _after(self, found: Survey, node: Node, spec: PackSpec, moved: tuple[str, str] | None) -> Node:
        """The pack as it will be declared.

        Raises:
            PackError: that would be a conflict or a cycle.
        """
        layout = self._session.layout
        overrides = dict(read_overrides(layout, spec))
        if moved is not None:  # those of this machine still speak of the old path
            overrides = {moved_path(path, *moved): one for path, one in overrides.items()}
        path = node.path if moved is None else moved[1]
        probe = Graph(self._session.base, overrides, found.graph.groups)
        probe.declare(ROOT, spec)
        is_another = probe.nodes[path].url.identity != node.url.identity
        graph = redeclared(
            found,
            Graph(self._session.base, overrides, found.graph.groups),
            spec,
            moved=moved,
            unknown=(path,) if is_another else (),
        )
        return graph.nodes[path]

    def _refuse_links(self, found: Survey, path: str, inner: Sequence[str]) -> None:
        """Insist that nothing that stays leads into the directory that moves.

        What packs have installed that depend on those that move is taken back first, and installed again after.
        """
        again = with_dependents(self._session, stand(self._session, found), {path, *inner})
        leading = leads_into(self._session, path, {path, *inner, *again})
        if leading is not None:
            pack, kind = leading
            raise PackError(
                f"{pack} has installed something ({kind}) that leads into {path}, and would lead nowhere",
                hint=f"`grex teardown {shown_argument(pack)}`, let it name the new place, and run this again.",
                details={"pack": pack},
            )


class _Edit:
    """The edit of the root's pack.yaml, made anew on the text as it is when MANIFEST is held."""

    def __init__(
        self, session: Session, node: Node, changes: Mapping[str, Value | None], moved: tuple[str, str] | None
    ) -> None:
        self._session = session
        self._node = node
        self._changes = changes
        self._moved = moved

    def write(self, hold: ManifestWriteHold) -> None:
        """Write it; it is proven again."""
        edit_root(
            self._session.layout.pack_yaml,
            lambda text: edit_entry(text, self._node, self._changes, moved=self._moved).text,
            hold=hold,
            check=_parse,
        )


def _parse(data: bytes) -> None:
    parse_pack_spec(data, file=PACK_YAML, is_root=True)


def _child(node: Node) -> ChildSpec:
    return next(one.child for one in node.declarations if one.parent == ROOT)


def _changed(node: Node, after: Node) -> tuple[Changed, ...]:
    """What the entry says differently, key by key."""
    old, new = _child(node), _child(after)
    pairs: list[tuple[str, str | None, str | None]] = [
        ("url", redact(old.url), redact(new.url)),
        ("path", node.path, after.path),
        ("ref", old.ref, new.ref),
        ("groups", ", ".join(old.groups) or None, ", ".join(new.groups) or None),
        ("depth", _number(old.depth), _number(new.depth)),
    ]
    return tuple(Changed(*pair) for pair in pairs if pair[1] != pair[2])


def _number(value: int | None) -> str | None:
    return None if value is None else str(value)


def _notes(node: Node, after: Node, request: SetRequest) -> list[str]:
    notes: list[str] = []
    if after.first.overridden and (request.ref is not None or request.no_ref or request.url is not None):
        notes.append(f"an override stands over what is declared of {after.path}; `grex override` lists it")
    if not after.is_active and node.is_active:
        notes.append(f"{after.path} is inactive here now ({', '.join(after.groups)} off), and was left where it is")
    if request.depth is not None:
        notes.append("the depth is used when the pack is cloned; a checkout that is there keeps its history")
    return notes


def _unchanged(report: SetReport, path: str) -> SetReport:
    """The report of a run that had to stop before anything was declared differently."""
    notes = (*report.notes, "nothing is declared differently, because not everything could be taken back")
    return replace(report, path=path, changes=(), moved_from=None, notes=notes)
