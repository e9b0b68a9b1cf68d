"""Progress on the wire: what is said, how often, and that nothing is said after the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from grex.mcp.place import Place as ServedPlace
from grex.mcp.progress import Progress, reporting
from grex.progress import (
    CommandOutput,
    CommandStarted,
    FetchProgress,
    GitProgress,
    LockWait,
    PackFinished,
    PacksFound,
    PackStarted,
    PluginBlocks,
    Slice,
)
from tests.support.lock_holder import LockHolder
from tests.support.mcp_client import converse
from tests.support.place import Place

pytestmark = pytest.mark.anyio

ROOT = Path("/ws")


class Told:
    """A client: what it was told, and a gate that stands open until it is closed."""

    def __init__(self) -> None:
        self.told: list[tuple[float, float | None, str]] = []
        self.gate = anyio.Event()
        self.gate.set()
        self._more = anyio.Event()

    async def tell(self, value: float, total: float | None, message: str) -> None:
        await self.gate.wait()
        self.told.append((value, total, message))
        self._more.set()
        self._more = anyio.Event()

    async def has(self, count: int) -> None:
        """Wait until it was told so often."""
        with anyio.fail_after(5):
            while len(self.told) < count:
                await self._more.wait()

    @property
    def messages(self) -> list[str]:
        return [message for _, _, message in self.told]


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (PackStarted("a", "checkout"), "checkout a"),
        (PackFinished("a", "moved", "x..y (1 commit)"), "moved a: x..y (1 commit)"),
        (CommandStarted("a", "hook .grex/hooks/setup.sh"), "running hook .grex/hooks/setup.sh in a"),
        (
            LockWait("PACK", "/ws/libs/a", 12.3, "pid 7 on host h, grex sync", 2),
            "waiting for pack libs/a, held by pid 7 on host h, grex sync, 12 s, 2 before this one",
        ),
        (
            LockWait("WORKSPACE", "/ws", 1.2, "pid 7 on host h, grex sync"),
            "waiting for the workspace, held by pid 7 on host h, grex sync, 1 s",
        ),
        (LockWait("CACHE", "/cache/x", 1.0, None), "waiting for cache /cache/x, held by somebody, 1 s"),
        (GitProgress("a", "Receiving objects", 42), "a: Receiving objects 42 %"),
        (FetchProgress("a", "x.tar", 10, 20), "a: x.tar, 10 of 20 bytes"),
        (PluginBlocks("a", "p", "f.py:3", 5.1), "plugin p has let nothing else run for 5 s, at f.py:3"),
    ],
)
async def test_each_kind_of_event_is_a_message(event: Any, message: str) -> None:
    client = Told()
    progress = Progress(ROOT, client.tell)
    progress(event)
    async with anyio.create_task_group() as group:
        group.start_soon(progress.run)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert client.messages == [message]


async def test_what_commands_say_and_what_is_only_for_a_trace_is_not_told() -> None:
    client = Told()
    progress = Progress(ROOT, client.tell)
    progress(CommandOutput("a", "make", "secret", "stdout"))
    progress(Slice("x", "lock", "a", 0, 1))
    async with anyio.create_task_group() as group:
        group.start_soon(progress.run)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert client.told == []


async def test_values_grow_with_the_packs_and_a_client_that_does_not_read_is_told_the_newest() -> None:
    client = Told()
    progress = Progress(ROOT, client.tell)
    progress(PacksFound(2))
    async with anyio.create_task_group() as group:
        group.start_soon(progress.run)
        client.gate = anyio.Event()
        for number in range(1000):
            progress(GitProgress("a", "Receiving", number))
            if number == 0:
                await anyio.wait_all_tasks_blocked()
        progress(PackFinished("a", "cloned", ""))
        progress(PackFinished("a", "installed", ""))
        client.gate.set()
        await client.has(2)
        for count in (3, 4, 5):
            progress(PackStarted("b", "checkout"))
            await client.has(count)
        group.cancel_scope.cancel()
    assert client.messages == ["a: Receiving 0 %", "installed a", *["checkout b"] * 3]
    values = [value for value, _, _ in client.told]
    assert values == sorted(set(values))
    assert (values[0], values[1], int(values[-1])) == (0.0, 1.0, 1)
    assert {total for _, total, _ in client.told} == {2.0}


async def test_there_are_ten_a_second_at_most() -> None:
    client = Told()
    progress = Progress(ROOT, client.tell)
    start = anyio.current_time()
    async with anyio.create_task_group() as group:
        group.start_soon(progress.run)
        while anyio.current_time() < start + 0.35:
            progress(PackStarted("a", "checkout"))
            await anyio.sleep(0.005)
        group.cancel_scope.cancel()
    assert 1 <= len(client.told) <= 4


async def test_nothing_is_told_after_the_end_and_a_failure_stays_what_it_is() -> None:
    client = Told()
    progress = Progress(ROOT, client.tell)

    async def work() -> str:
        progress(PackStarted("a", "checkout"))
        return "done"

    assert await reporting(progress, work) == "done"
    at_the_end = list(client.told)
    progress(PackStarted("b", "checkout"))
    await anyio.wait_all_tasks_blocked()
    assert client.told == at_the_end

    async def fails() -> None:
        raise KeyError("bug")

    with pytest.raises(KeyError):
        await reporting(Progress(ROOT, client.tell), fails)


@pytest.mark.parametrize("is_modern", [False, True], ids=["handshake", "modern"])
async def test_a_client_that_asks_hears_for_whom_it_waits_until_it_cancels(
    packs: Place, served: ServedPlace, is_modern: bool
) -> None:
    async with converse(served, is_modern=is_modern) as client:
        with LockHolder("pack", packs / "a") as holder:
            assert holder.ask("take") == "held"
            arguments = {"command": ["true"], "packs": ["a"]}
            call = await client.call("exec", arguments, _meta={"progressToken": "p"})
            quiet = await client.call("exec", arguments)
            heard = await client.hear(
                lambda message: (
                    message.get("method") == "notifications/progress" and "waiting" in message["params"]["message"]
                )
            )
            assert heard["params"]["progressToken"] == "p"
            assert f"waiting for pack a, held by pid {holder.pid} on host " in heard["params"]["message"]
            await client.cancel(call)
        await client.result(quiet)
        seen = len(client.unasked)
        await client.result(await client.call("path"))
        assert len(client.unasked) == seen
        assert all(message["params"]["progressToken"] == "p" for message in client.unasked)


@pytest.mark.parametrize(
    ("arguments", "total"),
    [({}, 3.0), ({"packs": ["a", "c"]}, 2.0), ({"packs": ["c"]}, 1.0)],
    ids=["all", "two", "one"],
)
async def test_the_total_is_what_the_run_says(
    packs: Place, served: ServedPlace, arguments: dict[str, Any], total: float
) -> None:
    async with converse(served) as client:
        with LockHolder("pack", packs / "c") as holder:
            assert holder.ask("take") == "held"
            said = {"command": ["true"], "packs": [], **arguments}
            call = await client.call("exec", said, _meta={"progressToken": 1})
            heard = await client.hear(
                lambda message: "waiting for pack c" in message.get("params", {}).get("message", "")
            )
            assert heard["params"]["total"] == total
            assert int(heard["params"]["progress"]) == total - 1, "the others are finished"
            assert holder.ask("release") == "ok"
            await client.result(call)
        told = [message["params"]["progress"] for message in client.unasked]
        assert told == sorted(set(told))


async def test_the_total_grows_as_packs_are_found() -> None:
    client = Told()
    progress = Progress(ROOT, client.tell)
    async with anyio.create_task_group() as group:
        group.start_soon(progress.run)
        for count, event in ((1, PacksFound(1)), (2, PacksFound(3))):
            progress(event)
            progress(PackStarted("a", "checkout"))
            await client.has(count)
        group.cancel_scope.cancel()
    assert [total for _, total, _ in client.told] == [1.0, 3.0]
