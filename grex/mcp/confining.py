"""Paths that a client names: they stay in the workspace.

Whoever may call tools may do what they like in the workspace, and nothing elsewhere. Symlinks are followed before a
path is judged. What is grex's or git's own is no place for files of the client's either.

A fork lies beside its workspace by nature. So its directory has to lie below the directory that the workspace is in.
"""

from __future__ import annotations

from pathlib import Path

from grex.errors import UsageError
from grex.names import clean

__all__ = ["beside", "inside", "range_inside"]

_NOT_FOR_FILES = frozenset({".git", ".grex"})


def inside(root: Path, name: str, path: str, *, to_write: bool = False) -> Path:
    """The path of an argument, absolute; a relative one starts at the root.

    Args:
        root: the workspace.
        name: the argument.
        path: what it says.
        to_write: whether something is to be written there.

    Raises:
        UsageError: it leads out of the workspace, or to what is written by grex and git only.
    """
    there = _resolved(root, name, path)
    home = root.resolve()
    if not there.is_relative_to(home):
        raise UsageError(
            f"`{name}` leads out of the workspace: {clean(path)}",
            hint="Give a path from the workspace root, such as out/manifest.yml.",
        )
    if to_write and (there == home or _NOT_FOR_FILES.intersection(part.lower() for part in there.parts)):
        raise UsageError(
            f"`{name}` is no place for a file: {clean(path)}",
            hint="Give a path from the workspace root that is not below .git or .grex.",
        )
    return root / path


def beside(root: Path, name: str, path: str) -> Path:
    """The directory of a fork, absolute; a relative one starts at the root.

    Raises:
        UsageError: it does not lie below the directory that the workspace is in.
    """
    there = _resolved(root, name, path)
    around = root.resolve().parent
    if there == around or not there.is_relative_to(around):
        raise UsageError(
            f"`{name}` does not lie beside the workspace: {clean(path)}",
            hint=f"Give a directory such as ../{root.name}-fork.",
        )
    return root / path


def range_inside(root: Path, name: str, text: str) -> str:
    """`A..B`, each a revision or a lockfile; no name of a revision leads out of a workspace.

    Raises:
        UsageError: one of them is a path that leads out of it.
    """
    # Wherever the range may be split: the verb takes the first way that makes sense.
    places = [at for at in range(len(text)) if text.startswith("..", at)]
    for side in {text, *(text[:at] for at in places), *(text[at + 2 :] for at in places)}:
        if side.startswith(("/", "../")) or "/../" in side or (side and (root / side).is_file()):
            inside(root, name, side)
    return text


def _resolved(root: Path, name: str, path: str) -> Path:
    if not path:
        raise UsageError(f"`{name}` is empty", hint="Give a path from the workspace root.")
    try:
        return (root / path).resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise UsageError(f"`{name}` is no path: {clean(path)} ({clean(str(error))})") from error
