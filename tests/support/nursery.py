"""A process that has imported what its children need, and forks one whenever a test asks for it.

Most of what a short-lived Python process costs is its imports. A test that wants twelve of them pays once here; what it
gets are processes like any others, with an environment and standard streams of their own. They inherit nothing else:
their parent has run no event loop, taken no lock and started no thread.

The parent is an orphan, so that its children are no descendants of the tests: grex refuses to wait for an ancestor.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["Forked", "Nursery", "serve"]

_MESSAGE_BYTES = 1 << 17


class Nursery:
    """The parent, seen from the tests; it ends when this is gone, at the latest with the tests.

    Args:
        module: what to run with `-m`; given `nursery FD` it calls `serve(FD)`, and goes on as that tells it in a child.
        more: further arguments, which nobody looks at.
        env: the environment of the parent; that of the tests if none is given.
    """

    def __init__(self, module: str, *more: str, env: Mapping[str, str] | None = None) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._turn = threading.Lock()
        with theirs:
            subprocess.run(
                ["sh", "-c", '"$@" &', "sh", sys.executable, "-m", module, "nursery", str(theirs.fileno()), *more],
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd=Path(__file__).resolve().parents[2],
                env=env,
                pass_fds=[theirs.fileno()],
            )

    def start(
        self, arguments: Sequence[str], *, env: Mapping[str, str], streams: Sequence[int], cwd: Path | None = None
    ) -> Forked:
        """Fork a child with these arguments, this environment, these three standard streams, in this directory.

        Where no directory is given it is that of the parent.
        """
        request = {"arguments": list(arguments), "env": dict(env), "cwd": None if cwd is None else str(cwd)}
        with self._turn:
            socket.send_fds(self._socket, [json.dumps(request).encode()], list(streams))
            return Forked(int(self._socket.recv(_MESSAGE_BYTES)), self)

    def reap(self, pid: int) -> int | None:
        """The exit code of a child, negative for a signal; nothing while it lives."""
        with self._turn:
            self._socket.send(json.dumps({"reap": pid}).encode())
            code = self._socket.recv(_MESSAGE_BYTES)
        return int(code) if code != b"alive" else None


class Forked:
    """A child of the nursery, with what a `subprocess.Popen` has."""

    def __init__(self, pid: int, nursery: Nursery) -> None:
        self.pid = pid
        self._nursery = nursery
        self._code: int | None = None

    def poll(self) -> int | None:
        """The exit code, if it has ended."""
        if self._code is None:
            self._code = self._nursery.reap(self.pid)
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and give the exit code; TimeoutExpired after that many seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                raise subprocess.TimeoutExpired(f"pid {self.pid}", timeout or 0.0)
            self._wait_for_end(left)
        return code

    def _wait_for_end(self, at_most_s: float | None) -> None:
        """Sleep until the end, or for that long; only its parent may reap it, but anybody may look."""
        process = os.pidfd_open(self.pid)
        try:
            select.select([process], [], [], at_most_s)
        finally:
            os.close(process)

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it is known to have ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


def serve(fd: int) -> list[str] | None:
    """Be the nursery until the tests end.

    Returns:
        The arguments of a child, in which the caller goes on; nothing in the nursery itself.
    """
    with socket.socket(fileno=fd) as asked:
        while True:
            message, streams, _, _ = socket.recv_fds(asked, _MESSAGE_BYTES, 3)
            if not message:
                return None
            request = json.loads(message)
            if "reap" in request:
                pid, status = os.waitpid(request["reap"], os.WNOHANG)
                asked.send(str(os.waitstatus_to_exitcode(status)).encode() if pid else b"alive")
                continue
            if not (pid := os.fork()):
                break
            for stream in streams:
                os.close(stream)
            asked.send(str(pid).encode())
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(request["env"])
    if request["cwd"] is not None:
        os.chdir(request["cwd"])
    arguments: list[str] = request["arguments"]
    return arguments
