"""The SDK's own client with a real `grex serve`, in both eras: what it gets is what `--json` prints."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import jsonschema  # type: ignore[import-untyped]  # the SDK brings it
import pytest
from mcp import StdioServerParameters
from mcp.client.client import Client
from mcp.client.stdio import stdio_client
from mcp_types.version import LATEST_HANDSHAKE_VERSION, LATEST_MODERN_VERSION

from grex.mcp.tools import TOOLS
from tests.support.git_server import git
from tests.support.workspace import Workspace

pytestmark = pytest.mark.anyio

CHANGES = {"elapsed_s", "duration_s"}


@pytest.fixture
def anyio_backend() -> str:
    """The client's event loop; the server is a process of its own."""
    return "asyncio"


def steady(value: Any) -> Any:
    """A document without what is another number each time."""
    if isinstance(value, dict):
        return {key: steady(one) for key, one in value.items() if key not in CHANGES}
    return [steady(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("mode", ["auto", pytest.param("legacy", marks=pytest.mark.slow)])
async def test_success_drift_and_failures_are_as_the_command_line_has_them(
    tmp_path: Path, mode: Literal["legacy", "auto"]
) -> None:
    """Other clients hold errors against the output schema as well, so they have to be in it."""
    workspace = Workspace(tmp_path)
    git(workspace.root, "init", "--quiet", "a")
    workspace.declare({"url": "https://host.example/a"})
    python, *grex = workspace.command("serve")
    parameters = StdioServerParameters(command=python, args=grex, env=workspace.environ, cwd=workspace.root)
    cases: list[tuple[str, dict[str, Any], list[str], int]] = [
        ("ls", {}, ["ls"], 0),
        ("status", {"fail_on_drift": True}, ["status", "--fail-on-drift"], 7),
        ("exec", {"command": ["false"]}, ["exec", "--", "false"], 4),
        ("path", {"pack": "nobody"}, ["path", "nobody"], 2),
    ]
    async with Client(stdio_client(parameters), mode=mode) as client:
        assert client.protocol_version == (LATEST_HANDSHAKE_VERSION if mode == "legacy" else LATEST_MODERN_VERSION)
        listed = await client.list_tools()
        schemas = {tool.name: tool.output_schema for tool in listed.tools}
        assert set(schemas) == set(TOOLS)
        for tool, arguments, argv, code in cases:
            found = await client.call_tool(tool, arguments)
            printed = workspace.grex(argv[0], "--json", *argv[1:], expect=code).document
            assert steady(found.structured_content) == steady(printed)
            jsonschema.validate(found.structured_content, schemas[tool] or {})
            assert found.is_error == (code not in (0, 7)), tool
