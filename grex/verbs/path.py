"""`grex path [PACK]`: where a pack is, for `cd "$(grex path x)"`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from grex.engine import ROOT, Session, Settings, Survey, survey
from grex.engine.survey import named
from grex.errors import UsageError

if TYPE_CHECKING:
    from grex.verbs.documents import PathDocument

__all__ = ["PathReport", "PathRequest", "path"]


class PathRequest(Struct, frozen=True):
    """Of which pack; None for the workspace itself."""

    root: Path
    pack: str | None = None


class PathReport(Struct, frozen=True):
    """Where it is, or would be."""

    root: Path
    pack: str
    path: Path

    @property
    def exit_code(self) -> int:
        """0: one that is not known is an error."""
        return 0

    def to_json(self) -> PathDocument:
        """The document of `--json`."""
        return {
            "schema": "grex.path/1",
            "workspace": str(self.root),
            "pack": self.pack,
            "path": str(self.path),
            "present": self.path.exists(),
            "exit_code": self.exit_code,
        }


async def path(request: PathRequest, settings: Settings) -> PathReport:
    """Say where a pack is. Tier: MANIFEST, shared and briefly; nothing is written and no git process is started.

    Raises:
        ManifestError: the root's pack.yaml, the log or the lockfile cannot be used.
        UsageError: there is no such pack, or several of that name.
    """
    session = Session.open(request.root, settings)
    root = session.layout.root
    if request.pack in (None, ROOT):
        return PathReport(root, ROOT, root)

    def look() -> Survey:
        session.reread()
        return survey(session.layout, settings.platform)

    found = await session.read_manifest(look)
    names = named(found, session.lines, [request.pack or ROOT])
    if len(names) != 1:
        raise UsageError(f"{request.pack!r} means several packs", hint="Say which one by its path.")
    (pack,) = names
    return PathReport(root, pack, session.layout.pack_dir(pack))
