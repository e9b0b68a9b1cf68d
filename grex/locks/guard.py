"""What keeps a second holder out while a lock file's name is gone or leads to another file.

A lock is an inode, and people find it by a name. Whoever deletes or renames the file of a lock that is held makes the
next one create a new file and lock that: two holders, each on a file of its own. A pack with a git directory has its
inode kept there by a second link (`pack_lock`). For every other lock file the holder also binds an abstract Unix socket
that is named after the file's directory (device and inode) and its name in it. Only one can be bound to it; the kernel
frees it with its process; and no command that cleans up a directory can remove it.

It is a second belt and never more: the first is the kernel's lock, without which nobody asks for the guard. A system
without such sockets, or a container that shares the file and not the network namespace, has the first only.

A reader of the manifest binds nothing, for readers are many; it looks whether a writer has the guard. So a writer is
not kept out by readers that were in before the file was deleted.
"""

from __future__ import annotations

import errno
import os
import socket

from grex.locks.inheritance import remember_descriptor
from grex.locks.kernel import OpenedFile

__all__ = ["is_guarded", "take_guard"]


def _address(path: str) -> str | None:
    directory, name = os.path.split(path)
    try:
        found = os.stat(directory)  # noqa: PTH116 - a string is at hand
    except OSError:
        return None
    place = f"\0grex-guard/{found.st_dev:x}:{found.st_ino:x}/"
    if len(os.fsencode(place + name)) <= _LONGEST:
        return place + name
    import hashlib  # noqa: PLC0415 - only for names that do not fit

    return place + hashlib.blake2b(os.fsencode(name), digest_size=16).hexdigest()


_LONGEST = 107  # bytes of `sun_path` on Linux, without the end


def is_guarded(path: str) -> bool:
    """Whether a process of this machine holds exclusively a lock whose file has, or had, this path."""
    address = _address(path)
    if address is None:
        return False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asking:
            asking.connect(address)
    except (OSError, AttributeError):
        return False
    return True


def take_guard(opened: OpenedFile, path: str, *, shared: bool) -> bool:
    """Take the guard of a lock file whose kernel lock was won; false if another holder has it.

    It is given up by `OpenedFile.drop_guard` or with the file.
    """
    if shared:
        return not is_guarded(path)
    address = _address(path)
    if address is None:
        return True
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as guard:
            guard.bind(address)
            opened.guard = guard.detach()
    except (OSError, AttributeError) as error:
        return getattr(error, "errno", None) != errno.EADDRINUSE
    remember_descriptor(opened.guard)
    return True
