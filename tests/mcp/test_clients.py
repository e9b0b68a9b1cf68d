"""`grex mcp config`: what the common clients are told."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path

import pytest

from grex.cli.app import run
from grex.cli.commands.serving import McpClient
from grex.mcp.clients import Client, snippet
from tests.support.place import Place

ROOT = Path('/home/me/my "work"/ws')
COMMAND = ["/opt/grex/bin/grex"]
ARGUMENTS = ["serve", "--workspace", str(ROOT)]


@pytest.mark.parametrize("client", [Client.CLAUDE_DESKTOP, Client.CURSOR, Client.CLAUDE_CODE, Client.VSCODE])
def test_each_client_gets_its_form(client: Client) -> None:
    (servers,) = json.loads(snippet(client, COMMAND, ROOT).text).items()
    assert servers[0] == ("servers" if client is Client.VSCODE else "mcpServers")
    entry = servers[1]["grex"]
    assert (entry["command"], entry["args"]) == ("/opt/grex/bin/grex", ARGUMENTS)
    assert ("type" in entry) == (client in (Client.VSCODE, Client.CLAUDE_CODE))


def test_codex_reads_toml() -> None:
    found = tomllib.loads(snippet(Client.CODEX, [*COMMAND, "-m"], ROOT).text)
    assert found == {"mcp_servers": {"grex": {"command": COMMAND[0], "args": ["-m", *ARGUMENTS]}}}


def test_the_command_line_knows_the_same_clients() -> None:
    assert [client.value for client in McpClient] == [client.value for client in Client]


def test_what_is_printed_can_be_pasted_and_starts_this_workspace(
    declared: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (declared.root / "out").mkdir()
    monkeypatch.chdir(declared.root / "out")
    assert run(["mcp", "config", "--client", "vscode"]) == 0
    printed = capsys.readouterr()
    entry = json.loads(printed.out)["servers"]["grex"]
    assert entry["args"][-2:] == ["--workspace", str(declared.root)]
    assert entry["command"] == sys.executable
    assert ".vscode/mcp.json" in printed.err
    assert run(["mcp", "config", "--quiet"]) == 0
    assert capsys.readouterr().err == ""
