"""Decides whether a checkout may be taken away: pure functions from what was found to what is to be done.

As in `planner`, what must not be got wrong about somebody's work stands here, away from git, locks and the disk. Two
reasons hold whatever the user says, for taking the checkout away would lose or break something that is not in it: a
pack inside that stays, and a repository elsewhere that knows the checkout by its path. All others are about what would
be out of sight in the trash, and give way to `--force`, because there it is whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct

from grex.engine.graph import ROOT, Node, enclosing_path
from grex.engine.planner import Leave
from grex.errors import GrexError, PackError
from grex.git import LocalWork
from grex.names import shown_argument

__all__ = ["Departure", "Holding", "depart", "why_kept"]


class Holding(Struct, frozen=True, kw_only=True):
    """Everything about a checkout that speaks against taking it away.

    Attributes:
        path: the pack.
        is_owned: whether the log says that grex made the checkout.
        is_linked: whether it is a work tree of a repository that lies elsewhere.
        is_interrupted: whether a run was killed in it and nobody has mended it yet.
        staying: packs in its directory that are not taken away.
        repositories: other repositories in its directory that nobody has declared.
        work: what of somebody's work lies in it.
    """

    path: str
    is_owned: bool = True
    is_linked: bool = False
    is_interrupted: bool = False
    staying: tuple[str, ...] = ()
    worktrees: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()
    work: LocalWork = LocalWork()


def why_kept(found: Holding, *, force: bool = False) -> Leave | None:
    """Why the checkout must stay; None where it may be moved to the trash."""
    path = shown_argument(found.path)
    outside = _breaks_something_outside(found, path)
    if outside is not None or force:
        return outside
    anyway = "`grex rm --force` moves it to the trash as it is"
    if not found.is_owned:
        return Leave(
            "not-ours", "grex did not make this checkout", f"`grex rm --keep-files {path}` only forgets it; {anyway}."
        )
    if found.is_interrupted:
        return Leave(
            "interrupted", "an interrupted run left it between two commits", f"`grex sync` mends it first; {anyway}."
        )
    if found.repositories:
        return Leave(
            "holds-repository",
            f"it holds another repository, {found.repositories[0]}, that no pack declares",
            f"Move that elsewhere; {anyway}.",
        )
    what = found.work.first()
    if what is not None:
        return Leave(_code(found.work), f"it {what}", f"Commit and push, or take it elsewhere; {anyway}.")
    return None


def _breaks_something_outside(found: Holding, path: str) -> Leave | None:
    """Why it must stay whatever the user says: in the trash it would not be whole, or somebody else would not."""
    if found.staying:
        return Leave(
            "holds-pack",
            f"the pack {found.staying[0]} lies in it and stays",
            f"Remove {found.staying[0]} too, or keep the files with `grex rm --keep-files {path}`.",
        )
    if found.is_linked:
        return Leave(
            "linked-worktree",
            "it is a work tree of a repository that lies elsewhere and knows it by its path",
            f"`git worktree remove` takes it away; `grex rm --keep-files {path}` only forgets it.",
        )
    if found.worktrees:
        return Leave(
            "has-worktrees",
            f"it has other work trees, whose commits are kept in it: {', '.join(found.worktrees[:3])}",
            "`grex fork rm DIR` takes a fork away, `git worktree remove` any other one.",
        )
    return None


def _code(work: LocalWork) -> str:
    """Of what `LocalWork.first` speaks."""
    for code, there in (
        ("operation-in-progress", work.operation),
        ("edited", work.edited),
        ("untracked", work.untracked),
        ("stashed", work.stashes),
        ("unpushed", work.unpushed),
        ("submodule-work", work.submodules),
    ):
        if there:
            return code
    return "has-worktrees"


class Departure(Struct, frozen=True, kw_only=True):
    """What goes when packs are removed by name.

    Attributes:
        leaving: the packs that go, with everything below them that nobody else declares.
        staying: the declared packs that are left.
        undeclare: those whose entry the root's pack.yaml loses.
        shared: of these, who else declares them, as file:line:column; they stay.
    """

    leaving: frozenset[str]
    staying: frozenset[str]
    undeclare: frozenset[str]
    shared: Mapping[str, str]


def depart(
    nodes: Mapping[str, Node],
    recorded: Collection[str],
    chosen: Iterable[str],
    locked_parents: Mapping[str, Collection[str]] | None = None,
) -> Departure:
    """What follows from removing these packs.

    Args:
        nodes: what is declared, inactive packs among it.
        recorded: the packs that the log knows.
        chosen: paths of packs that are declared or recorded.
        locked_parents: who declares each pack as the lockfile says; it is asked for what inactive packs declare.

    Raises:
        PackError: one is declared by a pack that stays, and not by the root.
    """
    chosen = set(chosen)
    undeclare = {path for path in chosen if path in nodes and ROOT in nodes[path].all_parents}
    staying = _reachable(nodes, undeclare)
    for path in sorted(chosen & staying - undeclare):
        raise _declared_elsewhere(nodes[path], staying)
    dormant = _dormant(nodes, staying, locked_parents or {})
    for path in sorted(chosen & set(dormant)):
        raise PackError(
            f"{path} is declared by {dormant[path]}, which is inactive here and stays",
            hint=f"Turn its group on and sync, or remove {dormant[path]}.",
        )
    staying |= set(dormant)
    shared = {path: _places(nodes[path], staying) for path in undeclare & staying}
    leaving = (set(nodes) - staying) | (chosen - set(nodes))
    # What nobody declares and lies in a directory that goes, goes too: each into the trash by itself.
    leaving |= {
        path for path in recorded if path not in nodes and path != ROOT and enclosing_path(path, leaving) is not None
    }
    return Departure(
        leaving=frozenset(leaving), staying=frozenset(staying), undeclare=frozenset(undeclare), shared=shared
    )


def _dormant(
    nodes: Mapping[str, Node], staying: Collection[str], locked_parents: Mapping[str, Collection[str]]
) -> dict[str, str]:
    """What inactive packs that stay declare, as far as the lockfile tells, with one of those that do."""
    above = {path for path in staying if not nodes[path].is_active}
    found: dict[str, str] = {}
    while grown := {
        path: min(above & set(parents))
        for path, parents in locked_parents.items()
        if path not in nodes and path not in found and not above.isdisjoint(parents)
    }:
        found |= grown
        above |= set(grown)
    return found


def _reachable(nodes: Mapping[str, Node], undeclared: Collection[str]) -> set[str]:
    below: dict[str, list[str]] = {}
    for node in nodes.values():
        for parent in node.all_parents:
            if parent != ROOT or node.path not in undeclared:
                below.setdefault(parent, []).append(node.path)
    found: set[str] = set()
    waiting = list(below.get(ROOT, ()))
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting.extend(below.get(path, ()))
    return found


def _places(node: Node, staying: Collection[str]) -> str:
    """Where packs that stay declare it."""
    return " and ".join(
        sorted(_place(found.parent, found.place) for found in node.declarations if found.parent in staying)
    )


def _place(parent: str, place: str) -> str:
    return place if place.startswith(parent) else f"{parent}: {place}"


def _declared_elsewhere(node: Node, staying: Collection[str]) -> GrexError:
    places = _places(node, staying)
    parents = ", ".join(parent for parent in node.all_parents if parent in staying)
    return PackError(
        f"{node.path} is declared by {parents}, at {places}",
        hint="Take the entry out there, and `grex sync --prune` moves the pack to the trash.",
        details={"path": node.path, "places": places},
    )
