"""Clients that others wrote drive a real `grex serve`: the SDKs in both eras, and the inspector's command line."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from mcp_types.version import LATEST_HANDSHAKE_VERSION, LATEST_MODERN_VERSION

from grex import __version__
from grex.mcp.clients import Client, snippet
from grex.mcp.tools import TOOLS
from tests.support.git_server import GitServer
from tests.support.workspace import Workspace

pytestmark = pytest.mark.slow

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
INSTALLED = Path(os.environ.get("MCP_CLIENTS", REPOSITORY / "build/mcp-clients")).resolve() / "node_modules"
NODE = INSTALLED / ".bin/node"
INSPECTOR = INSTALLED / ".bin/mcp-inspector"
_ANSWER_S = 60

CLIENTS = {
    "python, handshake": ([sys.executable, "-m", f"{__package__}.python_client"], "legacy"),
    "python, modern": ([sys.executable, "-m", f"{__package__}.python_client"], "modern"),
    "typescript 1": ([str(NODE), "typescript_v1.mjs"], "legacy"),
    "typescript 2, handshake": ([str(NODE), "typescript_v2.mjs"], "legacy"),
    "typescript 2, modern": ([str(NODE), "typescript_v2.mjs"], "modern"),
}
FIRST_WORDS = {"legacy": "initialize", "modern": "server/discover"}


class Recorded:
    """A workspace with two packs, and a server in it whose words are kept."""

    def __init__(self, base: Path) -> None:
        self.workspace = Workspace(base)
        server = GitServer(base / "upstream")
        for name in "ab":
            server.create(name, {"file": f"{name}\n"})
        self.workspace.declare(*({"url": server.url(name), "path": name} for name in "ab"))
        self.base = base
        self.records = base / "records"
        self.records.mkdir()
        self.environ = self.workspace.environ | {"PYTHONPATH": str(REPOSITORY)}
        self.server = ["/bin/sh", str(HERE / "recorder.sh"), str(self.records), *self.workspace.command("serve")]

    @property
    def ended(self) -> str:
        """The exit code of the last server."""
        return (self._record(-1) / "exit").read_text().strip()

    @property
    def first_word(self) -> str:
        """The method that a client called first; some start a server only to ask what it speaks, and then another."""
        return str(self.wire("said", 0)[0]["method"])

    def wire(self, side: str, server: int = -1) -> list[dict[str, Any]]:
        """What went over the wire, of the last server or another: `said` by the client, `heard` from the server."""
        return [json.loads(line) for line in (self._record(server) / side).read_bytes().splitlines()]

    def _record(self, server: int) -> Path:
        return sorted(self.records.iterdir(), key=lambda directory: int(directory.name))[server]

    def converse(self, command: list[str], era: str) -> dict[str, Any]:
        """Let a client hold the conversation; gives what it saw."""
        setting = {
            "era": era,
            "server": self.server,
            "holder": [sys.executable, "-m", "tests.support.lock_holder", "workspace", str(self.workspace.root)],
            "env": self.environ,
            "cwd": str(self.workspace.root),
            "manifest": str(self.workspace / ".grex/pack.yaml"),
            "uri": "grex://workspace",
        }
        done = self._run([*command, json.dumps(setting)], cwd=REPOSITORY if "-m" in command else with_packages(self))
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        (line,) = done.stdout.splitlines()
        seen = json.loads(line)
        assert isinstance(seen, dict)
        return seen

    def inspect(self, *options: str, server: list[str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run the inspector's command line with this server, or none where a file names it."""
        # Of the environment it gives servers a few names only; these are those of the test.
        environ = [f"{name}={value}" for name, value in self.environ.items() if is_of_the_test(name, value)]
        target = ["--", "env", *environ, *self.server] if server is None else server
        return self._run([str(NODE), str(INSPECTOR), "--cli", "--format", "json", *options, *target])

    def _run(self, command: list[str], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=cwd or self.workspace.root,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_ANSWER_S,
            check=False,
            text=True,
        )


