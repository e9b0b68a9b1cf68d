"""Whatever a client says, the session lives: each request is answered once, and nothing else is answered."""

from __future__ import annotations

import json
import os
from pathlib import Path

import anyio
import pytest

from grex.mcp.place import Place as ServedPlace
from tests.support.git_server import git
from tests.support.mcp_client import Conversation, ServedProcess, converse
from tests.support.mcp_fuzz import Fuzz
from tests.support.workspace import Workspace

ERAS = pytest.mark.parametrize("is_modern", [False, True], ids=["handshake", "modern"])


async def talk(client: Conversation, fuzz: Fuzz, lines: int) -> None:
    """Say so many lines and hear what there is, until all that has to be answered is."""
    done = anyio.Event()

    async def listen() -> None:
        while not done.is_set() or fuzz.account.missing:
            message = json.loads(await client.line())
            if message.get("id") == "the last":
                done.set()
            else:
                fuzz.account.heard(message)

    async with anyio.create_task_group() as group:
        group.start_soon(listen)
        for _ in range(lines):
            for chunk in fuzz.chunks(fuzz.line()):
                await client.say(chunk)
        last = {"jsonrpc": "2.0", "id": "the last", "method": "ping"}
        await client.send(last)


@ERAS
@pytest.mark.anyio
async def test_three_hundred_lines_of_any_kind(
    served: ServedPlace, caplog: pytest.LogCaptureFixture, is_modern: bool
) -> None:
    fuzz = Fuzz(7, is_modern=is_modern)
    with anyio.fail_after(30):
        async with converse(served, is_modern=is_modern) as client:
            await talk(client, fuzz, 300)
    assert fuzz.account.answered
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@ERAS
@pytest.mark.anyio
async def test_ten_thousand_lines_of_any_kind_leave_the_process_as_it_was(tmp_path: Path, is_modern: bool) -> None:
    workspace = Workspace(tmp_path)
    git(workspace.root, "init", "--quiet", "a")
    workspace.declare({"url": "https://host.example/a"})
    fuzz = Fuzz(11, is_modern=is_modern)
    with ServedProcess(workspace.root, environ=workspace.environ, is_modern=is_modern) as server:
        await server.client.begin()
        with anyio.fail_after(280):
            await talk(server.client, fuzz, 2000)
            before = footprint(server.process.pid)
            await talk(server.client, fuzz, 8000)
            after = footprint(server.process.pid)
        assert after["descriptors"] <= before["descriptors"]
        assert after["threads"] <= before["threads"] + 2
        assert after["kib"] <= before["kib"] + 32 * 1024
        server.client.hang_up()
        assert await server.ended() == 0
        for message in await server.client.rest():
            fuzz.account.heard(message)
        assert "Traceback" not in server.said


def footprint(pid: int) -> dict[str, int]:
    """What a process has."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {
        "descriptors": len(os.listdir(f"/proc/{pid}/fd")),  # noqa: PTH208 - names only
        "threads": int(status["Threads"]),
        "kib": int(status["VmRSS"].split()[0]),
    }
