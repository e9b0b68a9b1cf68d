"""Where a fork and its workspace are by now, when one of them was moved by hand.

Record and mark know each other by absolute paths, and so do the work trees and their repositories. For the latter there
is `git worktree repair`; what git says after it is the proof for the former: a work tree on the fork's branch that the
repository has elsewhere, below a directory whose mark has the fork's id; a repository of one of the fork's packs, in a
workspace that has the fork's record. Nothing is written here; `grex doctor --fix` writes it down.
"""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from grex.errors import GrexError
from grex.fs import canonical
from grex.git import find_git_dirs, linked_work_trees
from grex.manifest import FORK_ROOT, ForkMark, ForkRecord, read_fork_mark, read_fork_records
from grex.workspace import Layout

__all__ = ["home_now", "located", "relocated_mark"]


def located(home: Layout, record: ForkRecord) -> ForkRecord:
    """The record with the directory in which the fork is by now; as it is where nothing else is known."""
    if _has_mark(Path(record.directory), record.id):
        return record
    for pack in record.packs:
        dirs = find_git_dirs(canonical(home.root / pack.path))
        for _, place in [] if dirs is None else linked_work_trees(canonical(dirs.common)):
            directory = _above(place, pack.path)
            if directory is not None and _has_mark(directory, record.id):
                return replace(record, directory=str(canonical(directory)))
    return record


def home_now(root: Path, mark: ForkMark) -> Path:
    """Where the workspace is that has the record of the fork at `root`; where the mark says if nothing is known."""
    home = Path(mark.home)
    if _has_record(home, mark.id):
        return home
    for pack in mark.packs:
        dirs = find_git_dirs(canonical(root / pack.path))
        if dirs is not None and dirs.common.name == ".git":
            found = _above(canonical(dirs.common).parent, pack.path)
            if found is not None and _has_record(found, mark.id):
                return found
    return home


def relocated_mark(root: Path, mark: ForkMark) -> ForkMark:
    """The mark with the places of today: the workspace, and what lay in it or was made of it."""
    home = home_now(root, mark)
    if home == Path(mark.home):
        return mark
    source, base = (_moved(path, mark.home, home) for path in (mark.source, mark.base))
    return replace(mark, home=str(home), source=source, base=base)


def _moved(path: str, old: str, new: Path) -> str:
    """A place inside of a directory that was moved; as it is where it lies elsewhere."""
    return str(new / Path(path).relative_to(old)) if Path(path).is_relative_to(old) else path


def _above(place: Path, path: str) -> Path | None:
    """The workspace in which a pack of this path is at a place; None if it cannot be."""
    if path == FORK_ROOT:
        return place
    parts = Path(path).parts
    return Path(*place.parts[: -len(parts)]) if place.parts[-len(parts) :] == parts else None


def _has_mark(directory: Path, fork_id: str) -> bool:
    try:
        mark = read_fork_mark(Layout(directory).state_dir)
    except GrexError:
        return False
    return mark is not None and mark.id == fork_id


def _has_record(home: Path, fork_id: str) -> bool:
    try:
        return any(record.id == fork_id for record in read_fork_records(Layout(home).state_dir)[0])
    except OSError:
        return False
