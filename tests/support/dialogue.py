"""A process that obeys commands and answers them, a line each, seen from whoever started it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

__all__ = ["ANSWER_S", "Dialogue", "Process", "start_module"]

ANSWER_S = 60.0
_ROOT = Path(__file__).resolve().parents[2]


class Process(Protocol):
    """What a dialogue needs of the process: `subprocess.Popen` has it, and whatever else starts one."""

    @property
    def pid(self) -> int:
        """The pid."""

    def send_signal(self, sig: Any, /) -> None:
        """Send a signal."""

    def kill(self) -> None:
        """SIGKILL."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, and give its exit code."""


def start_module(
    module: str,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    within: Sequence[str] = (),
    stderr: int | None = None,
) -> tuple[subprocess.Popen[bytes], int, int]:
    """Start a module of this repository with pipes: the process, its standard input and its standard output.

    Args:
        module: its name.
        *arguments: what it is given.
        env: the whole environment; the one of this process if it is left out.
        within: the command that it is started with.
        stderr: a descriptor; inherited if it is left out.
    """
    (theirs, stdin), (stdout, ours) = os.pipe(), os.pipe()
    try:
        process = subprocess.Popen(
            [*within, sys.executable, "-m", module, *arguments],
            stdin=theirs,
            stdout=ours,
            stderr=stderr,
            cwd=_ROOT,
            env=None if env is None else dict(env),
        )
    except OSError:
        os.close(stdin)
        os.close(stdout)
        raise
    finally:
        os.close(theirs)
        os.close(ours)
    return process, stdin, stdout


class Dialogue:
    """The process; ended with the block, killed if it must be.

    Args:
        process: the process.
        stdin: the descriptor to write commands to; closed with the block.
        stdout: the descriptor to read answers from; closed with the block.
    """

    def __init__(self, process: Process, stdin: int, stdout: int) -> None:
        self._process = process
        self._stdin = stdin
        self._stdout = stdout
        self._unread = b""

    @property
    def pid(self) -> int:
        """The pid of the process."""
        return self._process.pid

    @property
    def said(self) -> str:
        """What it complained about, for the message of a failure."""
        return ""

    def fileno(self) -> int:
        """Where its answers come, to wait for one of several."""
        return self._stdout

    def send(self, command: str) -> None:
        """Give a command without waiting for the answer."""
        os.write(self._stdin, f"{command}\n".encode())

    def answer(self, timeout_s: float = ANSWER_S) -> str:
        """Wait for an answer.

        Raises:
            RuntimeError: none came within the time, or the process has ended.
        """
        until = time.monotonic() + timeout_s
        while b"\n" not in self._unread:
            left_s = max(0.0, until - time.monotonic())
            if not select.select([self._stdout], [], [], left_s)[0]:
                raise RuntimeError(f"pid {self.pid} has not answered for {timeout_s:g} s: {self.said}")
            data = os.read(self._stdout, 65536)
            if not data:
                raise RuntimeError(f"pid {self.pid} has ended instead of answering: {self.said}")
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, and do not wait for what it does."""
        self._process.send_signal(number)

    def wait_dead(self) -> int:
        """Wait for its end, and give its exit code."""
        return self._process.wait(timeout=ANSWER_S)

    def kill(self) -> None:
        """SIGKILL, and reap."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End it by the end of its input, and by SIGKILL if that does not help; may be called again."""
        self._hang_up()
        with contextlib.suppress(ProcessLookupError):
            self.signal(signal.SIGCONT)
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.kill()

    def _hang_up(self) -> None:
        pipes, self._stdin, self._stdout = (self._stdin, self._stdout), -1, -1
        for pipe in pipes:
            if pipe >= 0:
                os.close(pipe)

    def __enter__(self) -> Self:
        """Start, with nothing asked."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the process."""
        self.close()
