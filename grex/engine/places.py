"""Where a pack belongs: what is there, whether a pack may be there at all, and what its work trees share."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec.structs import replace

from grex.fs import canonical
from grex.git import CheckoutState, find_git_dirs, observe
from grex.names import check_pack_path

__all__ = ["backend_place", "look_at", "misplaced", "missing_directories"]


def look_at(root: Path, *, is_plain: bool = False, is_brief: bool = False) -> CheckoutState:
    """What is at a pack's path; a link to a place that only has to be made counts as an absent pack.

    `is_plain` and `is_brief` are as for `observe`. Two workspaces share a checkout through links, and whichever sync
    comes first makes it. Where not even the parent of the place is there (a disk that is not mounted, a misspelt link),
    the link itself is in the way.
    """
    state = observe(root, is_plain=is_plain, is_brief=is_brief)
    if state.kind == "other" and state.is_symlink and not os.path.lexists(state.real) and state.real.parent.is_dir():
        return replace(state, kind="absent")
    return state


def missing_directories(root: Path) -> list[Path]:
    """The directories from `root` upwards that do not exist yet, innermost first; `root` is no link."""
    missing: list[Path] = []
    current = root
    while not os.path.lexists(current):
        missing.append(current)
        current = current.parent
    return missing


def backend_place(real: Path) -> Path:
    """The directory beside which the BACKEND lock of a checkout lies; `real` is canonical.

    Work trees of one repository write to the same objects and refs. So their lock is that of the repository, wherever
    they are: it lies beside the checkout that holds the common git directory, or beside that directory where it has
    another name than `.git`. Before there is a checkout it is the place where one will be.
    """
    dirs = find_git_dirs(real)
    if dirs is None:
        return real
    common = canonical(dirs.common)
    return common.parent if common.name == ".git" else common


def misplaced(top: Path, pack: str) -> str | None:
    """Why a pack must not be looked after at its path, because of links on the way; the second half of a sentence.

    The last segment may be the user's own link to a checkout elsewhere. The directories above it may not lead out of
    the workspace. And neither may lead to a place in it that no path may name: a pack that tracks `h -> .git` and
    declares a child at `h/hooks` would have the child's files run by git.
    """
    workspace = canonical(top)
    root = workspace / pack
    parent, real = canonical(root.parent), canonical(root)
    if not parent.is_relative_to(workspace):
        return f"would lie outside the workspace: {root.parent} leads to {parent}"
    if real != root and workspace.is_relative_to(real):
        return f"is a symbolic link to {real}, which holds the workspace itself"
    for place in (parent, real):
        if place != workspace and place.is_relative_to(workspace):
            reason = check_pack_path(place.relative_to(workspace).as_posix())
            if reason is not None:
                return f"would lie in {place}, whose path {reason}"
    return None
