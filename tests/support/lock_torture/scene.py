"""What all actors of one worker share: the ground, the witness, what they report, and who waits for what."""

from __future__ import annotations

import contextlib
import heapq
import os
import random
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Generator
from typing import Any

from grex.errors import LockBusyError, LockCancelledError, LockTimeoutError
from grex.locks import BackendLock, ManifestLock, PackLock, WaitPolicy, WorkspaceLock
from tests.support.lock_torture.ground import Ground, Place, report_finding
from tests.support.lock_torture.plan import Plan, Step
from tests.support.lock_torture.witness import Mode, OverlapError, Witness

__all__ = ["Scene", "Timers", "acquire", "last_plan", "lock_of", "mode_of"]


class Timers:
    """Calls functions later, from a thread that belongs to no loop."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[], object]]] = []
        self._changed = threading.Condition()
        self._ended = False
        self._numbers = 0
        self._thread = threading.Thread(target=self._run, name="timers")
        self._thread.start()

    def after(self, delay_s: float, function: Callable[[], object]) -> None:
        """Call the function after so long."""
        with self._changed:
            self._numbers += 1
            heapq.heappush(self._heap, (time.monotonic() + delay_s, self._numbers, function))
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._ended and (not self._heap or self._heap[0][0] > time.monotonic()):
                    self._changed.wait(self._heap[0][0] - time.monotonic() if self._heap else None)
                if self._ended:
                    return
                _, _, function = heapq.heappop(self._heap)
            with contextlib.suppress(RuntimeError):  # the loop that it was for has ended
                function()
            del function  # it may be what keeps a loop from being collected

    def end(self) -> None:
        """End the thread; what is still to be called is not."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join()


class Scene:
    """The shared state of one life of a worker."""

    def __init__(self, ground: Ground, seed: str, name: str) -> None:
        self.ground = ground
        self.witness = Witness(ground.witness)
        self.timers = Timers()
        self.draining = threading.Event()
        self.waits: dict[str, tuple[float, str]] = {}
        self.counts: Counter[str] = Counter()
        self._seed = seed
        self._name = name

    def find(self, text: str) -> None:
        """Report something that is wrong."""
        report_finding(self.ground.base, f"{text} [worker {self._name} pid {os.getpid()}]")

    def rng(self, name: str) -> random.Random:
        """What an actor draws from."""
        return random.Random(f"{self._seed}/{self._name}/{name}")  # noqa: S311 - what happens when, not a secret

    @contextlib.contextmanager
    def judged(self, name: str) -> Generator[None]:
        """Count the ends that are to be expected, and report all others."""
        try:
            yield
        except LockBusyError as error:
            self.counts["busy"] += 1
            if error.reentrant:
                self.find(f"error: {name} is said to hold what it does not: {error}")
        except LockTimeoutError:
            self.counts["timed out"] += 1
        except LockCancelledError:
            self.counts["token"] += 1
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            for one in _flat(error):
                kind = "overlap" if isinstance(one, OverlapError) else "error"
                place = traceback.extract_tb(one.__traceback__)[-1]
                self.find(f"{kind}: {name}: {type(one).__name__}: {one} ({place.filename}:{place.lineno})")

    @contextlib.contextmanager
    def waiting(self, name: str, place: Place) -> Generator[None]:
        """Be known to wait without a limit."""
        self.waits[name] = (time.monotonic(), place.name)
        try:
            yield
        finally:
            self.waits.pop(name, None)


def _flat(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [one for inner in error.exceptions for one in _flat(inner)]
    return [error]


def mode_of(step: Step) -> Mode:
    """Shared or exclusive."""
    return "s" if step.shared else "x"


def last_plan(place: Place) -> Plan:
    """Take one lock, however long it takes, and do nothing with it."""
    return Plan((Step(place, False, "wait", 0, 1.0),), permit=False, dwell_s=0, pause_s=0)


def lock_of(place: Place) -> Any:
    """The lock of a place that is not a manifest."""
    if place.kind == "workspace":
        return WorkspaceLock(place.root)
    if place.kind == "backend":
        return BackendLock.for_checkout(place.root)
    return PackLock.open(place.root)


async def acquire(step: Step, policy: WaitPolicy | None) -> Any:
    """Wait for the lock of a step."""
    if step.place.kind != "manifest":
        return await lock_of(step.place).acquire_async(policy)
    lock = ManifestLock(step.place.root)
    return await (lock.acquire_shared(policy) if step.shared else lock.acquire_exclusive(policy))
