"""Moving away what stands in an action's way, and bringing it back.

What is moved away keeps its inode, and with it its bytes, mode and times: it is renamed beside itself, to
`<name>.grex-bak.<utc>`. The name is chosen when the action is planned, so it is in the log before anything moves, and
a backup never takes the name of anything that is there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from grex.builtin.paths import is_within, shown
from grex.errors import ActionError
from grex.fs import rename_to_free_name, utc_stamp
from grex.plugin import ActionContext

__all__ = [
    "bring_back",
    "free_backup",
    "holds_checkout",
    "move_aside",
    "refuse_to_move",
    "replace_link",
    "stays_beside",
    "take_away",
]

_TRIES = 1000


def refuse_to_move(path: Path, title: str, ctx: ActionContext, *, backup: bool, source: Path | None = None) -> None:
    """Say why what is at `path` may not be moved away, if it may not.

    Args:
        path: what is in the way.
        title: the action, for the message.
        ctx: of the action.
        backup: whether the pack.yaml allows it; `update --force` does as well.
        source: what the action needs where it is.

    Raises:
        ActionError: it may not.
    """
    if not backup and not ctx.force:
        raise ActionError(
            f"{title}: something that grex did not make is in the way",
            hint=f"Move {shown(path)} away, say `backup: true` in the pack.yaml, or use `grex update --force`.",
        )
    if path.is_symlink() or not path.is_dir():  # where a link leads, we may not be allowed to look
        return
    kept = {"the home": ctx.home, "the workspace": ctx.workspace, "the pack": ctx.pack.root, "the source": source}
    held = [name for name, needed in kept.items() if needed is not None and is_within(needed, path)]
    if not held and is_within(path, ctx.workspace) and holds_checkout(path):
        held = ["a checkout"]
    if held:
        raise ActionError(
            f"{title}: the directory in the way holds {held[0]} and is not moved",
            hint="Choose another path in the pack.yaml.",
        )


def holds_checkout(directory: Path) -> bool:
    """Whether the directory is a checkout of git, or has one anywhere below it."""
    return any(".git" in names or ".git" in files for _, names, files in os.walk(directory))


def free_backup(path: Path) -> Path:
    """A name beside `path` that nothing has."""
    first = f"{path.name}.grex-bak.{utc_stamp()}"
    for number in range(1, _TRIES):
        backup = path.with_name(first if number == 1 else f"{first}-{number}")
        if not os.path.lexists(backup):
            return backup
    raise ActionError(
        f"every name for a backup of {shown(path)} is taken, from {shown(first)} on",
        hint="Take some of these backups away.",
    )


def move_aside(path: Path, backup: Path) -> None:
    """Rename; nothing is ever replaced by it.

    Raises:
        FileExistsError: something has the backup's name by now.
        OSError: it cannot be renamed.
    """
    if os.path.lexists(backup):  # the name has this microsecond in it
        raise FileExistsError(f"{backup} is taken")
    path.rename(backup)


def bring_back(backup: Path, path: Path, ctx: ActionContext) -> None:
    """Rename a backup back to where it was; where its place is taken it stays, and that is noted.

    Raises:
        OSError: it cannot be renamed.
    """
    if not os.path.lexists(backup):
        return  # it was never made, or is back already
    try:
        rename_to_free_name(backup, path)
    except FileExistsError:
        ctx.note(f"{shown(backup)} stays: {shown(path)} is in its place")


def take_away(path: Path, is_ours: Callable[[Path], bool], ctx: ActionContext) -> bool:
    """Remove a file or link if it is the one that grex made. Whether it was.

    Between a look at a file and its removal somebody may put another one into its place, as editors do. So it is
    renamed first, to a name that nobody else uses, looked at once more there, and goes back if it is not ours. What a
    kill in between leaves under that name is put right by the next call.

    Args:
        path: where it is.
        is_ours: whether what is at a path is what grex made.
        ctx: of the undo.

    Raises:
        OSError: it cannot be removed.
    """
    aside = path.with_name(f".grex-undo-{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}")
    try:
        if os.path.lexists(aside) and is_ours(aside):
            aside.unlink()
        is_left = os.path.lexists(aside)
        is_gone = is_ours(path)
        if is_gone and is_left:
            path.unlink()
        elif is_gone:
            rename_to_free_name(path, aside)
            is_gone = is_ours(aside)
            if is_gone:
                aside.unlink()
    finally:
        bring_back(aside, path, ctx)
    return is_gone


def stays_beside(undo: Mapping[str, Any], key: str, backup: Path, ctx: ActionContext) -> bool:
    """Whether a backup is not to be brought back, because an earlier one belongs into its place.

    A pack that is installed, changed by hand and mended with `update --force` has two records of one place, and each
    may have its backup: the first of what the user had, the second of the change by hand. A teardown brings the first
    one back and leaves the other beside; taking back a failed update brings back the second.

    Args:
        undo: the recorded data that is being undone.
        key: what holds the place in it.
        backup: where what was moved away is.
        ctx: of the action; what is recorded of its kind tells of the earlier ones.
    """
    if not ctx.is_teardown:
        return False
    for earlier in ctx.recorded():
        if dict(earlier) == dict(undo):
            return False
        before = earlier.get("backup")
        if earlier.get(key) == undo.get(key) and isinstance(before, str) and os.path.lexists(before):
            if os.path.lexists(backup):
                ctx.note(f"{shown(backup)} stays: what {shown(before)} holds was there before")
            return True
    return False


def replace_link(path: Path, text: str, *, is_directory: bool, temp: Path) -> None:
    """Give a link another text in one rename: a program that opens it meanwhile sees one of the two.

    Args:
        path: the link.
        text: what it shall hold.
        is_directory: what it leads to, for Windows.
        temp: a free name beside it, on record: a kill may leave a link there.

    Raises:
        OSError: it could not be done, and everything is as before.
    """
    try:
        temp.symlink_to(text, target_is_directory=is_directory)
        temp.replace(path)
    except OSError:
        with contextlib.suppress(OSError):  # the first failure is the one to report
            temp.unlink()
        raise
