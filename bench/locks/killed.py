"""SIGKILL of a holder with waiters behind it: until the first of them has the lock, and whether they keep their order.

Each waiter acquires and releases at once. The time begins just before the signal is sent.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.locks.contenders import CONTENDERS
from bench.locks.crew import Crew, Line, Worker
from bench.locks.figures import LIKELY_ORDER, Order, judge, median, milli
from bench.measure import table

__all__ = ["run"]

_KEYS = ("pack", "pack-trio", "pack-thread", "async-filelock", "to-thread", "flock")
_OURS = ("pack", "pack-trio", "pack-thread")
_WAITERS = 8


@dataclass
class _Succession:
    first_ns: list[int] = field(default_factory=list)
    order: Order = field(default_factory=Order)


def run(base: Path, rounds: int, *, waiters: int = _WAITERS) -> None:
    """Measure and print."""
    found = {key: _Succession() for key in _KEYS}
    for key in _KEYS:
        (base / key).mkdir()
    with Crew(waiters) as crew:
        for number in range(rounds):
            turn = number % len(_KEYS)
            for key in [*_KEYS[turn:], *_KEYS[:turn]]:
                _measure(found[key], key, base / key, crew)
    rows = [["", "first in, median ms", "worst ms", "inversions"]]
    for key, succession in found.items():
        times = succession.first_ns
        rows.append([CONTENDERS[key].name, milli(median(times)), milli(max(times)), str(succession.order)])
    table(f"Holder killed, {waiters} waiters ({rounds} times)", rows)
    print(f"  {LIKELY_ORDER}")
    for key in _OURS:
        judge(f"{CONTENDERS[key].name}: first in, worst", max(found[key].first_ns) / 1e6, 100, " ms")
        judge(f"{CONTENDERS[key].name}: inversions", found[key].order.inversions, 0)


def _measure(succession: _Succession, key: str, directory: Path, crew: Crew) -> None:
    with Worker() as holder:
        holder.say("use", key, str(directory))
        holder.hear("ready")
        crew.use(key, directory)
        holder.hold()
        line = Line(CONTENDERS[key], directory)
        for worker in crew.workers:
            line.join(worker, "pass")
        killed = time.monotonic_ns()
        holder.kill()
        held = [worker.hear("passed")[0] for worker in crew.workers]
    succession.first_ns.append(min(held) - killed)
    succession.order.add(held, is_known=line.order_is_known)
    crew.end()
