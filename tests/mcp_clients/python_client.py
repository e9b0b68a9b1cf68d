"""The conversation of `scenario.mjs`, held by the SDK's own client. Run as a module with the same argument."""

from __future__ import annotations

import json
import sys
import time
import warnings
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
from mcp import MCPDeprecationWarning, StdioServerParameters
from mcp.client.client import Client
from mcp.client.stdio import stdio_client
from mcp_types import CallToolResult, ResourceUpdatedNotification, TextContent, TextResourceContents

from tests.support.lock_holder import LockHolder

_DEADLINE_S = 20


def _told(result: CallToolResult) -> dict[str, Any]:
    content = result.content[0]
    assert isinstance(content, TextContent)
    return {"is_error": bool(result.is_error), "document": result.structured_content, "text": content.text}


async def _document(client: Client, uri: str) -> dict[str, Any]:
    contents = (await client.read_resource(uri)).contents[0]
    assert isinstance(contents, TextResourceContents)
    found = json.loads(contents.text)
    assert isinstance(found, dict)
    return found


async def _waiters(client: Client) -> int:
    locks = await _document(client, "grex://locks")
    return sum(len(lock["queue"]) + len(lock["blocked"]) for lock in (*locks["held"], *locks["others"]))


async def _cancelled(client: Client, root: Path) -> dict[str, Any]:
    waits = anyio.Event()
    found: dict[str, Any] = {}

    async def heard(progress: float, total: float | None, message: str | None) -> None:
        del progress, total
        if message is not None and message.startswith("waiting for"):
            found["waiting"] = message
            waits.set()

    async def sync() -> None:
        found["result"] = _told(await client.call_tool("sync", progress_callback=heard))

    with LockHolder("workspace", root) as holder:
        assert holder.ask("take") == "held"
        found["holder"] = holder.pid
        async with anyio.create_task_group() as group:
            group.start_soon(sync)
            with anyio.fail_after(_DEADLINE_S):
                await waits.wait()
            group.cancel_scope.cancel()
        assert "result" not in found, found
        found["then"] = _told(await client.call_tool("path", {"pack": "a"}))
        with anyio.move_on_after(5):
            while found.setdefault("left", 1):
                found["left"] = await _waiters(client)
    return found


async def _changed(client: Client, setting: dict[str, Any], updated: list[str], is_updated: anyio.Event) -> str:
    uri = setting["uri"]

    def change() -> None:
        with Path(setting["manifest"]).open("a") as manifest:
            manifest.write("# changed\n")

    with anyio.fail_after(_DEADLINE_S):
        if setting["era"] == "modern":
            async with client.listen(resource_subscriptions=[uri]) as changes:
                change()
                async for event in changes:
                    return str(getattr(event, "uri", event))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MCPDeprecationWarning)  # the era after has no such request
            await client.subscribe_resource(uri)
            change()
            await is_updated.wait()
            await client.unsubscribe_resource(uri)
    return updated[0]


async def converse(setting: dict[str, Any]) -> dict[str, Any]:
    """Hold it; gives what was seen."""
    command, *arguments = setting["server"]
    parameters = StdioServerParameters(command=command, args=arguments, env=setting["env"], cwd=setting["cwd"])
    errors: list[str] = []
    updated: list[str] = []
    is_updated = anyio.Event()

    async def hear(message: Any) -> None:
        if isinstance(message, Exception):
            errors.append(str(message))
        elif isinstance(message, ResourceUpdatedNotification):
            updated.append(str(message.params.uri))
            is_updated.set()

    async def ignore(progress: float, total: float | None, message: str | None) -> None:
        """Ask for progress; what comes is recorded."""

    async with AsyncExitStack() as stack:
        mode = "auto" if setting["era"] == "modern" else "legacy"
        client = await stack.enter_async_context(Client(stdio_client(parameters), mode=mode, message_handler=hear))
        assert client.server_info is not None
        tools = (await client.list_tools()).tools

        async def call(tool: str, arguments: dict[str, Any] | None = None) -> dict[str, Any]:
            return _told(await client.call_tool(tool, arguments))

        seen: dict[str, Any] = {
            "version": client.protocol_version,
            "server": client.server_info.model_dump(by_alias=True, exclude_none=True),
            "tools": [tool.name for tool in tools],
            "schemas": sum(
                tool.input_schema["type"] == "object" == (tool.output_schema or {}).get("type") for tool in tools
            ),
            "drift": await call("status", {"fail_on_drift": True}),
            "sync": _told(await client.call_tool("sync", progress_callback=ignore)),
            "status": await call("status", {"fail_on_drift": True}),
            "exec": await call("exec", {"command": ["cat", "file"]}),
            "graph": await call("graph"),
            "usage": await call("status", {"packs": "a"}),
            "cancelled": await _cancelled(client, Path(setting["cwd"])),
            "again": await call("sync"),
            "resources": [str(resource.uri) for resource in (await client.list_resources()).resources],
        }
        seen["read"] = await _document(client, "grex://packs/a")
        seen["changed"] = await _changed(client, setting, updated, is_updated)
        closing = time.monotonic()
    return {**seen, "closed_s": time.monotonic() - closing, "errors": errors}


if __name__ == "__main__":
    print(json.dumps(anyio.run(converse, json.loads(sys.argv[1]))))