def is_of_the_test(name: str, value: str) -> bool:
    """Whether a variable is not just what the environment has."""
    return name == "PYTHONPATH" or os.environ.get(name) != value


def with_packages(recorded: Recorded) -> Path:
    """A directory with the scripts beside the packages, which is where Node looks for them."""
    scripts = recorded.base / "scripts"
    scripts.mkdir()
    for script in HERE.glob("*.mjs"):
        (scripts / script.name).write_bytes(script.read_bytes())
    (scripts / "node_modules").symlink_to(INSTALLED)
    return scripts


@functools.cache
def has_node() -> bool:
    """Whether the packages are there, and with them a Node that runs: without install scripts it would be a stub."""
    if not INSPECTOR.exists() or not NODE.exists():
        return False
    return subprocess.run([str(NODE), "--version"], capture_output=True, check=False).returncode == 0


@pytest.fixture
def node() -> None:
    """Skips a test where what it needs is not installed."""
    if not has_node():
        pytest.skip("the MCP clients are not installed (make mcp-clients)")


@pytest.fixture
def recorded(tmp_path: Path) -> Recorded:
    """The workspace and the server."""
    return Recorded(tmp_path)


@pytest.mark.parametrize("name", CLIENTS)
def test_a_whole_conversation(recorded: Recorded, request: pytest.FixtureRequest, name: str) -> None:
    """From the first word to the end of standard input; see `scenario.mjs`."""
    if "python" not in name:
        request.getfixturevalue("node")
    command, era = CLIENTS[name]
    seen = recorded.converse(command, era)
    assert seen["errors"] == []
    assert seen["version"] == (LATEST_MODERN_VERSION if era == "modern" else LATEST_HANDSHAKE_VERSION)
    assert (seen["server"]["name"], seen["server"]["version"]) == ("grex", __version__)
    assert sorted(seen["tools"]) == sorted(TOOLS)
    assert seen["schemas"] == len(TOOLS)
    judge_calls(seen)
    assert seen["cancelled"]["waiting"].startswith(
        f"waiting for the workspace, held by pid {seen['cancelled']['holder']}"
    )
    assert seen["cancelled"]["then"]["is_error"] is False
    assert seen["cancelled"]["left"] == 0  # while the lock is still held, nobody waits for it any more
    assert seen["again"]["is_error"] is False
    assert seen["resources"] == ["grex://workspace", "grex://locks"]
    assert [pack["path"] for pack in seen["read"]["packs"]] == ["a"]
    assert seen["changed"] == "grex://workspace"
    assert recorded.ended == "0"
    assert seen["closed_s"] < 2
    assert recorded.first_word == FIRST_WORDS[era]
    judge_wire(recorded.wire("said"), recorded.wire("heard"))


def judge_calls(seen: dict[str, Any]) -> None:
    """The results of the calls that came to their end."""
    assert (seen["drift"]["is_error"], seen["drift"]["document"]["exit_code"]) == (False, 7)
    for call in ("sync", "status", "exec", "graph"):
        assert (seen[call]["is_error"], json.loads(seen[call]["text"])) == (False, seen[call]["document"]), call
    assert [pack["stdout"] for pack in seen["exec"]["document"]["packs"]] == ["a\n", "b\n"]
    assert {pack["path"] for pack in seen["graph"]["document"]["packs"]} >= {"a", "b"}
    assert (seen["usage"]["is_error"], seen["usage"]["document"]["error"]["code"]) == (True, "usage.invalid")


