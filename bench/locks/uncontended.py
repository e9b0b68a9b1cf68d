"""Acquire and release while nobody else wants the lock, and a tier pushed and popped.

Everything runs in this process, in batches that take turns; each acquire with its release is one sample. Grex without
the holder record is measured with the two functions replaced that write and empty it: the shipped code has no such
switch.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path

import anyio

from bench.locks.contenders import CONTENDERS, Contender, TaskContender, TaskLock, ThreadLock, missing
from bench.locks.figures import judge, median, micro, percentile
from bench.measure import table
from grex.locks import PACK_LOCK_FILE_NAME, Tier, with_tier

__all__ = ["run"]

_WITHOUT_RECORD = "grex pack without the record"
_KEYS = (
    "pack",
    "pack-trio",
    "pack-thread",
    "plain-pack",
    "workspace",
    "backend",
    "reader",
    "writer",
    "async-filelock",
    "filelock",
    "portalocker",
    "fasteners",
    "to-thread",
    "to-thread-trio",
    "flock",
    "flock-command",
)
_BATCH = 200
_COMMANDS = 10  # flock(1) starts a process each time
_WARM_UP = 20
_TIERS = 50  # in one sample: short enough that most samples are not interrupted by other work
_TIER_SAMPLES = 40


def run(base: Path, rounds: int, *, batch: int = _BATCH) -> None:
    """Measure and print."""
    lacking = missing()
    batches: dict[str, Callable[[], list[int]]] = {}
    for key in _KEYS:
        if key not in lacking:
            contender = CONTENDERS[key]
            count = min(batch, _COMMANDS) if key == "flock-command" else batch
            batches[contender.name] = _batch_of(contender, _directory(base, key), count)
    bare = _batch_of(CONTENDERS["pack"], _directory(base, "bare"), batch)
    batches[_WITHOUT_RECORD] = lambda: _without_record(base / "bare", bare)
    samples: dict[str, list[int]] = {name: [] for name in batches}
    tiers: list[float] = []
    for number in range(rounds):
        names = [*batches][number % len(batches) :] + [*batches][: number % len(batches)]
        for name in names:
            samples[name] += batches[name]()
        tiers += [_tier_ns() for _ in range(_TIER_SAMPLES)]
    _print(samples, lacking)
    yardstick = median(samples[CONTENDERS["async-filelock"].name])
    for name, bar in ((CONTENDERS["pack"].name, 0.2), (_WITHOUT_RECORD, 0.1)):
        judge(f"{name} / AsyncFileLock", median(samples[name]) / yardstick, bar)
    judge(f"tier push and pop, median of {len(tiers)} x {_TIERS}", median(tiers) / 1e3, 5, " us")


def _print(samples: dict[str, list[int]], lacking: dict[str, str]) -> None:
    yardstick = median(samples[CONTENDERS["async-filelock"].name])
    order = sorted(samples, key=lambda name: (not name.startswith("grex"), median(samples[name])))
    rows = [["", "median us", "p99 us", "/ AsyncFileLock", "samples"]]
    for name in order:
        taken = samples[name]
        ratio = f"{median(taken) / yardstick:.3f}"
        rows.append([name, micro(median(taken)), micro(percentile(taken, 0.99)), ratio, str(len(taken))])
    table("Uncontended: acquire and release", rows)
    for why in lacking.values():
        print(f"  left out: {why}")


def _directory(base: Path, name: str) -> Path:
    directory = base / name
    directory.mkdir()
    return directory


def _batch_of(contender: Contender, directory: Path, count: int) -> Callable[[], list[int]]:
    if isinstance(contender, TaskContender):
        make, backend = contender.make, contender.backend
        return lambda: anyio.run(_in_task, make, directory, count, backend=backend)
    make_blocking = contender.make
    return lambda: _in_thread(make_blocking(directory), count)


async def _in_task(make: Callable[[Path], TaskLock], directory: Path, count: int) -> list[int]:
    lock = make(directory)
    samples = []
    for number in range(-min(_WARM_UP, count), count):
        began = time.perf_counter_ns()
        await lock.acquire()
        await lock.release()
        took = time.perf_counter_ns() - began
        if number >= 0:
            samples.append(took)
    return samples


def _in_thread(lock: ThreadLock, count: int) -> list[int]:
    samples = []
    for number in range(-min(_WARM_UP, count), count):
        began = time.perf_counter_ns()
        lock.acquire()
        lock.release()
        took = time.perf_counter_ns() - began
        if number >= 0:
            samples.append(took)
    return samples


def _without_record(directory: Path, batch: Callable[[], list[int]]) -> list[int]:
    with _no_record():
        anyio.run(_prove_that_no_record_is_written, directory)
        return batch()


async def _prove_that_no_record_is_written(directory: Path) -> None:
    contender = CONTENDERS["pack"]
    assert isinstance(contender, TaskContender)
    lock = contender.make(directory)
    await lock.acquire()
    if (directory / PACK_LOCK_FILE_NAME).stat().st_size:
        raise RuntimeError("the holder record is written by something that the bench does not know")
    await lock.release()


@contextlib.contextmanager
def _no_record() -> Generator[None]:
    """Nobody writes or empties a record, in whatever modules of the locks these functions were imported."""
    replaced = [
        (module, name, getattr(module, name))
        for module_name, module in list(sys.modules.items())
        if module_name.startswith("grex.locks.")
        for name in ("write_record", "empty_record")
        if hasattr(module, name)
    ]
    for module, name, _ in replaced:
        setattr(module, name, _nothing)
    try:
        yield
    finally:
        for module, name, function in replaced:
            setattr(module, name, function)


def _nothing(*_: object) -> None:
    pass


def _tier_ns() -> float:
    began = time.perf_counter_ns()
    for _ in range(_TIERS):
        with with_tier(Tier.PACK):
            pass
    return (time.perf_counter_ns() - began) / _TIERS
