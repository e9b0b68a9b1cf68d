"""A process with tickets taken by hand: for tests about the line before a lock and not about waiting.

Run as a module it reads one command a line and answers one line: `take SEQ [PID]`, `read SEQ [PID]` (a reader's
ticket), `drop SEQ [PID]`, `quit`. PID is the one that the ticket says; the process's own if it is left out.
"""

from __future__ import annotations

import fcntl
import os
import struct
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.dialogue import Dialogue, start_module

__all__ = ["TicketTaker"]

_FLOCK = struct.Struct("hhqqi4x")
_TICKET_BASE = 1 << 62  # as in `grex.locks.ticket`, which is not imported: it takes three times as long as the rest
_PID_BITS = 22


class TicketTaker(Dialogue):
    """The process, seen from the test; ended with the block."""

    def __init__(self, path: Path, *, env: Mapping[str, str] | None = None) -> None:
        super().__init__(*start_module(__name__, str(path), env={**os.environ, **(env or {})}))

    def ask(self, command: str) -> None:
        """Give a command and wait until it is done."""
        self.send(command)
        assert self.answer() == "ok"


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
