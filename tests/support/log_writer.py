"""A process that appends to a log until it is killed; `python -m tests.support.log_writer LOG TRASH`.

It says on standard output how many events have been acknowledged, one number a line, after each append has returned.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

from grex.manifest import Event, Log, sync_event
from tests.support.holds import FakeHold

__all__ = ["batch"]


def batch(number: int) -> list[Event]:
    """The events of one append: each says its number, and is long enough for a write to be cut."""
    return [sync_event(f"pack-{number}-{part}", sha=f"{number:040}", branch="b" * 2000) for part in range(8)]


def main() -> None:
    """Append for ever."""
    log = Log(Path(sys.argv[1]), Path(sys.argv[2]))
    for number in itertools.count():
        log.append(batch(number), hold=FakeHold())
        print(number, flush=True)


if __name__ == "__main__":
    main()
