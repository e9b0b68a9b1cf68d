"""What this very process holds of a lock, and what to say of it to somebody who cannot have the lock."""

from __future__ import annotations

import os

from grex.locks import hold, processes
from grex.locks.hold import Grant
from grex.locks.holder import HolderRecord
from grex.locks.kernel_table import LockFinder, LockTable, read_lock_table
from grex.locks.lock_paths import standing_path
from grex.locks.path_mutex import PATH_MUTEXES
from grex.locks.tiers import LockKey

__all__ = ["describe_obstacle", "describe_own", "own_attempts", "own_grants", "own_places"]


def own_grants(key: LockKey) -> tuple[Grant, ...]:
    """The holds of this process on the lock file with that key; several only where readers share it."""
    live = list(hold._live.values())  # noqa: SLF001 - the registry of this room; a copy, for other threads change it
    return tuple(grant for grant in live if grant.opened.key == key)


def own_attempts(key: LockKey) -> int:
    """How many attempts of this process wait for the lock file with that key."""
    holding, waiting = PATH_MUTEXES.counts(key)
    # Who has the mutex of the process and not the lock is at its front, and waits for the kernel.
    return max(0, holding + waiting - len(own_grants(key)))


def own_places(key: LockKey) -> tuple[str, ...]:
    """Where in the code this process took the lock, as `file:line`, for `details` of errors."""
    return tuple("{}:{}".format(*grant.frame.place) for grant in own_grants(key))


def describe_own(key: LockKey) -> str | None:
    """That this very process holds the lock, and where it was taken; None if it does not hold it."""
    places = own_places(key)
    if not places:
        return None
    more = len(places) - 1
    others = f" and {more} more {'time' if more == 1 else 'times'}" if more else ""
    return f"this very process, which took it at {places[0]}{others}"


def describe_obstacle(file: str | int, key: LockKey, holder: HolderRecord | None, *, own_waits: int = 0) -> str:
    """Who is in the way of an attempt, for the sentence "... is locked by".

    Args:
        file: The lock file: a descriptor of it, or its path.
        key: Its key.
        holder: What `find_holder` said.
        own_waits: How many waits of this process do not count: 1 for an attempt that is still in the line itself.
    """
    own = describe_own(key)
    if own is not None:
        if holder is None or not holder.is_local or holder.pid != os.getpid():
            return f"pid {os.getpid()}, {own}"
        return holder.describe().replace("this very process", own)
    if holder is not None and not (holder.is_stale and not holder.kept_by):
        return holder.describe()
    if own_attempts(key) > own_waits:
        return "nobody yet, but other tasks of this very process wait for it and are served first"
    found = LockFinder().find(standing_path(file) if isinstance(file, str) else file)
    table = read_lock_table() or LockTable()
    queue = [] if found is None else [one for one in table.queue_of(found[0]) if one.number.pid != os.getpid()]
    if queue and found is not None and not table.holders_of(found[0]):
        first = queue[0].number.pid
        name = processes.command_summary(first)
        return f"nobody yet, but pid {first}{f' ({name})' if name else ''} waits for it and is served first"
    return holder.describe() if holder is not None else "another process that left no note"
