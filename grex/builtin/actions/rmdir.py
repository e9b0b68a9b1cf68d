"""The `rmdir` action: no directory at `path`.

What is there decides, and what the pack.yaml allows:

| found                  | done                                                                    |
|------------------------|-------------------------------------------------------------------------|
| nothing                | nothing                                                                 |
| an empty directory     | removed; the undo makes it again, with its mode and its time            |
| one with content       | an error; `backup`: moved beside itself; `force`: deleted, for good     |
| a link, a file         | an error: a link is never followed, and a file is no directory          |

Refused whatever is said: a directory that holds the home, the workspace, the pack or a checkout.

**Deleting** a tree takes many steps, and a kill may come between any two. So it is moved aside first, under a name that
stands in the log (`whole`), then renamed once more (`doomed`), and only then deleted. What is found under the first
name has lost nothing and goes back; what is found under the second was being deleted, and that is finished - by the
undo, or by the next run, whichever comes first. A deletion that fails puts back what is left, so that nothing of the
user's lies about under a name of ours. Once it is through there is nothing to undo, and a failed run says so.

Undo data: `{"path", "way": "empty", "mode", "mtime_ns"}`, `{"path", "way": "backup", "backup"}`, or, while it is being
deleted, `{"path", "way": "force", "whole", "doomed"}`.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio.to_thread

from grex.builtin.backups import bring_back, free_backup, holds_checkout, move_aside, stays_beside
from grex.builtin.paths import disk_error, empty_path, is_inside, is_within, resolve, shown
from grex.builtin.recorded import has_backup, recorded_number, recorded_path, recorded_text
from grex.errors import ActionError
from grex.fs import TEMP_PREFIX, remove_tree
from grex.plugin import ActionContext, ActionType, Done, Planned
from grex.plugin import Rmdir as RmdirArguments

__all__ = ["Rmdir"]


class Rmdir(ActionType[RmdirArguments]):
    """Takes directories away."""

    name = "rmdir"
    arguments = RmdirArguments

    def check(self, arguments: RmdirArguments) -> str | None:
        """An empty path would mean the pack itself."""
        return empty_path(arguments, "path")

    def needs_trust(self, arguments: RmdirArguments, ctx: ActionContext) -> tuple[str, ...]:
        """The path, if it lies outside the pack or cannot be known yet, or if what is in it would be deleted."""
        try:
            path = resolve(ctx, arguments.path, "rmdir")
        except ActionError:
            return (f"rmdir {shown(arguments.path)}",)
        if arguments.force and not arguments.backup:
            return (f"rmdir {shown(path)} and all that is in it",)
        return () if is_inside(path, ctx.pack.root) else (f"rmdir {shown(path)}",)

    def claims(self, arguments: RmdirArguments, ctx: ActionContext) -> tuple[str, ...]:
        """The path: nobody else may want something there, or below."""
        return (str(resolve(ctx, arguments.path, "rmdir")),)

    async def plan(self, arguments: RmdirArguments, ctx: ActionContext) -> Planned | None:
        """The directory, if there is one, or what a killed run left of it."""
        path = resolve(ctx, arguments.path, "rmdir")
        title = f"rmdir {shown(path)}"
        try:
            return _unfinished(path, title, ctx) or _look(path, title, arguments, ctx)
        except OSError as error:
            raise disk_error(title, error) from error

    async def do(self, arguments: RmdirArguments, planned: Planned, ctx: ActionContext) -> Done:
        """Take it away."""
        del arguments, ctx
        undo = dict(planned.undo or {})
        path = recorded_path(undo, "path")
        title = f"rmdir {shown(path)}"
        doomed = _doomed(undo) if undo["way"] == "force" else None
        try:
            if undo["way"] == "empty":
                path.rmdir()
                return Done(title, undo=undo)
            if doomed is None:
                backup = recorded_path(undo, "backup")
                move_aside(path, backup)
                return Done(f"{title}: kept it as {shown(backup.name)}", undo=undo)
            whole = recorded_path(undo, "whole")
            if not os.path.lexists(doomed):
                if not os.path.lexists(whole):
                    move_aside(path, whole)
                move_aside(whole, doomed)
            await anyio.to_thread.run_sync(remove_tree, doomed)
        except OSError as error:
            failure = disk_error(title, error)
            if doomed is not None and (os.path.lexists(doomed) or not os.path.lexists(path)):
                failure.hint = f"{failure.hint} What was in it was being deleted, and that cannot be taken back."
            raise failure from error
        return Done(f"{title} and all that was in it", irreversible=True)

    def describe_undo(self, undo: Mapping[str, Any]) -> str:
        """The directory."""
        return f"rmdir {shown(recorded_path(undo, 'path'))}"

    def still_claims(self, undo: Mapping[str, Any]) -> tuple[str, ...]:
        """The place to which the directory would come back."""
        path, way = recorded_path(undo, "path"), recorded_text(undo, "way")
        comes_back = has_backup(undo) if way == "backup" else way == "empty" and not os.path.lexists(path)
        return (str(path),) if comes_back else ()

    def undo_claims(self, undo: Mapping[str, Any]) -> tuple[str, ...]:
        """The directory."""
        return (str(recorded_path(undo, "path")),)

    async def undo(self, undo: Mapping[str, Any], ctx: ActionContext) -> None:
        """Make the empty directory again, bring the one with content back, or finish what cannot be taken back."""
        path, way = recorded_path(undo, "path"), recorded_text(undo, "way")
        title = f"rmdir {shown(path)} cannot be undone"
        try:
            if way == "empty":
                _make_again(path, mode=recorded_number(undo, "mode"), mtime_ns=recorded_number(undo, "mtime_ns"))
            elif way == "backup":
                backup = recorded_path(undo, "backup")
                if not stays_beside(undo, "path", backup, ctx):
                    bring_back(backup, path, ctx)
            else:
                bring_back(recorded_path(undo, "whole"), path, ctx)
                await _finish(path, _doomed(undo), ctx)
        except OSError as error:
            raise disk_error(title, error) from error

    async def drift(self, arguments: RmdirArguments, ctx: ActionContext) -> str | None:
        """The path, if something is there again."""
        path = resolve(ctx, arguments.path, "rmdir")
        return f"rmdir {shown(path)}: it is there again" if os.path.lexists(path) else None


def _unfinished(path: Path, title: str, ctx: ActionContext) -> Planned | None:
    """What a killed run began to delete and did not finish."""
    for undo in reversed(ctx.recorded()):
        if undo.get("way") != "force" or undo.get("path") != str(path) or os.path.lexists(path):
            continue
        if os.path.lexists(recorded_path(undo, "whole")) or os.path.lexists(_doomed(undo)):
            return Planned(f"{title} and all that was in it: finish what was interrupted", undo=dict(undo))
    return None


def _look(path: Path, title: str, arguments: RmdirArguments, ctx: ActionContext) -> Planned | None:
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISDIR(status.st_mode):
        what = "a link, and no link is followed" if stat.S_ISLNK(status.st_mode) else "no directory"
        raise ActionError(f"{title}: it is {what}", hint="Take it away by hand, or correct `path` in the pack.yaml.")
    _refuse(path, title, ctx)
    with os.scandir(path) as entries:
        is_empty = next(entries, None) is None
    if is_empty:
        facts = {"mode": stat.S_IMODE(status.st_mode), "mtime_ns": status.st_mtime_ns}
        return Planned(title, undo={"path": str(path), "way": "empty", **facts})
    if arguments.backup or (ctx.force and not arguments.force):
        undo = {"path": str(path), "way": "backup", "backup": str(free_backup(path))}
        return Planned(f"{title}, with a backup of what is there", undo=undo)
    if arguments.force:
        doomed = path.with_name(f"{TEMP_PREFIX}{os.urandom(8).hex()}")
        undo = {"path": str(path), "way": "force", "whole": str(free_backup(path)), "doomed": str(doomed)}
        return Planned(f"{title} and all that is in it, for good", undo=undo)
    if ctx.dry_run:  # an earlier action of the pack may empty it
        return Planned(f"{title}, if it is empty by then")
    raise ActionError(
        f"{title}: it is not empty",
        hint="Empty it, or say `backup: true` (it is moved beside itself) or `force: true` (it is deleted for good).",
    )


def _refuse(path: Path, title: str, ctx: ActionContext) -> None:
    """Say why this directory stays, whatever the pack.yaml says.

    Raises:
        ActionError: too much hangs on it.
    """
    kept = {"the home": ctx.home, "the workspace": ctx.workspace, "the pack": ctx.pack.root}
    held = [name for name, needed in kept.items() if is_within(needed, path)]
    if not held and path.name in ("", ".."):
        held = ["more than its name says"]
    if not held and holds_checkout(path):
        held = ["a checkout"]
    if held:
        raise ActionError(
            f"{title}: it holds {held[0]} and is not taken away", hint="Choose another path in the pack.yaml."
        )


def _make_again(path: Path, *, mode: int, mtime_ns: int) -> None:
    """Make an empty directory as it was; whatever is there by now stays as it is."""
    if os.path.lexists(path):
        return
    path.mkdir(mode=mode & 0o777)
    try:
        path.chmod(mode)
        os.utime(path, ns=(mtime_ns, mtime_ns))
    except OSError:
        with contextlib.suppress(OSError):  # the next undo makes it entirely
            path.rmdir()
        raise


async def _finish(path: Path, doomed: Path, ctx: ActionContext) -> None:
    """Delete the rest of what was being deleted; put back what cannot be.

    Raises:
        ActionError: a part is left, and where.
    """
    if not os.path.lexists(doomed):
        return
    try:
        await anyio.to_thread.run_sync(remove_tree, doomed)
    except OSError as error:
        where = doomed
        if not os.path.lexists(path):
            where = doomed.rename(path)
        failure = disk_error(f"a part of {shown(path)} is deleted; the rest is at {shown(where)}", error)
        raise failure from error
    ctx.note(f"what was in {shown(path)} is deleted, which cannot be taken back")


def _doomed(undo: Mapping[str, Any]) -> Path:
    """Where the tree is that was being deleted. The log can be edited: only a name that can be ours is believed."""
    doomed = recorded_path(undo, "doomed")
    if not doomed.name.startswith(TEMP_PREFIX) or doomed.parent != recorded_path(undo, "path").parent:
        raise ActionError(
            f"the recorded undo data cannot be used: 'doomed' is {shown(doomed)}",
            hint="The log was edited or damaged; undo this action by hand.",
        )
    return doomed
