"""A call that is cancelled while git, a hook or a command is at work: they end, nothing is written, all can go on.

What is at work stands still at a gate: a connection in the middle of a pack, a filter in the middle of a checkout, a
script that ignores every polite signal and has left its session. Ctrl-C does the same: `tests/e2e/test_interrupts.py`.
"""

from __future__ import annotations

import contextlib
import os
import random
import shlex
import signal
import sys
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

import anyio
import pytest

from grex.engine import Settings
from grex.locks import hold
from grex.manifest import Log, fold
from grex.mcp.place import Place as ServedPlace
from tests.support.crash_scenario import leftovers
from tests.support.git_server import GitServer, git
from tests.support.mcp_client import converse, place_of
from tests.support.processes import alive
from tests.support.slow_git import HeldFilter, SlowTransport
from tests.support.tree_watch import TreeWatch
from tests.support.workspace import Workspace, pack_yaml

pytestmark = pytest.mark.anyio

MARK = "CANCELLED_WORK_MARK"
GONE_WITHIN_S = 1.0

# Ignores TERM, and so do its child, and a daemon that has left the session; with `released` there is nothing to do.
STUBBORN = """
import os, signal, sys, time
marks = sys.argv[1]
if os.path.exists(f"{marks}/released"):
    sys.exit()
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
def stay(name):
    open(f"{marks}/{name}", "w").close()
    while True:
        time.sleep(600)
if os.fork() == 0:
    stay("child")
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    stay("daemon")
while not (os.path.exists(f"{marks}/child") and os.path.exists(f"{marks}/daemon")):
    time.sleep(0.002)
stay("started")
"""


@pytest.fixture(params=["asyncio", pytest.param("trio", marks=pytest.mark.slow)])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The server's event loop."""
    return str(request.param)


