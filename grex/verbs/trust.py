"""`grex trust`: shows, gives and takes this user's trust in one workspace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from grex.engine import ROOT, Session, Settings, survey
from grex.errors import GrexError, UsageError
from grex.names import redact
from grex.workspace import ROOT_TRUST, canonical_prefix, covers

if TYPE_CHECKING:
    from grex.verbs.documents import TrustDocument

__all__ = ["TrustReport", "TrustRequest", "trust"]


class TrustRequest(Struct, frozen=True):
    """Which prefix to trust, or no longer; without one, what is trusted is shown."""

    root: Path
    prefix: str | None = None
    revoke: bool = False


class TrustReport(Struct, frozen=True):
    """What is trusted now, and what this call had to do with it.

    Attributes:
        prefixes: all that is trusted.
        changed: whether this call changed it.
        prefix: what was to be trusted, or no longer; None where it was only asked what is.
        revoked: whether the trust was taken back.
        covers: the declared packs that begin with the prefix; None where that cannot be told, as `why_unknown` says.
    """

    prefixes: tuple[str, ...]
    changed: bool
    exit_code: int = 0
    prefix: str | None = None
    revoked: bool = False
    covers: tuple[str, ...] | None = ()
    why_unknown: str = ""

    def to_json(self) -> TrustDocument:
        """The document of `--json`."""
        return {
            "schema": "grex.trust/1",
            "prefixes": list(self.prefixes),
            "changed": self.changed,
            "prefix": self.prefix,
            "covers": None if self.covers is None else list(self.covers),
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
    prefix = redact(canonical_prefix(request.prefix, session.base))
    async with session.holds.workspace():
        if request.revoke:
            if not session.trust.revoke(prefix):
                raise UsageError(f"{prefix} is not trusted here", hint="`grex trust` shows the prefixes that are.")
            changed = True
        else:
            changed = session.trust.add(prefix)
    found, why = _covered(session, prefix)
    return TrustReport(
        session.trust.prefixes(), changed, prefix=prefix, revoked=request.revoke, covers=found, why_unknown=why
    )


def _covered(session: Session, prefix: str) -> tuple[tuple[str, ...] | None, str]:
    """The packs of this workspace that begin with the prefix; None, and why, where it cannot be read."""
    if prefix == ROOT_TRUST:
        return (ROOT,), ""
    try:
        nodes = survey(session.layout, session.settings.platform).nodes()
    except GrexError as error:  # trust is given all the same: it may be what is to be mended first
        return None, error.message
    return tuple(node.path for node in nodes if covers(prefix, session.trust_key(node.url))), ""
