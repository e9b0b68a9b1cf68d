"""Whatever prints below a real `grex serve`, and however: over its standard output go messages and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.distribution import python_path, write_distribution
from tests.support.git_server import GitServer
from tests.support.mcp_client import ServedProcess
from tests.support.workspace import Workspace, pack_yaml

pytestmark = pytest.mark.anyio

# Each word of it is printed in a way of its own, at the import and in the call.
NOISY = '''
import ctypes
import logging
import os
import subprocess
import sys
import warnings

from grex.plugin import PackType

print("imported-print")
os.write(1, b"imported-write\\n")
logging.basicConfig(level=logging.DEBUG, stream=sys.stdout, format="logged %(name)s %(message)s")


class Noisy(PackType):
    """Prints."""

    name = "noisy"

    def needs_trust(self, ctx, pack):
        """Nothing."""
        return ()

    async def install(self, ctx, pack):
        """Print in every way there is."""
        async with ctx.hold(pack) as hold:
            print("called-print", flush=True)
            sys.__stdout__.write("called-original\\n")
            sys.stdout.buffer.write(b"called-bytes\\n")
            os.write(1, b"called-write without an end")
            libc = ctypes.CDLL(None)
            libc.puts(b"called-c")
            libc.fflush(None)
            subprocess.run(["sh", "-c", "echo called-child; cat"], check=True)
            subprocess.run(["sh", "-c", "(echo called-grandchild) & wait"], check=True)
            with open("/dev/stdout", "a") as device:
                device.write("called-device\\n")
            warnings.warn("called-warning")
            logging.getLogger("mcp").warning("called-log")
            print("called-last")  # and it is left in the buffer
            return hold.outcome()
'''
WORDS = [
    "imported-print",
    "imported-write",
    "called-print",
    "called-original",
    "called-bytes",
    "called-write",
    "called-c",
    "called-child",
    "called-grandchild",
    "called-device",
    "called-warning",
    "logged mcp called-log",
    "called-last",
]
HOOK = """#!/bin/sh
echo hook-print
(echo hook-background; echo hook-background >/dev/stdout) &
wait
cat
"""


@pytest.fixture
def anyio_backend() -> str:
    """The client's event loop; the server is a process of its own."""
    return "asyncio"


@pytest.mark.parametrize(
    "is_modern", [False, pytest.param(True, marks=pytest.mark.exhaustive)], ids=["handshake", "modern"]
)
async def test_only_messages_go_over_standard_output_whatever_plugins_hooks_and_logs_print(
    tmp_path: Path, is_modern: bool
) -> None:
    workspace, remote = Workspace(tmp_path), GitServer(tmp_path / "server")
    site = write_distribution(tmp_path / "site", "noisy", NOISY, {"grex.pack_types": {"noisy": "Noisy"}})
    remote.create("app", {".grex/pack.yaml": pack_yaml("app", "noisy")})
    remote.create("lib", {".grex/pack.yaml": pack_yaml("lib", "scripted"), ".grex/hooks/setup.sh": HOOK})
    workspace.declare({"url": remote.url("app")}, {"url": remote.url("lib")})
    environ = workspace.environ | {"PYTHONPATH": python_path(site), "PYTHONWARNINGS": "always"}
    options = ("--trust", remote.root.as_uri())
    with ServedProcess(workspace.root, *options, environ=environ, is_modern=is_modern) as server:
        client = server.client
        await client.begin()
        found = await client.result(await client.call("sync", _meta={"progressToken": "t"}))
        assert found["structuredContent"]["exit_code"] == 0, found
        await client.say(b"no JSON\n")  # the SDK and its libraries have something to log
        await client.request("tools/call", name="nothing")
        await client.request("no/such/method")
        await client.result(await client.call("plugins"))
        client.hang_up()
        for message in await client.rest():  # each line was JSON; a line that was printed is none
            assert message["jsonrpc"] == "2.0", json.dumps(message)
        assert await server.ended() == 0
        assert [word for word in WORDS if word not in server.said] == []
