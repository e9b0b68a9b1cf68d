"""Asks whether packs that would run something are trusted: once a run, while no permit and no pack is held."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from grex.engine import Session, Step
from grex.engine.lifecycle import untrusted_steps

__all__ = ["TrustQuestion", "ask_for_trust"]

TrustQuestion: TypeAlias = Callable[[Sequence[Step]], Awaitable[Sequence[str]]]


async def ask_for_trust(session: Session, ask: TrustQuestion | None, steps: Sequence[Step]) -> None:
    """Keep what the user answers about the untrusted ones. Tier: WORKSPACE, held by the caller.

    Args:
        session: the open workspace.
        ask: asks about these steps and gives the URL prefixes to trust from now on; None where nobody can be asked.
        steps: what is about to run.
    """
    barred = untrusted_steps(session, steps) if ask is not None else []
    if ask is not None and barred:
        for prefix in await ask(barred):
            session.trust.add(prefix)
