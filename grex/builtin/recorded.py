"""Reading undo data back from the log.

Between `do` and `undo` the facts went through a file that a person can edit, so they are looked at before anything is
removed because of them: what is not of the kind that `do` wrote is an error, and nothing is touched.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grex.builtin.paths import is_inside, shown
from grex.errors import ActionError
from grex.fs import TEMP_PREFIX
from grex.plugin import ActionContext

__all__ = [
    "has_backup",
    "has_temporary",
    "made_directories",
    "recorded_number",
    "recorded_path",
    "recorded_paths",
    "recorded_temporary",
    "recorded_text",
    "recorded_texts",
    "remove_temporary",
    "stays_inside",
]


def recorded_text(undo: Mapping[str, Any], key: str) -> str:
    """The text under a key.

    Raises:
        ActionError: there is none.
    """
    value = undo.get(key)
    if not isinstance(value, str) or not value or "\0" in value:
        raise _damaged(key, value)
    return value


def recorded_number(undo: Mapping[str, Any], key: str) -> int:
    """The whole number under a key.

    Raises:
        ActionError: there is none.
    """
    value = undo.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _damaged(key, value)
    return value


def recorded_texts(undo: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """The texts in the list under a key; the list may be empty.

    Raises:
        ActionError: there is no such list.
    """
    value = undo.get(key)
    if not isinstance(value, list | tuple) or not all(isinstance(text, str) and "\0" not in text for text in value):
        raise _damaged(key, value)
    return tuple(value)


def recorded_path(undo: Mapping[str, Any], key: str) -> Path:
    """The absolute path under a key.

    Raises:
        ActionError: there is none.
    """
    path = Path(recorded_text(undo, key))
    if not path.is_absolute():
        raise _damaged(key, path)
    return path


def recorded_paths(undo: Mapping[str, Any], key: str) -> tuple[Path, ...]:
    """The absolute paths in the list under a key; the list may be empty.

    Raises:
        ActionError: there is no such list.
    """
    paths = tuple(Path(text) for text in recorded_texts(undo, key))
    if not all(path.is_absolute() for path in paths):
        raise _damaged(key, paths)
    return paths


def recorded_temporary(undo: Mapping[str, Any], *, beside: Path) -> Path:
    """The temporary name in undo data, if it is one that can be ours.

    Args:
        undo: what was recorded; its `temp` is the path.
        beside: what is made under it first.

    Raises:
        ActionError: no such name is recorded.
    """
    temp = recorded_path(undo, "temp")
    if not temp.name.startswith(TEMP_PREFIX) or temp.parent != beside.parent:
        raise _damaged("temp", temp)
    return temp


def remove_temporary(undo: Mapping[str, Any], *, beside: Path) -> None:
    """Take away the temporary file or link that a killed run left, if its name is one that can be ours.

    Args:
        undo: what was recorded; its `temp` is the path.
        beside: what it was to become.

    Raises:
        ActionError: no such name is recorded.
        OSError: it cannot be removed.
    """
    temp = recorded_temporary(undo, beside=beside)
    if temp.is_symlink() or temp.is_file():
        temp.unlink(missing_ok=True)


def has_backup(undo: Mapping[str, Any]) -> bool:
    """Whether there is a backup that an undo would bring back."""
    backup = undo.get("backup")
    return isinstance(backup, str) and os.path.lexists(backup)


def made_directories(undo: Mapping[str, Any]) -> tuple[str, ...]:
    """The directories that were made, as claims.

    Raises:
        ActionError: there is no list of them.
    """
    return tuple(f"directory {path}" for path in recorded_paths(undo, "made"))


def has_temporary(undo: Mapping[str, Any]) -> bool:
    """Whether a killed run left its temporary file or link."""
    temp = undo.get("temp")
    return isinstance(temp, str) and os.path.lexists(temp)


def stays_inside(undo: Mapping[str, Any], ctx: ActionContext) -> bool:
    """Whether every path in the undo data lies inside the pack; the data is searched, not relied on to be of a form."""
    waiting: list[object] = [undo]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            waiting.extend(value.values())
        elif isinstance(value, list | tuple):
            waiting.extend(value)
        elif isinstance(value, str) and value.startswith(("/", "~")):
            path = Path(value)
            if path.name.startswith(TEMP_PREFIX):  # a name of grex's own, which counts as outside, beside the target
                path = path.with_name("x")
            if not is_inside(path, ctx.pack.root):
                return False
    return True


def _damaged(key: str, value: object) -> ActionError:
    return ActionError(
        f"the recorded undo data cannot be used: {key!r} is {shown(repr(value))}",
        hint="The log was edited or damaged; undo this action by hand, or take the pack away with --skip-teardown.",
    )
