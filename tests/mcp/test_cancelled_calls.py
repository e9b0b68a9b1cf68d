"""Every tool, cancelled while another process holds what it waits for: no answer, nothing held, and all goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio
import pytest

from grex.engine.holds import PermitKind
from grex.locks import hold
from grex.locks.path_mutex import PATH_MUTEXES
from grex.mcp.tools import TOOLS
from tests.support.lock_census import Counter, resident_bytes
from tests.support.lock_holder import LockHolder
from tests.support.mcp_calls import HOLDERS, NOTHING, WAITS, Ground, Lock
from tests.support.mcp_client import Conversation, converse

pytestmark = pytest.mark.anyio

ERAS = pytest.mark.parametrize(
    "is_modern", [pytest.param(False, id="handshake"), pytest.param(True, id="modern", marks=pytest.mark.slow)]
)
PACK_IS_USABLE = {"command": ["true"], "packs": ["b"]}


@pytest.fixture(params=["asyncio", pytest.param("trio", marks=pytest.mark.slow)])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The server's event loop."""
    return str(request.param)


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    """A workspace in which every tool comes to wait."""
    return Ground(tmp_path)


async def until(is_so: Callable[[], object], what: str) -> None:
    """Wait for something that the server does; it is in this process."""
    with anyio.move_on_after(10):
        while not is_so():  # noqa: ASYNC110 - what is looked at has no event
            await anyio.sleep(0.001)
        return
    pytest.fail(f"it did not come to pass that {what}")


def is_waiting(ground: Ground, lock: Lock) -> bool:
    """Whether a call has come to wait for this lock."""
    tier, _, kind = lock.partition(" ")
    if tier == "PERMIT":
        return ground.waiting_for_permits("disk" if kind == "disk" else "network") > 0
    return tier in ground.blocked


def taken(ground: Ground) -> tuple[int, ...]:
    """What this process has: locks, places in lines for locks, permits of both kinds, waits for them."""
    kinds: tuple[PermitKind, ...] = ("disk", "network")
    permits = [count for kind in kinds for count in (ground.permits_in_use(kind), ground.waiting_for_permits(kind))]
    return (len(hold._live), len(PATH_MUTEXES), *permits)


async def is_answering(client: Conversation) -> None:
    """The session goes on."""
    await client.result(await client.request("server/discover" if client.is_modern else "ping"))


async def cancelled_in_its_wait(client: Conversation, ground: Ground, tool: str, lock: Lock) -> None:
    """Call a tool, take it back when it waits, and insist that it has let go of everything."""
    before = taken(ground)
    ground.blocked.clear()
    call = await client.call(tool, WAITS[tool][lock])
    await until(partial(is_waiting, ground, lock), f"{tool} waits for {lock}")
    await client.cancel(call)
    await is_answering(client)
    await until(lambda: taken(ground) == before, f"{tool} has let go, after it waited for {lock}")
    ground.restore()


def let_go(holders: Iterable[LockHolder]) -> None:
    """Let others have it."""
    for holder in holders:
        assert holder.ask("release") == "ok"


def take_again(holders: Iterable[LockHolder]) -> None:
    """And have it back: nobody else has it at this moment."""
    for holder in holders:
        assert holder.ask("try") == "held"


def test_every_tool_says_what_it_waits_for() -> None:
    assert WAITS.keys() | NOTHING.keys() == TOOLS.keys()
    assert not WAITS.keys() & NOTHING.keys()
    assert all(WAITS.values())
    assert {name for name, tool in TOOLS.items() if not tool.waiting} == NOTHING.keys(), (
        "what waits can be told how long"
    )


