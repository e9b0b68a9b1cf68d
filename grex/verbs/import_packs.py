"""`grex import`: declares in the root's pack.yaml what a manifest of another tool, or the disk, says; then syncs.

Recipe: read the file and what it names (a manifest may import others, from remotes as well), judge everything, hold
WORKSPACE, compare with what is declared, write pack.yaml in one edit, sync. Whatever is wrong is said at once, with its
place, and then nothing is written.

Groups that are off are written first: a group without packs does nothing, while packs without their group being off
would be brought. A kill in between is mended by the same import again, which changes nothing where it has nothing to
change.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import anyio.to_thread
from msgspec import Struct
from msgspec.structs import replace

from grex.engine import ROOT, Graph, Session, Settings, survey
from grex.engine.declaring import ImportPlan, plan_import
from grex.engine.exclusive import exclusive
from grex.engine.scanning import scan
from grex.engine.survey import Survey, known_paths
from grex.errors import ConfigError, GrexError, ManifestError, UsageError
from grex.fs import canonical, read_regular, replace_file
from grex.interchange import FORMATS, Imported, Source, fit_for_grex, recognise
from grex.manifest import edit_root
from grex.names import PACK_YAML, is_group_name, shown_argument
from grex.pack import Problems, parse_pack_spec
from grex.pack.problems import raise_problems
from grex.verbs.asking import TrustQuestion
from grex.verbs.reading import read_imported, read_source
from grex.verbs.report import failure_json
from grex.verbs.sync import SyncReport, SyncRequest, sync_session
from grex.workspace.groups_off import with_groups_off

if TYPE_CHECKING:
    from grex.verbs.documents import ImportDocument

__all__ = ["ImportReport", "ImportRequest", "import_packs"]

_SHOWN_PATHS = 200  # in a command that is to be copied


class ImportRequest(Struct, frozen=True):
    """What to import, and how.

    Attributes:
        root: the workspace.
        file: the manifest; with `scan` the directory to look in, None for the workspace.
        name: what the file is called in messages; by default its path.
        scan: take the checkouts that lie there instead of a manifest.
        format_name: the format; None to recognise it.
        manifest_url: where the manifest comes from, for what is relative to that; None for its repository's origin.
        branches: of submodules, take the branches instead of the recorded commits.
        groups: groups that all of the packs are to have besides their own.
        dry_run: say what would be declared, and write nothing.
        no_sync: declare, and bring nothing.
        ask_trust: as for a sync.
    """

    root: Path
    file: Path | None = None
    name: str = ""
    scan: bool = False
    format_name: str | None = None
    manifest_url: str | None = None
    branches: bool = False
    groups: tuple[str, ...] = ()
    dry_run: bool = False
    no_sync: bool = False
    ask_trust: TrustQuestion | None = None


class ImportReport(Struct, frozen=True):
    """What an import declared, and the sync that followed.

    Attributes:
        root: the workspace.
        source: the file or directory, as it was given.
        format_name: the format; `scan` for the disk.
        dry_run: whether nothing was written.
        plan: what was declared, changed and left.
        groups_off: groups of the manifest that are off.
        skipped: by path, why a checkout that was found cannot be declared.
        notes: what is not taken over.
        sync: what brought the packs; None where it was left out.
        blocked: why the packs cannot be brought yet.
    """

    root: Path
    source: str
    format_name: str
    dry_run: bool
    plan: ImportPlan
    groups_off: tuple[str, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    sync: SyncReport | None = None
    blocked: GrexError | None = None

    @property
    def exit_code(self) -> int:
        """The sync's; 3 where the packs cannot be brought yet."""
        if self.blocked is not None:
            return self.blocked.exit_code
        return 0 if self.sync is None else self.sync.exit_code

    def to_json(self) -> ImportDocument:
        """The document of `--json`."""
        return {
            "schema": "grex.import/1",
            "workspace": str(self.root),
            "source": self.source,
            "format": self.format_name,
            "dry_run": self.dry_run,
            "exit_code": self.exit_code,
            "added": [
                {"path": pack.path, "url": pack.url, "ref": pack.ref, "groups": list(pack.groups)}
                for pack in self.plan.added
            ],
            "changed": [
                {"path": changed.path, "keys": sorted(changed.changes), "before": dict(changed.before)}
                for changed in self.plan.changed
            ],
            "unchanged": list(self.plan.unchanged),
            "absent": list(self.plan.absent),
            "links": len(self.plan.new_links),
            "groups_off": list(self.groups_off),
            "skipped": [{"path": path, "reason": reason} for path, reason in self.skipped],
            "notes": list(self.notes),
            "sync": None if self.sync is None else self.sync.to_json(),
            "error": failure_json(self.blocked),
        }


