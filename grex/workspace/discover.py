"""Which workspace a command means that was started in some directory.

Every ancestor with `.grex/pack.yaml` is a candidate, and a pack in a workspace looks just like a workspace. So the
candidates are taken from the outermost inwards: one that the workspace found so far records or declares is a pack of
it; one that it knows nothing of is a workspace of its own, and what lies further in is judged by that. A pack cannot
make itself the workspace of its own directory that way, and a stranger's workspace inside another one is not
swallowed by it.

What lies further out is not always ours. Whoever may write to `/tmp` can put `/tmp/.grex/pack.yaml` above everybody's
directories, and have it declare theirs. As git does for repositories, an outer candidate counts only if it belongs to
this user, to root, or to the owner of the innermost candidate, whom the user has chosen to work with by being there.

Declared packs are followed through the packs that lie between a candidate's outer workspace and itself. One that is
declared from elsewhere in the tree (a path with a leading `/`) is known once it is recorded, which it is as soon as
grex has cloned it. A pack.yaml that is broken declares nothing: being unable to repair it, because no workspace is
found any more, would be worse.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection
from pathlib import Path

from grex.errors import ManifestError, NotAWorkspaceError
from grex.names import GREX_DIRECTORY, PACK_YAML, clean, fold_key

__all__ = ["PULL_MARKER", "directory_in_place", "find_workspace"]

PULL_MARKER = f"{GREX_DIRECTORY}/state/pulling"
"""Stands while git moves the workspace's own files: a kill may leave a workspace that has no pack.yaml at the moment.

No commit holds it. Where it stands, the next run mends what is half-written before it reads anything.
"""


def find_workspace(
    start: Path,
    *,
    explicit: Path | None,
    recorded: Callable[[Path], Collection[str]],
    declared: Callable[[Path, str], Collection[str]],
) -> Path:
    """Return the canonical root of the workspace.

    Args:
        start: the directory where the command was started.
        explicit: what the user said outright, by an option or the environment.
        recorded: gives the paths of all packs in log and lockfile of the workspace at a root.
        declared: gives the paths, from that root, that the pack at a path from there (`""`: the root) declares.

    Raises:
        NotAWorkspaceError: there is none.
        ManifestError: what should be its pack.yaml is a directory.
    """
    if explicit is not None:
        root = Path(os.path.realpath(explicit))
        _refuse_directory([root])
        if not _is_candidate(root):
            raise NotAWorkspaceError(
                f"'{clean(str(explicit))}' is not a workspace: it has no {PACK_YAML}.",
                hint="Name the directory that holds it, or make a workspace there with `grex init`.",
            )
        return root
    real = Path(os.path.realpath(start))
    candidates = [path for path in (real, *real.parents) if _is_candidate(path)]
    if not candidates:
        _refuse_directory([real, *real.parents])
        raise NotAWorkspaceError(
            f"'{clean(str(start))}' is in no workspace: neither it nor a directory above it has a {PACK_YAML}.",
            hint="Make one with `grex init`, or name one with --workspace.",
        )
    workspace, *inner = reversed(_trusted(candidates))
    for candidate in inner:
        pack_path = candidate.relative_to(workspace).as_posix()
        if not _knows(workspace, pack_path, recorded, declared):
            workspace = candidate
    return workspace


def _is_candidate(directory: Path) -> bool:
    # A symlink in place of either is refused when it is read; taking it for a workspace here gives that message.
    try:
        return not stat.S_ISDIR((directory / PACK_YAML).lstat().st_mode)
    except OSError:
        return _is_being_pulled(directory)


def _is_being_pulled(directory: Path) -> bool:
    try:
        return stat.S_ISREG((directory / PULL_MARKER).lstat().st_mode)
    except OSError:
        return False


def _refuse_directory(directories: list[Path]) -> None:
    """Say what is the matter where only a directory stands in the place of a pack.yaml.

    Raises:
        ManifestError: in one of these, the first counts.
    """
    for directory in directories:
        if (directory / PACK_YAML).is_dir():
            raise directory_in_place(directory)


def directory_in_place(workspace: Path) -> ManifestError:
    """The refusal of a workspace whose pack.yaml is a directory."""
    return ManifestError(
        f"{clean(str(workspace / PACK_YAML))} is a directory, and has to be a file",
        hint="Move the directory away, and restore the file from version control or make one with `grex init`.",
    )


def _trusted(candidates: list[Path]) -> list[Path]:
    """The candidates, innermost first, without outer ones of other people."""
    if not hasattr(os, "geteuid"):
        return candidates  # Windows: owners are no numbers, and nobody shares a root directory
    innermost, *outer = candidates
    owners = {os.geteuid(), 0, _owner(innermost)}
    return [innermost, *(path for path in outer if _owner(path) in owners)]


def _owner(directory: Path) -> int:
    try:
        return (directory / GREX_DIRECTORY).lstat().st_uid
    except OSError:
        return -1


def _knows(
    workspace: Path,
    pack_path: str,
    recorded: Callable[[Path], Collection[str]],
    declared: Callable[[Path, str], Collection[str]],
) -> bool:
    """Whether the workspace has a pack at this path, by declaration or by record."""
    wanted = fold_key(pack_path)
    seen: set[str] = set()
    pending = [""]
    asked_records = False
    while True:
        while pending:
            above = pending.pop()
            for path in declared(workspace, above):
                key = fold_key(path)
                if key == wanted:
                    return True
                if key not in seen and wanted.startswith(f"{key}/"):
                    seen.add(key)
                    pending.append(path)
        if asked_records:
            return False
        # Only now, since reading the log is the dearer question. What it names may declare in its turn.
        asked_records = True
        for path in recorded(workspace):
            key = fold_key(path)
            if key == wanted:
                return True
            if key not in seen and wanted.startswith(f"{key}/"):
                seen.add(key)
                pending.append(path)