@ERAS
@pytest.mark.parametrize("lock", [lock for lock in HOLDERS if not lock.startswith("PERMIT")])
async def test_a_tool_that_waits_for_another_process_is_cancelled(ground: Ground, lock: Lock, is_modern: bool) -> None:
    """Told as steps, for each tool that can wait for this lock.

    - It waits; it is taken back; the session answers, and nothing is held or waited for any more.
    - The other process lets go, the pack can be used in the same session, and the other process has the lock again.
    - When all is over, nothing but the answers to those other requests was ever said.
    """
    async with converse(ground.place, is_modern=is_modern) as client:
        with ground.held(lock) as holders:
            for tool in (tool for tool, waits in WAITS.items() if lock in waits):
                await cancelled_in_its_wait(client, ground, tool, lock)
                let_go(holders)
                used = await client.result(await client.call("exec", PACK_IS_USABLE))
                assert used["structuredContent"]["packs"][0]["status"] == "ran", tool
                take_again(holders)
        client.hang_up()
        assert await client.rest() == []


async def test_in_the_era_without_a_handshake_it_is_the_same(ground: Ground) -> None:
    """For one lock; the slow tests do it for all."""
    async with converse(ground.place, is_modern=True) as client:
        with ground.held("PACK"):
            for tool in (tool for tool, waits in WAITS.items() if "PACK" in waits):
                await cancelled_in_its_wait(client, ground, tool, "PACK")
        client.hang_up()
        assert await client.rest() == []


@ERAS
async def test_a_tool_that_waits_for_a_permit_of_another_call_is_cancelled(ground: Ground, is_modern: bool) -> None:
    """One call has the disk permit, one the network permit, and both wait for a pack; then these are cancelled too."""
    async with converse(ground.place, is_modern=is_modern) as client:
        with ground.held("PERMIT disk"):
            have = [
                await client.call("exec", {"command": ["true"], "packs": ["a"]}),
                await client.call("fetch", {"packs": ["a"]}),
            ]
            await until(lambda: "PACK" in ground.blocked and taken(ground)[2:] == (1, 0, 1, 0), "both wait")
            locks: tuple[Lock, ...] = ("PERMIT disk", "PERMIT network")
            for lock in locks:
                for tool in (tool for tool, waits in WAITS.items() if lock in waits):
                    await cancelled_in_its_wait(client, ground, tool, lock)
            for call in have:
                await client.cancel(call)
            await until(lambda: not any(taken(ground)), "nothing is held")
            used = await client.result(await client.call("exec", PACK_IS_USABLE))
            assert used["structuredContent"]["packs"][0]["status"] == "ran"
        client.hang_up()
        assert await client.rest() == []


async def test_the_other_tools_wait_for_nobody(ground: Ground) -> None:
    locks: tuple[Lock, ...] = ("WORKSPACE", "PERMIT disk", "PACK", "BACKEND", "MANIFEST", "CACHE")
    async with converse(ground.place) as client:
        with ExitStack() as stack:
            for lock in locks:
                stack.enter_context(ground.held(lock))
            for tool in NOTHING:
                arguments = {"verb": "sync"} if tool == "schema" else {}
                found = await client.result(await client.call(tool, arguments))
                assert found["isError"] is False, found


@pytest.mark.parametrize("lock", ["PACK", pytest.param("WORKSPACE", marks=pytest.mark.slow)])
async def test_two_hundred_cancelled_calls_leave_no_thread_and_no_descriptor(ground: Ground, lock: Lock) -> None:
    """Counted from when each tool was cancelled once: the loop keeps its inotify, and a worker thread for a while."""
    tools = [tool for tool, waits in WAITS.items() if lock in waits]
    count = Counter()
    async with converse(ground.place) as client:
        with ground.held(lock):
            for tool in tools:
                await cancelled_in_its_wait(client, ground, tool, lock)
            before, size = count(), resident_bytes()
            for number in range(200 if lock == "WORKSPACE" else 20):
                await cancelled_in_its_wait(client, ground, tools[number % len(tools)], lock)
            after = count()
            assert replace(after, threads=0) == replace(before, threads=0)
            assert after.threads <= before.threads
            assert resident_bytes() - size < 4 << 20
