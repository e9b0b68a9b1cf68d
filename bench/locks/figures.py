"""Medians, percentiles, orders and verdicts, as all tables print them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["LIKELY_ORDER", "Order", "inversions", "judge", "median", "micro", "milli", "percentile"]


LIKELY_ORDER = "~: nothing shows who waits for this one, so the order of arrival is only likely"


@dataclass
class Order:
    """How often waiters came in the wrong order, over several runs."""

    inversions: int = 0
    is_known: bool = True

    def add(self, held: Sequence[float], *, is_known: bool) -> None:
        """Count the times of one run, given in the order of arrival."""
        self.inversions += inversions(held)
        self.is_known &= is_known

    def __str__(self) -> str:
        """The number; marked if the order of arrival is only likely."""
        return f"{'' if self.is_known else '~'}{self.inversions}"


def median(samples: Sequence[float]) -> float:
    """The median."""
    return statistics.median(samples)


def percentile(samples: Sequence[float], share: float) -> float:
    """The smallest sample that is not below `share` of them all; the greatest one where they are few."""
    ordered = sorted(samples)
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1]


def inversions(arrivals: Sequence[float]) -> int:
    """How many pairs came in the wrong order: `arrivals` has the times, in the order in which they should rise."""
    return sum(earlier > later for n, earlier in enumerate(arrivals) for later in arrivals[n + 1 :])


def micro(duration_ns: float) -> str:
    """Microseconds."""
    return f"{duration_ns / 1e3:.1f}"


def milli(duration_ns: float) -> str:
    """Milliseconds."""
    return f"{duration_ns / 1e6:.2f}"


def judge(what: str, value: float, at_most: float, unit: str = "") -> None:
    """Print a figure beside its bar, and whether it was met."""
    verdict = "met" if value <= at_most else "NOT met"
    figure = f"{value:.0f}" if value >= 100 else f"{value:.3g}"
    print(f"  {what}: {figure}{unit} (bar {at_most:.3g}{unit}): {verdict}")
