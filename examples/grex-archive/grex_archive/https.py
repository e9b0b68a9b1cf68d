"""The fetcher `https`: a plain GET with the certificates of the system, over as many redirections as are usual.

The connection blocks, so it works in a thread. When it is not wanted any more, its socket is shut down: that ends the
thread at once, instead of when the server sends the next byte.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import IO
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from anyio import to_thread

from grex.errors import FetchError
from grex.plugin import FetchContext, Fetcher

__all__ = ["Https"]

_REDIRECTIONS = 10
_PATIENCE_S = 30.0
_PIECE_BYTES = 1 << 18


class Https(Fetcher):
    """Brings files over HTTPS, checked against the system's certificates (or `SSL_CERT_FILE`)."""

    name = "https"

    async def fetch(self, url: str, into: Path, ctx: FetchContext) -> None:
        """Get it."""
        get = _Get(url, into, ctx)
        try:
            await to_thread.run_sync(get.run, abandon_on_cancel=True)
        except (OSError, http.client.HTTPException) as error:
            said = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise FetchError(f"{_shown(url)}: {said}", hint="Check the address and the network.") from error
        finally:
            get.stop()


class _Get:
    """One GET, from the first request to the last redirection's last byte."""

    def __init__(self, url: str, into: Path, ctx: FetchContext) -> None:
        self._url = url
        self._into = into
        self._ctx = ctx
        self._connection: http.client.HTTPSConnection | None = None

    def run(self) -> None:
        """Follow it to its end, in a worker thread."""
        first = urlsplit(self._url)
        url = self._url
        with self._into.open("xb") as file:
            for _ in range(_REDIRECTIONS):
                parts = urlsplit(url)
                if parts.scheme != "https" or not parts.hostname:
                    raise FetchError(f"{_shown(self._url)} leads to {_shown(url)}", hint="Only https is followed.")
                # What is secret is told to the host that it was given for, and to no other.
                is_same = (parts.hostname, parts.port) == (first.hostname, first.port)
                moved = self._get(parts, _headers(first if is_same else parts), file)
                if moved is None:
                    return
                url = urljoin(url, moved)
        raise FetchError(f"{_shown(self._url)} leads on and on", hint="Check the address.")

    def stop(self) -> None:
        """End it, wherever it is."""
        if self._connection is not None and self._connection.sock is not None:
            with contextlib.suppress(OSError):
                self._connection.sock.shutdown(socket.SHUT_RDWR)

    def _get(self, parts: SplitResult, headers: Mapping[str, str], file: IO[bytes]) -> str | None:
        """Ask one server; gives where it sends us, or None when the file is there."""
        context = ssl.create_default_context(cafile=self._ctx.environ.get("SSL_CERT_FILE"))
        connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=_PATIENCE_S, context=context)
        self._connection = connection
        try:
            connection.request("GET", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), headers=headers)
            with connection.getresponse() as answer:
                return self._take(answer, file)
        finally:
            connection.close()

    def _take(self, answer: http.client.HTTPResponse, file: IO[bytes]) -> str | None:
        moved = answer.getheader("Location")
        if answer.status in (301, 302, 303, 307, 308) and moved:
            return moved
        if answer.status != http.client.OK:
            raise FetchError(
                f"{_shown(self._url)}: the server says {answer.status} {answer.reason}", hint="Check the address."
            )
        if answer.length is not None:
            self._ctx.expect(answer.length)
        while piece := answer.read(_PIECE_BYTES):
            file.write(piece)
        if answer.length:
            raise FetchError(f"{_shown(self._url)} ended before its end", hint="Try again.")
        return None


def _headers(parts: SplitResult) -> dict[str, str]:
    headers = {"User-Agent": "grex-archive", "Accept-Encoding": "identity"}
    if parts.username:
        secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(secret.encode()).decode()}"
    return headers


def _shown(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{parts.path}"
