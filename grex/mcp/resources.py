"""What clients can read without calling a tool: the workspace, each pack, and the locks, as the verbs' documents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from msgspec import Struct

from grex.errors import UsageError
from grex.git import find_git_dirs
from grex.mcp.place import Asked, Place
from grex.names import clean
from grex.workspace import Layout

__all__ = ["LOCKS", "PACKS", "PACK_TEMPLATE", "WORKSPACE", "Resource", "pack_uri"]

WORKSPACE = "grex://workspace"
LOCKS = "grex://locks"
PACKS = "grex://packs/"
PACK_TEMPLATE = "grex://packs/{path}"

_PATIENCE_S = 10.0
"""How long a reader waits for the manifest, which nobody holds for long."""


def pack_uri(path: str) -> str:
    """The address of a pack."""
    return f"{PACKS}{quote(path, safe='')}"


class Resource(Struct, frozen=True):
    """One resource; `pack` is None for those that are no pack, `uri` is spelled as the client did."""

    uri: str
    pack: str | None = None

    @classmethod
    def at(cls, uri: str) -> Resource:
        """The resource of an address; a slash in the path of a pack may be escaped or not.

        Raises:
            UsageError: there is none.
        """
        if uri in (WORKSPACE, LOCKS):
            return cls(uri)
        path = unquote(uri.removeprefix(PACKS)) if uri.startswith(PACKS) else ""
        if not path or "\0" in path:
            raise UsageError(
                f"there is no resource {clean(uri, 100)}", hint=f"There are {WORKSPACE}, {LOCKS} and {PACK_TEMPLATE}."
            )
        return cls(uri, path)

    async def read(self, place: Place) -> dict[str, Any]:
        """The document that `ls`, `status PACK` or `locks` prints. Tier: MANIFEST, shared and briefly; none for locks.

        Raises:
            GrexError: the verb could not do its work; a `UsageError` where there is no such pack.
        """
        if self.uri == LOCKS:
            from grex.verbs.locks import LocksRequest, locks  # noqa: PLC0415 - only when read

            return dict((await locks(LocksRequest(place.root), place.settings(Asked("locks")))).to_json())
        settings = place.settings(Asked("status" if self.pack else "ls", lock_timeout_s=_PATIENCE_S))
        if self.pack is None:
            from grex.verbs.ls import ListRequest, ls  # noqa: PLC0415 - only when read

            return dict((await ls(ListRequest(place.root), settings)).to_json())
        from grex.verbs.status import StatusRequest, status  # noqa: PLC0415 - only when read

        return dict((await status(StatusRequest(place.root, (self.pack,)), settings)).to_json())

    async def mark(self, place: Place) -> object:
        """Something that is another one after the resource has changed. Takes no lock and starts no process.

        An edit of a file in a pack changes nothing here until git has looked at it.
        """
        if self.uri == LOCKS:
            document = await self.read(place)
            for info in (*document["held"], *document["others"]):
                info["held_for_s"] = None
            return json.dumps(document, sort_keys=True, default=str)
        layout = Layout(place.root)
        files = [layout.pack_yaml, layout.local_yaml, layout.log, layout.lockfile]
        if self.pack is not None:
            dirs = find_git_dirs(layout.root / self.pack)
            if dirs is not None:
                files += [dirs.own / "HEAD", dirs.own / "index", dirs.own / "logs/HEAD", dirs.common / "FETCH_HEAD"]
        return [_stamp(file) for file in files]


def _stamp(file: Path) -> object:
    try:
        found = file.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)
