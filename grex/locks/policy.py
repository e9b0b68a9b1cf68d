"""How long to wait for a lock, and whom to tell meanwhile."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from grex.locks.holder import HolderRecord
from grex.locks.tiers import Tier

__all__ = ["WaitPolicy", "WaitReport"]


class WaitReport(Struct, frozen=True):
    """What is said about a wait that takes long.

    Attributes:
        tier: The tier of the lock.
        path: The canonical path of what is locked.
        waited_s: For how long it has been waited for.
        holder: Who holds it, as far as it can be told.
        ahead: How many waiters of this machine are served before this one; None if that cannot be told.
        stopped: Those of them that stand still, as after Ctrl-Z, by their pids.
    """

    tier: Tier
    path: str
    waited_s: float
    holder: HolderRecord | None
    ahead: int | None = None
    stopped: tuple[int, ...] = ()


class WaitPolicy(Struct, frozen=True):
    """How to wait.

    Attributes:
        timeout_s: Give up after this time. None: never, but 60 s in a nested command; `math.inf`: never, there too.
        no_wait: Fail at once if the lock is not free.
        on_wait: Called when the wait has taken `first_report_s`, and then every `report_every_s`.
        first_report_s: See `on_wait`.
        report_every_s: See `on_wait`.
        on_blocked: Called once, when it is found that another process is in the way, with who it is.
    """

    timeout_s: float | None = None
    no_wait: bool = False
    on_wait: Callable[[WaitReport], None] | None = None
    first_report_s: float = 1.0
    report_every_s: float = 10.0
    on_blocked: Callable[[HolderRecord], None] | None = None

    def __post_init__(self) -> None:
        """Refuse a limit that is none: a deadline that is not a number is never reached, and never in the future."""
        if self.timeout_s is not None and not self.timeout_s >= 0:  # in this form it is false for NaN as well
            raise ValueError(f"a wait of {self.timeout_s} s is none")
