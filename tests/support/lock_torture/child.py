"""A program that inherited a checkout's lock, as git does: `python -m ... work|linger GROUND NUMBER PARENT FD SECONDS`.

`work` works under the lock for so long, also if the process that started it is killed meanwhile, and reports whoever
comes in. `linger` is a daemon that got the descriptor by accident: it waits for a byte on standard input, which says
that the lock was released, and insists that its descriptor keeps nothing locked then.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tests.support.lock_torture.ground import report_finding
from tests.support.lock_torture.witness import OverlapError, Witness

__all__ = ["main"]


def main() -> None:
    """Do what the arguments say."""
    manner, base, number, parent, fd, seconds = sys.argv[1:]
    try:
        if manner == "work":
            with Witness(Path(base, "witness")).working_for(int(number), int(parent)):
                time.sleep(float(seconds))
        elif sys.stdin.buffer.read(1) and is_locked(int(fd)):
            report_finding(Path(base), f"unlock: lock {number}, released by pid {parent}, is kept by a child's copy")
    except OverlapError as error:
        report_finding(Path(base), f"overlap: lock {number}: {error}")


def is_locked(fd: int) -> bool:
    """Whether the open file behind a descriptor has an flock; the kernel lists its locks there."""
    lines = Path(f"/proc/self/fdinfo/{fd}").read_text("ascii").splitlines()
    return any(line.startswith("lock:") and " FLOCK " in line for line in lines)


if __name__ == "__main__":
    main()
