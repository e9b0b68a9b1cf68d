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

Undo data: `{"link", "src", "made", "backup"}`. Undo removes the link only while it holds the text that was written. The
previous text of a link of ours that was replaced is not kept: what it pointed to is no longer declared.

A link that was right already has no undo data: this run did not make it, and taking back a failed run must not remove
what an earlier run, or the user, had put there. The earlier run's own data is still in the log.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from grex.builtin.directories import make_missing, missing_directories, remove_made
from grex.builtin.paths import disk_error, is_inside, is_within, resolve, shown
from grex.builtin.recorded import recorded_path, recorded_paths, recorded_text
from grex.errors import ActionError
from grex.fs import TEMP_PREFIX, utc_stamp
from grex.plugin import ActionContext, ActionType, Done
from grex.plugin import Symlink as SymlinkArguments

__all__ = ["Symlink"]

_BACKUP_TRIES = 1000


class Symlink(ActionType[SymlinkArguments]):
    """Makes symbolic links."""

    name = "symlink"
    arguments = SymlinkArguments

    def check(self, arguments: SymlinkArguments) -> str | None:
        """Empty paths would mean the pack itself."""
        empty = [name for name in ("src", "dst") if not str(getattr(arguments, name))]
        return f"symlink needs a {empty[0]} that is not empty" if empty else None

    def needs_trust(self, arguments: SymlinkArguments, ctx: ActionContext) -> tuple[str, ...]:
        """The link, if either of its ends lies outside the pack or cannot be known yet.

        A link inside the pack that leads out of it would carry whatever is written through it later.
        """
        try:
            src = resolve(ctx, arguments.src, "symlink src")
            dst = resolve(ctx, arguments.dst, "symlink dst")
        except ActionError:
            return (f"symlink {shown(arguments.dst)} -> {shown(arguments.src)}",)
        root = ctx.pack.root
        stays = is_inside(dst, root) and ".." not in src.parts and is_within(src, root)
        return () if stays else (f"symlink {shown(dst)} -> {shown(src)}",)

    async def plan(self, arguments: SymlinkArguments, ctx: ActionContext) -> str | None:
        """The link, if it is not there yet."""
        link = _read(arguments, ctx)
        found = _look(link, ctx)
        missing_directories(link.dst.parent, link.title)
        if found == "right":
            return None
        if found == "foreign":
            _refuse_foreign(link, ctx, backup=arguments.backup)
            return f"{link.title}, with a backup of what is there"
        return link.title if link.src.exists() else f"{link.title}, whose source is not there yet"

    async def do(self, arguments: SymlinkArguments, ctx: ActionContext) -> Done:
        """Make the link, unless it is right."""
        link = _read(arguments, ctx)
        if not link.src.exists():
            raise ActionError(
                f"{link.title}: the source does not exist",
                hint=f"Add it to the pack {ctx.pack.name}, or correct `src` in its pack.yaml.",
            )
        found = _look(link, ctx)
        if found == "right":
            return Done(changed=False, text=f"{link.title}: is there")
        if found == "foreign":
            _refuse_foreign(link, ctx, backup=arguments.backup)
        try:
            return _make(link, found, is_directory=_is_directory(link.src, arguments.kind))
        except OSError as error:
            raise disk_error(link.title, error) from error

    async def undo(self, undo: Mapping[str, Any], ctx: ActionContext) -> None:
        """Remove the link if it is still ours, bring the backup back if its place is free, remove empty parents."""
        dst, text = recorded_path(undo, "link"), recorded_text(undo, "src")
        backup = None if undo.get("backup") is None else recorded_path(undo, "backup")
        made = recorded_paths(undo, "made")
        try:
            if _link_text(dst) == text:
                dst.unlink()
            elif os.path.lexists(dst):
                ctx.note(f"{shown(dst)} stays: it is no longer the link that grex made")
            if backup is not None and os.path.lexists(backup):
                if os.path.lexists(dst):
                    ctx.note(f"{shown(backup)} stays: {shown(dst)} is in its place")
                else:
                    backup.rename(dst)
        except OSError as error:
            raise disk_error(f"the symlink {shown(dst)} cannot be undone", error) from error
        remove_made(made)


