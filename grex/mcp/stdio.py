"""The wire: JSON-RPC messages, a line each, over the two descriptors that the process was started with.

The transport of the SDK reads in a worker thread that nobody can cancel: at a signal it would hang in `read` until the
client says another word. This one waits on descriptors in the event loop, so that it ends whenever it is told to.

What it promises:

- Nothing but messages goes over the wire. `claim` moves both descriptors away (above 2, not inherited), puts the null
  device in the place of standard input, and standard error in that of standard output. What a plugin prints, or git,
  or a hook, ends up in the client's log, and none of them reads what the client says.
- A line has a limit. What is longer is skipped as it comes, without being kept, and answered as what cannot be parsed.
- What is no message is answered as JSON-RPC has it: -32700 for what is no JSON, -32600 for what is no request, or a
  batch, which no version that is served knows. The SDK would drop all of these.
- An id that is still in flight is refused. The SDK would run both requests, and answer both under one id.
- There is a limit to what is in flight at once; what is more is refused, and the client may ask again.
- A client that does not read stops nobody. Answers are kept for it, up to a size from which on it is not read from
  either; notifications wait. At the end, what is left is given a moment to go out.
- A client that is gone ends the server, without noise.

Writes are of at most `_CHUNK_BYTES`, after the descriptor has said that it takes some: so much a pipe that is not full
always takes at once, also one in blocking mode. That mode is not ours to change: the client may share it.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections import deque
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Self

import anyio
import mcp_types as types
from mcp.shared.dispatcher import as_request_id, coerce_request_id
from mcp.shared.message import SessionMessage
from msgspec import Struct
from pydantic import ValidationError
from pydantic_core import from_json

from grex.errors import ServerError

__all__ = ["LINE_LIMIT_BYTES", "Inbox", "Outbox", "Wire", "claim", "read_messages"]

LINE_LIMIT_BYTES = 16 * 1024 * 1024

_CHUNK_BYTES = 4096
_READ_BYTES = 65536
_MANY_MESSAGES = 64
_MANY_BYTES = 64 * 1024 * 1024
_MANY_REQUESTS = 10_000
"""Ten times what the tests of many calls have at once; each that waits costs some ten kilobytes and a task."""
_GONE = frozenset({errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.ESHUTDOWN})


class Wire(Struct, frozen=True):
    """The descriptors that the client is behind: what it says, and what it hears."""

    read_fd: int
    write_fd: int


def claim() -> Wire:
    """Take the standard streams for the wire, and leave others in their place for the rest of the process.

    Where standard error leads to the wire as well (`2>&1`), it is put aside too.
    """
    wire = Wire(fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, 3), fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, 3))
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    if os.path.sameopenfile(1, 2) and not os.isatty(1):
        os.dup2(null, 2)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    return wire


class Inbox:
    """Lines as they come over a descriptor; None stands for one that was too long, of which nothing is kept."""

    def __init__(self, fd: int, *, limit_bytes: int = LINE_LIMIT_BYTES) -> None:
        self._fd = fd
        self._limit = limit_bytes
        self._kept = bytearray()
        self._is_skipping = False
        self.is_waiting = False
        """Whether all that came is read, and the client is waited for."""

    async def lines(self) -> AsyncIterator[bytes | None]:
        """Every line, without its end; a last one that has no end counts as well. Cancellation: at any time.

        Raises:
            ServerError: the descriptor cannot be read.
        """
        while chunk := await self._read():
            start = 0
            while (end := chunk.find(b"\n", start)) >= 0:
                yield self._line(chunk[start:end])
                start = end + 1
            self._keep(chunk[start:])
        if self._kept or self._is_skipping:
            yield self._line(b"")

    async def _read(self) -> bytes:
        try:
            self.is_waiting = True
            await _ready(anyio.wait_readable, self._fd)
            return os.read(self._fd, _READ_BYTES)
        except OSError as error:
            if error.errno in _GONE:
                return b""
            raise ServerError(
                f"the client cannot be read from: {error.strerror}", hint="It has to start `grex serve` anew."
            ) from error
        finally:
            self.is_waiting = False

    def _keep(self, rest: bytes) -> None:
        if self._is_skipping:
            return
        self._kept += rest
        if len(self._kept) > self._limit:
            self._kept = bytearray()
            self._is_skipping = True

    def _line(self, rest: bytes) -> bytes | None:
        self._keep(rest)
        line = None if self._is_skipping else bytes(self._kept)
        self._kept = bytearray()
        self._is_skipping = False
        return line


class Outbox:
    """What is to go over the wire, in order; what the SDK takes for its write stream.

    A request that was read is in flight until its answer is put in here, or until the client takes it back.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._in_flight: set[types.RequestId] = set()
        self._is_closed = False
        self._changed = anyio.Event()
        self.failure: OSError | None = None
        """Why nothing goes out any more; None while it does."""

    @property
    def is_client_gone(self) -> bool:
        """Whether nothing goes out because nobody is there any more."""
        return self.failure is not None and self.failure.errno in _GONE

    async def send(self, item: SessionMessage, /) -> None:
        """Put a message in. Only a notification waits, for the client to read.

        Raises:
            BrokenResourceError: the client is gone.
            ClosedResourceError: nothing is sent any more.
        """
        message = item.message
        if isinstance(message, types.JSONRPCNotification):
            while len(self._waiting) >= _MANY_MESSAGES and not self._is_closed and self.failure is None:
                await self._changed.wait()
        else:
            await anyio.lowlevel.checkpoint_if_cancelled()
        if isinstance(message, types.JSONRPCResponse | types.JSONRPCError) and message.id is not None:
            self.settle(message.id)
        self._put(_encoded(message))

    def refuse(self, id_: types.RequestId | None, code: int, text: str) -> None:
        """Answer what is no request."""
        error = types.JSONRPCError(jsonrpc="2.0", id=id_, error=types.ErrorData(code=code, message=text))
        self._put(_encoded(error))

    def begin(self, id_: types.RequestId) -> bool:
        """Note that a request is in flight; False if one of that id is."""
        key = coerce_request_id(id_)  # as the SDK compares them: "7" is 7
        if key in self._in_flight:
            return False
        self._in_flight.add(key)
        return True

    @property
    def is_full(self) -> bool:
        """Whether no more requests may be in flight."""
        return len(self._in_flight) >= _MANY_REQUESTS

    def settle(self, id_: types.RequestId) -> None:
        """Note that a request is answered, or taken back."""
        self._in_flight.discard(coerce_request_id(id_))

    async def room(self) -> None:
        """Wait until the client has read so much that it may ask for more."""
        while self._waiting_bytes > _MANY_BYTES and not self._is_closed and self.failure is None:
            await self._changed.wait()

    async def flushed(self) -> None:
        """Wait until everything is out, or the client is gone."""
        while self._waiting and self.failure is None:
            await self._changed.wait()

    async def write(self, when_gone: Callable[[], None]) -> None:
        """Write what is put in, for ever; `when_gone` is called once nothing more can be written."""
        while True:
            while not self._waiting:
                await self._changed.wait()
            try:
                await self._write(self._waiting[0])
            except OSError as error:
                self.failure = error
                self._waiting.clear()
                self._tell()
                when_gone()
                return
            self._waiting_bytes -= len(self._waiting.popleft())
            self._tell()

    async def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            await _ready(anyio.wait_writable, self._fd)
            view = view[os.write(self._fd, view[:_CHUNK_BYTES]) :]

    def _put(self, data: bytes) -> None:
        if self.failure is not None:
            raise anyio.BrokenResourceError
        if self._is_closed:
            raise anyio.ClosedResourceError
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def aclose(self) -> None:
        """Take no more; what is in already still goes out."""
        self._is_closed = True
        self._tell()

    async def __aenter__(self) -> Self:
        """Nothing to be done."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Take no more."""
        await self.aclose()


