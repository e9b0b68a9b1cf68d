"""One call of a tool: its arguments are read, the verb is asked and run, and what came of it becomes a result.

Cancellation goes through: a call that is cancelled leaves as any cancelled verb does, and the SDK sends no answer.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import mcp_types as types

from grex.errors import GrexError, UnconfirmedError, UsageError
from grex.mcp.arguments import read_arguments
from grex.mcp.place import Asked, Place
from grex.mcp.results import from_error, from_report
from grex.mcp.tools import Asking, Tool
from grex.mcp.tools.tool import CONFIRM, LOCKING
from grex.progress import Sink, Slice, null_sink
from grex.verbs.report import first_error

__all__ = ["ask", "call_tool"]

_HOW = {argument.name for argument in LOCKING}


async def call_tool(
    place: Place, tool: Tool, arguments: Mapping[str, Any] | None, sink: Sink = null_sink
) -> types.CallToolResult:
    """Run a tool; whatever grex can explain becomes a result.

    Tiers and cancellation: as the verb.
    """
    start, ended = time.monotonic_ns(), "cancelled"
    try:
        result = await _called(place, tool, arguments, sink)
        ended = "failed" if result.is_error else "done"
        return result
    finally:
        place.trace(Slice(tool.name, "call", "workspace", start, time.monotonic_ns(), {"ended": ended}))


async def _called(place: Place, tool: Tool, arguments: Mapping[str, Any] | None, sink: Sink) -> types.CallToolResult:
    try:
        asking, asked = ask(place, tool, arguments, sink)
        return from_report(await asking.run(place.settings(asked)))
    except GrexError as error:
        return from_error(error)
    except BaseExceptionGroup as group:
        first = first_error(group)
        if first is None:
            raise
        return from_error(first)


def ask(place: Place, tool: Tool, arguments: Mapping[str, Any] | None, sink: Sink = null_sink) -> tuple[Asking, Asked]:
    """What a call comes to: the verb with its request, and how it is to be run.

    Raises:
        UsageError: an argument is wrong, or the call has to be confirmed.
    """
    said = read_arguments(tool.all_arguments, arguments)
    if said.get("no_wait") and said.get("lock_timeout_s") is not None:
        raise UsageError("`no_wait` and `lock_timeout_s` exclude each other", hint="Give one of them.")
    given = {argument.name: said[argument.name] for argument in tool.arguments}
    if tool.discards is not None and not said[CONFIRM.name]:
        what = tool.discards(place, given)
        if what is not None:
            raise UnconfirmedError(what, hint="If the user wants that, call it again with `confirm`: true.")
    asking = tool.ask(place, given)
    how = {name: value for name, value in said.items() if name in _HOW}
    return asking, Asked(tool.verb, sink, **how)
