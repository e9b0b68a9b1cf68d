"""A process with tickets taken by hand: for tests about the line before a lock and not about waiting.

Run as a module it reads one command a line and answers one line: `take SEQ [PID]`, `read SEQ [PID]` (a reader's
ticket), `drop SEQ [PID]`, `quit`. PID is the one that the ticket says; the process's own if it is left out.
"""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["TicketTaker"]

_FLOCK = struct.Struct("hhqqi4x")
_TICKET_BASE = 1 << 62  # as in `grex.locks.ticket`, which is not imported: it takes three times as long as the rest
_PID_BITS = 22


class TicketTaker:
    """The process, seen from the test; ended with the block."""

    def __init__(self, path: Path, *, env: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).resolve().parents[2],
            env={**os.environ, **(env or {})},
        )

    @property
    def pid(self) -> int:
        """The pid of the process."""
        return self._process.pid

    def ask(self, command: str) -> None:
        """Give a command and wait until it is done."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the process has no pipes")
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "ok\n"

    def kill(self) -> None:
        """SIGKILL, and reap."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        """Start, with no ticket."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the process."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.kill()


def main() -> None:
    """Obey until standard input ends."""
    fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    kinds = {"take": fcntl.F_WRLCK, "read": fcntl.F_RDLCK, "drop": fcntl.F_UNLCK}
    for line in sys.stdin:
        command, *numbers = line.split()
        if command == "quit":
            break
        seq, pid = [*map(int, numbers), os.getpid()][:2]
        offset = _TICKET_BASE + (seq << _PID_BITS) + pid
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _FLOCK.pack(kinds[command], os.SEEK_SET, offset, 1, 0))
        print("ok", flush=True)


if __name__ == "__main__":
    main()
