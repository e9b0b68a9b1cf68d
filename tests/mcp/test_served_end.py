"""Whatever a real `grex serve` is in the middle of, and whatever ends it: it ends in two seconds, with all it began.

A table of what is in flight, and one of what ends it. What is in flight says when it is; nothing is waited for by time.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from tests.support.git_server import GitServer, git
from tests.support.lock_holder import Kind, LockHolder
from tests.support.mcp_client import ServedProcess, handshake
from tests.support.processes import wait_for_file, wait_until_dead
from tests.support.workspace import Workspace, pack_yaml

pytestmark = pytest.mark.anyio

# A process that hears no SIGTERM, and has a child of that kind; both note their ids.
STUBBORN = 'trap "" TERM INT HUP; sleep 300 & echo $$ $! > "$PIDS.new"; mv "$PIDS.new" "$PIDS"; wait'


@pytest.fixture
def anyio_backend() -> str:
    """The client's event loop; the server is a process of its own."""
    return "asyncio"


class Scene:
    """A workspace with one checkout, a server of it, and what it is to be found with."""

    def __init__(self, workspace: Workspace, server: ServedProcess, stack: AsyncExitStack) -> None:
        self.workspace = workspace
        self.server = server
        self.client = server.client
        self._stack = stack

    @property
    def pids_file(self) -> Path:
        """Where stubborn processes note their ids."""
        return self.workspace.root.parent / "pids"

    def hold(self, kind: Kind, path: Path) -> None:
        """Another process has this lock, for as long as the scene is."""
        assert self._stack.enter_context(LockHolder(kind, path)).ask("take") == "held"

    async def is_waiting(self, *, calls: int = 1) -> None:
        """Wait until so many calls say that they wait for a lock."""
        waiting: set[str] = set()
        while len(waiting) < calls:
            found = await self.client.hear(lambda message: message.get("method") == "notifications/progress")
            if "waiting for" in found["params"].get("message", ""):
                waiting.add(found["params"]["progressToken"])

    async def call(self, tool: str, *, token: str = "t", **arguments: object) -> None:  # noqa: S107 - no secret
        """Call a tool and want to hear of its progress."""
        await self.client.call(tool, dict(arguments), _meta={"progressToken": token})


async def idle(scene: Scene) -> None:
    await scene.client.begin()


async def not_begun(scene: Scene) -> None:
    await scene.client.request("ping")
    await scene.client.answer(1)


async def waiting_for_the_workspace(scene: Scene) -> None:
    await scene.client.begin()
    scene.hold("workspace", scene.workspace.root)
    await scene.call("sync")
    await scene.is_waiting()


async def waiting_for_a_pack(scene: Scene) -> None:
    await scene.client.begin()
    scene.hold("pack", scene.workspace / "a")
    await scene.call("exec", command=["true"])
    await scene.is_waiting()


async def waiting_for_the_manifest(scene: Scene) -> None:
    await scene.client.begin()
    scene.hold("writer", scene.workspace.root)
    await scene.call("status")
    await scene.is_waiting()


async def waiting_for_a_permit(scene: Scene) -> None:
    """The only one is with a command that hears no signal."""
    await scene.client.begin()
    await scene.call("exec", command=["sh", "-c", STUBBORN], no_lock=True)
    await wait_for_file(scene.pids_file)
    for _ in range(3):
        await scene.call("exec", command=["true"], no_lock=True)
    await scene.client.result(await scene.client.request("ping"))


async def a_clone(scene: Scene) -> None:
    await scene.client.begin()
    await scene.call("add", url="ssh://host.example/far")
    await wait_for_file(scene.pids_file)


async def a_hook(scene: Scene) -> None:
    """Of a pack that is installed; it hears no signal, and its child neither."""
    hook = f"#!/bin/sh\n{STUBBORN}\n"
    remote = GitServer(scene.workspace.root.parent / "remote")
    remote.create("app", {".grex/pack.yaml": pack_yaml("app", "scripted"), ".grex/hooks/setup.sh": hook})
    await _syncing(scene, remote.url("app"))


