"""`grex graph`: who declares whom, and who depends on whom, as far as it is known on this disk."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from grex.engine import ROOT, Session, Settings, Survey
from grex.engine.graph import Node
from grex.errors import GrexError, LockfileError
from grex.manifest import LockLine, read_lockfile
from grex.names import InvalidUrlError, parse_url, redact
from grex.pack import PackSpec
from grex.verbs.narrowed import look
from grex.verbs.report import exit_code_of, failure_json

if TYPE_CHECKING:
    from grex.verbs.documents import GraphDocument

__all__ = ["GraphDependency", "GraphPack", "GraphReport", "GraphRequest", "GraphState", "graph"]

_SHORT = 10

GraphState = Literal["present", "missing", "inactive", "error"]


class GraphRequest(Struct, frozen=True):
    """Which packs to show."""

    root: Path
    packs: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()


class GraphPack(Struct, frozen=True):
    """One declared pack."""

    path: str
    name: str
    type: str
    url: str
    ref: str | None
    state: GraphState
    groups: tuple[str, ...]
    parents: tuple[str, ...]
    error: GrexError | None = None
    commit: str | None = None
    branch: str | None = None
    locked: str | None = None
    """The commit in the lockfile."""
    drift: tuple[str, ...] = ()
    """What can be seen without git of what is not as recorded."""
    hooks: tuple[str, ...] = ()


class GraphDependency(Struct, frozen=True):
    """One `depends_on` of the pack `source`; `to` is the pack that is meant by `needs`, None if there is not one."""

    source: str
    needs: str
    to: str | None


class GraphReport(Struct, frozen=True):
    """The packs sorted by path, and what depends on what."""

    root: Path
    name: str
    type: str
    packs: tuple[GraphPack, ...]
    dependencies: tuple[GraphDependency, ...] = ()
    notes: tuple[str, ...] = ()
    is_narrowed: bool = False
    """Whether only some of the packs were asked for; the root is not shown then."""

    @property
    def exit_code(self) -> int:
        """0, or what the errors in the declarations come to."""
        return exit_code_of(pack.error for pack in self.packs)

    def tops(self) -> list[GraphPack]:
        """Where the trees begin: what the root declares, or those below no other one that is shown."""
        if not self.is_narrowed:
            return self.children_of(ROOT)
        shown = {pack.path for pack in self.packs}
        return [pack for pack in self.packs if shown.isdisjoint(pack.parents)] or list(self.packs)

    def children_of(self, parent: str) -> list[GraphPack]:
        """The packs that this one declares, sorted by path."""
        return [pack for pack in self.packs if parent in pack.parents]

    def to_json(self) -> GraphDocument:
        """The document of `--json`."""
        return {
            "schema": "grex.graph/1",
            "workspace": str(self.root),
            "name": self.name,
            "type": self.type,
            "exit_code": self.exit_code,
            "packs": [
                {
                    "path": pack.path,
                    "name": pack.name,
                    "type": pack.type,
                    "url": pack.url,
                    "ref": pack.ref,
                    "commit": pack.commit,
                    "branch": pack.branch,
                    "locked": pack.locked,
                    "state": pack.state,
                    "drift": list(pack.drift),
                    "hooks": list(pack.hooks),
                    "groups": list(pack.groups),
                    "parents": list(pack.parents),
                    "children": [child.path for child in self.children_of(pack.path)],
                    "error": failure_json(pack.error),
                }
                for pack in self.packs
            ],
            "dependencies": [{"source": one.source, "needs": one.needs, "to": one.to} for one in self.dependencies],
            "notes": list(self.notes),
        }


async def graph(request: GraphRequest, settings: Settings) -> GraphReport:
    """Show the graph of a workspace. Tier: MANIFEST, shared and briefly; nothing is written, no remote is asked.

    Raises:
        ManifestError: the root's pack.yaml, or with PACK arguments or filters the lockfile, cannot be used.
        UsageError: a PACK argument means no pack, or a filter cannot be read.
    """
    session = Session.open(request.root, settings)
    found, wanted = await look(session, request.packs, request.filters)
    lines = _lines(session)
    packs = tuple(
        _pack(session, found, node, lines.get(node.path))
        for node in found.nodes()
        if wanted is None or node.path in wanted
    )
    sources: dict[str, PackSpec | None] = {pack.path: found.graph.nodes[pack.path].spec for pack in packs}
    if wanted is None:
        sources[ROOT] = found.root_spec
    root = found.root_spec
    return GraphReport(
        session.layout.root,
        root.name,
        root.type,
        packs,
        _dependencies(found, sources, session.layout.root),
        tuple(session.notes),
        wanted is not None,
    )


def _lines(session: Session) -> Mapping[str, LockLine]:
    """The lockfile; what is wrong with it is a note, for a graph can be drawn without."""
    try:
        return read_lockfile(session.layout.lockfile)
    except LockfileError as error:
        session.notes.append(f"what is locked cannot be told: {error.message}")
        return {}


def _pack(session: Session, found: Survey, node: Node, line: LockLine | None) -> GraphPack:
    state = found.states.get(node.path)
    is_here = state is not None and state.kind == "checkout"
    commit = state.head_sha if state is not None and is_here else None
    locked = None if line is None else line.sha
    drift = []
    if commit is not None and locked is not None and commit != locked:
        drift.append(f"HEAD is {commit[:_SHORT]}, the lockfile says {locked[:_SHORT]}")
    if state is not None and state.operation is not None:
        drift.append(f"a {state.operation} is not finished")
    return GraphPack(
        path=node.path,
        name=node.name,
        type=node.type,
        url=node.url.redacted,
        ref=node.ref,
        state=_state(found, node.path, is_active=node.is_active),
        groups=node.groups,
        parents=node.parents,
        error=found.errors.get(node.path),
        commit=commit,
        branch=state.head_branch if state is not None and is_here else None,
        locked=locked,
        drift=tuple(drift),
        hooks=_hooks(session.layout.pack_dir(node.path)) if is_here and node.type == "scripted" else (),
    )


def _hooks(pack: Path) -> tuple[str, ...]:
    try:
        return tuple(sorted(entry.name for entry in os.scandir(pack / ".grex" / "hooks") if entry.is_file()))
    except OSError:  # there are none, or they may not be looked at
        return ()


def _state(found: Survey, path: str, *, is_active: bool) -> GraphState:
    if path in found.errors:
        return "error"
    if not is_active:
        return "inactive"
    state = found.states.get(path)
    return "present" if state is not None and state.kind == "checkout" else "missing"


def _dependencies(found: Survey, sources: dict[str, PackSpec | None], workspace: Path) -> tuple[GraphDependency, ...]:
    """What depends on what; a name of several packs, or of none, leads nowhere: a sync says what is wrong with it."""
    by_name: dict[str, list[str]] = {found.root_spec.name: [ROOT]}
    by_identity: dict[str, str] = {}
    for node in found.nodes():
        by_name.setdefault(node.name, []).append(node.path)
        by_identity.setdefault(node.url.identity, node.path)
    needs: set[tuple[str, str, str | None]] = set()
    for path, spec in sources.items():
        for dependency in spec.depends_on if spec is not None else ():
            if dependency.name is not None:
                paths = by_name.get(dependency.name, [])
                needs.add((path, dependency.name, paths[0] if len(paths) == 1 else None))
                continue
            text = dependency.url or ""
            try:
                url = parse_url(text, base=spec.defaults.base if spec is not None else None, relative_to=workspace)
            except InvalidUrlError:
                needs.add((path, redact(text), None))
            else:
                needs.add((path, url.redacted, by_identity.get(url.identity)))
    return tuple(GraphDependency(*one) for one in sorted(needs, key=lambda one: (one[0], one[1], one[2] or "")))
