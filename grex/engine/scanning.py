"""Checkouts that lie in the workspace and that no pack declares: found on the disk, taken as they lie.

Each becomes what a declaration would need to say: the URL of its `origin`, and the branch that it is on if that follows
the branch of the same name there, else its commit. What cannot be declared is told with the reason. Submodules of a
checkout belong to it, and so do the packs that a checkout declares itself. No link is followed; nothing is written.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterator
from pathlib import Path

from msgspec import Struct

from grex.errors import GrexError
from grex.git import find_git_dirs
from grex.git.origin import read_origin, submodule_of
from grex.interchange import Imported, ImportedPack, fit_for_grex
from grex.names import GREX_DIRECTORY, GREX_TMP_PREFIX, resolve_pack_path
from grex.pack import Mark, Problems, read_pack_spec
from grex.workspace import Layout

__all__ = ["Scanned", "scan"]

_SKIPPED = frozenset({".git", ".repo", ".west", GREX_DIRECTORY})


class Scanned(Struct, frozen=True):
    """What was found: what can be declared, and by path why the others cannot."""

    packs: tuple[ImportedPack, ...]
    skipped: tuple[tuple[str, str], ...]


def scan(layout: Layout, start: Path, declared: Container[str], platform: str) -> Scanned:
    """Look for checkouts below a directory of the workspace.

    Args:
        layout: the workspace.
        start: the directory, canonical.
        declared: the paths that are declared already.
        platform: for what the checkouts declare themselves.
    """
    packs: list[ImportedPack] = []
    skipped: list[tuple[str, str]] = []
    theirs: set[str] = set()
    for directory in _checkouts(layout.root, start):
        path = directory.relative_to(layout.root).as_posix()
        if path in declared:
            continue
        found = _look(directory, path)
        if isinstance(found, str):
            skipped.append((path, found))
            continue
        packs.append(found)
        theirs.update(_declared_by(directory, path, platform))
    kept = tuple(pack for pack in packs if pack.path not in theirs)
    return Scanned(kept, tuple(entry for entry in skipped if entry[0] not in theirs))


def _checkouts(root: Path, start: Path) -> Iterator[Path]:
    """Every directory that has a `.git`, outer ones first, sorted; but for the workspace itself."""
    waiting = [start]
    while waiting:
        directory = waiting.pop()
        inside: list[Path] = []
        has_git = False
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    if entry.name == ".git":
                        has_git = True
                    elif _may_hold_packs(entry.name) and entry.is_dir(follow_symlinks=False):
                        inside.append(Path(entry.path))
        except OSError:
            continue  # what may not be read holds nothing that could be declared
        if has_git and directory != root:
            yield directory
        waiting += sorted(inside, reverse=True)


def _may_hold_packs(name: str) -> bool:
    return name not in _SKIPPED and not name.startswith(GREX_TMP_PREFIX)


def _look(directory: Path, path: str) -> ImportedPack | str:
    """The pack, or why it cannot be declared."""
    dirs = find_git_dirs(directory)
    if dirs is None:
        return "its .git is no repository that can be read"
    if submodule_of(dirs) is not None:
        return "it is a submodule of the repository around it"
    origin = read_origin(dirs)
    if origin.ref is None:
        return "nothing is committed there, or its HEAD cannot be read"
    if origin.url is None:
        others = ", ".join(origin.remotes)
        return f"it has no remote `origin`, only {others}" if others else "it has no remote"
    mark = Mark(path, 1, 1)
    problems = Problems()
    pack = ImportedPack(path, origin.url, origin.ref, mark, remotes=origin.remotes)
    judged = fit_for_grex(Imported((pack,)), problems)
    return judged.packs[0] if judged.packs else problems.sorted()[0].message


def _declared_by(directory: Path, path: str, platform: str) -> Iterator[str]:
    """Where the checkout's own children belong; none where its pack.yaml is wrong, which the sync will say."""
    try:
        spec = read_pack_spec(directory, is_root=False, platform=platform, display=path)
    except GrexError:
        return
    for child in spec.children if spec is not None else ():
        yield resolve_pack_path(path, child.path)
