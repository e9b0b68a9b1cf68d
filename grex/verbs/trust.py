"""`grex trust`: shows, gives and takes this user's trust in one workspace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from grex.engine import Session, Settings
from grex.errors import UsageError
from grex.names import redact
from grex.workspace import canonical_prefix

if TYPE_CHECKING:
    from grex.verbs.documents import TrustDocument

__all__ = ["TrustReport", "TrustRequest", "trust"]


class TrustRequest(Struct, frozen=True):
    """Which prefix to trust, or no longer; without one, what is trusted is shown."""

    root: Path
    prefix: str | None = None
    revoke: bool = False


class TrustReport(Struct, frozen=True):
    """What is trusted now, and whether this call changed it."""

    prefixes: tuple[str, ...]
    changed: bool
    exit_code: int = 0

    def to_json(self) -> TrustDocument:
        """The document of `--json`."""
        return {
            "schema": "grex.trust/1",
            "prefixes": list(self.prefixes),
            "changed": self.changed,
            "exit_code": self.exit_code,
        }


async def trust(request: TrustRequest, settings: Settings) -> TrustReport:
    """Show or change trust. Tiers: none to show, WORKSPACE to change.

    Raises:
        UsageError: the prefix is none, or one to revoke was never given.
    """
    session = Session.open(request.root, settings)
    if request.prefix is None:
        if request.revoke:
            raise UsageError("--revoke needs a URL prefix", hint="`grex trust` shows those that are trusted.")
        return TrustReport(session.trust.prefixes(), changed=False)
    prefix = redact(canonical_prefix(request.prefix, session.layout.root))
    async with session.holds.workspace():
        if request.revoke:
            if not session.trust.revoke(prefix):
                raise UsageError(f"{prefix} is not trusted here", hint="`grex trust` shows the prefixes that are.")
            changed = True
        else:
            changed = session.trust.add(prefix)
    return TrustReport(session.trust.prefixes(), changed=changed)
