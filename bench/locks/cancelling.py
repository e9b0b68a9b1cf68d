"""How soon a cancelled waiter goes on, and what 10,000 cancelled waits leave behind.

The lock is held by a worker. The waiters are tasks of a fresh process (`cancel_probe`), one for each contender and
round, so that what is counted there is only theirs.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.locks.contenders import CONTENDERS
from bench.locks.crew import Worker
from bench.locks.figures import judge, median, micro, percentile
from bench.measure import table

__all__ = ["run"]

_KEYS = ("pack", "pack-trio", "async-filelock")
_EACH = 50
_WAITS = 10_000
_RSS_BAR_MIB = 2.0
_ROOT = Path(__file__).resolve().parents[2]


def run(base: Path, rounds: int, *, each: int = _EACH, waits: int = _WAITS) -> None:
    """Measure and print."""
    samples: dict[str, list[int]] = {key: [] for key in _KEYS}
    counted: dict[str, tuple[dict[str, int], dict[str, int]]] = {}
    for number in range(rounds):
        turn = number % len(_KEYS)
        for key in [*_KEYS[turn:], *_KEYS[:turn]]:
            directory = base / key
            directory.mkdir(exist_ok=True)
            many = waits if number == 0 and key != "async-filelock" else 0
            answer = _probe(key, directory, each, many)
            samples[key] += answer["latencies_ns"]
            if many:
                counted[key] = (answer["before"], answer["after"])
    rows = [["", "median us", "p99 us", "samples"]]
    for key, taken in samples.items():
        rows.append([CONTENDERS[key].name, micro(median(taken)), micro(percentile(taken, 0.99)), str(len(taken))])
    table("Cancelled while waiting, until the task goes on", rows)
    for key in counted:
        judge(f"{CONTENDERS[key].name}: median", median(samples[key]) / 1e6, 1, " ms")
    rows = [["", "descriptors", "threads", "watches", "RSS KiB"]]
    for key, (before, after) in counted.items():
        rows.append([CONTENDERS[key].name, *(f"{before[what]} -> {after[what]}" for what in before)])
    table(f"{waits} cancelled waits, before -> after", rows)
    for key, (before, after) in counted.items():
        name = CONTENDERS[key].name
        judge(f"{name}: RSS grown by", (after["rss_kib"] - before["rss_kib"]) / 1024, _RSS_BAR_MIB, " MiB")
        for what in ("descriptors", "threads", "watches"):
            judge(f"{name}: {what}, difference", abs(after[what] - before[what]), 0)


def _probe(key: str, directory: Path, latencies: int, waits: int) -> dict[str, Any]:
    with Worker() as holder:
        holder.say("use", key, str(directory))
        holder.hear("ready")
        holder.hold()
        argv = [sys.executable, "-m", "bench.locks.cancel_probe", key, str(directory), str(latencies), str(waits)]
        done = subprocess.run(argv, cwd=_ROOT, stdout=subprocess.PIPE, check=True)
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer
