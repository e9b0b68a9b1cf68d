"""The fetcher that ships with grex: `file`, for what lies on this machine already. Others are brought by plugins."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

import anyio

from grex.errors import FetchError
from grex.fs import open_regular
from grex.plugin import FetchContext, Fetcher

__all__ = ["File"]

_PIECE_BYTES = 1 << 20


class File(Fetcher):
    """Copies a regular file."""

    name = "file"

    async def fetch(self, url: str, into: Path, ctx: FetchContext) -> None:
        """Copy it piece by piece."""
        parts = urlsplit(url)
        path = Path(unquote(parts.path))
        if parts.netloc not in ("", "localhost") or not path.is_absolute():
            raise FetchError(f"{url} names no file of this machine", hint="Write file:/// and an absolute path.")
        try:
            descriptor = open_regular(path)
            async with (
                anyio.wrap_file(os.fdopen(descriptor, "rb")) as source,
                await anyio.open_file(into, "xb") as target,
            ):
                ctx.expect(os.fstat(descriptor).st_size)
                while piece := await source.read(_PIECE_BYTES):
                    await target.write(piece)
        except OSError as error:
            raise FetchError(
                f"{url} cannot be read: {error.strerror or error}", hint="Check the path and its permissions."
            ) from error
