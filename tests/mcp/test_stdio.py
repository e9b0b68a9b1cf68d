"""The wire: lines in and out, what is no message, and a client that does not read or is gone."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import mcp_types as types
import pytest
from mcp.shared.message import SessionMessage

from grex.errors import ServerError
from grex.mcp.stdio import Inbox, Outbox, read_messages
from tests.support.mcp_client import Conversation

pytestmark = pytest.mark.anyio

PARSE_ERROR, INVALID_REQUEST, INTERNAL_ERROR = -32700, -32600, -32603


async def read(data: bytes, *, limit_bytes: int = 1000) -> tuple[list[types.JSONRPCMessage], list[dict[str, Any]]]:
    """What these bytes come to: the messages, and what is answered at once."""
    outbox, written = box()
    (reads, writes) = os.pipe()
    os.write(writes, data)
    os.close(writes)
    messages = [item.message async for item in read_messages(Inbox(reads, limit_bytes=limit_bytes), outbox)]
    os.close(reads)
    return messages, await written()


def box() -> tuple[Outbox, Any]:
    """An outbox, and what gives all that it wrote once it is closed."""
    (reads, writes) = os.pipe()
    outbox = Outbox(writes)

    async def written() -> list[dict[str, Any]]:
        async with anyio.create_task_group() as group:
            group.start_soon(outbox.write, lambda: None)
            await outbox.flushed()
            group.cancel_scope.cancel()
        os.close(writes)
        client = Conversation(-1, reads)
        found = await client.rest()
        client.close()
        return found

    return outbox, written


def ping(id_: object = 1) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": id_, "method": "ping"}).encode() + b"\n"


async def test_lines_become_messages_however_they_come() -> None:
    messages, answers = await read(ping(1) + b"\r\n \n" + ping("x").replace(b"\n", b"\r\n") + ping(3).strip())
    assert [message.id for message in messages if isinstance(message, types.JSONRPCRequest)] == [1, "x", 3]
    assert answers == []


@pytest.mark.parametrize(
    ("line", "id_", "code"),
    [
        (b"{", None, PARSE_ERROR),
        (b'"\xff"', None, PARSE_ERROR),
        (b"[" * 900, None, PARSE_ERROR),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":NaN}}', None, PARSE_ERROR),
        (b"x" * 1001, None, PARSE_ERROR),
        (b"42", None, INVALID_REQUEST),
        (b"[]", None, INVALID_REQUEST),
        (b"[" + ping().strip() + b"]", None, INVALID_REQUEST),
        (b"{}", None, INVALID_REQUEST),
        (b'{"jsonrpc":"1.0","id":7,"method":"ping"}', 7, INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","id":7,"method":"ping","params":[]}', 7, INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","id":7,"method":1}', 7, INVALID_REQUEST),
        (ping(None).strip(), None, INVALID_REQUEST),
        (ping(1.5).strip(), None, INVALID_REQUEST),
        (ping(True).strip(), None, INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","id":7,"method":"ping","result":{}}', 7, INVALID_REQUEST),
    ],
)
async def test_what_is_no_message_is_answered_and_the_next_one_is_read(line: bytes, id_: object, code: int) -> None:
    messages, answers = await read(line + b"\n" + ping(9))
    assert [message.id for message in messages if isinstance(message, types.JSONRPCRequest)] == [9]
    assert [(answer["id"], answer["error"]["code"]) for answer in answers] == [(id_, code)]


async def test_a_line_of_the_greatest_length_is_read_and_of_a_longer_one_nothing_is_kept() -> None:
    fits = ping("i" * 940).strip()
    inbox_limit = len(fits)
    messages, answers = await read(fits + b"\n" + fits + b" \n" + ping(9), limit_bytes=inbox_limit)
    assert [message.id for message in messages if isinstance(message, types.JSONRPCRequest)] == ["i" * 940, 9]
    assert [answer["error"]["code"] for answer in answers] == [PARSE_ERROR]

    (reads, writes) = os.pipe()
    inbox = Inbox(reads, limit_bytes=1000)
    async with anyio.create_task_group() as group:
        lines = inbox.lines()
        for _ in range(100):
            os.write(writes, b"x" * 1000)
            with anyio.move_on_after(0.001):
                await anext(lines)
                raise AssertionError("there is no end of the line yet")
            lines = inbox.lines()
            assert len(inbox._kept) <= 2000
        group.cancel_scope.cancel()
    for fd in (reads, writes):
        os.close(fd)


async def test_an_answer_without_sense_is_not_answered() -> None:
    messages, answers = await read(b'{"jsonrpc":"2.0","id":1,"error":{}}\n{"jsonrpc":"2.0","result":3}\n')
    assert (messages, answers) == ([], [])


async def test_an_id_in_flight_is_refused_until_it_is_answered_or_taken_back() -> None:
    cancel = json.dumps({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 2}}).encode()
    messages, answers = await read(ping(1) + ping("1") + ping(2) + cancel + b"\n" + ping(2))
    assert [getattr(message, "id", "cancelled") for message in messages] == [1, 2, "cancelled", 2]
    assert [(answer["id"], answer["error"]["code"]) for answer in answers] == [(None, INVALID_REQUEST)]

    outbox, written = box()
    assert outbox.begin(1)
    assert not outbox.begin("1")
    await outbox.send(SessionMessage(types.JSONRPCResponse(jsonrpc="2.0", id=1, result={})))
    assert outbox.begin(1)
    assert len(await written()) == 1


async def test_more_requests_than_it_can_keep_are_refused_until_one_is_answered_or_taken_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("grex.mcp.stdio._MANY_REQUESTS", 2)
    cancel = b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}\n'
    messages, answers = await read(ping(1) + ping(2) + ping(3) + ping(2) + cancel + ping(3) + ping(4))
    assert [getattr(message, "id", "cancelled") for message in messages] == [1, 2, "cancelled", 3]
    assert [(answer["id"], answer["error"]["code"]) for answer in answers] == [
        (3, INTERNAL_ERROR),
        (None, INVALID_REQUEST),  # the second 2: under its own id it would pass for an answer to the first
        (4, INTERNAL_ERROR),
    ]
    assert answers[0]["error"]["message"] == "Too many requests: 2 are in flight"


async def test_an_answer_with_a_name_that_is_not_utf8_goes_out_escaped() -> None:
    outbox, written = box()
    await outbox.send(SessionMessage(types.JSONRPCResponse(jsonrpc="2.0", id=1, result={"name": "a\udcff"})))
    assert [answer["result"] for answer in await written()] == [{"name": "a\udcff"}]


async def test_a_client_that_does_not_read_keeps_nobody_from_answering_but_notifications_wait() -> None:
    (reads, writes) = os.pipe()
    outbox = Outbox(writes)
    large = "x" * 100_000
    told: list[str] = []

    async def notify() -> None:
        for number in range(200):
            note = types.JSONRPCNotification(jsonrpc="2.0", method=f"n{number}", params={"large": large})
            await outbox.send(SessionMessage(note))
            told.append(note.method)

    async with anyio.create_task_group() as group:
        group.start_soon(outbox.write, lambda: None)
        group.start_soon(notify)
        await anyio.lowlevel.checkpoint()  # the notifications stand before the answers
        with anyio.fail_after(5):
            for number in range(100):
                answer = types.JSONRPCResponse(jsonrpc="2.0", id=number, result={"large": large})
                await outbox.send(SessionMessage(answer))
        waiting = len(told)
        assert waiting < 200
        client = Conversation(-1, reads)
        with anyio.fail_after(20):
            while len(told) < 200:
                assert await client.line()
        group.cancel_scope.cancel()
    client.close()
    os.close(writes)


@pytest.mark.parametrize("waits", [True, False])
async def test_a_client_that_is_gone_is_noticed_and_nothing_more_is_taken(waits: bool) -> None:
    (reads, writes) = os.pipe()
    outbox = Outbox(writes)
    gone = anyio.Event()
    note = SessionMessage(types.JSONRPCNotification(jsonrpc="2.0", method="n", params={"large": "x" * 100_000}))
    async with anyio.create_task_group() as group:
        group.start_soon(outbox.write, gone.set)
        if waits:
            await outbox.send(note)
            await anyio.wait_all_tasks_blocked()
        os.close(reads)
        if not waits:
            await outbox.send(note)
        with anyio.fail_after(5):
            await gone.wait()
    assert outbox.is_client_gone
    with pytest.raises(anyio.BrokenResourceError):
        await outbox.send(note)
    with anyio.fail_after(1):
        await outbox.flushed()
    os.close(writes)


async def test_a_file_and_the_null_device_can_be_read_and_written(tmp_path: Path) -> None:
    """They cannot be waited for."""
    file = tmp_path / "said"
    file.write_bytes(ping(1) + ping(2))
    with file.open("rb") as said, (tmp_path / "heard").open("wb") as heard:
        outbox = Outbox(heard.fileno())
        found = [item.message async for item in read_messages(Inbox(said.fileno()), outbox)]
        assert len(found) == 2
        outbox.refuse(None, PARSE_ERROR, "no")
        async with anyio.create_task_group() as group:
            group.start_soon(outbox.write, lambda: None)
            await outbox.flushed()
            group.cancel_scope.cancel()
    assert json.loads((tmp_path / "heard").read_text())["error"]["message"] == "no"
    null = os.open(os.devnull, os.O_RDONLY)
    assert [line async for line in Inbox(null).lines()] == []
    os.close(null)


async def test_a_descriptor_that_cannot_be_read_is_an_error_of_the_stream(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(ServerError, match="cannot be read from"):
            await anext(Inbox(fd).lines())
    finally:
        os.close(fd)
