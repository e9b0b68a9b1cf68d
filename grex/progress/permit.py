"""Under which permit the running task works: its name is the track of the trace on which its slices stand.

It is a context variable, so that what a task starts has the permit of that task, and nobody has to hand it down.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["current_permit", "under_permit"]

_PERMIT: ContextVar[str] = ContextVar("grex_permit", default="")


def current_permit() -> str:
    """The permit of the running task, as `network 3`; empty where it has none."""
    return _PERMIT.get()


@contextmanager
def under_permit(name: str) -> Generator[None]:
    """Let the block work under this permit."""
    before = _PERMIT.get()
    _PERMIT.set(name)
    try:
        yield
    finally:
        _PERMIT.set(before)  # a token would insist on the same context, which a generator that is closed late has not