async def import_packs(request: ImportRequest, settings: Settings) -> ImportReport:
    """Import packs.

    Tiers: all, in order; what a manifest imports from remotes is fetched before any lock is taken. Cancellation: before
    the declarations are written, nothing is changed; then the next sync does the rest.

    Raises:
        UsageError: the file cannot be read, its format is not known, or options contradict each other.
        ManifestError: the manifest, or the root's pack.yaml with it, is refused; `details["problems"]` has all of it.
        FetchError: what the manifest imports from a remote could not be fetched.
    """
    _check(request)
    session = Session.open(request.root, settings)
    source, imported = (None, Imported()) if request.scan else await _read(session, request)
    async with exclusive(session, dry_run=request.dry_run):
        found = survey(session.layout, settings.platform)
        report = ImportReport(
            session.layout.root, request.name or str(request.file or "."), "scan", request.dry_run, ImportPlan()
        )
        if request.scan:
            imported, skipped = await _scan(session, request, found)
            report = replace(report, skipped=skipped)
        else:
            report = replace(report, format_name=request.format_name or _format_of(request, source))
        plan = plan_import(found.root_spec, found.graph, imported, session.layout.root)
        report = replace(report, plan=plan, groups_off=imported.groups_off, notes=(*imported.notes, *plan.notes))
        if request.dry_run:
            return report
        await _write(session, found, imported, plan)
        blocked = _submodules_in_the_way(source, imported)
        if blocked is not None:
            return replace(report, blocked=blocked)
        if request.no_sync:
            return report
        try:
            synced = await sync_session(session, SyncRequest(root=session.layout.root, ask_trust=request.ask_trust))
        except GrexError as error:
            error.hint = f"The packs are declared; `grex sync` does the rest. {error.hint or ''}".rstrip()
            raise
        return replace(report, sync=synced)


def _check(request: ImportRequest) -> None:
    if request.file is None and not request.scan:
        raise UsageError(
            "there is nothing to import", hint="Give a manifest, or --scan for the checkouts that are there."
        )
    without_file = [
        name
        for name, given in (
            ("--format", request.format_name),
            ("--manifest-url", request.manifest_url),
            ("--branches", request.branches),
        )
        if given
    ]
    if request.scan and without_file:
        raise UsageError(f"--scan and {without_file[0]} exclude each other", hint="Give one of them.")
    if request.format_name is not None and request.format_name not in FORMATS:
        raise UsageError(f"{request.format_name!r} is no format", hint=f"There is: {', '.join(FORMATS)}.")
    wrong = [group for group in request.groups if not is_group_name(group)]
    if wrong:
        raise UsageError(f"{wrong[0]!r} cannot be the name of a group", hint="Use letters, digits and . _ -.")


async def _read(session: Session, request: ImportRequest) -> tuple[Source, Imported]:
    """The manifest and what it comes to, judged.

    Raises:
        ManifestError: anything of it is refused.
    """
    source = await read_source(session, request)
    problems = Problems()
    imported = await read_imported(session, request, _format_of(request, source), source, problems)
    imported = fit_for_grex(imported, problems, groups=request.groups)
    if problems:
        raise_problems(problems, ManifestError)
    return source, imported


