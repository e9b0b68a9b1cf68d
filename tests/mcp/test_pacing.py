"""Calls begin one after the other, so that a burst of them keeps nobody from being heard."""

from __future__ import annotations

import json
import time
from typing import Any

import anyio
import anyio.lowlevel
import mcp_types as types
import pytest

from grex.mcp import server
from grex.mcp.pacing import Pace
from grex.mcp.place import Place as ServedPlace
from tests.support.mcp_client import Conversation, converse, modern

pytestmark = pytest.mark.anyio

BURST = 60


class Work:
    """What stands in for the tools: it keeps the event loop for 1.5 ms, twice, and then waits for ever or ends."""

    def __init__(self, *, waits: bool) -> None:
        self.begun = 0
        self._waits = waits

    async def __call__(self, *_: object) -> types.CallToolResult:
        self.begun += 1
        for _stretch in range(2):
            end = time.monotonic() + 0.0015
            while time.monotonic() < end:
                pass
            await anyio.lowlevel.checkpoint()
        if self._waits:
            await anyio.sleep_forever()
        return types.CallToolResult(content=[])


def burst(client: Conversation) -> tuple[list[int], bytes]:
    """Many calls, as one piece of text."""
    first = client._last_id + 1
    client._last_id += BURST
    ids = list(range(first, first + BURST))
    said: dict[str, Any] = {"name": "path", "arguments": {}}
    params = modern(**said) if client.is_modern else said
    calls = [{"jsonrpc": "2.0", "id": id_, "method": "tools/call", "params": params} for id_ in ids]
    return ids, b"".join(json.dumps(call).encode() + b"\n" for call in calls)


@pytest.mark.parametrize("is_modern", [False, True], ids=["handshake", "modern"])
async def test_what_is_said_after_a_burst_is_heard_before_it_is_worked_off(
    served: ServedPlace, monkeypatch: pytest.MonkeyPatch, is_modern: bool
) -> None:
    work = Work(waits=False)
    monkeypatch.setattr(server, "call_tool", work)
    async with converse(served, is_modern=is_modern) as client:
        ids, calls = burst(client)
        await client.say(calls)
        await client.result(await client.request("server/discover" if is_modern else "ping"))
        assert work.begun < BURST / 4
        for id_ in ids:
            await client.result(id_)
    assert work.begun == BURST


async def test_a_call_that_has_not_begun_is_taken_back_and_never_begins(
    served: ServedPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Work(waits=False)
    monkeypatch.setattr(server, "call_tool", work)
    async with converse(served) as client:
        ids, calls = burst(client)
        await client.say(calls)
        for id_ in ids[BURST // 2 :]:
            await client.cancel(id_)
        for id_ in ids[: BURST // 2]:
            await client.result(id_)
        await client.result(await client.call("path"))
        assert client.unasked == []
    assert work.begun <= BURST / 2 + 1


async def test_calls_that_wait_for_ever_keep_no_other_from_beginning(
    served: ServedPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Work(waits=True)
    monkeypatch.setattr(server, "call_tool", work)
    async with converse(served) as client:
        ids, calls = burst(client)
        await client.say(calls)
        with anyio.fail_after(20):
            while work.begun < BURST:  # noqa: ASYNC110 - nobody tells
                await anyio.sleep(0.001)
        client.hang_up()
        answers = await client.rest()
    assert sorted(answer["id"] for answer in answers) == ids
    assert {answer["error"]["message"] for answer in answers} == {"Connection closed"}


@pytest.mark.parametrize("is_heard", [True, False])
async def test_nobody_begins_in_a_loop_that_is_not_quiet_until_patience_ends(is_heard: bool) -> None:
    """By a clock on which each round takes 10 ms, or on which none takes any time while lines lie unread."""
    now, looks = 0.0, 0

    def clock() -> float:
        nonlocal now, looks
        looks += 1
        now += 0.01 if is_heard else 0.0005
        return now

    await Pace(lambda: is_heard, clock=clock).turn()
    assert now >= 0.1
    assert looks > 10


async def test_one_turn_is_taken_after_the_other_and_one_that_is_given_up_is_skipped() -> None:
    took: list[int] = []
    pace = Pace(lambda: True, clock=lambda: 0.0)
    scopes = [anyio.CancelScope() for _ in range(4)]

    async def take(number: int) -> None:
        with scopes[number]:
            await pace.turn()
            took.append(number)

    async with anyio.create_task_group() as group:
        for number in range(4):
            group.start_soon(take, number)
            await anyio.lowlevel.checkpoint()
        scopes[0].cancel()
        scopes[2].cancel()
    assert took == [1, 3]
