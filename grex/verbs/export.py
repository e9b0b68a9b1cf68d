"""`grex export`: the whole tree as a manifest of west or of vcstool.

Every pack is in it, whoever declares it, with the ref that counts; with `frozen` at the commit that the lockfile has.
What the format has no words for is told in notes. Takes MANIFEST, shared and briefly, and writes at most the file that
it was told to write.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from grex.engine import Session, Settings, survey
from grex.engine.resolved import ResolvedTree, resolve_tree
from grex.engine.survey import Survey
from grex.errors import UsageError
from grex.fs import replace_file
from grex.interchange import Exported, render_vcs, render_west
from grex.verbs.report import exit_code_of
from grex.workspace import read_config

if TYPE_CHECKING:
    from grex.verbs.documents import ExportDocument

__all__ = ["EXPORT_FORMATS", "ExportReport", "ExportRequest", "export", "write_output"]

EXPORT_FORMATS = ("west", "vcs")


class ExportRequest(Struct, frozen=True):
    """What to export.

    Attributes:
        root: the workspace.
        format_name: `west` or `vcs`.
        output: the file to write; None to print it.
        frozen: commits of the lockfile instead of declared refs.
    """

    root: Path
    format_name: str
    output: Path | None = None
    frozen: bool = False


class ExportReport(Struct, frozen=True):
    """The manifest, and what it does not say."""

    root: Path
    format_name: str
    frozen: bool
    packs: tuple[str, ...]
    text: str
    output: Path | None = None
    notes: tuple[str, ...] = ()
    exit_code: int = 0

    def to_json(self) -> ExportDocument:
        """The document of `--json`."""
        return {
            "schema": "grex.export/1",
            "workspace": str(self.root),
            "format": self.format_name,
            "frozen": self.frozen,
            "packs": list(self.packs),
            "text": self.text if self.output is None else None,
            "file": None if self.output is None else str(self.output),
            "notes": list(self.notes),
            "exit_code": self.exit_code,
        }


async def export(request: ExportRequest, settings: Settings) -> ExportReport:
    """Export a workspace.

    Tier: MANIFEST, shared and briefly. Cancellation: the file is written whole or not at all.

    Raises:
        UsageError: the format is not known, or the file cannot be written.
        PackError: something in the declarations is wrong, so that there is no one tree.
        LockfileError: the lockfile cannot be used, or with `frozen` does not say where each pack is.
    """
    if request.format_name not in EXPORT_FORMATS:
        raise UsageError(
            f"{request.format_name!r} is no format that can be written", hint=f"There is: {', '.join(EXPORT_FORMATS)}."
        )
    session = Session.open(request.root, settings)

    def read() -> tuple[Survey, ResolvedTree]:
        session.reread()
        found = survey(session.layout, settings.platform)
        return found, resolve_tree(found, session.lines)

    found, tree = await session.read_manifest(read)
    for path in sorted(found.errors):
        raise found.errors[path]
    if request.frozen:
        tree = tree.frozen()
    exported = _rendered(request, tree)
    notes = (*session.notes, *tree.notes, *exported.notes, *_installs(found))
    if request.output is not None:
        write_output(request.output, exported.text)
    return ExportReport(
        session.layout.root,
        request.format_name,
        request.frozen,
        tuple(pack.path for pack in tree.packs),
        exported.text,
        request.output,
        notes,
        exit_code_of(()),
    )


def _rendered(request: ExportRequest, tree: ResolvedTree) -> Exported:
    if request.format_name == "vcs":
        return render_vcs(tree.packs)
    return render_west(tree.packs, groups_off=read_config(request.root, None).groups_off)


def _installs(found: Survey) -> list[str]:
    """That installs are no business of the other tools."""
    specs = {".": found.root_spec, **{node.path: node.spec for node in found.nodes() if node.spec is not None}}
    having = sorted(path for path, spec in specs.items() if spec.actions or spec.type not in ("meta", "plain"))
    if not having:
        return []
    shown = ", ".join(having[:3]) + (", ..." if len(having) > 3 else "")  # noqa: PLR2004 - a few
    return [f"what {shown} would install cannot be said there"]


def write_output(path: Path, text: str) -> None:
    """Write a file that the user named, whole or not at all.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        replace_file(path, text.encode("utf-8"))
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror or error}", hint="Give a file in a directory that is there."
        ) from error