def _format_of(request: ImportRequest, source: Source | None) -> str:
    if request.format_name is not None:
        return request.format_name
    found = None if source is None else recognise(Path(source.file).name, source.data)
    if found is None:
        raise UsageError(
            f"the format of {request.file} cannot be recognised", hint=f"Give --format: {', '.join(FORMATS)}."
        )
    return found


async def _scan(
    session: Session, request: ImportRequest, found: Survey
) -> tuple[Imported, tuple[tuple[str, str], ...]]:
    """The checkouts that nobody declares. A large workspace takes its time, and that is a thread's."""
    root = session.layout.root
    start = canonical(request.file or root)
    if not start.is_relative_to(root) or not start.is_dir():
        raise UsageError(
            f"{request.file} is no directory of the workspace {root}", hint="Give one, or none for all of it."
        )
    scanned = await anyio.to_thread.run_sync(
        scan,
        session.layout,
        start,
        known_paths(found.graph, session.lines),
        session.settings.platform,
        abandon_on_cancel=True,
    )
    packs = tuple(replace(pack, groups=tuple(dict.fromkeys((*pack.groups, *request.groups)))) for pack in scanned.packs)
    return Imported(packs), scanned.skipped


async def _write(session: Session, found: Survey, imported: Imported, plan: ImportPlan) -> None:
    """Write what was planned: the groups that are off, then pack.yaml, in one edit. Tier: MANIFEST.

    The result is parsed and planned again: it is written only if nothing is left to be done.
    """
    layout = session.layout
    planned_on = read_regular(layout.pack_yaml)

    def edit(text: str) -> str:
        if text.encode("utf-8") != planned_on:
            raise ManifestError(
                f"{PACK_YAML} was changed while the packs were being imported", hint="Run the same command again."
            )
        return plan.edit(text)

    def check(data: bytes) -> None:
        spec = parse_pack_spec(data, file=PACK_YAML, is_root=True)
        graph = Graph(layout.root, {})
        graph.declare(ROOT, spec)
        written = {*(pack.path for pack in plan.added), *(changed.path for changed in plan.changed)}
        mine = Imported(tuple(pack for pack in imported.packs if pack.path in written))
        left = plan_import(spec, graph, mine, layout.root)
        if not left.is_empty or len(spec.children) != len(found.root_spec.children) + len(plan.added):
            raise ManifestError(
                f"{PACK_YAML} would not say what is to be imported; nothing was written",
                hint="Declare a part of it by hand, and import the rest.",
            )

    async with session.holds.manifest_exclusive("import") as hold:
        if imported.groups_off:
            _write_groups_off(layout.config_toml, imported.groups_off)
        if not plan.is_empty:
            edit_root(layout.pack_yaml, edit, hold=hold, check=check)
        session.reread()


def _write_groups_off(path: Path, groups: tuple[str, ...]) -> None:
    try:
        old = read_regular(path).decode("utf-8") if path.exists() else ""
        new = with_groups_off(old, groups, file=str(path))
        if new != old:
            replace_file(path, new.encode("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be edited: {error}", hint="Check the file and its permissions.") from error


def _submodules_in_the_way(source: Source | None, imported: Imported) -> ManifestError | None:
    """What to do first where the workspace itself is the superproject: one path cannot have two owners."""
    if source is None or not source.settings or source.own is None or source.own.path != "":
        return None
    tracked = [pack.path for pack in imported.packs if pack.path in source.pins]
    if not tracked:
        return None
    shown = " ".join(map(shown_argument, tracked)) if len(tracked) < _SHOWN_PATHS else "PATH..."
    return ManifestError(
        f"{len(tracked)} of the packs are submodules of the workspace's own repository, and were not brought",
        hint=f"Take them out, which leaves their files, then sync: "
        f"`git rm --cached {shown} && git rm --cached .gitmodules && rm .gitmodules && grex sync`.",
        details={"submodules": tracked},
    )
