"""What a forked child does with the locks of its parent: it has none of them.

An flock belongs to the open file description, which a fork shares. If the child released it, the parent would lose a
lock that it counts on; if the child kept the descriptor open, the lock would outlive the parent. So the child closes
every descriptor of a lock file, of a place in its line and of its guard *without* unlocking anything, starts with an
empty registry and an empty tier stack, and a hold that it inherited as an object raises `LockInheritedError`.

Processes started by `subprocess` or `anyio` are not concerned: descriptors are close-on-exec, and no fork hook runs
for them unless a `preexec_fn` is given, which grex never does.

Known gap: a thread may have opened a lock file and not listed it yet at the very moment of a fork. Such a descriptor
stays open in the child; the parent's explicit unlock frees the lock all the same.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

__all__ = ["close_descriptor", "forget_descriptor", "on_fork", "remember_descriptor"]

# Keys only; a dict because adding and removing one key are single steps that no fork can cut in half.
_descriptors: dict[int, None] = {}
_hooks: list[Callable[[], None]] = []


def remember_descriptor(fd: int) -> None:
    """Have `fd` closed in forked children."""
    _descriptors[fd] = None


def forget_descriptor(fd: int) -> None:
    """Stop having `fd` closed in forked children; call it before closing, for the number may be reused at once."""
    _descriptors.pop(fd, None)


def close_descriptor(fd: int) -> None:
    """Close a remembered descriptor; an error changes nothing, for it is gone then as well."""
    forget_descriptor(fd)
    with contextlib.suppress(OSError):
        os.close(fd)


def on_fork(hook: Callable[[], None]) -> None:
    """Have `hook` called in every forked child, after the descriptors were closed."""
    _hooks.append(hook)


def _start_child() -> None:
    for fd in list(_descriptors):
        with contextlib.suppress(OSError):
            os.close(fd)
    _descriptors.clear()
    for hook in _hooks:
        hook()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_child)
