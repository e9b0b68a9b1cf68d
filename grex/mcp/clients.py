"""What the common clients want to read to start a server: one snippet for each, and the file where it goes.

The forms are those of the clients' public documentation. All but two have the same one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from msgspec import Struct

__all__ = ["Client", "Snippet", "snippet"]

_SERVER = "grex"


class Client(StrEnum):
    """A program that starts servers."""

    CLAUDE_CODE = "claude-code"
    CLAUDE_DESKTOP = "claude-desktop"
    CODEX = "codex"
    CURSOR = "cursor"
    VSCODE = "vscode"


class Snippet(Struct, frozen=True):
    """A piece of configuration, and the file, or files, that it belongs into."""

    text: str
    file: str


_FILES = {
    Client.CLAUDE_CODE: ".mcp.json in the directory where it is started",
    Client.CLAUDE_DESKTOP: "claude_desktop_config.json (Settings, Developer, Edit Config)",
    Client.CODEX: "~/.codex/config.toml",
    Client.CURSOR: ".cursor/mcp.json in a project, or ~/.cursor/mcp.json for all",
    Client.VSCODE: ".vscode/mcp.json in a project",
}


def snippet(client: Client, command: Sequence[str], root: Path) -> Snippet:
    """What this client has to read to serve this workspace.

    Args:
        client: which one.
        command: what starts grex, as an absolute path: few clients know the PATH of a shell.
        root: the workspace, absolute.
    """
    program, *before = command
    arguments = [*before, "serve", "--workspace", str(root)]
    if client is Client.CODEX:
        text = f"[mcp_servers.{_SERVER}]\ncommand = {json.dumps(program)}\nargs = {json.dumps(arguments)}"
        return Snippet(text, _FILES[client])
    started = {"command": program, "args": arguments}
    if client in (Client.CLAUDE_CODE, Client.VSCODE):
        started = {"type": "stdio", **started}
    key = "servers" if client is Client.VSCODE else "mcpServers"
    return Snippet(json.dumps({key: {_SERVER: started}}, ensure_ascii=False, indent=2), _FILES[client])
