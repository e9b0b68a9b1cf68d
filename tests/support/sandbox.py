"""A home that is looked at before and after, and a disk call that fails at a chosen moment."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

from grex.plugin import ActionType

__all__ = ["FailingCalls", "Snapshot", "snapshot"]

Snapshot = dict[str, tuple[object, ...]]

_CALLS = (
    "chmod",
    "fchmod",
    "fsync",
    "link",
    "mkdir",
    "rename",
    "replace",
    "rmdir",
    "symlink",
    "unlink",
    "utime",
    "write",
)


def snapshot(directory: Path) -> Snapshot:
    """Everything below: bytes, mode and time of files, modes of directories, texts of links."""
    found: Snapshot = {}
    for path in sorted(directory.rglob("*")):
        status, name = path.lstat(), str(path.relative_to(directory))
        if stat.S_ISLNK(status.st_mode):
            found[name] = ("link", os.readlink(path))  # noqa: PTH115 - the text as it stands
        elif stat.S_ISDIR(status.st_mode):
            found[name] = ("directory", stat.S_IMODE(status.st_mode))
        else:
            found[name] = ("file", stat.S_IMODE(status.st_mode), status.st_mtime_ns, path.read_bytes())
    return found


class FailingCalls:
    """Counts the calls that change something on the disk while an action is at work, and lets one of them fail.

    `calls` are their names, in order. `fail(3, "after")` lets the third one do its work and then raise, as a network
    file system does that loses the answer.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, during: Literal["do", "undo"]) -> None:
        self.calls: list[str] = []
        self._during = during
        self._is_counting = False
        self._failure: tuple[int, str] | None = None
        for name in _CALLS:
            monkeypatch.setattr(os, name, self._wrap(name, getattr(os, name)))

    def watch(self, monkeypatch: pytest.MonkeyPatch, *actions: type[ActionType[Any]]) -> None:
        """Count while these are done (or undone)."""
        for action in actions:
            real = getattr(action, self._during)
            monkeypatch.setattr(action, self._during, self._counted(real))

    def fail(self, nth: int, when: str) -> None:
        """Let the nth call from now on fail, `before` or `after` its work is done."""
        self.calls.clear()
        self._failure = (nth, when)

    def repair(self) -> None:
        """Let nothing fail any more, and count from the start."""
        self.calls.clear()
        self._failure = None

    def _counted(self, real: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*args: Any, **keys: Any) -> Any:
            with self._counting():
                return await real(*args, **keys)

        return call

    @contextmanager
    def _counting(self) -> Generator[None]:
        self._is_counting = True
        try:
            yield
        finally:
            self._is_counting = False

    def _wrap(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **keys: Any) -> Any:
            if not self._is_counting:
                return real(*args, **keys)
            self.calls.append(name)
            nth, when = self._failure or (0, "")
            fails = nth == len(self.calls)
            if fails and when == "before":
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            answer = real(*args, **keys)
            if fails:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return answer

        return call
