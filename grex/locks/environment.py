"""The two environment variables of the lock engine, read once in this one place.

`GREX_LOCK_TRACE` names the file that transitions are appended to (`trace`), `GREX_HELD` tells what the processes above
this one hold (`held`). They are read at the first use and not at import, so that a front end can still set them, and
only once, so that one run cannot change its mind in the middle of a hold.
"""

from __future__ import annotations

import os

from msgspec import Struct

__all__ = ["HELD_VARIABLE", "TRACE_VARIABLE", "LockEnvironment", "forget_environment", "lock_environment"]

TRACE_VARIABLE = "GREX_LOCK_TRACE"
HELD_VARIABLE = "GREX_HELD"


class LockEnvironment(Struct, frozen=True):
    """What the environment says; an empty variable counts as absent."""

    trace_path: str | None
    held: str | None


_environment: LockEnvironment | None = None


def lock_environment() -> LockEnvironment:
    """What the environment said at the first call in this process."""
    global _environment  # noqa: PLW0603 - a cache of one value for the whole process is what this module is
    if _environment is None:
        _environment = LockEnvironment(os.environ.get(TRACE_VARIABLE) or None, os.environ.get(HELD_VARIABLE) or None)
    return _environment


def forget_environment() -> None:
    """Read the variables again at the next use: for a program that hosts several runs, and for tests."""
    global _environment  # noqa: PLW0603 - see above
    _environment = None
