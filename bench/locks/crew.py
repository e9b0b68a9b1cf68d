"""The worker processes, seen from the bench; and how it knows that one of them waits."""

from __future__ import annotations

import json
import os
import re
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.locks.contenders import Contender
from tests.support.dialogue import ANSWER_S, Dialogue, start_module

__all__ = ["Crew", "Line", "Worker", "queue_length"]

_PAUSE_S = 0.02
_TICKETS_SHOW_WITHIN_S = 1.0
_FIRST_TICKET_BYTE = 1 << 62
# For example `7: -> FLOCK  ADVISORY  WRITE 4711 fe:00:1234 0 EOF`; who is blocked behind another is indented.
_LOCK = re.compile(r"\d+:\s+(->\s+)?(FLOCK|POSIX|OFDLCK)\s+\w+\s+\w+\s+-?\d+\s+\w+:\w+:(\d+)\s+(\d+)\s")


class Worker(Dialogue):
    """One process of `bench.locks.worker`."""

    def __init__(self) -> None:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("GREX_")}
        super().__init__(*start_module("bench.locks.worker", env=environ))

    def say(self, *words: str) -> None:
        """Give a command."""
        self.send(json.dumps(words))

    def hear(self, expected: str) -> list[int]:
        """Wait for an answer; gives its figures.

        Raises:
            RuntimeError: it is another one, or none within a minute.
        """
        words: list[Any] = json.loads(self.answer())
        if words[0] != expected:
            raise RuntimeError(f"pid {self.pid} answered {words} instead of {expected!r}")
        return words[1:]

    def cpu_ns(self) -> int:
        """The CPU time that all its threads have used so far, of the kernel's clock for this process."""
        return time.clock_gettime_ns((~self.pid << 3) | 2)  # what clock_getcpuclockid(3) gives on Linux

    def hold(self) -> None:
        """Take the lock, which must be free."""
        self.say("take")
        self.hear("waiting")
        self.hear("held")

    def close(self) -> None:
        """End the process, whatever it does."""
        self.kill()  # before its input ends, so that it does not begin to tidy up
        super().close()


class Crew:
    """So many workers."""

    def __init__(self, count: int) -> None:
        self._stack = ExitStack()
        self.workers = [self._stack.enter_context(Worker()) for _ in range(count)]

    def use(self, key: str, directory: Path) -> None:
        """Begin a session with all of them."""
        for worker in self.workers:
            worker.say("use", key, str(directory))
        for worker in self.workers:
            worker.hear("ready")

    def end(self) -> None:
        """End the session of all of them."""
        for worker in self.workers:
            worker.say("end")
        for worker in self.workers:
            worker.hear("ended")

    def __enter__(self) -> Self:
        """Start them all."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End them all."""
        self._stack.__exit__(kind, error, traceback)


def queue_length(file: Path) -> int:
    """How many wait for a lock file, as far as the kernel knows: blocked in flock, or with a ticket beyond its end."""
    inode = str(file.stat().st_ino)  # without the device, which some file systems report differently here and there
    found = 0
    for line in Path("/proc/locks").read_text().splitlines():
        lock = _LOCK.match(line)
        if lock is not None and lock[3] == inode:
            found += lock[1] is not None or (lock[2] == "OFDLCK" and int(lock[4]) >= _FIRST_TICKET_BYTE)
    return found


class Line:
    """Lets workers queue up one after the other for a lock that is held, so that their order is known.

    One is in line when the kernel shows it. Where it cannot (a contender polls, or has no tickets on this system), the
    next one comes after a pause, and the order of arrival is only likely.
    """

    def __init__(self, contender: Contender, directory: Path) -> None:
        self._file = contender.lock_file(directory)
        self._queue = contender.queue
        self._length = 0

    @property
    def order_is_known(self) -> bool:
        """Whether each was seen to wait before the next one came."""
        return self._queue != "nowhere"

    def join(self, worker: Worker, command: str) -> None:
        """Tell a worker to acquire, and wait until it waits."""
        worker.say(command)
        worker.hear("waiting")
        self._length += 1
        if self._queue == "nowhere":
            time.sleep(_PAUSE_S)
            return
        patience_s = _TICKETS_SHOW_WITHIN_S if self._queue == "tickets" else ANSWER_S
        deadline = time.monotonic() + patience_s
        while queue_length(self._file) < self._length:
            if time.monotonic() > deadline:
                if self._queue == "kernel":
                    raise RuntimeError(f"pid {worker.pid} is not blocked on {self._file}")
                self._queue = "nowhere"
                return
            time.sleep(0.001)
