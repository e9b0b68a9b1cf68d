"""A BACKEND hold for tests of git: a real kernel lock, without the machinery around it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["PlainHold", "hold_backend", "is_free"]


class PlainHold:
    """A flock on a file, which lives as long as somebody has its descriptor."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.active = True
        fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def die(self) -> None:
        """Close the descriptor as a death would, without unlocking."""
        self.active = False
        os.close(self.fd)


@contextmanager
def hold_backend(path: Path) -> Generator[PlainHold]:
    """Hold a lock file."""
    hold = PlainHold(path)
    try:
        yield hold
    finally:
        if hold.active:
            hold.die()


def is_free(path: Path) -> bool:
    """Whether nobody holds this lock file."""
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True
