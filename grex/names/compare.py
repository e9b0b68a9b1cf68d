"""Where a forge shows what lies between two commits, made from the address that a pack is cloned from."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from grex.names.urls import InvalidUrlError, parse_url

__all__ = ["compare_link"]

_FORGES = {"gitlab": "/-/compare/", "github": "/compare/", "codeberg": "/compare/", "gitea": "/compare/"}


def compare_link(url: str, old: str, new: str) -> str | None:
    """The page of two commits on a forge of a known kind; None for any other address.

    The kind is told by the host's name (`github`, `gitlab`, `codeberg` or `gitea` in it), and nobody is asked. User,
    password and port of the address are left out.
    """
    try:
        found = parse_url(url, base=None, relative_to=Path("/"))
    except InvalidUrlError:
        return None
    between = next((path for kind, path in _FORGES.items() if kind in found.host), None)
    path = found.path.strip("/").removesuffix(".git")
    if found.scheme not in ("https", "http", "ssh") or between is None or "/" not in path:
        return None
    return f"https://{found.host}/{quote(path, safe='/%')}{between}{old}...{new}"
