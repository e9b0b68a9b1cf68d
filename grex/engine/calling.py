"""The lifecycle calls of pack types: each within its time limit, all of them watched where there are third parties.

What a hold of an overdue call had done is taken back, as after any other failure. It cannot be done inside of the call,
where everything that is awaited is cancelled; so the pack is held once more. Nobody came in between: WORKSPACE is ours.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Literal, TypeAlias

from grex.engine.context import RunContext
from grex.engine.session import Session
from grex.engine.watchdog import plugin_code
from grex.errors import PluginError
from grex.plugin import Context, Outcome, Pack, PackType
from grex.plugin.limits import Limit, limited_call

__all__ = ["LifecycleCall", "call_pack_type", "watched"]

LifecycleCall: TypeAlias = Literal["install", "update", "sync", "teardown", "run"]


@asynccontextmanager
async def watched(session: Session) -> AsyncGenerator[None]:
    """Say who blocks the event loop in this block, if code of third parties was loaded for it."""
    if not session.registry.has_third_parties():
        yield
        return
    async with session.watchdog.watching():
        yield


async def call_pack_type(
    context: RunContext, pack_type: PackType, call: LifecycleCall, pack: Pack, *, name: str = ""
) -> Outcome:
    """What the pack type answers; it may be anything, if its author did not keep to the types.

    Args:
        context: what the pack type is given.
        pack_type: whose method is called.
        call: which.
        pack: the pack.
        name: what `run` is to run.

    Raises:
        PluginError: it did nothing but its own work for longer than its limit; what it had done is taken back.
        Exception: whatever it raised.
    """
    lifecycle: dict[str, Callable[[Context, Pack], Awaitable[Outcome]]] = {
        "install": pack_type.install,
        "update": pack_type.update,
        "sync": pack_type.sync,
        "teardown": pack_type.teardown,
        "run": lambda ctx, pack: pack_type.run(ctx, pack, name),
    }
    limit: Limit | None = None
    try:
        with limited_call(pack_type, pack, call) as limit:
            return await plugin_code(pack_type, pack.path, lifecycle[call](context, pack))
    except PluginError as error:
        if limit is not None and limit.scope.cancelled_caught and limit.take_back:
            async with context.session.holds.pack(pack.path, pack.root, "disk"):
                for take_back in limit.take_back:
                    await take_back(error)
        raise
