"""From the release in one process to the hold in another.

One worker holds, another one waits. When it has waited for a while the first releases; what is measured is the time
from just before that release to just after the other's acquire, both CLOCK_MONOTONIC. How long it has waited is drawn
anew each time, from a range as wide as the longest poll of the contenders: a release meets the poll at any phase.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

from bench.locks.contenders import CONTENDERS, missing
from bench.locks.crew import Crew, Line, Worker
from bench.locks.figures import judge, median, micro, percentile
from bench.measure import table

__all__ = ["run"]

_KEYS = (
    "pack",
    "pack-trio",
    "pack-thread",
    "async-filelock",
    "filelock",
    "portalocker",
    "fasteners",
    "to-thread",
    "to-thread-trio",
    "flock",
    "inotify",
    "flock-command",
)
_EACH = 6
_WAITED_S = (0.1, 0.35)
# Like with like: a task against a blocked thread of its event loop, a thread against a thread.
_BARS = (("pack", "to-thread"), ("pack-trio", "to-thread-trio"), ("pack-thread", "flock"))
_NO_BARS = (("pack", "flock"), ("pack-trio", "flock"))


def run(base: Path, rounds: int, *, each: int = _EACH, waited_s: tuple[float, float] = _WAITED_S) -> None:
    """Measure and print."""
    lacking = missing()
    keys = [key for key in _KEYS if key not in lacking]
    samples: dict[str, list[int]] = {key: [] for key in keys}
    pauses = _draw(*waited_s)
    for key in keys:
        (base / key).mkdir()
    with Crew(2) as crew:
        for number in range(rounds):
            turn = number % len(keys)
            for key in [*keys[turn:], *keys[:turn]]:
                samples[key] += _hand_over(crew, key, base / key, each, pauses)
    medians = {key: median(samples[key]) for key in keys}
    rows = [["", "median us", "p90 us", "/ AsyncFileLock", "/ flock, plain thread", "/ inotify", "samples"]]
    for key in keys:
        against = [f"{medians[key] / medians[other]:.3f}" for other in ("async-filelock", "flock", "inotify")]
        tail = micro(percentile(samples[key], 0.9))
        rows.append([CONTENDERS[key].name, micro(medians[key]), tail, *against, str(len(samples[key]))])
    table("Hand-off between two processes", rows)
    for why in lacking.values():
        print(f"  left out: {why}")
    for ours in ("pack", "pack-trio", "pack-thread"):
        judge(f"{CONTENDERS[ours].name} / AsyncFileLock", medians[ours] / medians["async-filelock"], 0.1)
    for ours, floor in _BARS:
        judge(f"{CONTENDERS[ours].name} / {CONTENDERS[floor].name}", medians[ours] / medians[floor], 3)
    for ours, floor in _NO_BARS:
        ratio = medians[ours] / medians[floor]
        print(f"  {CONTENDERS[ours].name} / {CONTENDERS[floor].name}: {ratio:.3g} (no bar: a task against a thread)")
    floor = medians["inotify"] / medians["flock"]
    print(
        f"  {CONTENDERS['inotify'].name} / {CONTENDERS['flock'].name}: {floor:.3g} (what can be cancelled costs that)"
    )


def _draw(shortest_s: float, longest_s: float) -> Iterator[float]:
    chance = random.Random("hand-off")  # noqa: S311 - nobody has to be unable to guess it
    while True:
        yield chance.uniform(shortest_s, longest_s)


def _hand_over(crew: Crew, key: str, directory: Path, times: int, pauses: Iterator[float]) -> list[int]:
    """Back and forth between the two, after one that only warms up."""
    crew.use(key, directory)
    holder, waiter = crew.workers
    holder.hold()
    samples = []
    for number in range(times + 1):
        Line(CONTENDERS[key], directory).join(waiter, "take")
        time.sleep(next(pauses))
        took = _release(holder, waiter)
        if number:
            samples.append(took)
        holder, waiter = waiter, holder
    holder.say("release")
    holder.hear("released")
    crew.end()
    return samples


def _release(holder: Worker, waiter: Worker) -> int:
    holder.say("release")
    (released,) = holder.hear("released")
    (held,) = waiter.hear("held")
    return held - released
