"""Run one child to its end, whatever happens on the way.

`run_process` returns only after the child is reaped, on every path:

* It ends by itself. What it wrote is read until both pipes are closed. If somebody else keeps them open after the
  leader has exited (a server that a hook put in the background), the session is ended after a short wait instead of
  being waited for; a background process that closed the pipes is left alone, and so is one that has a session of its
  own, whatever it keeps open.
* It is cancelled, or its time is up. Everybody of the session gets TERM and then KILL; where `ends_daemons` is asked
  for, so does whoever left the session, as far as it can be found (`grex.process.session`).

The child gets no terminal (a session of its own has none), no standard input unless data is given, and exactly the
descriptors of `pass_fds`. Its output is read as fast as it comes and kept in bounded memory.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO

import anyio
from msgspec import Struct

from grex.errors import PackError
from grex.loop import event_loop
from grex.process.child import Child

__all__ = ["Finished", "ProcessTimeoutError", "run_process"]

STDOUT_LIMIT_BYTES = 8 << 20
STDERR_TAIL_BYTES = 64 << 10

_READ_BYTES = 64 << 10
# How long pipes may stay open after the leader has exited. What it wrote itself is in the pipe by then and is read in
# much less; only another process can keep the pipe open longer.
_PIPE_GRACE_S = 0.250


class ProcessTimeoutError(PackError):
    """A child took longer than it was given, and was ended; `stdout` and `stderr` are the ends of what it said."""

    code = "pack.process-timeout"

    def __init__(self, program: str, timeout_s: float, stdout: bytes, stderr: bytes) -> None:
        super().__init__(f"{program} did not end within {timeout_s:g} seconds and was stopped")
        self.timeout_s = timeout_s
        self.stdout = stdout
        self.stderr = stderr


class Finished(Struct, frozen=True):
    """A child that has ended: how, what it wrote (bounded), and how long it took."""

    returncode: int
    """The exit code; `-N` if signal N ended it."""
    stdout: bytes
    stderr: bytes
    """The last 64 KiB."""
    stdout_truncated: bool
    duration_s: float
    pid: int

    def describe_end(self) -> str:
        """How it ended, as the second half of a sentence: `exited with code 1`, `was ended by SIGKILL`."""
        if self.returncode >= 0:
            return f"exited with code {self.returncode}"
        try:
            return f"was ended by {signal.Signals(-self.returncode).name}"
        except ValueError:
            return f"was ended by signal {-self.returncode}"


async def run_process(
    argv: Sequence[str | os.PathLike[str]],
    *,
    cwd: str | os.PathLike[str],
    env: Mapping[str, str],
    timeout_s: float | None,
    pass_fds: Sequence[int] = (),
    stdin_data: bytes | None = None,
    stdout_limit_bytes: int = STDOUT_LIMIT_BYTES,
    keep_tail: bool = True,
    on_stdout: Callable[[bytes], None] | None = None,
    on_stderr: Callable[[bytes], None] | None = None,
    ends_daemons: bool = False,
) -> Finished:
    """Run a program and wait until it has ended.

    Cancellation: the child and its whole session have ended and are reaped before the cancellation goes on; this takes
    at most 150 ms for a child that ignores TERM.

    Args:
        argv: the program and its arguments; no shell is involved.
        cwd: where it runs.
        env: its whole environment.
        timeout_s: how long it may take; None for as long as it likes.
        pass_fds: descriptors that it inherits under the same numbers.
        stdin_data: what it reads; without it, its standard input is empty.
        stdout_limit_bytes: how much of its standard output is kept in memory; the rest is read and dropped.
        keep_tail: of output over the limit, keep the end; otherwise the beginning.
        on_stdout: is called with each piece of standard output as it arrives. If it raises, the child is ended and the
            exception goes on.
        on_stderr: the same for standard error.
        ends_daemons: on a cancel and when the time is up, end also what left the session. The child is marked for this
            by a variable more in its environment.

    Raises:
        ProcessTimeoutError: the time was up.
        OSError: the program could not be started.
    """
    await event_loop()
    started = time.monotonic()
    child = Child(argv, cwd=cwd, env=env, pass_fds=pass_fds, with_stdin=stdin_data is not None, is_marked=ends_daemons)
    out = _Capture(stdout_limit_bytes, keep_tail=keep_tail)
    err = _Capture(STDERR_TAIL_BYTES, keep_tail=True)
    attended = False
    try:
        with anyio.move_on_after(timeout_s):
            await _attend(child, out, err, stdin_data, on_stdout, on_stderr)
            attended = True
        if not attended and timeout_s is not None:
            raise ProcessTimeoutError(os.path.basename(os.fspath(argv[0])), timeout_s, out.value(), err.value())  # noqa: PTH119 - a name, not a file
    finally:
        if not attended:
            await child.end(daemons=True)
        child.close()
    return Finished(
        returncode=child.returncode(),
        stdout=out.value(),
        stderr=err.value(),
        stdout_truncated=out.truncated,
        duration_s=time.monotonic() - started,
        pid=child.pid,
    )


class _Capture:
    """The beginning or the end of a stream, in bounded memory."""

    def __init__(self, limit_bytes: int, *, keep_tail: bool) -> None:
        self._limit = max(limit_bytes, 0)
        self._keep_tail = keep_tail
        self._data = bytearray()
        self.truncated = False

    def feed(self, piece: bytes) -> None:
        if self._keep_tail:
            self._data += piece
            # Cut only at twice the limit, so that the bytes are moved once for every limit read and not once a piece.
            if len(self._data) > 2 * self._limit + _READ_BYTES:
                self._cut()
        else:
            room = self._limit - len(self._data)
            self._data += piece[:room]
            self.truncated = self.truncated or len(piece) > room

    def value(self) -> bytes:
        if self._keep_tail and len(self._data) > self._limit:
            self._cut()
        return bytes(self._data)

    def _cut(self) -> None:
        del self._data[: len(self._data) - self._limit]
        self.truncated = True


async def _attend(
    child: Child,
    out: _Capture,
    err: _Capture,
    stdin_data: bytes | None,
    on_stdout: Callable[[bytes], None] | None,
    on_stderr: Callable[[bytes], None] | None,
) -> None:
    """Feed and drain the child until it has exited and its pipes are closed."""
    open_pipes = 2
    drained = anyio.Event()
    failures: list[Exception] = []

    async def drain(pipe: IO[bytes], capture: _Capture, callback: Callable[[bytes], None] | None) -> None:
        nonlocal open_pipes
        while piece := await _read(pipe):
            capture.feed(piece)
            if callback is not None:
                try:
                    callback(piece)
                except Exception as error:  # noqa: BLE001 - raised again below, outside the task group
                    failures.append(error)
                    tasks.cancel_scope.cancel()
        open_pipes -= 1
        if not open_pipes:
            drained.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(drain, child.stdout, out, on_stdout)
        tasks.start_soon(drain, child.stderr, err, on_stderr)
        if child.stdin is not None:
            tasks.start_soon(_feed, child.stdin, stdin_data or b"")
        await child.wait()
        if not drained.is_set():
            with anyio.move_on_after(_PIPE_GRACE_S):
                await drained.wait()
        if not drained.is_set():
            await child.end(daemons=False)
            with anyio.move_on_after(_PIPE_GRACE_S):  # what the ended ones had written is still in the pipes
                await drained.wait()
        # A daemon of another session may hold a pipe for ever, or stdin may be unread. Usually neither, and a scope
        # that is cancelled for nothing is a tenth of what it costs to attend to a child.
        if not drained.is_set() or child.stdin is not None:
            tasks.cancel_scope.cancel()
    if failures:
        raise failures[0]


async def _read(pipe: IO[bytes]) -> bytes:
    """The next bytes of a pipe; nothing at its end."""
    while True:
        await anyio.wait_readable(pipe.fileno())
        try:
            return os.read(pipe.fileno(), _READ_BYTES)
        except BlockingIOError:
            continue


async def _feed(pipe: IO[bytes], data: bytes) -> None:
    """Write everything and close; a child that reads no more is no error."""
    view = memoryview(data)
    try:
        while view:
            await anyio.wait_writable(pipe.fileno())
            try:
                view = view[os.write(pipe.fileno(), view) :]
            except BlockingIOError:
                continue
    except (BrokenPipeError, ConnectionResetError):
        pass
    pipe.close()
