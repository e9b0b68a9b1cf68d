"""The lock trace: one JSON line for every transition of every tier, for an offline check of overlap and order.

`GREX_LOCK_TRACE` names the file; the format is fixed in `docs/concurrency.md`. Each line is one `write` on an
`O_APPEND` descriptor, so lines of several processes do not mix. `acquire` is recorded after the lock is held and
`release` before it is given up: recorded intervals lie inside the true ones, so an overlap found is one that happened.

Tracing never changes what the product does: a line that cannot be written is dropped, and recording never waits for
another thread. Lines go through a queue that whoever has the small lock writes out, because a release can be recorded
from a finaliser that runs on top of another recording in the same thread.

The task of a line is the owner of a tier stack: numbered at its first traced operation, remembered in its context,
and told from the task it inherited that context from by the identity of the running task.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import os
import threading
import time
from collections import deque
from contextvars import ContextVar
from itertools import count
from typing import Any, Literal

import anyio

from grex.locks.environment import lock_environment
from grex.locks.inheritance import on_fork
from grex.locks.tiers import Frame, Tier, active_frames

__all__ = ["AttemptTrace", "Ending", "close_trace", "trace_attempt"]

TRACE_VERSION = 1
MAX_LINE_BYTES = 4096
_KEPT_PATH_CHARACTERS = 400

Ending = Literal["cancel", "timeout", "fail"]

_OWNER: ContextVar[tuple[int, str] | None] = ContextVar("grex_trace_owner", default=None)


class _Writer:
    """The open trace file of this process."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.pid = os.getpid()
        self._fd: int | None = None
        with contextlib.suppress(OSError):
            self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._lock = threading.Lock()
        self._pending: deque[dict[str, Any]] = deque()
        self._numbers = count(1)
        self._attempts = count(1)
        self._tasks = count(1)
        # A pid may come again within one trace; a pid and the time at which it began to trace do not.
        self._token_prefix = f"{self.pid}-{time.monotonic_ns():x}"
        atexit.register(self.exit)

    def next_token(self) -> str:
        return f"{self._token_prefix}-{next(self._attempts)}"

    def next_task(self) -> str:
        return f"t{next(self._tasks)}"

    def write(self, fields: dict[str, Any]) -> None:
        fields["ns"] = time.monotonic_ns()
        self._pending.append(fields)
        while self._pending and self._lock.acquire(blocking=False):
            try:
                while self._pending:
                    self._write_line(self._pending.popleft())
            finally:
                self._lock.release()

    def _write_line(self, fields: dict[str, Any]) -> None:
        fields["seq"] = next(self._numbers)
        line = _render(fields)
        if len(line) > MAX_LINE_BYTES:
            path = fields["path"]
            digest = hashlib.blake2b(path.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
            line = _render({**fields, "path": f"{path[:_KEPT_PATH_CHARACTERS]}...{digest}"})
        if self._fd is not None:
            with contextlib.suppress(OSError):
                os.write(self._fd, line)

    def exit(self) -> None:
        """Say that the process ends in order, and nothing after that.

        What is still held now is freed while the interpreter is taken down; that is no release that anybody asked for.
        """
        if self.pid == os.getpid():
            self.write({"v": TRACE_VERSION, "ev": "exit", "pid": self.pid})
            self.close()

    def close(self) -> None:
        atexit.unregister(self.exit)
        fd, self._fd = self._fd, None
        if fd is not None:
            with contextlib.suppress(OSError):
                os.close(fd)


def _render(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode("ascii") + b"\n"


_writer: _Writer | None = None
_opening = threading.Lock()  # two threads that begin at once must count in one sequence


def _current_writer() -> _Writer | None:
    global _writer  # noqa: PLW0603 - one trace file for the whole process
    path = lock_environment().trace_path
    if path is None:
        return None
    writer = _writer
    if writer is not None and writer.path == path:
        return writer
    with _opening:
        if _writer is None or _writer.path != path:
            _writer = _Writer(path)
        return _writer


def _start_child() -> None:
    global _writer, _opening  # noqa: PLW0603 - a forked child opens the file for itself and counts from one
    _writer = None
    _opening = threading.Lock()


on_fork(_start_child)


def close_trace() -> None:
    """Close the trace file without an `exit` line; the next operation opens it again. For tests."""
    global _writer  # noqa: PLW0603 - see above
    if _writer is not None:
        _writer.close()
        _writer = None


def _task_identity() -> int:
    try:
        return anyio.get_current_task().id
    except RuntimeError:  # no event loop runs in this thread
        return -threading.get_ident()  # negative: never equal to the identity of a task


def _current_task(writer: _Writer) -> str:
    identity = _task_identity()
    known = _OWNER.get()
    if known is not None and known[0] == identity:
        return known[1]
    name = writer.next_task()
    _OWNER.set((identity, name))
    return name


class AttemptTrace:
    """The lines of one attempt, from its `wait` to its `release` or other end; says nothing if there is no trace."""

    __slots__ = ("_fields", "_writer", "task")

    def __init__(self, writer: _Writer | None, fields: dict[str, Any], task: str | None) -> None:
        self._writer = writer
        self._fields = fields
        self.task = task

    def _say(self, event: str, limit: int | None = None) -> None:
        if self._writer is not None:
            fields = {"v": TRACE_VERSION, "ev": event, **self._fields}
            if limit is not None:
                fields["limit"] = limit
            self._writer.write(fields)

    def wait(self, limit: int | None = None) -> None:
        """The attempt begins."""
        self._say("wait", limit)

    def acquire(self, frame: Frame, limit: int | None = None) -> None:
        """The lock is held, all layers of it."""
        frame.owner = self.task
        self._say("acquire", limit)

    def release(self, limit: int | None = None) -> None:
        """The lock is about to be given up."""
        self._say("release", limit)

    def end(self, ending: Ending, limit: int | None = None) -> None:
        """The attempt ended without a hold."""
        self._say(ending, limit)


_SILENT = AttemptTrace(None, {}, None)


def trace_attempt(tier: Tier, mode: str, path: str) -> AttemptTrace:
    """Begin the lines of one attempt; costs next to nothing when there is no trace."""
    writer = _current_writer()
    if writer is None:
        return _SILENT
    task = _current_task(writer)
    fields: dict[str, Any] = {"pid": writer.pid, "task": task}
    for frame in reversed(active_frames()):
        if frame.owner is not None and frame.owner != task:
            fields["parent"] = frame.owner
            break
    fields.update(tier=int(tier), mode=mode, path=path, tok=writer.next_token())
    return AttemptTrace(writer, fields, task)
