"""Many waiting processes behind one holder: what waiting costs, how fast they come through, and in which order.

The processes are new each time: what a wait does only once is a part of what it costs. They join the line one after
the other. Then the CPU time of all of them together is taken for a while in which nothing happens. Then the holder
releases, and each acquires and releases at once. Grex is also measured with one in the middle cancelled, and with one
killed, just before the release and without the while before it; so these are compared with threads of which one was
killed in the same way.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bench.locks.contenders import CONTENDERS
from bench.locks.crew import Crew, Line, Worker
from bench.locks.figures import LIKELY_ORDER, Order, judge, median, milli
from bench.measure import table

__all__ = ["run"]

_WAITERS = 50
_WAIT_S = 10.0
_MOST_ROUNDS = 3
_CPU_BAR = 0.02  # seconds of CPU time in a second of waiting, all together
_OURS = ("pack", "pack-trio", "pack-thread")
_PEERS = ("async-filelock", "filelock", "to-thread", "flock")

Loss = Literal["", "cancelled", "killed"]


@dataclass
class _Crowd:
    key: str
    loss: Loss
    cpu_ns: list[float] = field(default_factory=list)
    drained_ns: list[float] = field(default_factory=list)
    order: Order = field(default_factory=Order)

    @property
    def name(self) -> str:
        return CONTENDERS[self.key].name + (f", one {self.loss}" if self.loss else "")


def run(base: Path, rounds: int, *, waiters: int = _WAITERS, wait_s: float = _WAIT_S) -> None:
    """Measure and print."""
    crowds = [_Crowd(key, "") for key in (*_OURS, *_PEERS)]
    crowds += [_Crowd(key, "cancelled") for key in ("pack", "pack-trio")]  # a thread cannot be cancelled
    crowds += [_Crowd(key, "killed") for key in (*_OURS, "flock")]
    for key in (*_OURS, *_PEERS):
        (base / key).mkdir()
    for number in range(min(rounds, _MOST_ROUNDS)):
        turn = number * (len(crowds) // _MOST_ROUNDS)
        for crowd in [*crowds[turn:], *crowds[:turn]]:
            with Worker() as holder, Crew(waiters) as crew:
                _measure(crowd, base / crowd.key, holder, crew, wait_s)
    _print(crowds, waiters, wait_s)


def _measure(crowd: _Crowd, directory: Path, holder: Worker, crew: Crew, wait_s: float) -> None:
    holder.say("use", crowd.key, str(directory))
    holder.hear("ready")
    crew.use(crowd.key, directory)
    holder.hold()
    line = Line(CONTENDERS[crowd.key], directory)
    for worker in crew.workers:
        line.join(worker, "pass")
    # All of them wait for the same time: who has just begun to wait is woken several times as fast as who has slept.
    before = sum(worker.cpu_ns() for worker in crew.workers)
    time.sleep(wait_s)
    if not crowd.loss:
        crowd.cpu_ns.append(sum(worker.cpu_ns() for worker in crew.workers) - before)
    middle = crew.workers[len(crew.workers) // 2]
    if crowd.loss == "cancelled":
        middle.say("cancel")
        middle.hear("cancelled")
    elif crowd.loss == "killed":
        middle.kill()
    holder.say("release")
    (released,) = holder.hear("released")
    times = [worker.hear("passed") for worker in crew.workers if not crowd.loss or worker is not middle]
    crowd.drained_ns.append(max(left for _, left in times) - released)
    crowd.order.add([held for held, _ in times], is_known=line.order_is_known)


def _print(crowds: list[_Crowd], waiters: int, wait_s: float) -> None:
    drained = {(crowd.key, crowd.loss): median(crowd.drained_ns) for crowd in crowds}
    rows = [["", f"CPU s in {wait_s:g} s", "drained ms", "/ flock, plain thread", "/ in to_thread", "inversions"]]
    for crowd in crowds:
        cpu = f"{median(crowd.cpu_ns) / 1e9:.3f}" if crowd.cpu_ns else ""
        took = drained[crowd.key, crowd.loss]
        against_thread = f"{took / drained[_floor(crowd)]:.2f}"
        against_task = "" if crowd.loss else f"{took / drained['to-thread', '']:.2f}"
        rows.append([crowd.name, cpu, milli(took), against_thread, against_task, str(crowd.order)])
    table(f"{waiters} waiting processes (medians of {len(crowds[0].drained_ns)}; inversions of all)", rows)
    print(f"  {LIKELY_ORDER}")
    for crowd in crowds:
        if crowd.key in _OURS:
            if crowd.cpu_ns:
                judge(f"{crowd.name}: CPU in {wait_s:g} s", median(crowd.cpu_ns) / 1e9, _CPU_BAR * wait_s, " s")
            ratio = drained[crowd.key, crowd.loss] / drained[_floor(crowd)]
            judge(f"{crowd.name}: drained / blocked plain threads", ratio, 4)
            judge(f"{crowd.name}: inversions", crowd.order.inversions, 0)


def _floor(crowd: _Crowd) -> tuple[str, Loss]:
    return "flock", "killed" if crowd.loss else ""
