"""A client of the MCP server that says and hears lines, and a server to say them to, in this process or another.

The SDK's own client would not send what is wrong. `converse` serves a workspace in this process, over pipes: the whole
server, but for the process. `ServedProcess` is a real `grex serve`.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import anyio
from mcp_types.version import LATEST_HANDSHAKE_VERSION, LATEST_MODERN_VERSION
from msgspec.structs import replace

from grex.engine import Settings
from grex.mcp.place import Asked, Place
from grex.mcp.server import serve
from grex.mcp.stdio import Wire
from grex.verbs.config import ConfigRequest

__all__ = ["Conversation", "ServedProcess", "converse", "handshake", "modern", "place_of"]

DEADLINE_S = 20.0


def handshake(version: str = LATEST_HANDSHAKE_VERSION) -> list[dict[str, Any]]:
    """How a client of the handshake era begins; the answer has the id 0."""
    said = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "test", "version": "0"}}
    return [
        {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": said},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
    ]


def modern(**params: Any) -> dict[str, Any]:
    """The parameters of a request in the era after, in which each says who asks."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": LATEST_MODERN_VERSION,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "0"},
        "io.modelcontextprotocol/clientCapabilities": {},
        **params.pop("_meta", {}),
    }
    return {**params, "_meta": meta}


class Conversation:
    """What a client says and hears over two descriptors, which it owns."""

    def __init__(self, to_server: int, from_server: int, *, is_modern: bool = False) -> None:
        self._out = to_server
        self._in = from_server
        self.is_modern = is_modern
        self._kept = bytearray()
        self._heard: list[dict[str, Any]] = []
        self._last_id = 0

    async def say(self, data: bytes) -> None:
        """Send bytes as they are."""
        view = memoryview(data)
        while view:
            await anyio.wait_writable(self._out)
            view = view[os.write(self._out, view[:4096]) :]

    async def send(self, *messages: dict[str, Any]) -> None:
        """Send messages, a line each."""
        for message in messages:
            await self.say(json.dumps(message).encode() + b"\n")

    async def request(self, method: str, /, **params: Any) -> int:
        """Send a request; gives its id."""
        self._last_id += 1
        said = modern(**params) if self.is_modern else params
        await self.send({"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": said})
        return self._last_id

    async def call(self, tool: str, /, arguments: dict[str, Any] | None = None, **params: Any) -> int:
        """Call a tool; gives the id of the request."""
        return await self.request("tools/call", name=tool, arguments=arguments or {}, **params)

    async def cancel(self, id_: int) -> None:
        """Take a request back."""
        await self.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id_}})

    async def result(self, id_: int) -> dict[str, Any]:
        """The result of a request."""
        answer = await self.answer(id_)
        assert "result" in answer, answer
        found = answer["result"]
        assert isinstance(found, dict)
        return found

    async def answer(self, id_: int | None) -> dict[str, Any]:
        """The answer to a request, result or error; what comes before it is kept."""
        return await self.hear(lambda message: "method" not in message and message.get("id") == id_)

    async def hear(self, is_wanted: Any, *, deadline_s: float = DEADLINE_S) -> dict[str, Any]:
        """The first message that is wanted, of those that came and those to come; the others are kept."""
        with anyio.fail_after(deadline_s):
            while True:
                for at, message in enumerate(self._heard):
                    if is_wanted(message):
                        return self._heard.pop(at)
                line = await self.line()
                assert line, "the server has closed its side"
                self._heard.append(json.loads(line))

    @property
    def unasked(self) -> list[dict[str, Any]]:
        """What came and was not waited for."""
        return list(self._heard)

    async def rest(self) -> list[dict[str, Any]]:
        """Everything until the server closes its side."""
        with anyio.fail_after(DEADLINE_S):
            while line := await self.line():
                self._heard.append(json.loads(line))
        return self._heard

    async def line(self) -> bytes:
        """The next line; empty when the server has closed its side."""
        start = 0
        while (end := self._kept.find(b"\n", start)) < 0:
            start = len(self._kept)
            await anyio.wait_readable(self._in)
            data = os.read(self._in, 65536)
            if not data:
                assert not self._kept, f"a torn line: {bytes(self._kept[:100])!r}"
                return b""
            self._kept += data
        line = bytes(self._kept[:end])
        del self._kept[: end + 1]
        return line

    async def begin(self) -> None:
        """Shake hands, where that is done."""
        if not self.is_modern:
            await self.send(*handshake())
            await self.result(0)

    def hang_up(self) -> None:
        """Close this side: the server reads an end."""
        if self._out >= 0:
            os.close(self._out)
            self._out = -1

    def stop_listening(self) -> None:
        """Close the other side: the server has nobody to write to."""
        if self._in >= 0:
            os.close(self._in)
            self._in = -1

    def close(self) -> None:
        """Close both."""
        self.hang_up()
        self.stop_listening()


def place_of(root: Path, settings: Settings) -> Place:
    """The place of a server in this process; each call gets these settings."""

    def made(asked: Asked) -> Settings:
        return replace(
            settings,
            verb=asked.verb,
            sink=asked.sink,
            no_wait=asked.no_wait,
            lock_timeout_s=asked.lock_timeout_s,
        )

    return Place(root, made, lambda: ConfigRequest(root=root, user_config_dir=None, workspace_origin="here"))


@asynccontextmanager
async def converse(place: Place, *, is_modern: bool = False) -> AsyncGenerator[Conversation]:
    """A conversation with a server in this process, which ends with the block: it must not take two seconds."""
    (their_in, our_out), (our_in, their_out) = os.pipe(), os.pipe()
    conversation = Conversation(our_out, our_in, is_modern=is_modern)

    async def run() -> None:
        try:
            await serve(place, Wire(their_in, their_out))
        finally:
            os.close(their_in)
            os.close(their_out)

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(run)
            await conversation.begin()
            yield conversation
            conversation.hang_up()
            group.cancel_scope.deadline = anyio.current_time() + 2
        assert not group.cancel_scope.cancelled_caught, "the server does not end"
    finally:
        conversation.close()


class ServedProcess:
    """A real `grex serve`; `said` is what it wrote to standard error. Ended with the block, if it is still there."""

    def __init__(
        self,
        root: Path,
        *options: str,
        environ: dict[str, str],
        is_modern: bool = False,
        within: Iterable[str] = (),
    ) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process
        fcntl.fcntl(self._errors, fcntl.F_SETFL, os.O_APPEND)  # some open it anew, as /dev/stdout
        (their_in, our_out), (our_in, their_out) = os.pipe(), os.pipe()
        self.process = subprocess.Popen(
            [*within, sys.executable, "-m", "grex", "serve", *options],
            cwd=root,
            env=environ,
            stdin=their_in,
            stdout=their_out,
            stderr=self._errors.fileno(),
        )
        os.close(their_in)
        os.close(their_out)
        self.client = Conversation(our_out, our_in, is_modern=is_modern)

    @property
    def said(self) -> str:
        """What it wrote on standard error so far."""
        return os.pread(self._errors.fileno(), 1 << 20, 0).decode("utf-8", "replace")

    async def ended(self, *, within_s: float = 2.0) -> int:
        """Its exit code; it must end within this time."""
        with anyio.fail_after(within_s):
            while self.process.poll() is None:  # noqa: ASYNC110 - the event is another process's
                await anyio.sleep(0.005)
        return int(self.process.returncode)

    def signal(self, signum: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(signum)

    def __enter__(self) -> Self:
        """The server."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave no process behind."""
        self.client.close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        sys.stderr.write(self.said)
        self._errors.close()
