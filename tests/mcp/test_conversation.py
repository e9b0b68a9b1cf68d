"""A whole conversation with a server in this process, in both eras of the protocol."""

from __future__ import annotations

import os
from typing import Any

import anyio
import pytest
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from grex.mcp.place import Place as ServedPlace
from grex.mcp.server import serve
from grex.mcp.stdio import Wire
from grex.verbs.path import PathRequest, path
from tests.support.lock_holder import LockHolder
from tests.support.mcp_client import Conversation, converse, handshake
from tests.support.place import Place

pytestmark = pytest.mark.anyio

ERAS = pytest.mark.parametrize("is_modern", [False, True], ids=["handshake", "modern"])


async def still_there(client: Conversation) -> None:
    """The session answers; whatever else it had to say before is heard by then."""
    if client.is_modern:
        await client.result(await client.request("server/discover"))
    else:
        await client.result(await client.request("ping"))


@ERAS
async def test_a_tool_gives_the_document_of_the_verb(packs: Place, served: ServedPlace, is_modern: bool) -> None:
    expected = (await path(PathRequest(packs.root, "a"), packs.settings())).to_json()
    async with converse(served, is_modern=is_modern) as client:
        found = await client.result(await client.call("path", {"pack": "a"}))
    assert found["structuredContent"] == expected
    assert found["isError"] is False
    assert found["content"][0]["type"] == "text"


@pytest.mark.parametrize("version", HANDSHAKE_PROTOCOL_VERSIONS)
async def test_every_version_of_the_handshake_is_spoken(served: ServedPlace, version: str) -> None:
    async with converse(served, is_modern=True) as client:
        client.is_modern = False  # no handshake was made yet
        await client.send(*handshake(version))
        found = await client.result(0)
        assert found["protocolVersion"] == version
        assert found["serverInfo"]["name"] == "grex"
        result = await client.result(await client.call("path"))
        assert result["content"]


@ERAS
async def test_an_unknown_tool_is_a_protocol_error_that_says_what_was_meant(
    served: ServedPlace, is_modern: bool
) -> None:
    async with converse(served, is_modern=is_modern) as client:
        answer = await client.answer(await client.call("statsu"))
    assert answer["error"] == {"code": -32602, "message": "Unknown tool: 'statsu'. Did you mean 'status'?"}


@ERAS
async def test_a_cancelled_wait_for_a_pack_gets_no_answer_and_the_session_goes_on(
    packs: Place, served: ServedPlace, is_modern: bool
) -> None:
    async with converse(served, is_modern=is_modern) as client:
        with LockHolder("pack", packs / "a") as holder:
            assert holder.ask("take") == "held"
            id_ = await client.call("exec", {"command": ["true"], "packs": ["a"]})
            with anyio.fail_after(10):
                while served.permits.in_use("disk") != 1:  # noqa: ASYNC110 - it waits with a permit in hand
                    await anyio.sleep(0.001)
            await client.cancel(id_)
            await still_there(client)
            with anyio.fail_after(5):
                while served.permits.in_use("disk"):  # noqa: ASYNC110 - the end of a task of the server's
                    await anyio.sleep(0.001)
        found = await client.result(await client.call("exec", {"command": ["true"], "packs": ["a"]}))
        assert found["structuredContent"]["packs"][0]["status"] == "ran"
        assert client.unasked == []


@ERAS
async def test_the_end_of_the_input_ends_a_wait_in_flight(packs: Place, served: ServedPlace, is_modern: bool) -> None:
    async with converse(served, is_modern=is_modern) as client:
        with LockHolder("workspace", packs.root) as holder:
            assert holder.ask("take") == "held"
            await client.call("sync")
            await still_there(client)
            client.hang_up()
            answers = await client.rest()  # it closes its side as well
    assert [answer["error"]["message"] for answer in answers] == ["Connection closed"]


async def test_what_was_answered_before_the_end_still_goes_out_as_a_whole(served: ServedPlace) -> None:
    async with converse(served) as client:
        await client.request("tools/list")  # more than a pipe holds
        await anyio.wait_readable(client._in)
        client.hang_up()
        (answer,) = await client.rest()
    assert len(answer["result"]["tools"]) > 20


async def test_a_client_that_is_gone_ends_the_server_with_a_wait_in_flight(packs: Place, served: ServedPlace) -> None:
    with LockHolder("workspace", packs.root) as holder:
        assert holder.ask("take") == "held"
        (their_in, our_out), (our_in, their_out) = os.pipe(), os.pipe()
        client = Conversation(our_out, our_in)
        async with anyio.create_task_group() as group:
            group.start_soon(serve, served, Wire(their_in, their_out))
            await client.begin()
            await client.call("sync")
            client.stop_listening()
            await client.request("ping")
            group.cancel_scope.deadline = anyio.current_time() + 2
        assert not group.cancel_scope.cancelled_caught
        client.close()
    for fd in (their_in, their_out):
        os.close(fd)


@pytest.mark.parametrize(("servers_jobs", "jobs", "most"), [(2, None, 2), (2, 1, 2), (2, 9, 2), (1, 9, 1), (9, 1, 3)])
async def test_all_calls_of_a_server_share_its_permits(
    packs: Place, served: ServedPlace, servers_jobs: int, jobs: int | None, most: int
) -> None:
    """No command ends before the gate is open, so that as many run at once as ever can."""
    place = ServedPlace(
        served.root,
        lambda asked: packs.settings(verb=asked.verb, sink=asked.sink, jobs=servers_jobs),
        served.make_config_request,
    )
    gate, log = packs.root.parent / "gate", packs.root.parent / "log"
    log.touch()
    script = f'echo + >> "{log}"; until [ -e "{gate}" ]; do sleep 0.01; done; echo - >> "{log}"'
    arguments: dict[str, Any] = {"command": ["sh", "-c", script], "no_lock": True}
    if jobs is not None:
        arguments["jobs"] = jobs
    async with converse(place) as client:
        calls = [await client.call("exec", arguments) for _ in range(3)]
        with anyio.fail_after(20):
            while len(log.read_text().split()) < most:  # noqa: ASYNC110 - the event is another process's
                await anyio.sleep(0.001)
        await anyio.wait_all_tasks_blocked()
        gate.touch()
        for call in calls:
            found = await client.result(call)
            assert not found["isError"], found
    running, at_once = 0, 0
    for mark in log.read_text().split():
        running += 1 if mark == "+" else -1
        at_once = max(at_once, running)
    assert (running, at_once) == (0, most)
