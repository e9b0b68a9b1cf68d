"""The server: what the SDK asks, answered with what the other modules of this room know; and its life.

It lives from the moment that it is called until the client closes its side, is gone, or a signal comes. Then everything
that is in flight is cancelled, children are ended and locks come free, as with a command that is interrupted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import anyio.abc
import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage

from grex import __version__
from grex.errors import GrexError, ServerError
from grex.mcp.calling import call_tool
from grex.mcp.place import Place
from grex.mcp.results import output_schema
from grex.mcp.stdio import Inbox, Outbox, Wire, read_messages
from grex.mcp.tools import TOOLS, Tool
from grex.names import as_hint, clean, suggest

__all__ = ["make_server", "serve"]

_FLUSH_S = 0.5
"""How long the last answers may take to go out. The whole end has two seconds."""

_INSTRUCTIONS = """\
grex keeps many git repositories ("packs") as one workspace. Start with `status`; `sync` brings the workspace into the
state that its manifests declare. Packs are named by their path from the workspace root. Results have an exit code: 0 is
done, 4 that a pack failed or was left alone, with the reason and what to do. `dry_run` shows what would be done."""

_Context = ServerRequestContext[Any]


def make_server(place: Place) -> Server[Any]:
    """A server for one workspace; it takes no lock, and looks at nothing until it is asked."""

    async def list_tools(context: _Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        del context, params
        return types.ListToolsResult(tools=[_described(tool) for tool in TOOLS.values()])

    async def on_call(context: _Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        del context
        tool = TOOLS.get(params.name)
        if tool is None:
            hint = as_hint(suggest(params.name, TOOLS))
            raise MCPError(code=types.INVALID_PARAMS, message=f"Unknown tool: {clean(params.name, 60)!r}. {hint}")
        return await call_tool(place, tool, params.arguments)

    return Server(
        "grex",
        version=__version__,
        title="grex",
        description="Keeps many git repositories as one workspace, without losing work.",
        instructions=_INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=on_call,
    )


def _described(tool: Tool) -> types.Tool:
    from grex.mcp.arguments import schema_of  # noqa: PLC0415 - not each client asks

    return types.Tool(
        name=tool.name,
        description=tool.says,
        input_schema=schema_of(tool.all_arguments),
        output_schema=output_schema(tool),
        annotations=types.ToolAnnotations(
            read_only_hint=tool.is_read_only,
            destructive_hint=tool.is_destructive,
            idempotent_hint=tool.is_idempotent,
            open_world_hint=tool.is_open_world,
        ),
    )


async def serve(
    place: Place, wire: Wire, watch: Callable[[anyio.CancelScope, anyio.abc.TaskGroup], Any] | None = None
) -> None:
    """Serve one client to the end.

    Cancellation: everything in flight is cancelled, and what was answered still goes out, for a moment.

    Args:
        place: the workspace.
        wire: where the client is.
        watch: is given what to cancel when the server is to end, and a task group to watch in.

    Raises:
        ServerError: the stream broke, and not because the client left.
    """
    server = make_server(place)
    outbox = Outbox(wire.write_fd)
    async with anyio.create_task_group() as around:
        with anyio.CancelScope() as life:
            if watch is not None:
                await watch(life, around)
            around.start_soon(outbox.write, life.cancel)
            await _converse(server, Inbox(wire.read_fd), outbox)
        with anyio.move_on_after(_FLUSH_S):
            await outbox.flushed()
        around.cancel_scope.cancel()
    if outbox.failure is not None and not outbox.is_client_gone:
        raise ServerError(
            f"the client cannot be written to: {outbox.failure.strerror}", hint="It has to start `grex serve` anew."
        )


async def _converse(server: Server[Any], inbox: Inbox, outbox: Outbox) -> None:
    send, receive = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    broken: list[GrexError] = []

    async def read() -> None:
        async with send:
            try:
                async for message in read_messages(inbox, outbox):
                    await send.send(message)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                pass  # the client is gone, or nobody is interested any more
            except ServerError as error:
                broken.append(error)

    async with anyio.create_task_group() as reading:
        reading.start_soon(read)
        await server.run(receive, outbox, server.create_initialization_options())
        reading.cancel_scope.cancel()
    for error in broken:
        raise error