@dataclass(frozen=True, slots=True)
class _Link:
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
    is_same = link.src.exists() and os.path.realpath(link.dst) == os.path.realpath(link.src)
    if is_same or _link_text(link.dst) == str(link.src):
        return "right"
    if stat.S_ISLNK(status.st_mode) and _leads_into(link.dst, ctx.pack.root):
        return "ours"
    return "foreign"


def _leads_into(dst: Path, root: Path) -> bool:
    """Whether the text of the link names something in the pack; the links on the way there are not asked."""
    target = os.path.normpath(Path(os.path.realpath(dst.parent), dst.readlink()))
    return any(Path(target).is_relative_to(spelling) for spelling in (root, os.path.realpath(root)))


def _refuse_foreign(link: _Link, ctx: ActionContext, *, backup: bool) -> None:
    """Say why what is at `dst` may not be moved away, if it may not."""
    if not backup:
        raise ActionError(
            f"{link.title}: something that grex did not make is in the way",
            hint=f"Move {shown(link.dst)} away, or say `backup: true` to have it kept beside the link.",
        )
    if not link.dst.is_dir() or link.dst.is_symlink():
        return
    kept = {"the home": ctx.home, "the workspace": ctx.workspace, "the pack": ctx.pack.root, "the source": link.src}
    held = [name for name, path in kept.items() if is_within(path, link.dst)]
    if not held and is_within(link.dst, ctx.workspace) and _holds_checkout(link.dst):
        held = ["a checkout"]
    if held:
        raise ActionError(
            f"{link.title}: the directory in the way holds {held[0]} and is not moved",
            hint="Choose another `dst` in the pack.yaml.",
        )


def _holds_checkout(directory: Path) -> bool:
    return any(".git" in names or ".git" in files for _, names, files in os.walk(directory))


def _is_directory(src: Path, kind: str) -> bool:
    """What kind of link Windows is asked for; other systems know only one."""
    return src.is_dir() if kind == "auto" else kind == "dir"


def _make(link: _Link, found: _Found, *, is_directory: bool) -> Done:
    """Put the link where it belongs.

    Raises:
        OSError: it could not be done, and everything is as before.
    """
    if found == "ours":
        _replace(link, is_directory=is_directory)
        return Done(changed=True, text=f"{link.title}: replaced", undo=_facts(link))
    made = make_missing(missing_directories(link.dst.parent, link.title), link.title)
    backup = None
    try:
        if found == "foreign":
            backup = _free_name(link.dst)
            link.dst.rename(backup)
        link.dst.symlink_to(link.src, target_is_directory=is_directory)
    except OSError:
        if backup is not None and os.path.lexists(backup) and not os.path.lexists(link.dst):
            backup.rename(link.dst)
        remove_made(made)
        raise
    text = link.title if backup is None else f"{link.title}: kept what was there as {shown(backup.name)}"
    return Done(changed=True, text=text, undo=_facts(link, made=made, backup=backup))


def _replace(link: _Link, *, is_directory: bool) -> None:
    temp = link.dst.with_name(f"{TEMP_PREFIX}{os.urandom(8).hex()}")
    temp.symlink_to(link.src, target_is_directory=is_directory)
    try:
        temp.replace(link.dst)
    except OSError:
        with contextlib.suppress(OSError):  # the first failure is the one to report
            temp.unlink()
        raise


def _free_name(dst: Path) -> Path:
    """A name beside `dst` that nothing has, so that no backup ever replaces another."""
    first = f"{dst.name}.grex-bak.{utc_stamp()}"
    names = (first, *(f"{first}-{number}" for number in range(2, _BACKUP_TRIES)))
    for name in names:
        if not os.path.lexists(dst.with_name(name)):
            return dst.with_name(name)
    raise FileExistsError(f"every name from {first} on is taken")


def _facts(link: _Link, *, made: tuple[Path, ...] = (), backup: Path | None = None) -> dict[str, Any]:
    return {
        "link": str(link.dst),
        "src": str(link.src),
        "made": [str(directory) for directory in made],
        "backup": None if backup is None else str(backup),
    }


def _link_text(path: Path) -> str | None:
    """What a link holds; None for whatever is no link."""
    try:
        return os.readlink(path)  # noqa: PTH115 - the text as it stands, which Path would normalise
    except OSError:
        return None
