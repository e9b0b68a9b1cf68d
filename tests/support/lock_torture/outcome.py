"""What a run of the torture came to, and the judgement of its traces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from tests.support.lock_torture.ground import Ground
from tests.support.lock_torture.order import Order, count_order
from tests.support.lock_trace_checker import TierStatistics, check_lines

__all__ = ["Outcome", "judge_trace"]

# What was recorded as a wait may have been kept from queueing for a while by the scheduler: so a few are none.
_FEW_OVERTAKEN = 8
_SHARE_OVERTAKEN = 0.02
# A process may lose the processor for long; without wake-ups it is one hand-off in ten or twenty.
_FEW_SLOW = 3
_SHARE_SLOW = 0.03


@dataclass
class Outcome:
    """What a run came to."""

    findings: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    tiers: dict[int, TierStatistics] = field(default_factory=dict)
    served: dict[int, int] = field(default_factory=dict)
    """Holds by the number of the worker, over all its lives."""
    served_by_pid: dict[int, int] = field(default_factory=dict)
    order: Order = field(default_factory=Order)
    seconds: float = 0.0
    found_after_s: float | None = None


def judge_trace(
    outcome: Outcome, lines: list[bytes], ground: Ground, suspensions: Collection[tuple[int, int, int]]
) -> None:
    """Add to the outcome what the traces of all workers tell.

    Order is only judged where nobody has to queue anew: on packs whose inode lasts.
    """
    verdict = check_lines(lines)
    order = count_order(lines, {str(place.root) for place in ground.packs("kept", "steady")}, suspensions)
    if _is_more(order.overtaken_here, order.contended_here, _FEW_OVERTAKEN, _SHARE_OVERTAKEN):
        outcome.findings.append(f"order: waiters of one process overtake each other: {order.describe()}")
    if _is_more(order.overtaken_elsewhere, order.contended_elsewhere, _FEW_OVERTAKEN, _SHARE_OVERTAKEN):
        outcome.findings.append(f"order: waiters of other processes are overtaken: {order.describe()}")
    if _is_more(order.slow_hand_offs, len(order.hand_offs_ns), _FEW_SLOW, _SHARE_SLOW):
        outcome.findings.append(f"slow: waiters sleep while the lock is free: {order.describe()}")
    outcome.findings += [f"trace: line {one.line}: {one.code} {one.text}" for one in verdict.findings]
    outcome.order = order
    outcome.tiers = verdict.statistics
    outcome.served_by_pid = verdict.served


def _is_more(found: int, of: int, few: int, share: float) -> bool:
    return found > max(few, share * of)
