"""The action `archive`: a directory made from an archive, known by its hash.

    unpacked under a temporary name beside `dst`, with the marker as its last file
    what is at `dst` is moved aside: the version before (to be removed), or, with `--force`, somebody's (to be kept)
    renamed to `dst`

A kill between two of these steps leaves names that stand in the log since before the first one, and `undo` knows by the
marker what is its own.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, cast

from anyio import to_thread

from grex.errors import ActionError
from grex.plugin import ActionArguments, ActionContext, ActionType, Done, Planned
from grex_archive.tree import digest, read_marker, write_marker
from grex_archive.unpack import UnsafeArchiveError, remove, unpack

__all__ = ["Archive", "ArchiveArguments"]

_TEMP = ".grex-tmp-"
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveArguments(ActionArguments):
    """What is unpacked, and where."""

    action: ClassVar[str] = "archive"
    url: str
    sha256: str
    dst: str
    strip: int = 0


class Archive(ActionType[ArchiveArguments]):
    """Fetches an archive and unpacks it."""

    name = "archive"
    arguments = ArchiveArguments

    def check(self, arguments: ArchiveArguments) -> str | None:
        """A hash that is none is a mistake in writing."""
        if not _SHA256.fullmatch(arguments.sha256):
            return "archive.sha256 has 64 hexadecimal digits"
        return "archive.strip is at least 0" if arguments.strip < 0 else None

    def needs_trust(self, arguments: ArchiveArguments, ctx: ActionContext) -> tuple[str, ...]:
        """It brings something from elsewhere, wherever that goes."""
        del ctx
        return (f"unpack {arguments.sha256[:12]}... into {arguments.dst}",)

    def claims(self, arguments: ArchiveArguments, ctx: ActionContext) -> tuple[str, ...]:
        """The directory."""
        return (str(ctx.path(arguments.dst)),)

    async def plan(self, arguments: ArchiveArguments, ctx: ActionContext) -> Planned | None:
        """Whether the directory is there, and what was unpacked."""
        dst = ctx.path(arguments.dst)
        text = f"unpack {dst}"
        names: dict[str, str | None] = {"old": None, "backup": None}
        if dst.is_symlink() or dst.exists():
            marker = read_marker(dst)
            is_whole = marker is not None and await to_thread.run_sync(digest, dst) == marker.digest
            if not is_whole and not ctx.force:
                raise ActionError(
                    f"{text}: {'it was changed by hand' if marker else 'something that was not unpacked is there'}",
                    hint="Move it away, or use `grex update --force`, which keeps it beside.",
                )
            if is_whole and marker is not None and (marker.sha256, marker.strip) == _wanted(arguments):
                return None
            if is_whole:
                names["old"] = str(dst.with_name(f"{_TEMP}{secrets.token_hex(8)}"))
                text = f"replace {dst}"
            else:
                names["backup"] = str(dst.with_name(f"{dst.name}.grex-bak.{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"))
        parents = [parent for parent in dst.parents if not parent.exists()]
        temp = dst.with_name(f"{_TEMP}{secrets.token_hex(8)}")
        undo = {
            "dst": str(dst),
            "temp": str(temp),
            "made": [str(parent) for parent in parents],  # the innermost first
            "sha256": arguments.sha256.lower(),
            **names,
        }
        return Planned(text, undo=undo)

    async def do(self, arguments: ArchiveArguments, planned: Planned, ctx: ActionContext) -> Done:
        """Fetch it, unpack it, put it in its place."""
        undo = cast("Mapping[str, Any]", planned.undo)
        dst, temp = Path(undo["dst"]), Path(undo["temp"])
        archive = await ctx.fetch(arguments.url, sha256=arguments.sha256, label=dst.name)
        try:
            dst.parent.mkdir(parents=True, exist_ok=True)
            temp.mkdir()
            await to_thread.run_sync(lambda: unpack(archive, temp, strip=arguments.strip))
            await to_thread.run_sync(write_marker, temp, *_wanted(arguments))
            for aside in (undo["old"], undo["backup"]):
                if aside is not None:
                    dst.rename(aside)
            temp.rename(dst)
            if undo["old"] is not None:
                await to_thread.run_sync(remove, Path(undo["old"]))
        except UnsafeArchiveError as error:
            raise ActionError(
                f"{planned.text}: the archive is refused: {error}", hint="Tell its author, or use another archive."
            ) from error
        except OSError as error:
            raise ActionError(
                f"{planned.text}: {error.strerror or error}", hint="Check the space and the permissions there."
            ) from error
        return Done(planned.text, undo=undo, irreversible=undo["old"] is not None)

    async def undo(self, undo: Mapping[str, Any], ctx: ActionContext) -> None:
        """Remove what was unpacked, unless somebody has changed it since; bring back what was moved aside."""
        dst = Path(undo["dst"])
        if (temp := _sibling(undo["temp"], dst)) is not None and temp.is_dir():
            await to_thread.run_sync(remove, temp)
        marker = read_marker(dst)
        if marker is not None and marker.sha256 == undo["sha256"]:
            if await to_thread.run_sync(digest, dst) == marker.digest:
                await to_thread.run_sync(remove, dst)
            else:
                ctx.note(f"{dst} stays: it was changed since it was unpacked")
        for aside in (undo["old"], undo["backup"]):
            if aside is not None and (moved := Path(aside)).parent == dst.parent and moved.exists():
                if dst.exists():
                    ctx.note(f"{moved} stays: {dst} is in its place")
                else:
                    moved.rename(dst)
        for made in undo["made"]:
            try:
                Path(made).rmdir()
            except OSError:  # in use by now, or gone
                break


def _wanted(arguments: ArchiveArguments) -> tuple[str, int]:
    return arguments.sha256.lower(), arguments.strip


def _sibling(recorded: str, dst: Path) -> Path | None:
    """A temporary name as this action gives them; a log can be edited, so nothing else is removed."""
    path = Path(recorded)
    return path if path.parent == dst.parent and path.name.startswith(_TEMP) else None
