"""The `copy` action: a file at `dst` with the bytes of a file of the pack.

What can be at `dst`, and what is done about it:

| found   | means                                                              | done                                  |
|---------|--------------------------------------------------------------------|---------------------------------------|
| free    | nothing                                                            | the copy is made, with its parents    |
| right   | a file with these bytes, and with `mode` where that is declared    | nothing                               |
| ours    | a file with the bytes and the mode that an earlier run wrote there | replaced by one rename                |
| foreign | anything else: a file that the user wrote or changed, a link, ...  | an error, or moved away with `backup` |

What is ours is known by the log: the hash and the mode of what was written. So a copy that somebody has changed is that
somebody's, and is never replaced unasked. A file that is right and not ours is nobody's business, and stays.

The copy is written beside `dst`, flushed, and takes its name at last: by a link, which fails where something has come
there meanwhile, or by a rename over a version that is ours. Nothing is ever written through a link at `dst`. The name
of the file beside stands in the log, so that what a kill leaves of it is taken away by the next run, or by the undo.

An earlier version of ours is not kept, so a run that fails behind a replacement cannot bring it back, leaves the new
one, and says so. In a teardown the undo of the first version takes away whichever of ours is there.

Undo data: `{"dst", "sha256", "mode", "made", "backup", "temp", "replaced"}`.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, cast

import anyio.to_thread
from msgspec import Struct

from grex.builtin.backups import bring_back, free_backup, move_aside, refuse_to_move, stays_beside, take_away
from grex.builtin.directories import make_missing, missing_directories, remove_made
from grex.builtin.paths import disk_error, empty_path, resolve, shown, stays_in_pack
from grex.builtin.recorded import (
    has_backup,
    has_temporary,
    made_directories,
    recorded_path,
    recorded_paths,
    recorded_text,
    remove_temporary,
    stays_inside,
)
from grex.errors import ActionError
from grex.fs import TEMP_PREFIX, open_regular, replace_file
from grex.pack import mode_bits
from grex.plugin import ActionContext, ActionType, Done, Planned
from grex.plugin import Copy as CopyArguments

__all__ = ["Copy"]

_CHUNK_BYTES = 1 << 20
_PERMISSIONS = 0o777  # of a source; bits that change whose rights a program has are declared, or not copied


class Copy(ActionType[CopyArguments]):
    """Copies files."""

    name = "copy"
    arguments = CopyArguments

    def check(self, arguments: CopyArguments) -> str | None:
        """Empty paths would mean the pack itself."""
        return empty_path(arguments, "src", "dst")

    def needs_trust(self, arguments: CopyArguments, ctx: ActionContext) -> tuple[str, ...]:
        """The copy, if either of its ends lies outside the pack or cannot be known yet."""
        try:
            src = resolve(ctx, arguments.src, "copy src")
            dst = resolve(ctx, arguments.dst, "copy dst")
        except ActionError:
            return (f"copy {shown(arguments.src)} -> {shown(arguments.dst)}",)
        return () if stays_in_pack(src, dst, ctx.pack.root) else (f"copy {shown(src)} -> {shown(dst)}",)

    def claims(self, arguments: CopyArguments, ctx: ActionContext) -> tuple[str, ...]:
        """The file that is made."""
        return (str(resolve(ctx, arguments.dst, "copy dst")),)

    async def plan(self, arguments: CopyArguments, ctx: ActionContext) -> Planned | None:
        """The copy, if what is at its place is not right."""
        src, dst, title = _read(arguments, ctx)
        missing = missing_directories(dst.parent, title)
        if ctx.dry_run and not os.path.lexists(src):  # an earlier action of the pack may make it
            return Planned(f"{title}, whose source is not there yet")
        try:
            wanted = await anyio.to_thread.run_sync(_look_at_source, src, title)
            if arguments.mode is not None:
                wanted = _Content(wanted.sha256, mode_bits(arguments.mode))
            is_any_mode = arguments.mode is None
            found = await anyio.to_thread.run_sync(_look, dst, src, wanted, _ours(ctx, dst), is_any_mode)
        except OSError as error:
            raise disk_error(title, error) from error
        if found == "right":
            if any(has_temporary(earlier) for earlier in _recorded(ctx, dst)):
                return Planned(
                    f"{title}: take away what a killed run left beside it", touches_users=False, facts=(src, dst)
                )
            return None
        undo: dict[str, Any] = {
            "dst": str(dst),
            "sha256": wanted.sha256,
            "mode": wanted.mode,
            "made": [str(directory) for directory in missing],
            "backup": None,
            "temp": str(dst.with_name(f"{TEMP_PREFIX}{os.urandom(8).hex()}")),
            "replaced": found == "ours",
        }
        if found != "foreign":
            text = title if found == "free" else f"{title}: a new version"
            return Planned(text, undo=undo, touches_users=False, facts=(src, dst))
        refuse_to_move(dst, title, ctx, backup=arguments.backup, source=src)
        undo["backup"] = str(free_backup(dst))
        return Planned(f"{title}, with a backup of what is there", undo=undo, facts=(src, dst))

    async def do(self, arguments: CopyArguments, planned: Planned, ctx: ActionContext) -> Done:
        """Make the copy: its parents, room for it, then itself."""
        del arguments
        (src, dst), undo = cast("tuple[Path, Path]", planned.facts), dict(planned.undo or {})
        title = _title(src, dst)
        try:
            for earlier in _recorded(ctx, dst):
                remove_temporary(earlier, beside=dst)
            if not undo:
                return Done(planned.text)
            make_missing(recorded_paths(undo, "made"), title)
            if undo["backup"] is not None:
                move_aside(dst, recorded_path(undo, "backup"))
            await anyio.to_thread.run_sync(_write, src, dst, undo, title)
        except OSError as error:
            failure = disk_error(title, error)
            if undo.get("replaced") and _holds(dst, {undo["sha256"]}):
                failure.hint = f"{failure.hint} The new version is in its place, and the one before it was not kept."
            raise failure from error
        if undo["replaced"]:
            return Done(f"{title}: replaced what grex had copied before", undo=undo, irreversible=True)
        if undo["backup"] is not None:
            return Done(f"{title}: kept what was there as {shown(Path(undo['backup']).name)}", undo=undo)
        return Done(title, undo=undo)

    def undo_needs_trust(self, undo: Mapping[str, Any], ctx: ActionContext) -> tuple[str, ...]:
        """What it takes back, unless all that is touched lies inside the pack."""
        return () if stays_inside(undo, ctx) else super().undo_needs_trust(undo, ctx)

    def describe_undo(self, undo: Mapping[str, Any]) -> str:
        """The copy."""
        return f"copy {shown(recorded_path(undo, 'dst'))}"

    def still_claims(self, undo: Mapping[str, Any]) -> tuple[str, ...]:
        """The file, while it is the copy that was made, or while there is something to bring back to its place."""
        dst, digest = recorded_path(undo, "dst"), recorded_text(undo, "sha256")
        try:
            is_ours = _holds(dst, {digest})
        except OSError:  # what may not be read may be ours
            is_ours = os.path.lexists(dst)
        return (str(dst),) if is_ours or has_backup(undo) else ()

    def undo_claims(self, undo: Mapping[str, Any]) -> tuple[str, ...]:
        """The file, and the directories that were made for it."""
        return (str(recorded_path(undo, "dst")), *made_directories(undo))

    async def undo(self, undo: Mapping[str, Any], ctx: ActionContext) -> None:
        """Remove the copy if it is still ours, bring back what was there if its place is free, remove empty parents."""
        dst, digest = recorded_path(undo, "dst"), recorded_text(undo, "sha256")
        backup = None if undo.get("backup") is None else recorded_path(undo, "backup")
        made = recorded_paths(undo, "made")
        ours = {digest, *(content.sha256 for content in _ours(ctx, dst))}
        try:
            remove_temporary(undo, beside=dst)
            if undo.get("replaced"):
                return  # what it replaced was ours and is gone; the undo of that one takes away what is there now
            if backup is not None and not os.path.lexists(backup):
                if os.path.lexists(dst):  # what it may be is the very file that was to be moved
                    ctx.note(f"{shown(dst)} stays: the backup of what was there before is gone")
            elif not take_away(dst, lambda path: _holds(path, ours), ctx) and os.path.lexists(dst):
                ctx.note(f"{shown(dst)} stays: it is no longer the file that grex copied")
            if backup is not None and not stays_beside(undo, "dst", backup, ctx):
                bring_back(backup, dst, ctx)
            remove_made(made, ctx)
        except OSError as error:
            raise disk_error(f"the copy {shown(dst)} cannot be undone", error) from error

    async def drift(self, arguments: CopyArguments, ctx: ActionContext) -> str | None:
        """The copy, if it is gone or was changed; a newer source is no drift."""
        src, dst, title = _read(arguments, ctx)
        ours = _ours(ctx, dst)
        if not ours:
            return await super().drift(arguments, ctx)
        try:
            now = await anyio.to_thread.run_sync(_content_if_any, dst)
            source = await anyio.to_thread.run_sync(_content_if_any, Path(os.path.realpath(src)))
        except OSError as error:
            raise disk_error(title, error) from error
        if now is None:
            return f"{title}: {'something else is in its place' if os.path.lexists(dst) else 'the copy is gone'}"
        known = {ours[-1].sha256} if source is None else {ours[-1].sha256, source.sha256}
        if now.sha256 not in known:
            return f"{title}: the copy was changed"
        is_right = arguments.mode is None or now.mode == ours[-1].mode
        return None if is_right else f"{title}: the permissions of the copy were changed"


class _Content(Struct, frozen=True):
    """What a file holds, and what may be done with it."""

    sha256: str
    mode: int


_Found = Literal["free", "right", "ours", "foreign"]


def _title(src: Path, dst: Path) -> str:
    return f"copy {shown(src)} -> {shown(dst)}"


def _read(arguments: CopyArguments, ctx: ActionContext) -> tuple[Path, Path, str]:
    src, dst = resolve(ctx, arguments.src, "copy src"), resolve(ctx, arguments.dst, "copy dst")
    title = _title(src, dst)
    if dst.name in ("", ".."):
        raise ActionError(f"{title}: the destination has no name of its own", hint="Correct `dst` in the pack.yaml.")
    if os.path.normpath(src) == os.path.normpath(dst):
        raise ActionError(f"{title}: a file cannot be copied to itself", hint="Correct `dst` in the pack.yaml.")
    return src, dst, title


def _look_at_source(src: Path, title: str) -> _Content:
    """What is to be copied.

    Raises:
        ActionError: it is no file.
    """
    try:
        content = _content(Path(os.path.realpath(src)))
    except (FileNotFoundError, NotADirectoryError):
        content = None
        reason = "does not exist"
    else:
        reason = "is not a regular file"
    if content is None:
        raise ActionError(f"{title}: the source {reason}", hint="Name a file of the pack in `src`.")
    return _Content(content.sha256, content.mode & _PERMISSIONS)


def _content(path: Path) -> _Content | None:
    """What the file at `path` holds; None for anything that is no file, a link among it.

    Raises:
        OSError: nothing is there, or it cannot be read.
    """
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        return None
    digest = hashlib.sha256()
    for chunk in _chunks(path):
        digest.update(chunk)
    return _Content(digest.hexdigest(), stat.S_IMODE(status.st_mode))


def _chunks(path: Path) -> Iterator[bytes]:
    with open(open_regular(path), "rb", buffering=0) as file:  # noqa: PTH123 - no Path opens a descriptor
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def _look(dst: Path, src: Path, wanted: _Content, ours: tuple[_Content, ...], is_any_mode: bool) -> _Found:
    """What is at `dst` now."""
    try:
        found = _content(dst)
    except (FileNotFoundError, NotADirectoryError):  # a file among the parents is named when they are made
        return "free"
    if found is None:
        return "foreign"
    if found == wanted or dst.samefile(src):
        return "right"
    if found in ours:
        return "ours"
    return "right" if is_any_mode and found.sha256 == wanted.sha256 else "foreign"


def _recorded(ctx: ActionContext, dst: Path) -> list[Mapping[str, Any]]:
    """The undo data of the copies that this pack has made at `dst`, oldest first."""
    return [undo for undo in ctx.recorded() if undo.get("dst") == str(dst)]


def _ours(ctx: ActionContext, dst: Path) -> tuple[_Content, ...]:
    """What this pack has written to `dst`, the last one last."""
    found = [(undo.get("sha256"), undo.get("mode")) for undo in _recorded(ctx, dst)]
    return tuple(_Content(text, mode) for text, mode in found if isinstance(text, str) and isinstance(mode, int))


def _content_if_any(path: Path) -> _Content | None:
    """The same, and None where nothing is."""
    try:
        return _content(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _holds(path: Path, digests: set[str]) -> bool:
    """Whether there is a file with one of these contents."""
    content = _content_if_any(path)
    return content is not None and content.sha256 in digests


def _write(src: Path, dst: Path, undo: Mapping[str, Any], title: str) -> None:
    """Write the copy beside its place and give it its name; what was planned, and nothing else."""
    digest = hashlib.sha256()

    def read() -> Iterator[bytes]:
        for chunk in _chunks(Path(os.path.realpath(src))):
            digest.update(chunk)
            yield chunk
        if digest.hexdigest() != undo["sha256"]:
            raise ActionError(f"{title}: the source changed meanwhile", hint="Sync again.")

    replace_file(dst, read(), mode=undo["mode"], temp=recorded_path(undo, "temp"), must_be_new=not undo["replaced"])
