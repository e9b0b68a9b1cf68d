"""Sees what somebody changed by hand of what a pack installed: without a lock, a record, a process or a change.

The pack type's `install` is called with a context that only looks: `hold.run` asks each action for its drift. A plugin
is given a short time and its failures stay with its pack: of that pack it cannot be told, and that is said.
"""

from __future__ import annotations

from collections.abc import Iterable

import anyio
from msgspec import Struct

from grex.engine.calling import watched
from grex.engine.context import RunContext
from grex.engine.installable import Installable
from grex.engine.lifecycle import checked_outcome
from grex.engine.session import Session
from grex.engine.watchdog import plugin_code
from grex.errors import GrexError
from grex.loop import event_loop
from grex.names import clean
from grex.plugin import PackSkippedError
from grex.plugin.failures import described, is_failure

__all__ = ["LOOK_LIMIT_S", "Drift", "look_at_all", "look_for_drift"]

LOOK_LIMIT_S = 10.0
"""How long the look at one pack may take; an action that only looks needs a thousandth of it."""

_SHOWN_CHARACTERS = 600


class Drift(Struct, frozen=True):
    """What is not as the install left it, a line for each thing; or why that cannot be told.

    `left_out` is why the pack, or what follows in it, would be left out by now.
    """

    tampered: tuple[str, ...] = ()
    unknown: str | None = None
    left_out: str | None = None


async def look_for_drift(session: Session, installed: Installable, *, plans: bool = False) -> Drift:
    """Look at one pack. Tier: none.

    Args:
        session: the open workspace.
        installed: the pack.
        plans: look for what an install would change, as a dry run does, and not for what was changed by hand.
    """
    pack, pack_type = installed.pack, installed.pack_type
    context = RunContext(session, dry_run=True, looks_for_drift=not plans)
    await event_loop()
    try:
        own = pack_type.limit_s(pack)
        limit_s = LOOK_LIMIT_S if own is None else min(own, LOOK_LIMIT_S)
        with anyio.move_on_after(limit_s) as scope:
            outcome = checked_outcome(await plugin_code(pack_type, pack.path, pack_type.install(context, pack)), pack)
        if scope.cancelled_caught:
            return Drift(unknown=f"the pack type {pack.type!r} did not end within {limit_s:g} s")
    except PackSkippedError as skipped:
        return Drift(left_out=str(skipped))
    except GrexError as error:
        return Drift(unknown=error.message)
    except BaseException as error:
        if not is_failure(error):
            raise
        return Drift(unknown=f"the pack type {pack.type!r} raised {described(error)}")
    lines = [clean(line, _SHOWN_CHARACTERS) for text in outcome.changes for line in text.splitlines() if line.strip()]
    left_out = clean("; ".join(outcome.notes), _SHOWN_CHARACTERS) if outcome.status == "skipped" else None
    return Drift(tuple(dict.fromkeys(lines)), left_out=left_out)


async def look_at_all(session: Session, installed: Iterable[Installable]) -> dict[str, Drift]:
    """Look at several packs at once; gives only those of which there is something to say. Tier: none."""
    found: dict[str, Drift] = {}

    async def one(pack: Installable) -> None:
        drift = await look_for_drift(session, pack)
        if drift.tampered or drift.unknown is not None:
            found[pack.path] = drift

    async with watched(session), anyio.create_task_group() as tasks:
        for pack in installed:
            tasks.start_soon(one, pack)
    return found
