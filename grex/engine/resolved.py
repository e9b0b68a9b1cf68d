"""The whole tree of a workspace, flat: every pack with the declaration that counts for it and what it was locked at.

A pack that is not on the disk hides what it declares; what the lockfile knows of those below it is taken from there.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from grex.engine.graph import ROOT, Node
from grex.engine.outcome import declared_otherwise
from grex.engine.survey import Survey
from grex.errors import LockfileError
from grex.interchange import ResolvedPack
from grex.manifest import LockLine
from grex.names import redact

__all__ = ["ResolvedTree", "resolve_tree"]


class ResolvedTree(Struct, frozen=True):
    """Every pack, sorted by path.

    Attributes:
        packs: as declared.
        shas: the commits that the lockfile has for them, of those that it has as they are declared.
        unlocked: why the lockfile does not say what a pack is at; not of those whose groups are off here.
        notes: what is not known.
    """

    packs: tuple[ResolvedPack, ...]
    shas: Mapping[str, str] = field(default_factory=dict)
    unlocked: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def frozen(self) -> ResolvedTree:
        """The same with the locked commits as refs.

        Raises:
            LockfileError: the lockfile does not have each of the packs as it is declared.
        """
        if self.unlocked:
            more = f" (and {len(self.unlocked) - 1} more)" if len(self.unlocked) > 1 else ""
            raise LockfileError(
                f"not every pack is locked as it is declared: {self.unlocked[0]}{more}",
                hint="Run `grex sync` first.",
                details={"problems": list(self.unlocked)},
            )
        packs = [replace(pack, ref=self.shas[pack.path], branch=None) for pack in self.packs if pack.path in self.shas]
        left = [pack.path for pack in self.packs if pack.path not in self.shas]
        notes = [f"{path} is in groups that are off, and was never locked: it is left as it is" for path in left]
        return replace(self, packs=tuple(packs), notes=(*self.notes, *notes))


def resolve_tree(found: Survey, lines: Mapping[str, LockLine]) -> ResolvedTree:
    """The tree of what is declared on the disk and, below what is not there, of what was locked."""
    packs: dict[str, ResolvedPack] = {}
    shas: dict[str, str] = {}
    unlocked: list[str] = []
    notes: list[str] = []
    for node in found.nodes():
        line = lines.get(node.path)
        difference = "not in the lockfile" if line is None else declared_otherwise(node, line)
        if difference is not None and node.is_active:
            unlocked.append(f"{node.path} is {difference}")
        elif difference is None and line is not None:
            shas[node.path] = line.sha
        packs[node.path] = _resolved(node, line if difference is None else None)
        if node.url.plain != node.url.resolved:
            notes.append(f"{node.path}: the credentials of its URL are left out")
    hidden = [path for path in packs if not found.graph.nodes[path].is_active or not _is_there(found, path)]
    below = _locked_below(hidden, lines, packs)
    notes += [
        f"{path} is not there, and what it declares is not known: sync first"
        for path in hidden
        if path not in lines and found.graph.nodes[path].is_active
    ]
    for path in below:
        line = lines[path]
        packs[path] = ResolvedPack(path, redact(line.url), line.ref, line.branch)
        shas[path] = line.sha
    return ResolvedTree(tuple(packs[path] for path in sorted(packs)), shas, tuple(unlocked), tuple(notes))


def _resolved(node: Node, line: LockLine | None) -> ResolvedPack:
    child = node.first.child
    return ResolvedPack(
        path=node.path,
        url=redact(node.url.plain),
        ref=node.ref,
        branch=None if line is None else line.branch,
        groups=child.groups,
        depth=child.depth,
        filter=child.filter,
        sparse=child.sparse,
        submodules=child.submodules,
        remotes=child.remotes,
    )


def _is_there(found: Survey, path: str) -> bool:
    state = found.states.get(path)
    return state is not None and state.kind == "checkout"


def _locked_below(hidden: list[str], lines: Mapping[str, LockLine], known: Mapping[str, ResolvedPack]) -> list[str]:
    """The packs that only the lockfile knows, below those that are not on the disk."""
    reached = set(hidden)
    found: list[str] = []
    has_grown = True
    while has_grown:
        has_grown = False
        for path, line in lines.items():
            if path not in known and path not in reached and not reached.isdisjoint(set(line.parents) - {ROOT}):
                reached.add(path)
                found.append(path)
                has_grown = True
    return found
