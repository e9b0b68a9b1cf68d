"""Measures cancelled waits in a process of its own, where no earlier table has left memory to be used again.

`python -m bench.locks.cancel_probe KEY DIRECTORY LATENCIES WAITS`, while another process holds the lock; the answer is
one JSON object on standard output.
"""

from __future__ import annotations

import gc
import json
import os
import random
import re
import sys
import time
from pathlib import Path

import anyio

from bench.locks.contenders import CONTENDERS, TaskContender

__all__ = ["main"]

_AT_ONCE = 100
_WARM_UP_BATCHES = 20
_UNTIL_WAITING_S = (0.003, 0.010)


async def _measure(contender: TaskContender, directory: Path, latencies: int, waits: int) -> dict[str, object]:
    chance = random.Random("cancel")  # noqa: S311 - nobody has to be unable to guess it
    taken = [await _latency_ns(contender, directory, chance.uniform(*_UNTIL_WAITING_S)) for _ in range(latencies)]
    if not waits:
        return {"latencies_ns": taken, "before": {}, "after": {}}
    for _ in range(_WARM_UP_BATCHES):
        await _batch(contender, directory, min(_AT_ONCE, waits))
    before = _resources()
    for begun in range(0, waits, _AT_ONCE):
        await _batch(contender, directory, min(_AT_ONCE, waits - begun))
    return {"latencies_ns": taken, "before": before, "after": _resources()}


async def _latency_ns(contender: TaskContender, directory: Path, until_waiting_s: float) -> int:
    """From the cancellation of the scope to the first statement of the waiter after its acquire."""
    lock = contender.make(directory)
    resumed: list[int] = []

    async def wait() -> None:
        try:
            await lock.acquire()
        finally:
            resumed.append(time.perf_counter_ns())

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await anyio.sleep(until_waiting_s)
        cancelled = time.perf_counter_ns()
        group.cancel_scope.cancel()
    if not group.cancel_scope.cancelled_caught:
        raise RuntimeError("a lock that another process holds was acquired")
    return resumed[0] - cancelled


async def _batch(contender: TaskContender, directory: Path, count: int) -> None:
    lock = contender.make(directory)
    begun = 0

    async def wait() -> None:
        nonlocal begun
        begun += 1
        await lock.acquire()
        raise RuntimeError("a lock that another process holds was acquired")

    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(wait)
        await anyio.sleep(_UNTIL_WAITING_S[0])
        if begun < count:
            raise RuntimeError(f"only {begun} of {count} tasks came to wait")
        group.cancel_scope.cancel()


def _resources() -> dict[str, int]:
    gc.collect()
    fds = os.listdir("/proc/self/fd")  # noqa: PTH208 - the numbers are what is wanted
    watches = 0
    for fd in fds:
        info = Path(f"/proc/self/fdinfo/{fd}")
        if info.exists():  # the one that listed them is gone
            watches += info.read_text().count("inotify wd:")
    rss = re.search(r"^Rss:\s+(\d+) kB", Path("/proc/self/smaps_rollup").read_text(), re.MULTILINE)
    assert rss is not None
    threads = len(os.listdir("/proc/self/task"))  # noqa: PTH208 - see above
    return {"descriptors": len(fds), "threads": threads, "watches": watches, "rss_kib": int(rss[1])}


def main() -> None:
    """Measure, and print the answer."""
    _, key, directory, latencies, waits = sys.argv
    contender = CONTENDERS[key]
    assert isinstance(contender, TaskContender)
    answer = anyio.run(_measure, contender, Path(directory), int(latencies), int(waits), backend=contender.backend)
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
