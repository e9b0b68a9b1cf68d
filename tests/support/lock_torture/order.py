"""Who overtook whom, and how long a lock that was waited for stood free, as far as a lock trace tells it.

A wait is recorded a moment before its attempt queues, so the order of two waits that follow each other closely says
nothing; only those count that lie clearly apart. What ended without a hold was not overtaken. Who was suspended while
it waited may have been: before it queued, or because a line does not wait for one that does not run.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from statistics import median

__all__ = ["Order", "count_order"]

_CLEARLY_NS = 20_000_000
_SLOW_NS = 700_000_000
_ENDINGS = {"cancel", "timeout", "fail"}
_Queue = dict[str, tuple[int, int]]  # token -> since when, and the pid


@dataclass
class Order:
    """Grants while somebody else waited, and waiters that were overtaken: by the same process, and by another one.

    One that was overtaken many times counts once: a process that is suspended before its attempt queues may lose many
    turns at once.
    """

    contended_here: int = 0
    overtaken_here: int = 0
    contended_elsewhere: int = 0
    overtaken_elsewhere: int = 0
    hand_offs_ns: list[int] = field(default_factory=list)
    """From a release to the grant of somebody of another process who was waiting by then."""

    @property
    def hand_off_ms(self) -> float:
        """The median."""
        return median(self.hand_offs_ns) / 1e6 if self.hand_offs_ns else 0.0

    @property
    def slow_hand_offs(self) -> int:
        """How many took so long that it must have been the safety poll that woke the waiter."""
        return sum(ns > _SLOW_NS for ns in self.hand_offs_ns)

    def describe(self) -> str:
        """One line."""
        return (
            f"{self.contended_here} grants while others of the same process waited overtook {self.overtaken_here},"
            f" {self.contended_elsewhere} while others of other processes did overtook {self.overtaken_elsewhere};"
            f" hand-off between processes p50 {self.hand_off_ms:.1f} ms,"
            f" {self.slow_hand_offs} of {len(self.hand_offs_ns)} by the safety poll"
        )


def count_order(
    lines: Iterable[bytes], paths: Collection[str], suspended: Collection[tuple[int, int, int]] = ()
) -> Order:
    """Count over the pack locks of these paths.

    Args:
        lines: The lines of a lock trace.
        paths: The packs.
        suspended: Pid, beginning and end (`CLOCK_MONOTONIC` in nanoseconds) of each time when a process did not run.
    """
    events = []
    for line in lines:
        try:
            fields = json.loads(line)
        except ValueError:
            continue  # the checker reports it
        if fields.get("tier") == 2 and fields.get("path") in paths:
            events.append(fields)
    events.sort(key=lambda fields: fields["ns"])
    grants = {fields["tok"]: fields["ns"] for fields in events if fields["ev"] == "acquire"}
    order = Order()
    waiting: dict[str, _Queue] = defaultdict(dict)
    overtaken: set[tuple[str, bool]] = set()
    freed: dict[str, tuple[int, int]] = {}
    for fields in events:
        queue, tok = waiting[fields["path"]], fields["tok"]
        if fields["ev"] == "wait" and tok in grants:
            since, pid = fields["ns"], fields["pid"]
            if not any(pid == who and since < end and begin < grants[tok] for who, begin, end in suspended):
                queue[tok] = (since, pid)
        elif fields["ev"] == "acquire" and tok in queue:
            since, pid = queue.pop(tok)
            released, by = freed.pop(fields["path"], (0, pid))
            if by != pid and since < released:
                order.hand_offs_ns.append(fields["ns"] - released)
            _count_grant(order, overtaken, since, pid, queue)
        elif fields["ev"] == "release":
            freed[fields["path"]] = (fields["ns"], fields["pid"])
        elif fields["ev"] in _ENDINGS:
            queue.pop(tok, None)
    order.overtaken_here = sum(here for _, here in overtaken)
    order.overtaken_elsewhere = len(overtaken) - order.overtaken_here
    return order


def _count_grant(order: Order, overtaken: set[tuple[str, bool]], since: int, pid: int, queue: _Queue) -> None:
    order.contended_here += any(other == pid for _, other in queue.values())
    order.contended_elsewhere += any(other != pid for _, other in queue.values())
    overtaken |= {(tok, other == pid) for tok, (ns, other) in queue.items() if ns + _CLEARLY_NS < since}
