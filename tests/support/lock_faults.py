"""What is broken for one process that takes locks: installed before anything of grex is imported there.

enolck               every flock fails with ENOLCK
no-ofd               open file description locks are unknown, as to an old kernel
die WHERE WHEN [N]   the process kills itself there, see `tests.support.die_at`
"""

from __future__ import annotations

import errno
import fcntl
import os
from typing import Any, NoReturn

from tests.support.die_at import DeathTrap

__all__ = ["install"]

_OFD_COMMANDS = {36, 37, 38}  # F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW of Linux


def install(fault: str) -> None:
    """Break it."""
    name, *words = fault.split()
    if name == "enolck":
        fcntl.flock = _refuse
    elif name == "no-ofd":
        fcntl.fcntl = _without_ofd_locks(fcntl.fcntl)
    elif name == "die":
        DeathTrap(words[0], words[1], int(words[2]) if words[2:] else 1).install()
    else:
        raise ValueError(f"there is no fault {fault!r}")


def _refuse(*_: object) -> NoReturn:
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))


def _without_ofd_locks(real: Any) -> Any:
    def call(fd: int, command: int, argument: Any = 0) -> Any:
        if command in _OFD_COMMANDS:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return real(fd, command, argument)

    return call
