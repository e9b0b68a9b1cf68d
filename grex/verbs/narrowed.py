"""A look at the whole workspace or at some of its packs, for verbs that only tell of them. Nothing is written."""

from __future__ import annotations

from grex.engine import Session, survey
from grex.engine.survey import Survey

__all__ = ["asked_for", "look"]


async def look(session: Session, packs: tuple[str, ...], filters: tuple[str, ...]) -> tuple[Survey, set[str] | None]:
    """What is declared and how it is there, and which packs are asked for: None for all.

    Tier: MANIFEST, shared and briefly. Log and lockfile are read only where packs are chosen; without filters no git
    process is started.

    Raises:
        ManifestError: the root's pack.yaml, or with PACK arguments or filters the lockfile, cannot be used.
        UsageError: a PACK argument means no pack, or a filter cannot be read.
    """

    def read() -> Survey:
        if packs or filters:
            session.reread()
        return survey(session.layout, session.settings.platform, check_type=session.check_type)

    found = await session.read_manifest(read)
    return found, await asked_for(session, found, packs, filters)


async def asked_for(
    session: Session, found: Survey, packs: tuple[str, ...], filters: tuple[str, ...]
) -> set[str] | None:
    """The packs that are asked for, None for all; what there is to say of the choice goes to the session's notes.

    Raises:
        UsageError: a PACK argument means no pack, or a filter cannot be read.
    """
    if not packs and not filters:
        return None
    from grex.engine.choosing import choose  # noqa: PLC0415 - a look at everything does not choose

    chosen = await choose(session, found, packs, filters, keeps_inactive=True, may_be_none=True)
    session.notes.extend(chosen.notes)
    return None if chosen.is_all else chosen.paths
