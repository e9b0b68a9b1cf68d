"""How much a lock is asked for, in numbers: what `statistics()` of each lock gives."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from grex.locks.holder import HolderRecord
from grex.locks.lock_paths import standing_path
from grex.locks.target import Target

__all__ = ["LockStatistics", "PermitKeyStatistics", "PermitStatistics", "lock_statistics"]


class LockStatistics(Struct, frozen=True):
    """One lock at one moment.

    Attributes:
        held_here: How many holds this process has; more than one only where readers share the lock.
        waiting_here: How many attempts of this process wait for it.
        queued: How many waiters of this machine, those of this process included, are in the line; None where the
            system does not tell.
        holder: Who holds it, this process or another one, as far as it can be told; None if nobody does.
    """

    held_here: int
    waiting_here: int
    queued: int | None
    holder: HolderRecord | None


class PermitKeyStatistics(Struct, frozen=True):
    """The permits of one key of a pool at one moment: how many there are, are held, are waited for."""

    total: int
    in_use: int
    waiting: int


class PermitStatistics(Struct, frozen=True):
    """A pool of permits at one moment.

    Attributes:
        total: How many permits there are.
        in_use: How many are held.
        waiting: How many tasks wait, for a permit of the pool or, before that, for one of their key.
        keys: The keys that have holders or waiters, if there is a limit for each key.
    """

    total: int
    in_use: int
    waiting: int
    keys: Mapping[str, PermitKeyStatistics] = field(default_factory=dict)


def lock_statistics(target: Target) -> LockStatistics:
    """Look at the lock; takes, writes and makes nothing. It reads the kernel's list, so it is not for tight loops."""
    from grex.locks.inspection import find_holder  # noqa: PLC0415 - locks are taken far more often than counted
    from grex.locks.kernel_table import LockFinder, read_lock_table  # noqa: PLC0415 - as above
    from grex.locks.own import own_attempts, own_grants  # noqa: PLC0415 - as above

    file = standing_path(target.file.path)
    table = read_lock_table()
    found = LockFinder().find(file)
    if found is None:
        return LockStatistics(0, 0, None if table is None else 0, None)
    place, key = found
    is_free = table is not None and not table.holders_of(place)
    return LockStatistics(
        held_here=len(own_grants(key)),
        waiting_here=own_attempts(key),
        queued=None if table is None else len(table.queue_of(place)),
        holder=None if is_free else find_holder(file),
    )
