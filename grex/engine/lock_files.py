"""Which lock files a workspace has: those of its packs, and those of packs that no declaration names.

A pack that is being added is declared only after it was cloned, and one whose declaration was taken back may still be
worked on by a git that outlived its grex. So a lock file is looked for

- at every pack that is declared, recorded in the lockfile or the log, or named by the note of a clone under way;
- beside those packs and inside of them, one directory deep: `.NAME.grex-backend.lock` there, and the lock file of each
  directory there. The tree is not walked: it holds checkouts of any size.

Nothing is locked. The files that are read are replaced atomically or appended to, so what is read is whole, if maybe
of a moment ago; a file that cannot be read is an error in the answer and hides nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from grex.engine.graph import ROOT
from grex.engine.places import backend_place
from grex.engine.survey import survey
from grex.errors import GrexError, ManifestError
from grex.fs import canonical
from grex.locks import Tier
from grex.manifest import Log, fold, read_lockfile, read_notes
from grex.names import BACKEND_LOCK_SUFFIX, PACK_LOCK_NAME
from grex.workspace import Layout, backend_lock_for

__all__ = ["LockFiles", "find_lock_files"]


class LockFiles(Struct, frozen=True):
    """Where the locks of a workspace are, in the order in which they are shown; a file need not exist.

    Attributes:
        places: Tier and path of each.
        errors: Why there may be more than these.
    """

    places: tuple[tuple[Tier, Path], ...]
    errors: tuple[GrexError, ...]


def find_lock_files(layout: Layout, platform: str) -> LockFiles:
    """Look for every lock file of a workspace. Tier: none."""
    packs: set[str] = set()
    errors: list[GrexError] = []
    for source in (_declared(layout, platform, errors), _locked(layout), _logged(layout), _noted(layout, errors)):
        try:
            packs.update(source)
        except GrexError as error:
            errors.append(error)
        except OSError as error:
            errors.append(ManifestError(f"{error.filename or layout.root}: {error.strerror}"))
    packs.discard(ROOT)
    roots = {path: canonical(layout.pack_dir(path)) for path in sorted(packs)}
    places: list[tuple[Tier, Path]] = [
        (Tier.WORKSPACE, layout.workspace_lock),
        (Tier.MANIFEST, layout.manifest_lock),
        (Tier.PACK, layout.root / PACK_LOCK_NAME),
    ]
    for path, real in roots.items():
        places.append((Tier.PACK, layout.pack_lock(path)))
        places.append((Tier.BACKEND, backend_lock_for(backend_place(real))))
    known = {canonical(path.parent) / path.name for _, path in places}
    near = {layout.root, *roots.values(), *(real.parent for real in roots.values())}
    found = {place for directory in near if directory.is_relative_to(layout.root) for place in _inside(directory)}
    places.extend(sorted((place for place in found if place[1] not in known), key=lambda place: (place[1], place[0])))
    return LockFiles(tuple(places), tuple(errors))


def _declared(layout: Layout, platform: str, errors: list[GrexError]) -> Iterator[str]:
    found = survey(layout, platform)
    errors.extend(found.errors.values())
    yield from (node.path for node in found.nodes())


def _locked(layout: Layout) -> Iterator[str]:
    yield from read_lockfile(layout.lockfile)


def _logged(layout: Layout) -> Iterator[str]:
    yield from fold(Log(layout.log, layout.trash_dir).read().events).packs


def _noted(layout: Layout, errors: list[GrexError]) -> Iterator[str]:
    notes, damaged = read_notes(layout.state_dir)
    errors.extend(ManifestError(f"{bad.path}: the note of a clone {bad.reason}") for bad in damaged)
    yield from (note.target for note in notes)


def _inside(directory: Path) -> list[tuple[Tier, Path]]:
    """The lock files in a directory, and the PACK lock of each directory in it."""
    found: list[tuple[Tier, Path]] = []
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.name.startswith(".") and entry.name.endswith(BACKEND_LOCK_SUFFIX):
                    if entry.is_file(follow_symlinks=False):
                        found.append((Tier.BACKEND, Path(entry.path)))
                elif not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                    lock = Path(entry.path, PACK_LOCK_NAME)
                    if lock.is_file() and not lock.is_symlink():
                        found.append((Tier.PACK, lock))
    except OSError:
        pass  # it is not there, or not for this user: whoever works in it is shown if the pack is known
    return found
