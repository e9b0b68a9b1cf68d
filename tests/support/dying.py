"""A call that is killed before the nth change that it makes to the disk: by SIGKILL, in a fork of this process.

A fork has everything imported already, so a kill costs hundredths of a second, and every single step can have its own:
`tests.support.die_at` is for what only a whole `grex` shows. Counted are the calls by which a program changes files.
Not counted: what the locks write (they have tests of their own, and the kernel frees them), flushes, and what happens
before the chosen function is first called.

Between two changes nothing on the disk differs, so "killed before the next one" is also "killed after this one".
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeAlias

__all__ = ["Way", "changes_of", "die_before", "run_until"]

_CALLS = ("chmod", "fchmod", "ftruncate", "link", "mkdir", "rename", "replace", "rmdir", "symlink", "unlink", "utime")
_QUIET = ("grex.locks", "filelock", "asyncio", "selectors")
Way: TypeAlias = Literal["whole", "torn"]


def changes_of(call: Callable[[], object], *, since: str) -> list[str]:
    """The changes that a call makes to the disk, in order, by the names of the functions; it gets through."""
    names, status = _fork(call, since, None, "whole")
    assert status == 0, f"the call failed: exit {status}"
    return names


def die_before(call: Callable[[], object], nth: int, *, since: str, way: Way = "whole") -> None:
    """Make the call in a fork, and kill it before its nth change; a change that is never reached is a mistake.

    Args:
        call: what is to be killed.
        nth: counted from 1.
        since: the `module:function` (or `module:Class.method`) from whose first call on the changes are counted.
        way: `torn` lets half of a write reach the disk before the kill.
    """
    names, status = _fork(call, since, nth, way)
    assert status == -signal.SIGKILL, f"change {nth} was not reached, exit {status}: {names}"


def run_until(call: Callable[[], object], nth: int, *, since: str) -> bool:
    """The same where nobody knows how many changes there are; gives whether the kill came before the end."""
    names, status = _fork(call, since, nth, "whole")
    assert status in (0, -signal.SIGKILL), f"the call failed: exit {status}: {names}"
    return status != 0


def _fork(call: Callable[[], object], since: str, nth: int | None, way: Way) -> tuple[list[str], int]:
    inlet, outlet = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the threads here, none holds what the fork needs
        pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(inlet)
            _Trap(outlet, nth, way).install(since)
            call()
            code = 0
        except BaseException:  # noqa: BLE001 - this is the end of the process, whatever it was
            traceback.print_exc(limit=-3)
        finally:
            sys.stderr.flush()
            os._exit(code)
    os.close(outlet)
    with os.fdopen(inlet) as told:
        names = told.read().split()
    return names, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class _Trap:
    def __init__(self, outlet: int, nth: int | None, way: Way) -> None:
        self._outlet = outlet
        self._nth = nth
        self._way = way
        self._count = 0
        self._is_counting = False
        self._write = os.write

    def install(self, since: str) -> None:
        module, _, names = since.partition(":")
        *owners, name = names.split(".")
        owner: Any = importlib.import_module(module)
        for part in owners:
            owner = getattr(owner, part)
        real = getattr(owner, name)

        def begin(*args: Any, **keys: Any) -> Any:
            self._is_counting = True
            return real(*args, **keys)

        setattr(owner, name, begin)
        for name in (*_CALLS, "write"):
            setattr(os, name, self._wrap(name, getattr(os, name)))

    def _wrap(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **keys: Any) -> Any:
            if self._is_counting and not _is_quiet(name, args):
                self._count += 1
                self._write(self._outlet, f"{name}\n".encode())
                if self._count == self._nth:
                    if name == "write" and self._way == "torn":
                        self._write(args[0], bytes(args[1])[: len(args[1]) // 2])
                    os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **keys)

        return call


def _is_quiet(name: str, args: tuple[Any, ...]) -> bool:
    """Whether the call comes from a lock, or writes to something that is no file."""
    if name == "write" and not Path(f"/proc/self/fd/{args[0]}").resolve().is_file():
        return True
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_globals.get("__name__") in ("pathlib", "os", "contextlib"):
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", "")).startswith(_QUIET)