async def an_action(scene: Scene) -> None:
    """The same as a command that a pack declares."""
    script = scene.workspace.root.parent / "stubborn.sh"  # in pack.yaml, `$` would be grex's
    script.write_text(STUBBORN)
    actions = [{"exec": {"cmd": ["sh", str(script)]}}]
    remote = GitServer(scene.workspace.root.parent / "remote")
    remote.create("app", {".grex/pack.yaml": pack_yaml("app", "declarative", actions=actions)})
    await _syncing(scene, remote.url("app"))


async def _syncing(scene: Scene, url: str) -> None:
    scene.workspace.declare({"url": url})
    await scene.client.begin()
    await scene.call("sync")
    await wait_for_file(scene.pids_file)


async def a_hundred_calls(scene: Scene) -> None:
    await scene.client.begin()
    scene.hold("workspace", scene.workspace.root)
    for number in range(100):
        await scene.call("sync", token=f"t{number}")
    await scene.is_waiting(calls=100)


async def a_full_pipe(scene: Scene) -> None:
    await scene.client.begin()
    scene.hold("workspace", scene.workspace.root)
    await scene.call("sync")
    await scene.is_waiting()
    for _ in range(20):
        await scene.client.request("tools/list")
    await anyio.wait_readable(scene.client._in)


def eof(scene: Scene) -> None:
    scene.client.hang_up()


def eof_in_a_line(scene: Scene) -> None:
    os.write(scene.client._out, b'{"jsonrpc":"2.0","id":77,"method":"pi')
    scene.client.hang_up()


def gone(scene: Scene) -> None:
    scene.client.close()


def by(*signals: signal.Signals) -> Callable[[Scene], None]:
    def end(scene: Scene) -> None:
        for one in signals:
            scene.server.signal(one)

    return end


def eof_and_term(scene: Scene) -> None:
    eof(scene)
    scene.server.signal(signal.SIGTERM)


@asynccontextmanager
async def scene_of(base: Path) -> AsyncGenerator[Scene]:
    workspace = Workspace(base)
    git(workspace.root, "init", "--quiet", "a")
    git(workspace / "a", "commit", "--quiet", "--allow-empty", "--message", "one")
    git(workspace / "a", "remote", "add", "origin", "https://host.example/team/a")
    workspace.declare({"url": "https://host.example/team/a"})
    ssh = base / "ssh"
    ssh.write_text(f"#!/bin/sh\n{STUBBORN}\n")
    ssh.chmod(0o755)
    environ = workspace.environ | {"PIDS": str(base / "pids"), "GIT_SSH": str(ssh), "GIT_SSH_VARIANT": "ssh"}
    async with AsyncExitStack() as stack:
        remote = (base / "remote").as_uri()
        options = ("--jobs", "1", "--trust", "https://host.example/team/", "--trust", remote)
        server = stack.enter_context(ServedProcess(workspace.root, *options, environ=environ))
        yield Scene(workspace, server, stack)


IN_FLIGHT = [
    not_begun,
    idle,
    waiting_for_the_workspace,
    waiting_for_a_pack,
    waiting_for_the_manifest,
    waiting_for_a_permit,
    a_clone,
    a_hook,
    an_action,
    a_hundred_calls,
    a_full_pipe,
]
ENDS: dict[str, Callable[[Scene], None]] = {
    "eof": eof,
    "sigint": by(signal.SIGINT),
    "sigterm": by(signal.SIGTERM),
    "sighup": by(signal.SIGHUP),
    "three signals": by(signal.SIGTERM, signal.SIGINT, signal.SIGTERM),
    "eof in a line": eof_in_a_line,
    "eof and sigterm": eof_and_term,
    "gone": gone,
}
ALWAYS = {(waiting_for_the_manifest, "eof in a line"), (a_clone, "three signals"), (a_hook, "sigterm")}


