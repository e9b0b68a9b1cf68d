"""`grex freeze`: the root's pack.yaml with every ref at the commit that the lockfile has.

Comments and order stay. A pack that only the root declares gets its commit as `ref`; one that another pack declares
(too) gets it by an entry in `overrides`, which counts for every declaration of it. So the printed file brings the same
tree in another place, whatever moves upstream meanwhile, also without the lockfile.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from grex.engine import ROOT, Session, Settings, survey
from grex.engine.exclusive import exclusive
from grex.engine.resolved import ResolvedTree, resolve_tree
from grex.engine.survey import Survey
from grex.errors import UsageError
from grex.fs import canonical, read_regular
from grex.manifest import Value, change_children, edit_root, insert_children
from grex.names import PACK_YAML
from grex.pack import PackSpec, parse_pack_spec
from grex.verbs.export import write_output

if TYPE_CHECKING:
    from grex.verbs.documents import FreezeDocument

__all__ = ["FreezeReport", "FreezeRequest", "freeze"]


class FreezeRequest(Struct, frozen=True):
    """Which workspace to freeze.

    Attributes:
        root: the workspace.
        output: the file to write; None to print it.
        write: write it into the workspace's own pack.yaml.
    """

    root: Path
    output: Path | None = None
    write: bool = False


class FreezeReport(Struct, frozen=True):
    """The pack.yaml, and the commit of each pack."""

    root: Path
    text: str
    pins: Mapping[str, str]
    output: Path | None = None
    notes: tuple[str, ...] = ()
    exit_code: int = 0

    def to_json(self) -> FreezeDocument:
        """The document of `--json`."""
        return {
            "schema": "grex.freeze/1",
            "workspace": str(self.root),
            "pins": dict(self.pins),
            "text": self.text if self.output is None else None,
            "file": None if self.output is None else str(self.output),
            "notes": list(self.notes),
            "exit_code": self.exit_code,
        }


async def freeze(request: FreezeRequest, settings: Settings) -> FreezeReport:
    """Freeze a workspace.

    Tiers: MANIFEST, shared and briefly; with `write` WORKSPACE and MANIFEST. Cancellation: what is written is written
    whole or not at all.

    Raises:
        UsageError: the file cannot be written, or is the workspace's own pack.yaml.
        PackError: something in the declarations is wrong, so that there is no one tree.
        LockfileError: the lockfile does not say where each pack is.
        ManifestError: pack.yaml has no shape that can be edited.
    """
    session = Session.open(request.root, settings)
    own = session.layout.pack_yaml
    if request.output is not None and (request.write or canonical(request.output) == canonical(own)):
        raise UsageError(
            "--write and -o exclude each other" if request.write else f"{request.output} is this workspace's own",
            hint="Give -o FILE for another file, or --write for the workspace's own pack.yaml.",
        )
    if request.write:
        async with exclusive(session):
            return await _write(session)

    def read() -> FreezeReport:
        session.reread()
        return _frozen(session)

    report = await session.read_manifest(read)
    if request.output is None:
        return _with(report, session, None)
    write_output(request.output, report.text)
    return _with(report, session, request.output)


async def _write(session: Session) -> FreezeReport:
    own = session.layout.pack_yaml
    async with session.holds.manifest_exclusive("freeze") as hold:
        report = _frozen(session)
        edit_root(own, lambda _: report.text, hold=hold, check=_check)
    return _with(report, session, own)


def _with(report: FreezeReport, session: Session, output: Path | None) -> FreezeReport:
    return FreezeReport(report.root, report.text, report.pins, output, (*session.notes, *report.notes))


def _check(data: bytes) -> None:
    parse_pack_spec(data, file=PACK_YAML, is_root=True)


def _frozen(session: Session) -> FreezeReport:
    """What freezing comes to, with what is there now."""
    text = read_regular(session.layout.pack_yaml).decode("utf-8")
    found = survey(session.layout, session.settings.platform)
    for path in sorted(found.errors):
        raise found.errors[path]
    tree = resolve_tree(found, session.lines)
    pinned = tree.frozen()
    new = _pinned_text(text, found, pinned)
    _check(new.encode("utf-8"))
    return FreezeReport(
        session.layout.root, new, {pack.path: pinned.shas[pack.path] for pack in pinned.packs}, None, pinned.notes
    )


def _pinned_text(text: str, found: Survey, pinned: ResolvedTree) -> str:
    spec = found.root_spec
    children, overrides = _own_children(spec), _own_overrides(spec)
    changed_children: dict[int, Mapping[str, Value | None]] = {}
    changed_overrides: dict[int, Mapping[str, Value | None]] = {}
    new_overrides: list[Mapping[str, Value]] = []
    for pack in pinned.packs:
        sha = pinned.shas[pack.path]
        node = found.graph.nodes.get(pack.path)
        if pack.path in overrides:
            changed_overrides[overrides[pack.path]] = {"ref": sha}
        elif pack.path in children and node is not None and node.all_parents == (ROOT,):
            changed_children[children[pack.path]] = {"ref": sha}
        else:
            new_overrides.append({"path": pack.path, "ref": sha})
    if changed_children:
        text = change_children(text, changed_children, file=PACK_YAML)
    if changed_overrides:
        text = change_children(text, changed_overrides, file=PACK_YAML, section="overrides")
    return insert_children(text, new_overrides, file=PACK_YAML, section="overrides")


def _own_children(spec: PackSpec) -> dict[str, int]:
    """Index by path of the children that stand in pack.yaml itself; those of a target are pinned by overrides."""
    return {
        child.path.removeprefix("/"): index for index, child in enumerate(spec.children) if child.mark.file == PACK_YAML
    }


def _own_overrides(spec: PackSpec) -> dict[str, int]:
    return {one.path: index for index, one in enumerate(spec.overrides) if one.mark.file == PACK_YAML}
