"""Lines that no client in its right mind sends, from a seed, and the account of what they may be answered with."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

from mcp_types.version import LATEST_HANDSHAKE_VERSION

from tests.support.mcp_client import modern

__all__ = ["Account", "Fuzz"]

_DEEP = 300
_STRANGE: list[Callable[[random.Random], Any]] = [
    lambda _: None,
    lambda _: True,
    lambda _: -1,
    lambda _: 10**400,
    lambda _: 1e308,
    lambda _: 0.5,
    lambda _: [],
    lambda _: {},
    lambda _: "",
    lambda _: "\0",
    lambda _: "\ud800",
    lambda _: "x" * 5000,
    lambda _: "../../../etc/passwd",
    lambda _: _nested(_DEEP),
    lambda dice: dice.randrange(100),
    lambda dice: str(dice.randrange(100)),
]
_RAW = [
    b"",
    b"   ",
    b"\r",
    b"\xef\xbb\xbf",
    b"\0",
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b"[]" * 9,
    b"null",
    b"42",
    b"9" * 5000,
    b'"',
    b"NaN",
    b'{"jsonrpc":"2.0","id":1}',
    b'{"jsonrpc":"2.0","id":null,"method":"ping"}',
    b'{"jsonrpc":"2.0","id":99999,"result":{}}',
    b'{"jsonrpc":"2.0","id":99999,"error":{"code":1,"message":"x"}}',
    b'{"jsonrpc":"2.0","id":"\\ud800","method":"ping"}',
    b'{"jsonrpc":"2.0","method":"notifications/cancelled"}',
    b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":[1]}}',
    b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":true}}',
    b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":0}}',
    b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"nobody","reason":7}}',
    b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":"x"}}',
]
_BYTES = [
    b"\0",
    b"\xff",
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b"\\",
    b",",
    b":",
    b"\\ud800",
    b"\xc3",
    b"\r",
    b"1e999",
    b"null",
]


def _nested(depth: int) -> Any:
    found: Any = 1
    for _ in range(depth):
        found = [found]
    return found


def _requests() -> list[tuple[str, dict[str, Any]]]:
    call = "tools/call"
    return [
        ("ping", {}),
        ("server/discover", {}),
        ("tools/list", {}),
        ("resources/list", {}),
        ("resources/templates/list", {}),
        ("prompts/list", {}),
        ("logging/setLevel", {"level": "debug"}),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "x"}, "argument": {"name": "a", "value": "b"}}),
        ("resources/read", {"uri": "grex://workspace"}),
        ("resources/read", {"uri": "grex://packs/%2e%2e%2f%2e%2e"}),
        ("resources/subscribe", {"uri": "grex://packs/a"}),
        ("resources/unsubscribe", {"uri": "grex://packs/a"}),
        ("subscriptions/listen", {"notifications": {"resourceSubscriptions": ["grex://workspace"]}}),
        (call, {"name": "path", "arguments": {"pack": "a"}}),
        (call, {"name": "path", "arguments": {"pack": "nobody"}, "_meta": {"progressToken": "t"}}),
        (call, {"name": "locks", "arguments": {}}),
        (call, {"name": "ls", "arguments": {"packs": ["a"], "filters": ["!changed"]}, "_meta": {"progressToken": 1}}),
        (call, {"name": "config"}),
        (call, {"name": "nothing", "arguments": {"x": [1]}}),
        (
            "initialize",
            {"protocolVersion": LATEST_HANDSHAKE_VERSION, "capabilities": {}, "clientInfo": {"name": "again"}},
        ),
    ]


class Account:
    """Which answers there may be, and which there have to be."""

    def __init__(self) -> None:
        self._asked: Counter[Any] = Counter()
        self._taken_back: set[Any] = set()
        self._must: set[Any] = set()
        self._nameless = 0
        self.answered: Counter[Any] = Counter()

    def said(self, line: bytes, *, is_sound: bool) -> None:
        """Take note of a line that is sent."""
        if not is_sound:
            self._nameless += 1
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            return
        if not isinstance(found, dict):
            return
        if "id" in found:
            id_ = _key(found["id"])
            self._asked[id_] += 1
            if is_sound and found["method"] != "subscriptions/listen":  # which is open until the end
                self._must.add(id_)
        params = found.get("params")
        if found.get("method") == "notifications/cancelled" and isinstance(params, dict):
            self._taken_back.add(_key(params.get("requestId")))

    def heard(self, message: dict[str, Any]) -> None:
        """Hold a message from the server against it."""
        assert message["jsonrpc"] == "2.0"
        if "method" in message:
            assert message["method"].startswith("notifications/"), message
            assert "id" not in message, message
            return
        assert set(message) in ({"jsonrpc", "id", "result"}, {"jsonrpc", "id", "error"}), message
        error = message.get("error")
        if error is not None:
            assert isinstance(error["code"], int), message
            assert error["code"] != 0, message
            assert isinstance(error["message"], str), message
            assert "a bug in grex" not in error["message"], message
        if message["id"] is None:
            assert error is not None
            assert error["code"] in (-32700, -32600)
            self._nameless -= 1
            assert self._nameless >= 0, f"an answer to nothing: {message}"
            return
        id_ = _key(message["id"])
        self.answered[id_] += 1
        assert self.answered[id_] <= self._asked[id_], f"an answer without a question: {message}"

    @property
    def missing(self) -> set[Any]:
        """What was rightly asked once, not taken back, and not answered."""
        once = {id_ for id_ in self._must if self._asked[id_] == 1}
        return once - self._taken_back - self.answered.keys()


def _key(id_: Any) -> Any:
    """As ids are compared: "7" is 7."""
    if isinstance(id_, str):
        try:
            return int(id_)
        except ValueError:
            return id_
    return id_ if isinstance(id_, int) and not isinstance(id_, bool) else repr(id_)


class Fuzz:
    """A stream of lines from a seed; `account` knows what was said.

    Args:
        seed: where the dice start.
        is_modern: whether requests say who asks.
    """

    def __init__(self, seed: int, *, is_modern: bool) -> None:
        self._dice = random.Random(seed)  # noqa: S311 - to be the same each time
        self._is_modern = is_modern
        self._next_id = 1000
        self._requests = _requests()
        self.account = Account()

    def line(self) -> bytes:
        """The next line, with its end."""
        kind = self._dice.randrange(10)
        if kind < 3:
            data, is_sound = self._sound(), True
        elif kind == 3:
            data, is_sound = self._dice.choice(_RAW), False
        elif kind < 7:
            data, is_sound = self._strange(), False
        else:
            data, is_sound = self._torn(), False
        self.account.said(data, is_sound=is_sound)
        return data + self._dice.choice([b"\n", b"\n", b"\r\n"])

    def chunks(self, data: bytes) -> list[bytes]:
        """The same bytes in pieces of any size."""
        found = []
        while data:
            size = self._dice.choice([1, 7, 100, 4096])
            found.append(data[:size])
            data = data[size:]
        return found

    def _message(self) -> dict[str, Any]:
        method, said = self._dice.choice(self._requests)
        params = json.loads(json.dumps(said))
        self._next_id += 1
        id_ = self._dice.choice([self._next_id, f"id-{self._next_id}"])
        return {
            "jsonrpc": "2.0",
            "id": id_,
            "method": method,
            "params": modern(**params) if self._is_modern else params,
        }

    def _sound(self) -> bytes:
        return json.dumps(self._message()).encode()

    def _strange(self) -> bytes:
        """A message of which a part is something else, is missing, or is there twice."""
        message = self._message()
        if self._dice.randrange(4) == 0:
            return json.dumps([message, message]).encode() if self._dice.randrange(2) else self._cancel()
        place: Any = message
        while True:
            key = self._dice.choice(list(place) if isinstance(place, dict) else range(len(place)))
            inner = place[key]
            if isinstance(inner, dict | list) and inner and self._dice.randrange(3):
                place = inner
                continue
            if self._dice.randrange(5):
                place[key] = self._dice.choice(_STRANGE)(self._dice)
            else:
                del place[key]
            return json.dumps(message).encode()

    def _cancel(self) -> bytes:
        params = {"requestId": self._next_id - self._dice.randrange(20)}
        return json.dumps({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}).encode()

    def _torn(self) -> bytes:
        """A message with bytes that are gone, are twice there, or are others."""
        data = bytearray(self._sound())
        for _ in range(self._dice.randrange(1, 4)):
            at = self._dice.randrange(len(data) + 1)
            until = min(len(data), at + self._dice.randrange(12))
            match self._dice.randrange(4):
                case 0:
                    del data[at:until]
                case 1:
                    data[at:at] = data[at:until]
                case 2:
                    data[at:at] = self._dice.choice(_BYTES)
                case _:
                    data[at:until] = bytes(self._dice.randrange(256) for _ in range(until - at))
        return bytes(data).replace(b"\n", b" ")
