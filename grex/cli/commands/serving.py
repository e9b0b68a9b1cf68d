"""The commands for agents: `serve`, and `mcp` with `mcp config`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import anyio
from msgspec.structs import replace

from grex.cli.call import Call
from grex.cli.interrupts import cancel_on_signal
from grex.cli.signature import takes

if TYPE_CHECKING:
    import signal

    from grex.engine import Settings
    from grex.mcp.place import Asked

__all__ = ["serve"]


@takes("workspace", "jobs", "trust")
def serve(call: Call) -> int:
    """Serve the workspace to an agent, by MCP over stdin and stdout."""
    from functools import partial  # noqa: PLC0415 - only when run

    from grex.cli.commands.setting import config_request  # noqa: PLC0415 - only when run
    from grex.mcp.place import Place  # noqa: PLC0415 - only when run
    from grex.mcp.server import serve as verb  # noqa: PLC0415 - only when run
    from grex.mcp.stdio import claim  # noqa: PLC0415 - only when run

    root = call.root()
    if sys.stdin.isatty():
        print("grex: a client speaks here, not a person: `grex mcp config` says how to set it up.", file=sys.stderr)

    def settings(asked: Asked) -> Settings:
        how = replace(call, verb=asked.verb, no_wait=asked.no_wait, lock_timeout_s=asked.lock_timeout_s)
        return how.settings(root, asked.sink)

    caught: list[signal.Signals] = []

    async def watch(scope: anyio.CancelScope, group: anyio.abc.TaskGroup) -> None:
        await group.start(cancel_on_signal, scope, caught)

    place = Place(root, settings, partial(config_request, call))
    anyio.run(verb, place, claim(), watch)
    return 0
