"""The server: what the SDK asks, answered with what the other modules of this room know; and its life.

It lives from the moment that it is called until the client closes its side, is gone, or a signal comes. Then everything
that is in flight is cancelled, children are ended and locks come free, as with a command that is interrupted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import anyio.abc
import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.session import ServerSession
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ResourceUpdated
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from grex import __version__
from grex.errors import GrexError, ServerError, UsageError
from grex.mcp.calling import call_tool
from grex.mcp.pacing import Pace
from grex.mcp.place import Place
from grex.mcp.progress import Progress, reporting
from grex.mcp.resources import LOCKS, PACK_TEMPLATE, WORKSPACE, Resource
from grex.mcp.results import as_json, output_schema
from grex.mcp.stdio import Inbox, Outbox, Wire, read_messages
from grex.mcp.tools import TOOLS, Tool
from grex.mcp.watching import Watcher
from grex.names import as_hint, clean, suggest
from grex.progress import Sink, null_sink

__all__ = ["serve"]

_JSON = "application/json"
_NOT_FOUND = -32002
"""What the handshake era has for a resource that is not there; the era after has it as a wrong parameter."""

_log = logging.getLogger(__name__)

_FLUSH_S = 0.5
"""How long the last answers may take to go out. The whole end has two seconds."""

_INSTRUCTIONS = """\
grex keeps many git repositories ("packs") as one workspace; a pack is named by its path from the workspace root.
1. Begin with `status`. `sync` brings what pack.yaml declares; `exec` runs a program, such as a test, in every pack.
2. For a task of your own make a `fork`: a directory beside this one with branches of its own. Work and commit there.
3. Read the result: exit_code 0 is done, 7 drift, 4 that a pack failed or was left alone; `text` and `hint` say more.
4. A call that needs `confirm` would move work away: ask the user first. Trust and pushing are the user's alone.
5. A call waits for the locks of others: `locks` says who has them, `lock_timeout_s` ends a wait, a cancel is clean."""

_Context = ServerRequestContext[Any]


class _Handlers:
    """What the SDK calls, for the one client of a process."""

    def __init__(self, place: Place, pace: Pace) -> None:
        self._place = place
        self._pace = pace
        self._bus = InMemorySubscriptionBus()
        self._listen = ListenHandler(self._bus)
        self._subscribed: dict[str, tuple[Resource, ServerSession]] = {}
        self.watcher = Watcher(place, self._tell_changed)

    def server(self) -> Server[Any]:
        """The server that calls them."""
        return Server(
            "grex",
            version=__version__,
            title="grex",
            description="Keeps many git repositories as one workspace, without losing work.",
            instructions=_INSTRUCTIONS,
            on_list_tools=self.list_tools,
            on_call_tool=self.call,
            on_list_resources=self.list_resources,
            on_list_resource_templates=self.list_templates,
            on_read_resource=self.read,
            on_subscribe_resource=self.subscribe,
            on_unsubscribe_resource=self.unsubscribe,
            on_subscriptions_listen=self.listen,
        )

    async def list_tools(self, context: _Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        """All tools at once."""
        del context, params
        return types.ListToolsResult(tools=[_described(tool) for tool in TOOLS.values()])

    async def call(self, context: _Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        """Call a tool, and tell how it goes on to a client that wants to know."""
        tool = TOOLS.get(params.name)
        if tool is None:
            hint = as_hint(suggest(params.name, TOOLS))
            raise MCPError(code=types.INVALID_PARAMS, message=f"Unknown tool: {clean(params.name, 60)!r}. {hint}")
        if (context.meta or {}).get("progress_token") is None:
            return await self._called(tool, params.arguments, null_sink)
        session = context.session

        async def tell(value: float, total: float | None, message: str) -> None:
            await session.report_progress(value, total, message)

        progress = Progress(self._place.root, tell)
        return await reporting(progress, partial(self._called, tool, params.arguments, progress))

    async def _called(self, tool: Tool, arguments: dict[str, Any] | None, sink: Sink) -> types.CallToolResult:
        await self._pace.turn()
        try:
            return await call_tool(self._place, tool, arguments, sink)
        except Exception as error:
            _log.exception("a bug in grex, in the tool %s", tool.name)
            raise MCPError(
                code=types.INTERNAL_ERROR, message=f"a bug in grex: {type(error).__name__}; its log says more"
            ) from error

    async def list_resources(
        self, context: _Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        """The two that there always are. Which packs there are, the workspace says."""
        del context, params
        return types.ListResourcesResult(
            resources=[
                types.Resource(
                    name="workspace", uri=WORKSPACE, description="The packs, as `ls` lists them.", mime_type=_JSON
                ),
                types.Resource(
                    name="locks", uri=LOCKS, description="Who holds which lock, and who waits.", mime_type=_JSON
                ),
            ]
        )

    async def list_templates(
        self, context: _Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        """One for the packs."""
        del context, params
        says = "How a pack stands, and what it owns, as `status` shows it; by its path from the workspace root."
        template = types.ResourceTemplate(name="pack", uri_template=PACK_TEMPLATE, description=says, mime_type=_JSON)
        return types.ListResourceTemplatesResult(resource_templates=[template])

    async def read(self, context: _Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        """Read a resource."""
        uri = str(params.uri)
        try:
            resource = Resource.at(uri)
            await self._pace.turn()
            document = await resource.read(self._place)
        except UsageError as error:
            code = types.INVALID_PARAMS if context.protocol_version in MODERN_PROTOCOL_VERSIONS else _NOT_FOUND
            raise MCPError(code=code, message=error.message, data={"uri": uri}) from error
        except GrexError as error:
            raise MCPError(code=types.INTERNAL_ERROR, message=error.message, data=error.to_json()) from error
        text = types.TextResourceContents(uri=uri, mime_type=_JSON, text=as_json(document))
        return types.ReadResourceResult(contents=[text])

    async def subscribe(self, context: _Context, params: types.SubscribeRequestParams) -> types.EmptyResult:
        """Tell of changes of a resource, in the handshake era."""
        uri = str(params.uri)
        resource = _resource(uri)
        if uri not in self._subscribed:
            self._check_room([resource])
            self._subscribed[uri] = (resource, context.session)
            await self.watcher.add(resource)
        return types.EmptyResult()

    async def unsubscribe(self, context: _Context, params: types.UnsubscribeRequestParams) -> types.EmptyResult:
        """Tell of them no longer."""
        del context
        found = self._subscribed.pop(str(params.uri), None)
        if found is not None:
            self.watcher.remove(found[0])
        return types.EmptyResult()

    async def listen(
        self, context: _Context, params: types.SubscriptionsListenRequestParams
    ) -> types.SubscriptionsListenResult:
        """Tell of changes for as long as the request is open, in the era after."""
        resources = list(dict.fromkeys(_resource(uri) for uri in params.notifications.resource_subscriptions or ()))
        self._check_room(resources)
        async with self.watcher.watching(resources):
            return await self._listen(context, params)

    def _check_room(self, resources: list[Resource]) -> None:
        if not self.watcher.has_room_for(resources):
            raise MCPError(
                code=types.INTERNAL_ERROR,
                message=f"Too many subscriptions: {self.watcher.watched} resources are watched",
            )

    async def _tell_changed(self, uri: str) -> None:
        subscribed = self._subscribed.get(uri)
        if subscribed is not None:
            await subscribed[1].send_resource_updated(uri)
        await self._bus.publish(ResourceUpdated(uri))


def _resource(uri: str) -> Resource:
    try:
        return Resource.at(uri)
    except UsageError as error:
        raise MCPError(code=types.INVALID_PARAMS, message=error.message, data={"uri": uri}) from error


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
    inbox, outbox = Inbox(wire.read_fd), Outbox(wire.write_fd)
    handlers = _Handlers(place, Pace(lambda: inbox.is_waiting))
    async with anyio.create_task_group() as around:
        with anyio.CancelScope() as life:
            if watch is not None:
                await watch(life, around)
            around.start_soon(outbox.write, life.cancel)
            await _converse(handlers, inbox, outbox)
        with anyio.move_on_after(_FLUSH_S):
            await outbox.flushed()
        around.cancel_scope.cancel()
    if outbox.failure is not None and not outbox.is_client_gone:
        raise ServerError(
            f"the client cannot be written to: {outbox.failure.strerror}", hint="It has to start `grex serve` anew."
        )


async def _converse(handlers: _Handlers, inbox: Inbox, outbox: Outbox) -> None:
    server = handlers.server()
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
        reading.start_soon(handlers.watcher.run)
        await server.run(receive, outbox, server.create_initialization_options())
        reading.cancel_scope.cancel()
    for error in broken:
        raise error