@pytest.mark.parametrize(
    ("in_flight", "end"),
    [
        pytest.param(
            flight,
            ENDS[end],
            id=f"{flight.__name__}-{end}".replace(" ", "_"),
            marks=() if (flight, end) in ALWAYS else pytest.mark.slow,
        )
        for flight in IN_FLIGHT
        for end in ENDS
    ],
)
async def test_it_ends_in_two_seconds_with_all_that_it_began(
    tmp_path: Path, in_flight: Callable[[Scene], object], end: Callable[[Scene], None]
) -> None:
    async with scene_of(tmp_path) as scene:
        with anyio.fail_after(15):
            await in_flight(scene)  # type: ignore[misc]  # it is a coroutine function
        end(scene)
        assert await scene.server.ended() == 0
        assert "Traceback" not in scene.server.said
        assert "never awaited" not in scene.server.said
        if scene.pids_file.exists():
            for pid in scene.pids_file.read_text().split():
                await wait_until_dead(int(pid), timeout_s=1)
        if scene.client._in >= 0 and in_flight is not a_full_pipe:
            await scene.client.rest()  # every line of it is JSON


# What an agent is to its server: starts it, calls a tool, reads on, and is killed before it can say good-bye.
AGENT = """
import subprocess, sys
said, errors, pid_file = sys.argv[1:4]
with open(errors, "wb") as err:
    server = subprocess.Popen(sys.argv[4:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=err)
with open(pid_file, "w") as file:
    file.write(str(server.pid))
server.stdin.write(open(said, "rb").read())
server.stdin.flush()
for line in server.stdout:
    pass
"""


async def test_when_whoever_started_it_is_killed_it_ends_with_all_that_it_began(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    git(workspace.root, "init", "--quiet", "a")
    workspace.declare({"url": "https://host.example/team/a"})
    said, errors, pid_file, pids = (tmp_path / name for name in ("said", "errors", "pid", "pids"))
    params = {"name": "exec", "arguments": {"command": ["sh", "-c", STUBBORN], "no_lock": True}}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    said.write_text("".join(json.dumps(message) + "\n" for message in [*handshake(), call]))
    command = [sys.executable, "-c", AGENT, *map(str, (said, errors, pid_file)), *workspace.command("serve")]
    agent = subprocess.Popen(command, cwd=workspace.root, env=workspace.environ | {"PIDS": str(pids)})  # noqa: ASYNC220 - it starts at once
    try:
        await wait_for_file(pids)
    finally:
        agent.kill()
        agent.wait()
    await wait_until_dead(int(pid_file.read_text()), timeout_s=2)
    for pid in pids.read_text().split():
        await wait_until_dead(int(pid), timeout_s=1)
    assert "Traceback" not in errors.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("loaded", ["grex", "typer", "_pydantic_core", "_ssl"])
async def test_a_signal_while_it_starts_ends_it_without_noise(
    tmp_path: Path, loaded: str, signum: signal.Signals
) -> None:
    """Whatever it has loaded by then: before it listens to signals they end it as any process, or as Ctrl-C."""
    workspace = Workspace(tmp_path)
    workspace.declare()
    with ServedProcess(workspace.root, environ=workspace.environ) as server:
        maps = Path(f"/proc/{server.process.pid}/maps")
        with anyio.move_on_after(3):  # what is never mapped: then it is ready, which is one more case
            while loaded not in maps.read_text():
                await anyio.lowlevel.checkpoint()
        server.signal(signum)
        assert await server.ended() in {0, 130, -signum}
        assert "Traceback" not in server.said


@pytest.mark.parametrize(
    "closed",
    [
        "<&-",
        pytest.param(">&-", marks=pytest.mark.slow),
        pytest.param("2>&-", marks=pytest.mark.slow),
        pytest.param("<&- >&- 2>&-", marks=pytest.mark.slow),
    ],
)
async def test_without_a_standard_stream_it_ends_at_the_end_of_its_input(tmp_path: Path, closed: str) -> None:
    workspace = Workspace(tmp_path)
    workspace.declare()
    within = ["sh", "-c", f'exec "$@" {closed}', "sh"]
    with ServedProcess(workspace.root, environ=workspace.environ, within=within) as server:
        server.client.hang_up()
        assert await server.ended(within_s=20) == 0
        assert "Traceback" not in server.said
        assert await server.client.rest() == []
