"""The `mkdir` action: a directory and its parents.

A directory that exists is as it should be, whatever its mode; the mode is for what is made. It is set exactly, on every
directory that is made, because a umask that differs between two machines is no part of what a pack declares. The undo
data is `{"made": [paths, outermost first]}`. Where `update --force` moves away what somebody has put in the place of a
directory that this pack had made, or of one above it, `path` and `backup` are in it as well.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from grex.builtin.backups import bring_back, free_backup, move_aside, stays_beside
from grex.builtin.directories import make_missing, missing_directories, remove_made
from grex.builtin.paths import disk_error, empty_path, is_inside, resolve, shown
from grex.builtin.recorded import has_backup, made_directories, recorded_path, recorded_paths, stays_inside
from grex.errors import ActionError
from grex.pack import mode_bits
from grex.plugin import ActionContext, ActionType, Done, Planned
from grex.plugin import Mkdir as MkdirArguments

__all__ = ["Mkdir"]


class Mkdir(ActionType[MkdirArguments]):
    """Makes directories."""

    name = "mkdir"
    arguments = MkdirArguments

    def check(self, arguments: MkdirArguments) -> str | None:
        """An empty path would mean the pack itself."""
        return empty_path(arguments, "path")

    def needs_trust(self, arguments: MkdirArguments, ctx: ActionContext) -> tuple[str, ...]:
        """The path, if it lies outside the pack or cannot be known yet."""
        try:
            path = resolve(ctx, arguments.path, "mkdir")
        except ActionError:
            return (f"mkdir {shown(arguments.path)}",)
        return () if is_inside(path, ctx.pack.root) else (f"mkdir {shown(path)}",)

    def claims(self, arguments: MkdirArguments, ctx: ActionContext) -> tuple[str, ...]:
        """The directory, which others may want as well."""
        return (f"directory {resolve(ctx, arguments.path, 'mkdir')}",)

    async def drift(self, arguments: MkdirArguments, ctx: ActionContext) -> str | None:
        """The directory, if it is gone or something else by now."""
        path = resolve(ctx, arguments.path, "mkdir")
        if os.path.isdir(path):  # noqa: PTH112 - Path raises where it may not look
            return None
        return f"mkdir {shown(path)}: {'it is no directory any more' if os.path.lexists(path) else 'it is gone'}"

    def undo_needs_trust(self, undo: Mapping[str, Any], ctx: ActionContext) -> tuple[str, ...]:
        """What it takes back, unless all that is touched lies inside the pack."""
        return () if stays_inside(undo, ctx) else super().undo_needs_trust(undo, ctx)

    async def plan(self, arguments: MkdirArguments, ctx: ActionContext) -> Planned | None:
        """The path, if there is no directory yet."""
        path = resolve(ctx, arguments.path, "mkdir")
        title = f"mkdir {shown(path)}"
        replaced = _replaced(path, ctx)
        if replaced is not None:
            backup = free_backup(replaced)
            below = [directory for directory in path.parents if directory.is_relative_to(replaced)]
            missing = (*reversed(below), path)
            facts = {"made": [str(directory) for directory in missing], "path": str(replaced), "backup": str(backup)}
            return Planned(f"{title}, with a backup of what is there", undo=facts, facts=missing)
        missing = missing_directories(path, title)
        if not missing:
            return None
        undo = {"made": [str(directory) for directory in missing]}
        # One that raises has taken back what it made itself: it knows which of them somebody else made meanwhile.
        return Planned(title, undo=undo, undo_if_failed=False, touches_users=False, facts=missing)

    async def do(self, arguments: MkdirArguments, planned: Planned, ctx: ActionContext) -> Done:
        """Make the directories that are missing."""
        del ctx
        missing, undo = cast("tuple[Path, ...]", planned.facts), dict(planned.undo or {})
        kept = ""
        if "backup" in undo:
            backup = recorded_path(undo, "backup")
            try:
                move_aside(missing[0], backup)
            except OSError as error:
                raise disk_error(planned.text, error) from error
            kept = f": kept what was there as {shown(backup.name)}"
        made = make_missing(missing, planned.text, mode=mode_bits(arguments.mode))
        title = planned.text if not kept else f"mkdir {shown(missing[-1])}{kept}"
        return Done(title, undo={**undo, "made": [str(directory) for directory in made]})

    def describe_undo(self, undo: Mapping[str, Any]) -> str:
        """The innermost directory that was made."""
        made = recorded_paths(undo, "made")
        return f"mkdir {shown(made[-1])}" if made else self.name

    def still_claims(self, undo: Mapping[str, Any]) -> tuple[str, ...]:
        """The directories that were made and are there, which others may want as well; the place of a backup."""
        made = tuple(f"directory {path}" for path in recorded_paths(undo, "made") if path.is_dir())
        return (*made, str(recorded_path(undo, "path"))) if has_backup(undo) else made

    def undo_claims(self, undo: Mapping[str, Any]) -> tuple[str, ...]:
        """The directories that were made; the place of a backup."""
        made = made_directories(undo)
        return made if undo.get("backup") is None else (*made, str(recorded_path(undo, "path")))

    async def undo(self, undo: Mapping[str, Any], ctx: ActionContext) -> None:
        """Remove what was made, as far as it is empty; bring back what was in its place."""
        made, backup = recorded_paths(undo, "made"), undo.get("backup")
        path = None if backup is None else recorded_path(undo, "path")
        try:
            remove_made(made, ctx)
            if path is not None:
                kept = recorded_path(undo, "backup")
                if not stays_beside(undo, "path", kept, ctx):
                    bring_back(kept, path, ctx)
        except OSError as error:
            raise disk_error(f"{self.describe_undo(undo)} cannot be undone", error) from error


def _replaced(path: Path, ctx: ActionContext) -> Path | None:
    """Where `update --force` finds something else in the place of a directory that this pack had made: it, or above."""
    if not ctx.force or ".." in path.parts:
        return None
    made = {directory for done in ctx.recorded() for directory in recorded_paths(done, "made")}
    for directory in (*reversed(path.parents), path):
        if os.path.lexists(directory) and not os.path.isdir(directory):  # noqa: PTH112 - Path raises where it may not look
            return directory if directory in made else None
    return None
