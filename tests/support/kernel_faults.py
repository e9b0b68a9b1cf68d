"""Makes the k-th system call of the locks fail: what a full table, a dead disk or a strict sandbox would do.

It replaces the functions through which `grex.locks` and the libraries below it reach the kernel, and counts the calls
while it is armed. `close` is not among them: a descriptor is gone even if its close reports an error.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Callable
from typing import Any

import pytest

from grex.locks import inotify

__all__ = ["KernelFaults"]

_FUNCTIONS: tuple[tuple[Any, str], ...] = (
    *((os, name) for name in ("open", "fstat", "lstat", "stat", "pread", "pwrite", "ftruncate", "utime", "link")),
    (fcntl, "fcntl"),
    (fcntl, "flock"),
    *((socket.socket, name) for name in ("bind", "listen", "connect", "accept")),
    (inotify, "_open_instance"),
    (inotify, "_add_watch"),
)


class KernelFaults:
    """The functions, replaced for the time of one test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._fails_at: int | None = None
        self._number = 0
        self._calls: list[str] = []
        for owner, name in _FUNCTIONS:
            monkeypatch.setattr(owner, name, self._counted(name, getattr(owner, name)))

    def _counted(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            if self._fails_at is not None:
                self._calls.append(name)
                if len(self._calls) == self._fails_at:
                    raise OSError(self._number, os.strerror(self._number))
            return function(*arguments, **keywords)

        return call

    def arm(self, fails_at: int, number: int) -> None:
        """Count from one, and let that call fail with that error number."""
        self._calls = []
        self._number = number
        self._fails_at = fails_at

    def disarm(self) -> str | None:
        """Let everything work again; the name of the call that failed, None if there were fewer calls than that."""
        fails_at, self._fails_at = self._fails_at, None
        if fails_at is None or len(self._calls) < fails_at:
            return None
        return self._calls[fails_at - 1]