async def read_messages(inbox: Inbox, outbox: Outbox) -> AsyncIterator[SessionMessage]:
    """Every message that the client sends; what is none is answered here, and not given on.

    Raises:
        ServerError: the client cannot be read from.
    """
    async for line in inbox.lines():
        if line is None:
            outbox.refuse(None, types.PARSE_ERROR, f"Parse error: a line is longer than {LINE_LIMIT_BYTES} bytes")
        elif line.strip():
            message = _message(line, outbox)
            if message is not None:
                yield SessionMessage(message)
        await outbox.room()


def _message(line: bytes, outbox: Outbox) -> types.JSONRPCMessage | None:
    try:
        found = from_json(line, allow_inf_nan=False)
    except ValueError as error:
        outbox.refuse(None, types.PARSE_ERROR, f"Parse error: {error}")
        return None
    id_ = _id_of(found)
    why = _why_invalid(found, id_)
    message: types.JSONRPCMessage | None = None
    if why is None:
        try:
            message = types.jsonrpc_message_adapter.validate_python(found, by_name=False)
        except ValidationError:
            why = "this is no JSON-RPC 2.0 message"
    if message is None:
        if not isinstance(found, dict) or "method" in found or not found.keys() & {"result", "error"}:
            # An answer that makes no sense is not answered: two programs would go on like that for ever.
            outbox.refuse(id_, types.INVALID_REQUEST, f"Invalid request: {why}")
        return None
    if isinstance(message, types.JSONRPCRequest):
        is_full = outbox.is_full
        if not outbox.begin(message.id):
            # Under its own id, this would pass for the answer to the first one.
            outbox.refuse(None, types.INVALID_REQUEST, f"Invalid request: {_IN_FLIGHT}: {str(message.id)[:100]!r}")
            return None
        if is_full:
            outbox.settle(message.id)
            outbox.refuse(message.id, types.INTERNAL_ERROR, f"Too many requests: {_MANY_REQUESTS} are in flight")
            return None
    if isinstance(message, types.JSONRPCNotification) and message.method == "notifications/cancelled":
        taken_back = as_request_id((message.params or {}).get("requestId"))
        if taken_back is not None:
            outbox.settle(taken_back)
    return message


_IN_FLIGHT = "a request with this id is still being worked on"


def _why_invalid(found: Any, id_: types.RequestId | None) -> str | None:
    """What the SDK would let pass: it takes a request with an impossible id for a notification."""
    if isinstance(found, list):
        return "batches are not part of the protocol; send one message a line"
    if not isinstance(found, dict):
        return "a message is an object"
    if "method" in found and "id" in found and id_ is None:
        return "an id is a string or a whole number"
    if "method" in found and found.keys() & {"result", "error"}:
        return "a message is a request or an answer"
    return None


def _id_of(found: Any) -> types.RequestId | None:
    return as_request_id(found.get("id")) if isinstance(found, dict) else None


def _encoded(message: types.JSONRPCMessage) -> bytes:
    document = message.model_dump(by_alias=True, exclude_unset=True)
    try:
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    except UnicodeEncodeError:  # a name that is not UTF-8
        return json.dumps(document, separators=(",", ":")).encode() + b"\n"


async def _ready(wait: Any, fd: int) -> None:
    """Wait for a descriptor. A regular file or the null device cannot be waited for, and is always ready."""
    try:
        await wait(fd)
    except PermissionError:
        await anyio.lowlevel.checkpoint()
