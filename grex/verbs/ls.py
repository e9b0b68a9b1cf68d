"""`grex ls`: what is declared and what is there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from grex.engine import ROOT, Session, Settings
from grex.errors import GrexError
from grex.verbs.narrowed import look
from grex.verbs.report import exit_code_of, failure_json

if TYPE_CHECKING:
    from grex.verbs.documents import ListDocument, ListedPackObject

__all__ = ["ListReport", "ListRequest", "ListedPack", "ls"]


class ListRequest(Struct, frozen=True):
    """Which packs to list."""

    root: Path
    packs: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()


class ListedPack(Struct, frozen=True):
    """One declared pack, as it lies on the disk."""

    path: str
    name: str
    type: str
    url: str
    ref: str | None
    sha: str | None
    branch: str | None
    is_present: bool
    parents: tuple[str, ...]
    groups: tuple[str, ...] = ()
    is_active: bool = True
    error: GrexError | None = None

    def to_json(self) -> ListedPackObject:
        """The pack's entry in the document."""
        return {
            "path": self.path,
            "name": self.name,
            "type": self.type,
            "url": self.url,
            "ref": self.ref,
            "sha": self.sha,
            "branch": self.branch,
            "present": self.is_present,
            "parents": list(self.parents),
            "groups": list(self.groups),
            "active": self.is_active,
            "error": failure_json(self.error),
        }


class ListReport(Struct, frozen=True):
    """The declared packs, sorted by path."""

    root: Path
    name: str
    type: str
    packs: tuple[ListedPack, ...]
    notes: tuple[str, ...] = ()
    is_narrowed: bool = False
    """Whether only some of the packs were asked for."""

    @property
    def exit_code(self) -> int:
        """0, or what the errors in the declarations come to."""
        return exit_code_of(pack.error for pack in self.packs)

    def to_json(self) -> ListDocument:
        """The document of `--json`."""
        return {
            "schema": "grex.ls/1",
            "workspace": str(self.root),
            "name": self.name,
            "type": self.type,
            "exit_code": self.exit_code,
            "packs": [pack.to_json() for pack in self.packs],
            "notes": list(self.notes),
        }

    def tops(self) -> list[ListedPack]:
        """Where a tree of them begins: at what the root declares, or at those that lie below no other listed one."""
        if not self.is_narrowed:
            return self.children_of()
        listed = {pack.path for pack in self.packs}
        return [pack for pack in self.packs if listed.isdisjoint(pack.parents)] or list(self.packs)

    def children_of(self, parent: str = ROOT) -> list[ListedPack]:
        """The packs that this one declares, sorted by path."""
        return [pack for pack in self.packs if parent in pack.parents]


async def ls(request: ListRequest, settings: Settings) -> ListReport:
    """List a workspace. Tier: MANIFEST, shared and briefly; nothing is written.

    Without filters no git process is started.

    Raises:
        ManifestError: the root's pack.yaml, or with PACK arguments or filters the lockfile, cannot be used.
        UsageError: a PACK argument means no pack, or a filter cannot be read.
    """
    session = Session.open(request.root, settings)
    found, wanted = await look(session, request.packs, request.filters)
    packs: list[ListedPack] = []
    for node in found.nodes():
        if wanted is not None and node.path not in wanted:
            continue
        state = found.states.get(node.path)
        is_present = state is not None and state.kind == "checkout"
        packs.append(
            ListedPack(
                path=node.path,
                name=node.name,
                type=node.type,
                url=node.url.redacted,
                ref=node.ref,
                sha=state.head_sha if state is not None else None,
                branch=state.head_branch if state is not None else None,
                is_present=is_present,
                parents=node.parents,
                groups=node.groups,
                is_active=node.is_active,
                error=found.errors.get(node.path),
            )
        )
    root = found.root_spec
    return ListReport(session.layout.root, root.name, root.type, tuple(packs), tuple(session.notes), wanted is not None)
