"""An open workspace (`session`) that a verb has for itself, with what a killed run has left of its own files put right.

That is a pull, and then the move of a pack: what is read next depends on them. Whatever else a kill has left of packs,
`recovery` and the next visit of each pack find.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from grex.engine.session import Session
from grex.errors import ManifestError
from grex.git.records import own_note_path
from grex.manifest.relocation import relocation_path
from grex.workspace import PULL_MARKER

__all__ = ["exclusive"]


@asynccontextmanager
async def exclusive(session: Session, *, dry_run: bool = False) -> AsyncGenerator[None]:
    """Hold WORKSPACE for the block, and know its log and lockfile. A dry run only looks, and holds nothing.

    What a killed run has left of the workspace's own files is put right first: a pull, then the move of a pack.
    """
    if dry_run:
        session.reread()
        yield
        return
    async with session.holds.workspace():
        if own_note_path(session.layout.root) is not None or (session.layout.root / PULL_MARKER).exists():
            from grex.engine.pulling import finish_pull  # noqa: PLC0415 - after a kill only

            session.recovered += await finish_pull(session)
        await session.read_records()
        _refuse_unfinished_fork(session)
        if relocation_path(session.layout.state_dir).exists():
            from grex.engine.relocating import finish_relocation  # noqa: PLC0415 - after a kill only

            session.recovered += await finish_relocation(session)
        yield


def _refuse_unfinished_fork(session: Session) -> None:
    """Insist that a fork is whole: packs that are still to come would be cloned, those that go would come back."""
    if session.fork is not None and session.fork.stage != "whole":
        begun, way = (
            ("making", f"`grex fork {session.layout.root}` in {session.fork.source} goes on with it")
            if session.fork.stage == "making"
            else ("removing", "the same command goes on with it")
        )
        raise ManifestError(
            f"{session.layout.root} is a fork, and {begun} it was interrupted",
            hint=f"{way[:1].upper()}{way[1:]}; `grex fork rm {session.layout.root}` takes away what is there of it.",
        )
