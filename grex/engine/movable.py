"""Whether a pack can move to another path, as far as can be seen without locks, and what would move with it.

Nothing is changed here. `relocating` moves, and looks again at what may have changed once it holds the packs.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from msgspec import Struct

from grex.engine.graph import enclosing_path
from grex.engine.hiding import Hiding
from grex.engine.places import look_at, misplaced
from grex.engine.session import Session
from grex.engine.survey import Survey
from grex.errors import PackError, UsageError
from grex.fs import canonical
from grex.git import CheckoutState
from grex.git.relocated import is_at_work
from grex.manifest import Json, read_fork_records
from grex.names import shown_argument

__all__ = ["Relocation", "check_idle", "is_checkout", "leads_into", "other_file_system", "plan_relocation", "taken"]


class Relocation(Struct, frozen=True):
    """A pack that is to move.

    Attributes:
        old: its path.
        new: the path that it is to have.
        inner: the packs that lie in it and move with it, by their paths now.
        has_checkout: whether there is a directory to be moved; else only the records change.
    """

    old: str
    new: str
    inner: tuple[str, ...]
    has_checkout: bool


def plan_relocation(session: Session, found: Survey, old: str, new: str) -> Relocation:
    """Whether a pack can move, as far as can be seen without locks.

    Raises:
        UsageError: the new path lies in the old one, or around it.
        PackError: something is in the way, or a pack in it is declared in a way that would not follow.
    """
    if new.startswith(f"{old}/"):
        raise UsageError(f"{old} cannot be moved into itself, to {new}", hint="Give a path outside of it.")
    if old.startswith(f"{new}/"):
        raise UsageError(f"{old} lies in {new}, which is its own directory's place", hint="Give another path.")
    _check_new_place(session, found, new)
    _check_inner(found, old)
    _check_forks(session, old)
    root, place = session.layout.pack_dir(old), session.layout.pack_dir(new)
    if root.is_symlink():
        raise PackError(
            f"{old} is a symbolic link, and where it leads depends on its place",
            hint=f"Move the link to {new} yourself; then this command declares it there.",
        )
    state = look_at(root)
    inner = [path for path in _known(session, found) if path.startswith(f"{old}/")]
    if state.kind == "checkout":
        if os.path.lexists(place) and look_at(place).kind != "empty":
            raise taken(new)
        if os.path.lexists(place) and any(place.iterdir()):
            raise taken(new)
        _check_device(root, place, old)
        there = tuple(path for path in inner if is_checkout(session, path))
        for path in (old, *there):
            check_idle(path, look_at(session.layout.pack_dir(path)))
        return Relocation(old, new, there, has_checkout=True)
    if state.kind not in ("absent", "empty"):
        raise PackError(f"what is at {old} is no checkout, so it is not moved", hint=f"Move it away from {old} first.")
    if os.path.lexists(place):
        _check_moved_by_hand(session, found, old, new)
    return Relocation(old, new, (), has_checkout=False)


def taken(new: str) -> PackError:
    """The refusal of a path at which there is something."""
    return PackError(
        f"{new} is taken: something is there already",
        hint=f"Give another path, or move what is at {new} elsewhere; nothing was changed.",
        details={"path": new},
    )


def _check_new_place(session: Session, found: Survey, new: str) -> None:
    declared = found.graph.nodes.get(new)
    if declared is not None:
        raise PackError(f"{new} is declared already, at {declared.first.place}", hint="Give another path.")
    wrong = misplaced(session.layout.root, new)
    if wrong is not None:
        raise PackError(f"{new} {wrong}", hint="Give another path, or remove the symbolic link on the way.")
    around = enclosing_path(new, {path for path, node in found.graph.nodes.items() if node.is_active})
    if around is not None and not is_checkout(session, around):
        raise PackError(
            f"{new} lies in {around}, which is not cloned yet", hint=f"`grex sync {shown_argument(around)}` first."
        )
    refused = Hiding(session.layout, session.holds).refuse_tracked(new)
    if refused is not None:
        raise refused
    for above in session.layout.pack_dir(new).parents:
        if above == session.layout.root:
            break
        if os.path.lexists(above) and not above.is_dir():
            name = above.relative_to(session.layout.root)
            raise PackError(f"{new} cannot be put there: {name} is no directory", hint="Give another path.")


def _check_inner(found: Survey, old: str) -> None:
    """Insist that what lies in the pack will be declared in its new place: by packs that move, from where they are."""
    for path, node in found.graph.nodes.items():
        if not path.startswith(f"{old}/"):
            continue
        for one in node.declarations:
            follows = one.parent == old or one.parent.startswith(f"{old}/")
            if not follows or one.child.path.startswith("/"):
                raise PackError(
                    f"{path} lies in {old} and would move with it, but is declared for its place at {one.place}",
                    hint=f"Give {path} another place first.",
                    details={"path": path, "place": one.place},
                )


def _check_forks(session: Session, old: str) -> None:
    """Insist that no fork knows the pack by its path: whoever takes the fork away looks for its repository there."""
    if session.fork is not None and session.fork_branch(old) is not None:
        raise PackError(
            f"{old} is a work tree of {session.fork.source}, and a fork has its packs where that one has them",
            hint="Move it there, and make the fork anew.",
        )
    for record in read_fork_records(session.layout.state_dir)[0]:
        if any(pack.path == old or pack.path.startswith(f"{old}/") for pack in record.packs):
            raise PackError(
                f"{old} shares its repository with the fork {record.directory}, which knows it by its path",
                hint=f"`grex fork rm {shown_argument(record.directory)}` first.",
            )


def _known(session: Session, found: Survey) -> list[str]:
    return sorted({*found.graph.nodes, *session.folded.packs, *session.lines} - {"."})


def is_checkout(session: Session, path: str) -> bool:
    """Whether a pack has a checkout at its path, and no link to one."""
    root = session.layout.pack_dir(path)
    return not root.is_symlink() and look_at(root).kind == "checkout"


def check_idle(path: str, state: CheckoutState) -> None:
    """Insist that nothing is half-done in a checkout; edits, and what a user is in the middle of, may be."""
    if state.note is not None:
        raise PackError(
            f"{path}: an interrupted run left its checkout between two commits", hint="`grex sync` mends it first."
        )
    if is_at_work(state):
        raise PackError(
            f"{path}: a git command is at work there ({state.dirs.own / 'index.lock'})",
            hint="Run this again when it is done.",
        )


def _check_device(root: Path, place: Path, old: str) -> None:
    above = next(above for above in place.parents if above.is_dir())
    if root.lstat().st_dev != above.stat().st_dev or root.parent.stat().st_dev != root.lstat().st_dev:
        raise other_file_system(old)


def other_file_system(old: str) -> PackError:
    """The refusal of a path to which no rename leads."""
    return PackError(
        f"{old} cannot be moved in one piece: its new place is on another file system",
        hint="Copy it by hand and then run this again; nothing was moved.",
    )


def _check_moved_by_hand(session: Session, found: Survey, old: str, new: str) -> None:
    """Somebody may have moved the checkout already: then it is the pack's, and only the records are behind."""
    state = look_at(session.layout.pack_dir(new))
    if state.kind == "empty":
        return
    node = found.graph.nodes[old]
    if state.kind != "checkout" or state.record is None or state.record.url != node.url.identity:
        raise taken(new)


def leads_into(session: Session, path: str, besides: Collection[str]) -> tuple[str, str] | None:
    """A pack that stays and has installed something that leads into the directory of a pack, and what.

    What was installed, the log knows by what would take it back.

    Args:
        session: the open workspace, its records read.
        path: the pack.
        besides: packs whose installs are taken back before anything moves.
    """
    directory = str(canonical(session.layout.pack_dir(path)))
    for one, known in sorted(session.folded.packs.items()):
        if one in besides:
            continue
        for done in known.completed:
            if _speaks_of(done.undo, directory):
                return one, done.kind
    return None


def _speaks_of(value: Json, directory: str) -> bool:
    if isinstance(value, str):
        return value == directory or f"{directory}/" in value or value.endswith(directory)
    if isinstance(value, Mapping):
        return any(_speaks_of(one, directory) for one in value.values())
    return isinstance(value, list | tuple) and any(_speaks_of(one, directory) for one in value)
