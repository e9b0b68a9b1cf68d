"""The last check before a URL is written into a file: no credentials.

Whoever records a URL hands over the redacted form; forgetting that once would put a token into a committed lockfile.
So the writers look again and refuse, as a bug in the caller (`ValueError`), without repeating the URL.
"""

from __future__ import annotations

import re

__all__ = ["refuse_credentials"]

_USERINFO = re.compile(r"^(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<userinfo>[^/?#]*)@")
_REDACTED = "***"
_USER_IS_NO_SECRET = ("ssh", "git+ssh", "ssh+git")


def refuse_credentials(url: str) -> None:
    """Insist that a URL carries none: no password anywhere, and over HTTP no user either, where tokens travel.

    Raises:
        ValueError: it does.
    """
    match = _USERINFO.match(url)
    if match is None or match["userinfo"] == _REDACTED:
        return
    if ":" in match["userinfo"] or match["scheme"].lower() not in _USER_IS_NO_SECRET:
        raise ValueError("a URL with credentials is not written to a file; redact it first")
