"""A disk that fails when it is told to."""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Callable
from typing import Any, Literal

import pytest

__all__ = ["BrokenDisk", "Operation"]

Operation = Literal["write", "fsync", "replace", "rename", "ftruncate"]
_OPERATIONS: tuple[Operation, ...] = ("write", "fsync", "replace", "rename", "ftruncate")


class BrokenDisk:
    """Counts calls of `os.write`, `os.fsync`, `os.replace`, `os.rename` and `os.ftruncate`, and fails chosen ones.

    `fail("write", 2)` makes the second write from now on raise ENOSPC; `accept_bytes=5` lets it write five bytes
    first, as a disk does that fills up: the short write succeeds, the one after it raises.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: Counter[str] = Counter()
        self._failures: dict[tuple[str, int], tuple[int, int | None]] = {}
        for operation in _OPERATIONS:
            monkeypatch.setattr(os, operation, self._wrap(operation, getattr(os, operation)))

    def fail(
        self, operation: Operation, nth: int = 1, *, code: int = errno.ENOSPC, accept_bytes: int | None = None
    ) -> None:
        """Let the nth call of this operation from now on fail."""
        self._failures[operation, self.calls[operation] + nth] = (code, accept_bytes)

    def repair(self) -> None:
        """Let nothing fail any more."""
        self._failures.clear()

    def _wrap(self, operation: Operation, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls[operation] += 1
            failure = self._failures.get((operation, self.calls[operation]))
            if failure is None:
                return real(*args, **kwargs)
            code, accept_bytes = failure
            if operation == "write" and accept_bytes is not None:
                self.fail("write", 1, code=code)
                return real(args[0], bytes(args[1])[:accept_bytes])
            raise OSError(code, os.strerror(code))

        return call
