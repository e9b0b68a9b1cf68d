"""What is broken for one process that takes locks: installed before it does anything with grex.

enolck               every flock fails with ENOLCK
no-ofd               open file description locks are unknown, as to an old kernel
die WHERE WHEN [N]   the process kills itself there, see `tests.support.die_at`
"""

from __future__ import annotations

import errno
import fcntl
import importlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from tests.support.die_at import DeathTrap

__all__ = ["install"]

_OFD_COMMANDS = {36, 37, 38}  # F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW of Linux


def install(fault: str) -> None:
    """Break it."""
    name, *words = fault.split()
    if name == "enolck":
        fcntl.flock = _without_flock(fcntl.flock, Path(words[0]))
    elif name == "no-ofd":
        fcntl.fcntl = _without_ofd_locks(fcntl.fcntl)
    elif name == "no-inotify":
        vars(importlib.import_module("grex.locks.inotify"))["_open_instance"] = _unknown_call
    elif name == "nfs":
        type.__setattr__(Path, "read_bytes", _with_nfs_everywhere(Path.read_bytes))
    elif name == "die":
        DeathTrap(words[0], words[1], int(words[2]) if words[2:] else 1).install()
    else:
        raise ValueError(f"there is no fault {fault!r}")


def _without_flock(real: Any, sign: Path) -> Any:
    def call(fd: int, operation: int) -> None:
        if operation == fcntl.LOCK_UN:
            real(fd, operation)
            return
        if not sign.exists():
            real(fd, operation)
            if not sign.exists():
                return
            real(fd, fcntl.LOCK_UN)  # the sign was given while we were here, and the lock came free after it
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    return call


def _unknown_call() -> NoReturn:
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


def _with_nfs_everywhere(real: Callable[[Path], bytes]) -> Callable[[Path], bytes]:
    def read_bytes(path: Path) -> bytes:
        data = real(path)
        return re.sub(rb" - \S+ ", b" - nfs4 ", data) if path.name == "mountinfo" else data

    return read_bytes


def _without_ofd_locks(real: Any) -> Any:
    def call(fd: int, command: int, argument: Any = 0) -> Any:
        if command in _OFD_COMMANDS:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return real(fd, command, argument)

    return call