class Yard:
    """A workspace and a server below `base`, and how to find what is at work in them."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.mark = token_hex(8)
        self.workspace = Workspace(self.base)
        self.workspace.environ[MARK] = self.mark
        self.server = GitServer(self.base / "server")
        self.marks = self.base / "marks"
        self.marks.mkdir()
        (self.base / "stubborn.py").write_text(STUBBORN)

    @property
    def place(self) -> ServedPlace:
        """The place of a server for the workspace."""
        settings = Settings(
            home=self.workspace.home,
            environ=dict(self.workspace.environ),
            platform="linux",
            state_dir=self.base / "state",
            verb="test",
            trust=(self.server.root.as_uri(),),
        )
        return place_of(self.workspace.root, settings)

    @property
    def stubborn(self) -> list[str]:
        """A command that does not want to end."""
        return [sys.executable, str(self.base / "stubborn.py"), str(self.marks)]

    @property
    def hook(self) -> str:
        """The same as a hook."""
        return f"#!/bin/sh\nexec {shlex.join(self.stubborn)}\n"

    def family(self) -> list[int]:
        """The living processes that calls of the server have started, whatever they left."""
        needle = f"{MARK}={self.mark}".encode()
        found = []
        for name in os.listdir("/proc"):  # noqa: PTH208 - hundreds of names, and no use for paths
            try:
                if name.isdecimal() and needle in Path("/proc", name, "environ").read_bytes() and alive(int(name)):
                    found.append(int(name))
            except OSError:
                continue
        return found

    def big(self, seed: int) -> str:
        """More than fits into the beginning of a connection, and no other text is like it."""
        chance = random.Random(seed)  # noqa: S311 - only to be large when compressed
        return "".join(f"{chance.random()}\n" for _ in range(20_000))


@pytest.fixture
def yard(tmp_path: Path) -> Generator[Yard]:
    """A place to work in, in which nothing is at work once the test is over, whatever came of it."""
    made = Yard(tmp_path)
    yield made
    while left := made.family():
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@dataclass
class Work:
    """What is at work when the call comes to be cancelled.

    Attributes:
        tool: what is called.
        arguments: with what.
        is_reached: whether it stands at its gate.
        release: lets it go on, now and later.
        brackets: how many actions the log has as cancelled afterwards.
    """

    tool: str
    arguments: dict[str, Any]
    is_reached: Callable[[], bool]
    release: Callable[[], None]
    brackets: int = 0


Prepare = Callable[[Yard], Any]


async def synced(yard: Yard) -> None:
    """What is declared is there."""
    async with converse(yard.place) as client:
        found = (await client.result(await client.call("sync")))["structuredContent"]
        assert found["exit_code"] == 0, found


def slow_transport(yard: Yard) -> SlowTransport:
    return SlowTransport(yard.base / "ssh", yard.workspace, ignores_term=True)


def at_gate(gate: SlowTransport | HeldFilter, tool: str, **arguments: Any) -> Work:
    return Work(tool, arguments, gate._reached.exists, gate.release)


def at_stubborn(yard: Yard, tool: str, brackets: int, **arguments: Any) -> Work:
    return Work(tool, arguments, (yard.marks / "started").exists, (yard.marks / "released").touch, brackets)


async def a_clone(yard: Yard) -> Work:
    slow = slow_transport(yard)
    yard.server.create("big", {"data": yard.big(1)})
    yard.workspace.declare({"url": slow.url(yard.server.path("big")), "path": "libs/big"})
    return at_gate(slow, "sync")


async def an_add(yard: Yard) -> Work:
    slow = slow_transport(yard)
    yard.server.create("big", {"data": yard.big(1)})
    yard.workspace.declare()
    return at_gate(slow, "add", url=slow.url(yard.server.path("big")), path="libs/big")


async def a_fetch(yard: Yard) -> Work:
    slow = slow_transport(yard)
    yard.server.create("big", {"data": "1\n"})
    yard.workspace.declare({"url": slow.url(yard.server.path("big"))})
    await synced(yard)
    yard.server.commit("big", {"data": yard.big(1)})
    return at_gate(slow, "fetch")


async def a_fetch_of_a_sync(yard: Yard) -> Work:
    work = await a_fetch(yard)
    return Work("sync", {}, work.is_reached, work.release)


async def a_checkout(yard: Yard) -> Work:
    yard.server.create("app", {"early.txt": "1\n", "held.txt": "1\n"})
    yard.workspace.declare({"url": yard.server.url("app")})
    await synced(yard)
    yard.server.commit("app", {".gitattributes": HeldFilter.ATTRIBUTES, "early.txt": "2\n", "held.txt": "2\n"})
    return at_gate(HeldFilter(yard.base / "filter", yard.workspace), "sync")


async def a_switch(yard: Yard) -> Work:
    yard.server.create("app", {"early.txt": "1\n", "held.txt": "1\n"})
    changed = {".gitattributes": HeldFilter.ATTRIBUTES, "early.txt": "2\n", "held.txt": "2\n"}
    yard.server.commit("app", changed, branch="topic")
    yard.workspace.declare({"url": yard.server.url("app")})
    await synced(yard)
    return at_gate(HeldFilter(yard.base / "filter", yard.workspace), "switch", branch="topic")


async def a_submodule_update(yard: Yard) -> Work:
    slow = slow_transport(yard)
    yard.server.create("sub", {"data": yard.big(1)})
    yard.server.create("app", {"file": "1\n"})
    inner = yard.server.work("app")
    git(inner, "-c", "protocol.file.allow=always", "submodule", "add", "--quiet", yard.server.url("sub"), "sub")
    git(inner, "config", "--file", ".gitmodules", "submodule.sub.url", slow.url(yard.server.path("sub")))
    git(inner, "commit", "--quiet", "-am", "submodule")
    yard.server.push("app", "main")
    yard.workspace.declare({"url": yard.server.url("app"), "submodules": True})
    return at_gate(slow, "sync")


async def a_fork(yard: Yard) -> Work:
    yard.server.create("app", {".gitattributes": HeldFilter.ATTRIBUTES, "early.txt": "1\n", "held.txt": "1\n"})
    yard.workspace.declare({"url": yard.server.url("app")})
    await synced(yard)
    return at_gate(HeldFilter(yard.base / "filter", yard.workspace), "fork", directory="../f")


async def a_hook(yard: Yard) -> Work:
    yard.server.create("app", {".grex/pack.yaml": pack_yaml("app", "scripted"), ".grex/hooks/setup.sh": yard.hook})
    yard.workspace.declare({"url": yard.server.url("app")})
    return at_stubborn(yard, "sync", 1)


async def a_hook_that_is_run(yard: Yard) -> Work:
    yard.server.create("app", {".grex/pack.yaml": pack_yaml("app", "scripted"), ".grex/hooks/check.sh": yard.hook})
    yard.workspace.declare({"url": yard.server.url("app")})
    await synced(yard)
    return at_stubborn(yard, "run", 1, name="check")


async def an_action(yard: Yard) -> Work:
    actions = [{"exec": {"cmd": yard.stubborn}}]
    yard.server.create("app", {".grex/pack.yaml": pack_yaml("app", "declarative", actions=actions)})
    yard.workspace.declare({"url": yard.server.url("app")})
    return at_stubborn(yard, "sync", 1)


async def a_teardown_of_an_rm(yard: Yard) -> Work:
    hooks = {".grex/hooks/setup.sh": "#!/bin/sh\n:\n", ".grex/hooks/teardown.sh": yard.hook}
    yard.server.create("app", {".grex/pack.yaml": pack_yaml("app", "scripted"), **hooks})
    yard.workspace.declare({"url": yard.server.url("app")})
    await synced(yard)
    return at_stubborn(yard, "rm", 1, packs=["app"])


async def a_command(yard: Yard) -> Work:
    yard.server.create("app", {"file": "1\n"})
    yard.workspace.declare({"url": yard.server.url("app")})
    await synced(yard)
    return at_stubborn(yard, "exec", 0, command=yard.stubborn)


ALWAYS = [a_clone, a_hook, a_command]
WORK: list[Prepare] = [
    an_add,
    a_fetch,
    a_fetch_of_a_sync,
    a_checkout,
    a_switch,
    a_submodule_update,
    a_fork,
    a_hook_that_is_run,
    an_action,
    a_teardown_of_an_rm,
]


@pytest.mark.parametrize("prepare", [*ALWAYS, *(pytest.param(one, marks=pytest.mark.slow) for one in WORK)])
async def test_what_is_at_work_ends_and_nothing_is_written_afterwards(
    tmp_path: Path, yard: Yard, prepare: Prepare
) -> None:
    """Told as steps.

    - It stands at its gate; the call is taken back; within a second no process of it lives, and no lock is held.
    - From then on nothing changes in the workspace, nor beside it where a fork would be: for two seconds, where it is
      among the slow tests.
    - The log has each action that was begun as cancelled, and no answer has come.
    - The same call goes through in the same session, then a sync, and after that there is nothing to do.
    """
    root = yard.workspace.root
    work = await prepare(yard)
    async with converse(yard.place) as client:
        call = await client.call(work.tool, work.arguments)
        with anyio.fail_after(20):
            while not work.is_reached():  # noqa: ASYNC110 - the event is another process's
                await anyio.sleep(0.002)
        assert len(yard.family()) >= 2
        start = anyio.current_time()
        await client.cancel(call)
        await client.result(await client.request("ping"))
        with anyio.fail_after(20):
            while yard.family() or hold._live:  # noqa: ASYNC110 - the ends of processes
                await anyio.sleep(0.002)
        assert anyio.current_time() - start < GONE_WITHIN_S
        with TreeWatch(tmp_path) as watch:
            await anyio.sleep(2.0 if prepare in WORK else 0)  # what does not happen has no event to wait for
            await client.result(await client.request("ping"))
            assert watch.changes() == []
        events = Log(yard.workspace.log, root / "trash").read().events if yard.workspace.log.exists() else ()
        halted = [event.data["reason"] for event in events if event.op == "action_halted"]
        assert halted == ["cancelled"] * work.brackets
        assert [pack for pack in fold(events).packs.values() if pack.open_brackets] == []
        work.release()
        for tool, arguments in ((work.tool, work.arguments), ("sync", {})):
            found = (await client.result(await client.call(tool, arguments)))["structuredContent"]
            assert found["exit_code"] == 0, found
        status = (await client.result(await client.call("status")))["structuredContent"]
        assert status["exit_code"] == 0
        assert status["clean"] or prepare is a_switch, status["packs"]  # which is on another branch by now
        assert {(pack["edited"], pack["untracked"]) for pack in status["packs"]} <= {(0, 0)}
        assert leftovers(yard.workspace) == []
        client.hang_up()
        assert await client.rest() == []