def judge_wire(said: list[dict[str, Any]], heard: list[dict[str, Any]]) -> None:
    """Each request has one answer, a cancelled one has none, and nothing is told of either afterwards."""
    requests = {message["id"]: message for message in said if "method" in message and "id" in message}
    cancelled = {message["params"]["requestId"] for message in said if message["method"] == "notifications/cancelled"}
    answered = [message["id"] for message in heard if "method" not in message]
    assert sorted(answered) == sorted(requests.keys() - cancelled)
    ends = {
        request["params"]["_meta"]["progressToken"]: id_
        for id_, request in requests.items()
        if "progressToken" in request.get("params", {}).get("_meta", {})
    }
    assert any(id_ in cancelled for id_ in ends.values())
    for token, id_ in ends.items():
        # The answer that follows the cancel stands for the one that there is not.
        last = id_ if id_ not in cancelled else min(other for other in answered if other > id_)
        at = next(place for place, message in enumerate(heard) if message.get("id") == last)
        told = [place for place, message in enumerate(heard) if message.get("params", {}).get("progressToken") == token]
        assert told
        assert max(told) < at
        assert all(one < other for one, other in pairwise(heard[place]["params"]["progress"] for place in told))


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_the_inspector_finds_no_schema_that_some_client_cannot_read(recorded: Recorded, era: str) -> None:
    """Neither an error of its strict mode, nor a warning, of which it has more."""
    done = recorded.inspect("--strict", "--protocol-era", era, "--method", "tools/list")
    assert (done.returncode, done.stderr) == (0, "")
    (line,) = done.stdout.splitlines()
    found = json.loads(line)
    assert sorted(tool["name"] for tool in found["result"]["tools"]) == sorted(TOOLS)
    assert list(found) == ["result"]
    assert recorded.first_word == FIRST_WORDS[era]
    assert recorded.ended == "0"


@pytest.mark.usefixtures("node")
def test_the_inspector_calls_and_reads(recorded: Recorded) -> None:
    done = recorded.inspect("--method", "tools/call", "--tool-name", "sync", "--tool-arg", "packs=a")
    assert done.returncode == 5, done.stderr  # `a` is no list
    assert json.loads(done.stdout)["result"]["structuredContent"]["error"]["code"] == "usage.invalid"
    given = ["--tool-args-json", '{"packs": ["a"]}']
    done = recorded.inspect("--method", "tools/call", "--tool-name", "sync", *given)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["result"]["structuredContent"]["exit_code"] == 0
    done = recorded.inspect("--method", "resources/list")
    assert [one["uri"] for one in json.loads(done.stdout)["result"]["resources"]] == [
        "grex://workspace",
        "grex://locks",
    ]
    done = recorded.inspect("--method", "resources/read", "--uri", "grex://packs/a")
    (contents,) = json.loads(done.stdout)["result"]["contents"]
    assert [pack["path"] for pack in json.loads(contents["text"])["packs"]] == ["a"]
    assert recorded.ended == "0"


@pytest.mark.usefixtures("node")
def test_many_calls_at_once_are_all_answered(recorded: Recorded) -> None:
    load = ["--load", "--load-requests", "60", "--load-concurrency", "12"]
    done = recorded.inspect("--protocol-era", "modern", "--method", "tools/call", "--tool-name", "ls", *load)
    assert done.returncode == 0, done.stderr
    answered = [message for message in recorded.wire("heard") if "structuredContent" in message.get("result", {})]
    assert [one["result"]["structuredContent"]["exit_code"] for one in answered] == [0] * 60
    assert recorded.ended == "0"


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize("client", [Client.CLAUDE_CODE, Client.CLAUDE_DESKTOP])
def test_the_inspector_starts_what_grex_mcp_config_prints(recorded: Recorded, client: Client) -> None:
    """Its own form is that of Claude Desktop and Cursor; `servers` (VS Code) and TOML (Codex) it does not read."""
    file = recorded.base / "mcp.json"
    printed = recorded.workspace.grex("mcp", "config", "--client", client.value).stdout
    assert json.loads(printed) == json.loads(
        snippet(client, [sys.executable, "-m", "grex"], recorded.workspace.root).text
    )
    file.write_text(printed)
    imported = f"PYTHONPATH={REPOSITORY}"
    done = recorded.inspect(
        "--config", str(file), "--server", "grex", "-e", imported, "--method", "resources/list", server=[]
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["result"]["resources"]
