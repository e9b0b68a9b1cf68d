"""The `symlink` action: a link at `dst` that points to `src` in the pack.

What can be at `dst`, and what is done about it:

| found   | means                                                            | done                                   |
|---------|------------------------------------------------------------------|----------------------------------------|
| free    | nothing                                                          | the link is made, with its parents     |
| right   | it is `src`, through whatever links                              | nothing                                |
| ours    | a link whose text leads into this pack, but to something else    | replaced by one rename                 |
| foreign | anything else                                                    | an error, or moved away with `backup`  |

The link holds the absolute path of `src`, so that it is recognised without being followed. Nothing is ever written
*through* `dst`. "Right" is asked first, and by the real path: where a parent of `dst` is itself a link into the pack,
`dst` *is* `src`, and a backup of it would take the source away.

Replacing: a link is replaced atomically (a new one beside it, renamed over it), so a program that opens `dst` meanwhile
sees one or the other. For something foreign that is not possible, as no rename replaces a directory by a link; it is
moved to its backup first, and for a moment there is nothing at `dst`. If the link then cannot be made, the backup goes
back. A backup gets a name that is free; the check and the rename are two calls, between which only the user's own
programs could take a name with this microsecond in it.

Never moved, whatever `backup` says: a directory that holds the home, the workspace, the pack or the source, and one
inside the workspace with a checkout in it - moving another pack needs that pack's lock.

Undo data: `{"link", "src", "made", "backup", "was"}`, `was` being the text of a link of ours that was replaced; then
`temp` is the name under which the new one was made. What a kill leaves there is taken away by the next run, or by the
undo. Undo removes the link only while it holds the text that was written, and looks again once nobody else can put
another one into its place.

A link that was right already has no undo data: this run did not make it, and taking back a failed run must not remove
what an earlier run, or the user, had put there. The earlier run's own data is still in the log.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

from msgspec import Struct

from grex.builtin.backups import (
    bring_back,
    free_backup,
    move_aside,
    refuse_to_move,
    replace_link,
    stays_beside,
    take_away,
)
from grex.builtin.directories import make_missing, missing_directories, remove_made
from grex.builtin.paths import disk_error, empty_path, resolve, shown, stays_in_pack
from grex.builtin.recorded import (
    has_backup,
    has_temporary,
    made_directories,
    recorded_path,
    recorded_paths,
    recorded_temporary,
    recorded_text,
    remove_temporary,
    stays_inside,
)
from grex.errors import ActionError
from grex.fs import TEMP_PREFIX, rename_to_free_name
from grex.plugin import ActionContext, ActionType, Done, Planned
from grex.plugin import Symlink as SymlinkArguments

__all__ = ["Symlink"]


class Symlink(ActionType[SymlinkArguments]):
    """Makes symbolic links."""

    name = "symlink"
    arguments = SymlinkArguments

    def check(self, arguments: SymlinkArguments) -> str | None:
        """Empty paths would mean the pack itself."""
        return empty_path(arguments, "src", "dst")

    def needs_trust(self, arguments: SymlinkArguments, ctx: ActionContext) -> tuple[str, ...]:
        """The link, if either of its ends lies outside the pack or cannot be known yet.

        A link inside the pack that leads out of it would carry whatever is written through it later.
        """
        try:
            src = resolve(ctx, arguments.src, "symlink src")
            dst = resolve(ctx, arguments.dst, "symlink dst")
        except ActionError:
            return (f"symlink {shown(arguments.dst)} -> {shown(arguments.src)}",)
        return () if stays_in_pack(src, dst, ctx.pack.root) else (f"symlink {shown(dst)} -> {shown(src)}",)

    def undo_needs_trust(self, undo: Mapping[str, Any], ctx: ActionContext) -> tuple[str, ...]:
        """What it takes back, unless all that is touched lies inside the pack."""
        return () if stays_inside(undo, ctx) else super().undo_needs_trust(undo, ctx)

    def claims(self, arguments: SymlinkArguments, ctx: ActionContext) -> tuple[str, ...]:
        """The link."""
        return (str(resolve(ctx, arguments.dst, "symlink dst")),)

    async def plan(self, arguments: SymlinkArguments, ctx: ActionContext) -> Planned | None:
        """The link, if it is not there yet."""
        link = _read(arguments, ctx)
        missing = missing_directories(link.dst.parent, link.title)
        found = _look(link, ctx)
        if found == "right":
            return _unfinished(link, ctx)
        if not _exists(link.src):
            if ctx.dry_run:  # an earlier action of the pack may make it
                return Planned(f"{link.title}, whose source is not there yet")
            raise ActionError(
                f"{link.title}: the source does not exist",
                hint=f"Add it to the pack {ctx.pack.name}, or correct `src` in its pack.yaml.",
            )
        if found == "foreign":
            refuse_to_move(link.dst, link.title, ctx, backup=arguments.backup, source=link.src)
            backup = free_backup(link.dst)
            text = f"{link.title}, with a backup of what is there"
            return Planned(text, undo=_facts(link, made=missing, backup=backup), facts=link)
        was = _link_text(link.dst) if found == "ours" else None
        undo = _facts(link, made=missing, was=was)
        return Planned(link.title, undo=undo, touches_users=False, facts=link)

    async def drift(self, arguments: SymlinkArguments, ctx: ActionContext) -> str | None:
        """The link, if it is gone, leads elsewhere, or something else is in its place."""
        link = _read(arguments, ctx)
        found = _look(link, ctx)
        if found == "free":
            return f"{link.title}: the link is gone"
        if found == "right":
            return None if _exists(link.src) else f"{link.title}: the source is gone"
        now = _link_text(link.dst)
        return (
            f"{link.title}: {'something else is in its place' if now is None else f'it leads to {shown(now)} by now'}"
        )

    async def do(self, arguments: SymlinkArguments, planned: Planned, ctx: ActionContext) -> Done:
        """Make the link: its parents, room for it, then itself."""
        link, undo = cast("_Link", planned.facts), dict(planned.undo or {})
        try:
            for earlier in _replacements(link.dst, ctx):
                remove_temporary(earlier, beside=link.dst)
            if not undo:
                return Done(planned.text)
            make_missing(recorded_paths(undo, "made"), link.title)
            is_directory = link.src.is_dir() if arguments.kind == "auto" else arguments.kind == "dir"
            if undo["was"] is not None:
                replace_link(link.dst, str(link.src), is_directory=is_directory, temp=recorded_path(undo, "temp"))
            else:
                if undo["backup"] is not None:
                    move_aside(link.dst, recorded_path(undo, "backup"))
                link.dst.symlink_to(link.src, target_is_directory=is_directory)
        except OSError as error:
            raise disk_error(link.title, error) from error
        if undo["was"] is not None:
            return Done(f"{link.title}: replaced", undo=undo)
        if undo["backup"] is not None:
            return Done(f"{link.title}: kept what was there as {shown(Path(undo['backup']).name)}", undo=undo)
        return Done(link.title, undo=undo)

    def describe_undo(self, undo: Mapping[str, Any]) -> str:
        """The link."""
        return f"symlink {shown(recorded_path(undo, 'link'))}"

    def still_claims(self, undo: Mapping[str, Any]) -> tuple[str, ...]:
        """The link, while it is the one that was made, or while there is something to bring back to its place."""
        dst = recorded_path(undo, "link")
        is_ours = _link_text(dst) == recorded_text(undo, "src")
        return (str(dst),) if is_ours or has_backup(undo) else ()

    def undo_claims(self, undo: Mapping[str, Any]) -> tuple[str, ...]:
        """The link, and the directories that were made for it."""
        return (str(recorded_path(undo, "link")), *made_directories(undo))

    async def undo(self, undo: Mapping[str, Any], ctx: ActionContext) -> None:
        """Remove the link if it is still ours, bring back what was there if its place is free, remove empty parents."""
        dst, text = recorded_path(undo, "link"), recorded_text(undo, "src")
        was = None if undo.get("was") is None else recorded_text(undo, "was")
        backup = None if undo.get("backup") is None else recorded_path(undo, "backup")
        made = recorded_paths(undo, "made")
        try:
            if was is not None:
                is_undone = _put_back(dst, text, was, undo, ctx)
            else:
                is_undone = take_away(dst, lambda path: _link_text(path) == text, ctx)
            if (
                not is_undone
                and os.path.lexists(dst)
                and (backup is None or os.path.lexists(backup))
                and _link_text(dst) != (was or "")
            ):
                ctx.note(f"{shown(dst)} stays: it is no longer the link that grex made")
            if backup is not None and not stays_beside(undo, "link", backup, ctx):
                bring_back(backup, dst, ctx)
            remove_made(made, ctx)
        except OSError as error:
            raise disk_error(f"the symlink {shown(dst)} cannot be undone", error) from error


class _Link(Struct, frozen=True):
    """The two ends of the link that is wanted."""

    src: Path
    dst: Path

    @property
    def title(self) -> str:
        return f"symlink {shown(self.dst)} -> {shown(self.src)}"


_Found = Literal["free", "right", "ours", "foreign"]


def _read(arguments: SymlinkArguments, ctx: ActionContext) -> _Link:
    link = _Link(src=resolve(ctx, arguments.src, "symlink src"), dst=resolve(ctx, arguments.dst, "symlink dst"))
    if link.dst.name in ("", ".."):
        raise ActionError(
            f"{link.title}: the destination has no name of its own", hint="Correct `dst` in the pack.yaml."
        )
    if os.path.normpath(link.src) == os.path.normpath(link.dst):
        raise ActionError(f"{link.title}: a link cannot point to itself", hint="Correct `dst` in the pack.yaml.")
    return link


def _look(link: _Link, ctx: ActionContext) -> _Found:
    """What is at `dst` now."""
    try:
        status = link.dst.lstat()
    except (FileNotFoundError, NotADirectoryError):  # a file among the parents is named when they are made
        return "free"
    except OSError as error:
        raise disk_error(link.title, error) from error
    is_same = _exists(link.src) and os.path.realpath(link.dst) == os.path.realpath(link.src)
    if is_same or _link_text(link.dst) == str(link.src):
        return "right"
    if stat.S_ISLNK(status.st_mode) and _leads_into(link.dst, ctx.pack.root):
        return "ours"
    return "foreign"


def _put_back(dst: Path, text: str, was: str, undo: Mapping[str, Any], ctx: ActionContext) -> bool:
    """Give a place the link back that was replaced there, if the one that grex made is in it. Whether it did.

    Not by one rename over it, as it was replaced: that would take whatever somebody puts there after the last look. So
    for a moment there is nothing in the place. The old link waits in it under the recorded name, which tells the next
    call, after a kill, from a link that the user has removed.

    Raises:
        OSError: it could not be done.
    """
    temp = recorded_temporary(undo, beside=dst)
    if os.path.lexists(dst):
        remove_temporary(undo, beside=dst)
        if _link_text(dst) == text:
            temp.symlink_to(was)
    take_away(dst, lambda path: _link_text(path) == text, ctx)
    if _link_text(temp) == was:
        try:
            rename_to_free_name(temp, dst)
        except FileExistsError:
            temp.unlink()
        else:
            return True
    else:
        remove_temporary(undo, beside=dst)
    return False


def _exists(path: Path) -> bool:
    """Whether something is there, links followed; what nobody may look at is not."""
    return os.path.exists(path)  # noqa: PTH110 - Path raises where it may not look


def _replacements(dst: Path, ctx: ActionContext) -> list[Mapping[str, Any]]:
    """The undo data of the links of ours at `dst` that this pack has replaced, or had begun to."""
    return [undo for undo in ctx.recorded() if undo.get("link") == str(dst) and undo.get("was") is not None]


def _unfinished(link: _Link, ctx: ActionContext) -> Planned | None:
    """What a killed run left beside a link that is right."""
    if any(has_temporary(undo) for undo in _replacements(link.dst, ctx)):
        return Planned(f"{link.title}: take away what a killed run left beside it", touches_users=False, facts=link)
    return None


def _leads_into(dst: Path, root: Path) -> bool:
    """Whether the text of the link names something in the pack; the links on the way there are not asked."""
    target = os.path.normpath(Path(os.path.realpath(dst.parent), dst.readlink()))
    return any(Path(target).is_relative_to(spelling) for spelling in (root, os.path.realpath(root)))


def _facts(
    link: _Link, *, made: tuple[Path, ...] = (), backup: Path | None = None, was: str | None = None
) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "link": str(link.dst),
        "src": str(link.src),
        "made": [str(directory) for directory in made],
        "backup": None if backup is None else str(backup),
        "was": was,
    }
    if was is not None:
        facts["temp"] = str(link.dst.with_name(f"{TEMP_PREFIX}{os.urandom(8).hex()}"))
    return facts


def _link_text(path: Path) -> str | None:
    """What a link holds; None for whatever is no link."""
    try:
        return os.readlink(path)  # noqa: PTH115 - the text as it stands, which Path would normalise
    except OSError:
        return None
