"""A `grex` that is killed at a chosen step: `python -m tests.support.die_at WHERE WHEN NTH ARGUMENT...`, or a fork.

WHERE is `module:function` or `module:Class.method` as its caller finds it, with `[word]` for the calls that have this
word as their first argument or at its head (`grex.git.command:GitRunner.run[checkout]`). WHEN is `before` or `after`
that call, or `torn` for a write of which half reaches the disk. NTH counts the calls that match.

It dies by SIGKILL, so nothing of Python's or of grex's own cleaning up takes place.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import signal
import sys
from collections.abc import Callable
from typing import Any, NoReturn

__all__ = ["DeathTrap"]


class DeathTrap:
    """Wraps one function so that a certain call of it is the last thing that this process does."""

    def __init__(self, where: str, when: str, nth: int) -> None:
        match = re.fullmatch(r"([\w.]+):([\w.]+)(?:\[([\w-]+)\])?", where)
        assert match is not None, where
        self._module, self._name, self._word = match.groups()
        self._when = when
        self._left = nth

    def install(self) -> None:
        """Put the wrapper where callers look."""
        *owners, name = self._name.split(".")
        owner: Any = importlib.import_module(self._module)
        for part in owners:
            owner = getattr(owner, part)
        setattr(owner, name, self._wrap(getattr(owner, name)))

    def _wrap(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if not self._is_it(args):
                return real(*args, **kwargs)
            self._before(args)
            result = real(*args, **kwargs)
            return self._die() if self._when == "after" else result

        async def call_async(*args: Any, **kwargs: Any) -> Any:
            if not self._is_it(args):
                return await real(*args, **kwargs)
            self._before(args)
            result = await real(*args, **kwargs)
            return self._die() if self._when == "after" else result

        return call_async if inspect.iscoroutinefunction(real) else call

    def _is_it(self, args: tuple[Any, ...]) -> bool:
        if self._word is not None and not any(self._word in (arg, _head(arg)) for arg in args):
            return False
        self._left -= 1
        return self._left == 0

    def _before(self, args: tuple[Any, ...]) -> None:
        if self._when == "torn":
            fd, block = args[:2]
            os.write(fd, block[: len(block) // 2])
        if self._when != "after":
            self._die()

    def _die(self) -> NoReturn:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("SIGKILL was survived")


def _head(value: object) -> object:
    return value[0] if isinstance(value, (list, tuple)) and value else None


def main() -> None:
    """Set the trap and be grex."""
    where, when, nth, *arguments = sys.argv[1:]
    DeathTrap(where, when, int(nth)).install()
    from grex.cli.app import run  # noqa: PLC0415 - the trap comes first

    sys.exit(run(arguments))


if __name__ == "__main__":
    main()
