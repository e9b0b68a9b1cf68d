"""What a client can say that is strange, line by line: what each is answered with, and that the session goes on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from grex.mcp.place import Place as ServedPlace
from grex.mcp.stdio import LINE_LIMIT_BYTES
from tests.support.mcp_client import Conversation, converse, handshake, modern

pytestmark = pytest.mark.anyio

ERAS = pytest.mark.parametrize("is_modern", [False, True], ids=["handshake", "modern"])
BIG = 10 * 1024 * 1024
PARSE_ERROR, INVALID_REQUEST, NO_METHOD, INVALID_PARAMS, OTHER_ERA = -32700, -32600, -32601, -32602, -32022
FINE, FAILED = "fine", "failed"

Answer = tuple[object, object] | None
"""The id, and an error's code, or FINE, or FAILED for a tool's error; None where nothing is answered."""

ENVELOPE = json.dumps(modern()["_meta"]).encode()


def request(method: str, params: bytes = b"", *, id_: bytes = b"1") -> bytes:
    """A request as text, whose parameters stand for both eras where `@` is."""
    return b'{"jsonrpc":"2.0","id":%s,"method":"%s","params":{%s@}}' % (id_, method.encode(), params)


def call(tool: str, arguments: bytes) -> bytes:
    """A call of a tool as text."""
    return request("tools/call", b'"name":"%s","arguments":{%s}' % (tool.encode(), arguments))


def look(arguments: bytes = b"") -> bytes:
    """A call that is answered, with an argument more."""
    return call("path", arguments)


def said(line: bytes, *, is_modern: bool) -> bytes:
    """The line in an era."""
    more = b'"_meta":' + ENVELOPE if is_modern else b""
    before, at, after = line.rpartition(b"@")
    if not at:
        return line
    comma = b"," if is_modern and not before.endswith(b"{") else b""
    return before + comma + more + after


LIST = "tools/list"
TABLE: dict[str, tuple[bytes, Answer]] = {
    "10 MiB in a command": (call("exec", b'"command":["true","%s"]' % (b"x" * BIG)), (1, FAILED)),
    "10 MiB in an argument": (look(b'"pack":"%s"' % (b"x" * BIG)), (1, FAILED)),
    "10 MiB as the name of an argument": (look(b'"%s":1' % (b"x" * BIG)), (1, FAILED)),
    "10 MiB as a tool": (call("x" * BIG, b""), (1, INVALID_PARAMS)),
    "10 MiB as a method": (request("x" * BIG), (1, NO_METHOD)),
    "10 MiB of garbage": (b"x" * BIG, (None, PARSE_ERROR)),
    "10 MiB as a string": (b'"%s"' % (b"x" * BIG), (None, INVALID_REQUEST)),
    "17 MiB": (look(b'"pack":"%s"' % (b"x" * (LINE_LIMIT_BYTES + 1))), (None, PARSE_ERROR)),
    "17 MiB of garbage": (b"x" * (LINE_LIMIT_BYTES + 1), (None, PARSE_ERROR)),
    "CRLF": (request(LIST) + b"\r", (1, FINE)),
    "returns between words": (b'{"jsonrpc":"2.0",\r"id":1,\r\r"method":"tools/list","params":{@}}\r', (1, FINE)),
    "a byte order mark": (b"\xef\xbb\xbf" + request(LIST), (None, PARSE_ERROR)),
    "UTF-16": (request(LIST).replace(b"@", b"").decode().encode("utf-16"), (None, PARSE_ERROR)),
    "invalid UTF-8 in a string": (look(b'"pack":"\xff\xfe"'), (None, PARSE_ERROR)),
    "NUL before": (b"\0" + request(LIST), (None, PARSE_ERROR)),
    "NUL after": (request(LIST) + b"\0", (None, PARSE_ERROR)),
    "NUL in a string": (look(b'"pack":"a\0"'), (None, PARSE_ERROR)),
    "NUL escaped": (look(b'"pack":"a\\u0000b"'), (1, FAILED)),
    "100,000 brackets": (b"[" * 100_000 + b"]" * 100_000, (None, PARSE_ERROR)),
    "100,000 brackets without an end": (b"[" * 100_000, (None, PARSE_ERROR)),
    "100,000 objects in an argument": (
        look(b'"pack":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
        (None, PARSE_ERROR),
    ),
    "180 lists in an argument": (look(b'"pack":' + b"[" * 180 + b"]" * 180), (1, FAILED)),
    "a leading surrogate": (look(b'"pack":"\\ud800"'), (None, PARSE_ERROR)),
    "a trailing surrogate": (look(b'"pack":"\\udcff"'), (None, PARSE_ERROR)),
    "a pair of surrogates": (look(b'"pack":"\\ud83d\\ude00"'), (1, FAILED)),
    "a number of 4,000 digits": (call("exec", b'"command":["true"],"jobs":' + b"9" * 4000), (1, FAILED)),
    "a number of 100,000 digits": (call("exec", b'"command":["true"],"jobs":' + b"9" * 100_000), (None, PARSE_ERROR)),
    "more seconds than there are": (call("exec", b'"command":["true"],"lock_timeout_s":1e308'), (1, FINE)),
    "infinite seconds": (call("exec", b'"command":["true"],"lock_timeout_s":1e999'), (1, FAILED)),
    "no number": (call("exec", b'"command":["true"],"lock_timeout_s":NaN'), (None, PARSE_ERROR)),
    "an id of 19 digits": (request(LIST, id_=b"9223372036854775808"), (2**63, FINE)),
    "an id of 400 digits": (request(LIST, id_=b"9" * 400), (10**400 - 1, FINE)),
    "an id below zero": (request(LIST, id_=b"-1"), (-1, FINE)),
    "an empty id": (request(LIST, id_=b'""'), ("", FINE)),
    "a broken id": (request(LIST, id_=b"1.0"), (None, INVALID_REQUEST)),
    "the same key twice": (b'{"jsonrpc":"2.0","id":1,"id":2,"method":"tools/list","params":{@}}', (2, FINE)),
    "only blanks": (b" \t ", None),
    "an unknown notification": (b'{"jsonrpc":"2.0","method":"notifications/strange"}', None),
    "a cancel of nobody": (b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":77}}', None),
    "a cancel of everything": (
        b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"*"}}',
        None,
    ),
    "an answer to nothing": (b'{"jsonrpc":"2.0","id":77,"result":{}}', None),
}


async def is_there(client: Conversation) -> list[dict[str, Any]]:
    """The session answers; what it had to say before."""
    await client.result(await client.request("tools/list" if client.is_modern else "ping"))
    return client.unasked


def outcome(answer: dict[str, Any]) -> Answer:
    """What the table has for an answer."""
    if "error" in answer:
        return answer["id"], answer["error"]["code"]
    return answer["id"], FAILED if answer["result"].get("isError") else FINE


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(
    ("is_modern", "is_large"),
    [
        (False, False),
        (True, False),
        pytest.param(False, True, marks=pytest.mark.slow),
        pytest.param(True, True, marks=pytest.mark.exhaustive),
    ],
)
async def test_a_strange_line_is_answered_as_the_protocol_has_it_and_the_session_goes_on(
    served: ServedPlace, is_modern: bool, is_large: bool
) -> None:
    """All of them in one session."""
    unlike: dict[str, object] = {}
    async with converse(served, is_modern=is_modern) as client:
        client._last_id = 100
        await is_there(client)  # the era is decided
        for name, (line, expected) in TABLE.items():
            if (len(line) > 1 << 20) != is_large:
                continue
            await client.say(said(line, is_modern=is_modern) + b"\n")
            if expected is not None:
                answer = await client.answer(expected[0])  # type: ignore[arg-type]  # ids of the table
                if outcome(answer) != expected:
                    unlike[name] = str(answer)[:500]
            if besides := await is_there(client):
                unlike[name] = str(besides)[:500]
                client._heard.clear()
    assert unlike == {}


@ERAS
async def test_a_line_that_comes_byte_by_byte_is_one_line(served: ServedPlace, is_modern: bool) -> None:
    line = said(request("tools/list"), is_modern=is_modern) + b"\r\n"
    async with converse(served, is_modern=is_modern) as client:
        for at in range(len(line)):
            await client.say(line[at : at + 1])
            assert client.unasked == []
        assert (await client.result(1))["tools"]


async def test_a_line_that_is_cut_anywhere_is_one_line(served: ServedPlace) -> None:
    name = "é\U0001f600".encode()  # also in the middle of a character
    async with converse(served) as client:
        cuts = range(1, len(look(b'"pack":"%s"' % name)))
        for at in cuts:
            line = look(b'"pack":"%s"' % name).replace(b"@", b"").replace(b'"id":1,', b'"id":%d,' % at) + b"\n"
            await client.say(line[:at])
            await client.say(line[at:])
        for at in cuts:
            assert outcome(await client.answer(at)) == (at, FAILED)
        assert await is_there(client) == []


INITIALIZE, INITIALIZED = (json.dumps(message).encode() for message in handshake())
OF_HANDSHAKE = look(b'"pack":"a"').replace(b"@", b"")
OF_MODERN = said(look(b'"pack":"a"'), is_modern=True)
LATER = INITIALIZE.replace(b'"id": 0', b'"id": 5')
CANCEL_INITIALIZE = b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":0}}'

ORDERS: dict[str, tuple[list[bytes], list[Answer], bool]] = {
    "a call before initialize": ([OF_HANDSHAKE, LATER], [(1, INVALID_PARAMS), (5, FINE)], False),
    "a ping before initialize": ([request("ping").replace(b"@", b""), LATER], [(1, FINE), (5, FINE)], False),
    "a notification before initialize": ([INITIALIZED, LATER], [(5, FINE)], False),
    "a cancel before initialize": ([CANCEL_INITIALIZE, LATER], [(5, FINE)], False),
    "a call before initialized": ([INITIALIZE, OF_HANDSHAKE], [(0, FINE), (1, FINE)], False),
    "initialize twice": ([INITIALIZE, INITIALIZED, LATER], [(0, FINE), (5, FINE)], False),
    "initialized twice": ([INITIALIZE, INITIALIZED, INITIALIZED], [(0, FINE)], False),
    "a cancel of initialize": ([INITIALIZE, CANCEL_INITIALIZE, INITIALIZED], [(0, FINE)], False),
    "initialize without parameters": (
        [b'{"jsonrpc":"2.0","id":3,"method":"initialize"}', LATER],
        [(3, INVALID_PARAMS), (5, FINE)],
        False,
    ),
    "a version of another century": (
        [INITIALIZE.replace(b'"2025-11-25"', b'"1999-01-01"'), INITIALIZED],
        [(0, FINE)],
        False,
    ),
    "the other era in a handshake": ([INITIALIZE, INITIALIZED, OF_MODERN], [(0, FINE), (1, INVALID_REQUEST)], False),
    "a handshake in the other era": ([OF_MODERN, LATER], [(1, FINE), (5, OTHER_ERA)], True),
}


async def test_a_strange_order_is_answered_and_the_session_goes_on(served: ServedPlace) -> None:
    unlike: dict[str, object] = {}
    for name, (lines, expected, is_modern) in ORDERS.items():
        async with converse(served, is_modern=True) as client:  # which says nothing at the beginning
            for line in lines:
                await client.say(line + b"\n")
            found = [outcome(await client.answer(one[0])) for one in expected if one is not None]  # type: ignore[arg-type]  # ids of the table
            client.is_modern = is_modern
            client._last_id = 100
            if found != expected or await is_there(client):
                unlike[name] = (found, client.unasked)
    assert unlike == {}
