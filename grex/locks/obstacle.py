"""Who is in the way of an attempt: the errors that end it, and the report that is made while it goes on.

All of it is read from the kernel's list and the record, with nobody's cooperation; see `inspection` and `own`.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from grex.errors import LockBusyError, LockTimeoutError
from grex.locks import held, processes
from grex.locks.inspection import find_holder
from grex.locks.own import describe_obstacle, own_places
from grex.locks.policy import WaitReport
from grex.locks.queue_view import pids_ahead
from grex.locks.target import Target
from grex.locks.tiers import LockKey
from grex.locks.wait_graph import check_cycle

__all__ = ["Obstacle", "report_wait"]


class Obstacle(Struct, frozen=True):
    """Who is in the way, found now.

    Attributes:
        target: What was asked for.
        who: For the sentence "... is locked by".
        details: For programs.
    """

    target: Target
    who: str
    details: dict[str, Any]

    @classmethod
    def find(cls, target: Target, file: str | int, key: LockKey, *, own_waits: int) -> Obstacle:
        """Look who is there.

        Args:
            target: What is asked for.
            file: The lock file: a descriptor of it, or its path.
            key: Its key.
            own_waits: How many waits of this process do not count: 1 for an attempt that is in the line itself.
        """
        holder = find_holder(file)
        details: dict[str, Any] = {
            "tier": target.tier.name,
            "path": target.subject,
            "holder": None if holder is None else holder.to_json(),
        }
        places = own_places(key)
        if places:
            details["taken_at"] = list(places)
        return cls(target, describe_obstacle(file, key, holder, own_waits=own_waits), details)

    def busy(self) -> LockBusyError:
        """The error of an attempt that must not wait."""
        return LockBusyError(
            f"The {self.target.name()} is locked by {self.who}.",
            hint="Try again when it has ended, or leave out --no-wait to queue.",
            details=self.details,
        )

    def timed_out(self, timeout_s: float, waited_s: float) -> LockTimeoutError:
        """The error of an attempt whose time is over: the limit is what was asked for, the wait is what it came to."""
        return LockTimeoutError(
            f"The {self.target.name()} did not come free within {timeout_s:.15g} s: it is locked by {self.who}.",
            hint="Try again when it has ended, or give more time with --lock-timeout.",
            details={**self.details, "timeout_s": timeout_s, "waited_s": round(waited_s, 3)},
        )


def report_wait(
    target: Target, file: str | int, number: int | None, waited_s: float, *, is_wanted: bool
) -> WaitReport | None:
    """What there is to say of a wait that takes long.

    Args:
        target: What is waited for.
        file: The lock file: a descriptor of it, or its path.
        number: The waiter's own ticket, if it has one.
        waited_s: For how long it has waited.
        is_wanted: Whether anybody listens; if not, only what ends the wait is looked for, and None given.

    Raises:
        LockDeadlockError: the wait would never end: a circle, or a holder above this process.
    """
    check_cycle(target.tier, target.subject, file)
    if not is_wanted:
        return None  # of many waiters each would read what all the others are
    holder = find_holder(file)
    if holder is not None:
        held.check_ancestor(target.tier, target.subject, holder)
    ahead = None if number is None else pids_ahead(file, number)
    stopped = tuple(pid for pid in dict.fromkeys(ahead or ()) if processes.is_stopped(pid))
    return WaitReport(target.tier, target.subject, waited_s, holder, None if ahead is None else len(ahead), stopped)
