"""What a fetcher implements (`Fetcher`), and what it is given (`FetchContext`).

A fetcher brings the bytes of a URL into a file, and nothing else. It is found by the scheme of the URL, which is the
name of its entry point. What must not be wrong is done around it, by `ActionContext.fetch`: the hash is checked there,
and so are size and time; a file that does not pass is thrown away, and one that does is kept and not fetched again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Protocol

from grex.plugin.values import API_VERSION

__all__ = ["FetchContext", "Fetcher"]


class FetchContext(Protocol):
    """What a fetcher may use."""

    @property
    def environ(self) -> Mapping[str, str]:
        """The variables of the caller: proxies, certificates, credentials."""

    @property
    def limit_bytes(self) -> int:
        """How large the file may become."""

    def expect(self, total_bytes: int) -> None:
        """Say how many bytes will come, if that is known: for the progress, and to refuse early what is too large.

        Raises:
            FetchError: that is more than is allowed.
        """


class Fetcher(ABC):
    """The implementation of a URL scheme; one instance serves all packs, so it keeps no state."""

    name: ClassVar[str]
    api_version: ClassVar[int] = API_VERSION

    def check(self, url: str) -> str | None:
        """Why this URL is not to be fetched, in one sentence, or None.

        The default allows what nobody on the way can read or change: `https`, `file`, and `http` to this machine. A
        fetcher of another scheme answers for it here.
        """
        from urllib.parse import urlsplit  # noqa: PLC0415 - only a run that fetches needs it

        parts = urlsplit(url)
        if parts.scheme in ("https", "file") or (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
            return None
        return f"{parts.scheme} to another machine can be read and changed on the way (use https)"

    @abstractmethod
    async def fetch(self, url: str, into: Path, ctx: FetchContext) -> None:
        """Write the bytes of the URL into a new file.

        It may be cancelled at any moment; what it has written by then is removed by grex, and whatever it has started
        has to be ended before the cancellation goes on. Nothing of it may be shown: a URL can hold credentials.

        Args:
            url: as the action gave it.
            into: where; nothing is there yet, and its directory is this fetch's own.
            ctx: what it may use.

        Raises:
            FetchError: it could not be brought.
        """


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    import ipaddress  # noqa: PLC0415 - only a run that fetches needs it

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
