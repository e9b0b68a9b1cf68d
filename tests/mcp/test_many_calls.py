"""Eleven hundred calls at once, each on a pack of its own: they share the permits of the server."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from tests.support.mcp_client import ServedProcess
from tests.support.workspace import Workspace

pytestmark = pytest.mark.anyio

CALLS = 1100
JOBS = 4


@pytest.fixture
def anyio_backend() -> str:
    """The client's event loop; the server is a process of its own."""
    return "asyncio"


def write_repository(at: Path) -> None:
    """A repository without a commit, as `git init` makes it and much cheaper."""
    for name in ("objects", "refs"):
        (at / ".git" / name).mkdir(parents=True)
    (at / ".git/HEAD").write_text("ref: refs/heads/main\n")
    (at / ".git/config").write_text("[core]\n\trepositoryformatversion = 0\n\tbare = false\n")


@pytest.mark.exhaustive
@pytest.mark.timeout(1800)
async def test_of_many_calls_as_many_commands_run_at_once_as_there_are_jobs_and_no_more(tmp_path: Path) -> None:
    """The commands say themselves when they begin and end; none ends before the gate is open.

    The first ones stand at the gate while every call has come in, and as many of them as there are jobs.
    """
    workspace = Workspace(tmp_path)
    packs = [f"p{number:04}" for number in range(CALLS)]
    for pack in packs:
        write_repository(workspace / pack)
    workspace.declare(*({"url": f"https://host.example/{pack}"} for pack in packs))
    gate, log = tmp_path / "gate", tmp_path / "log"
    log.touch()
    script = f'echo + >> "{log}"; until [ -e "{gate}" ]; do sleep 0.01; done; echo - >> "{log}"'
    with ServedProcess(workspace.root, "--jobs", str(JOBS), environ=workspace.environ) as server:
        client = server.client
        await client.begin()
        answers = []

        async def hear() -> None:
            for _ in packs:
                answers.append(await client.hear(lambda message: "id" in message, deadline_s=1500))  # noqa: PERF401

        async with anyio.create_task_group() as group:
            group.start_soon(hear)
            for pack in packs:
                await client.call("exec", {"command": ["sh", "-c", script], "packs": [pack]})
            with anyio.fail_after(60):
                while log.read_text().count("+") < JOBS:  # noqa: ASYNC110 - the event is another process's
                    await anyio.sleep(0.005)
            gate.touch()
    assert {
        pack["path"]: pack["status"] for answer in answers for pack in answer["result"]["structuredContent"]["packs"]
    } == dict.fromkeys(packs, "ran")
    running, at_once = 0, 0
    for mark in log.read_text().split():
        running += 1 if mark == "+" else -1
        at_once = max(at_once, running)
    assert (running, at_once) == (0, JOBS)
