"""The locks of grex beside filelock, portalocker, fasteners, threads blocked in flock, and `flock(1)`.

Five tables of one run, in which all contenders take turns:

- `uncontended`: acquire and release while nobody else wants the lock;
- `handoff`: from the release in one process to the hold in another;
- `crowd`: what many waiting processes cost, and how fast and in which order they come through;
- `cancelling`: how soon a cancelled waiter goes on, and what cancelled waits leave behind;
- `killed`: how soon a waiter has the lock of a holder that was killed.

`python -m bench locks` runs them all, `python -m bench locks.handoff` one of them. Every line with a bar says whether
it was met in this run; nothing fails because of one that was not.
"""

from __future__ import annotations

import importlib
from pathlib import Path

__all__ = ["TABLES", "run"]

TABLES = ("uncontended", "handoff", "crowd", "cancelling", "killed")


def run(base: Path, rounds: int) -> None:
    """Measure and print all tables."""
    for name in TABLES:
        (base / name).mkdir()
        # Workers of the bench are modules of this package as well and start faster without the tables.
        importlib.import_module(f"bench.locks.{name}").run(base / name, rounds)
