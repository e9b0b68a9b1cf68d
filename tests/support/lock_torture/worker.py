"""One worker of the torture of the locks: an asyncio loop, a trio loop and plain threads, all at once.

`python -m ... SETTINGS` with a JSON object. Commands are single bytes on standard input: `d` ends the disturbances,
after which every actor takes every lock once more, without a time limit, and the worker ends in order; `?` prints who
waits for what. Whatever is wrong goes to the findings of the run at once.
"""

from __future__ import annotations

import contextlib
import faulthandler
import fcntl
import gc
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import anyio

from grex.locks import PackLock
from grex.locks import hold as hold_module
from grex.locks.path_mutex import PATH_MUTEXES
from tests.support.lock_torture.actors import BACKENDS, TaskActors, ThreadActors
from tests.support.lock_torture.ground import Ground, Place
from tests.support.lock_torture.plan import Step
from tests.support.lock_torture.scene import Scene, acquire
from tests.support.lock_torture.tricks import Tricks

__all__ = ["Settings", "main"]

_SETTLE_S = 5.0
_TICK_S = 0.1
_SWITCH_S = 0.0003  # threads of one process take turns so often: more interleavings than with the default of 5 ms


@dataclass(frozen=True)
class Settings:
    """What one life of a worker is told."""

    base: str
    slot: int
    life: int
    seed: str
    tasks: int
    threads: int
    stuck_s: float

    def render(self) -> str:
        """For the command line."""
        return json.dumps(asdict(self))


class _Worker:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.ground = Ground(Path(settings.base))
        self.scene = Scene(self.ground, settings.seed, f"{settings.slot}.{settings.life}")
        self.tricks = Tricks(self.scene)
        self.told: set[str] = set()

    def warm_up(self) -> None:
        """Load whatever is loaded late, with a lock that has to be waited for on each loop and in a thread."""
        pack = self.ground.base / "warm" / f"{self.settings.slot}-{self.settings.life}"
        pack.mkdir(parents=True)
        place = Place(-1, "pack", pack, pack / ".grex-lock")

        def wait_for_a_stranger() -> Any:
            lock = PackLock.open(pack)
            fd = os.open(place.file, os.O_RDWR | os.O_CLOEXEC)
            fcntl.flock(fd, fcntl.LOCK_EX)
            self.scene.timers.after(0.02, lambda: os.close(fd))
            return lock

        for backend in BACKENDS:
            anyio.run(wait_for_a_stranger().acquire_async, backend=backend).release()
            manifest = Place(-1, "manifest", pack, pack / ".grex.jsonl.lock")
            anyio.run(acquire, Step(manifest, True, "wait", 0, 1), None, backend=backend).release()
        wait_for_a_stranger().acquire(10).release()
        subprocess.run(["true"], check=True)

    def inventory(self) -> Counter[str]:
        """What this process has open and running, by kind."""
        gc.collect()
        found: Counter[str] = Counter()
        for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names are all that is wanted
            with contextlib.suppress(OSError):
                target = os.readlink(f"/proc/self/fd/{name}")  # noqa: PTH115 - as above
                found[f"descriptor of {target.split(':[')[0]}"] += 1
                if "inotify" in target:
                    lines = Path(f"/proc/self/fdinfo/{name}").read_text("ascii").splitlines()
                    found["inotify watch"] += sum(line.startswith("inotify ") for line in lines)
        found[f"descriptor of /proc/{os.getpid()}/fd"] = 0
        found["thread"] = len(os.listdir("/proc/self/task"))  # noqa: PTH208 - as above
        found["path mutex"] = len(PATH_MUTEXES)
        found["hold"] = len(hold_module._live)
        return found

    def run(self) -> None:
        faulthandler.register(signal.SIGUSR1, all_threads=True)
        sys.setswitchinterval(_SWITCH_S)
        self.warm_up()
        before = self.inventory()
        # One instance for each that ever waited at the same time stays, for the next one who waits.
        before["descriptor of anon_inode:inotify"] = len(BACKENDS) + self.settings.threads
        tasks = TaskActors(self.scene, self.tricks, self.settings.tasks)
        threads = ThreadActors(self.scene, self.tricks)

        def run_loop(backend: str) -> None:
            anyio.run(tasks.run, backend, backend=backend)

        actors = [
            *(threading.Thread(target=self.guarded, args=(run_loop, backend)) for backend in BACKENDS),
            *(
                threading.Thread(target=self.guarded, args=(threads.run, f"thread-{number}"))
                for number in range(self.settings.threads)
            ),
        ]
        for actor in actors:
            actor.start()
        while any(actor.is_alive() for actor in actors):
            self.obey()
            self.tricks.reap()
            self.complain_of_long_waits()
            self.report()
        self.check_leaks(before)
        self.scene.timers.end()
        self.report()

    def guarded(self, run: Callable[[str], None], name: str) -> None:
        try:
            run(name)
        except BaseException as error:  # noqa: BLE001 - an actor that is gone would only look like one with nothing to do
            self.scene.find(f"error: the actor {name} ended: {error!r}")

    def obey(self) -> None:
        if not select.select([0], [], [], _TICK_S)[0]:
            return
        command = os.read(0, 1)
        if command == b"d":
            self.scene.draining.set()
        elif command == b"?":
            for name, (since, what) in self.scene.waits.copy().items():
                print(f"{name} has waited {time.monotonic() - since:.1f} s for {what}", flush=True)
        else:
            os._exit(3)  # whoever started us is gone

    def complain_of_long_waits(self) -> None:
        for name, (since, what) in self.scene.waits.copy().items():
            waited_s = time.monotonic() - since
            if waited_s > self.settings.stuck_s and name not in self.told:
                self.told.add(name)
                self.scene.find(f"stuck: {name} has waited {waited_s:.0f} s for {what}")

    def check_leaks(self, before: Counter[str]) -> None:
        until = time.monotonic() + _SETTLE_S
        while leaks := self.inventory() - before:
            if time.monotonic() > until:
                self.scene.find(f"leak: {dict(leaks)}")
                break
            self.tricks.reap()
            time.sleep(0.02)
        while self.tricks.children:
            self.tricks.reap()
            time.sleep(0.005)

    def report(self) -> None:
        """Write down what happened so far: a life may end at any time."""
        name = f"{self.settings.slot}-{self.settings.life}"
        fresh = self.ground.reports / f"{name}.fresh"
        fresh.write_text(json.dumps(dict(self.scene.counts)))
        fresh.rename(self.ground.reports / f"{name}.json")


def main() -> None:
    """Live until told to end."""
    _Worker(Settings(**json.loads(sys.argv[1]))).run()


if __name__ == "__main__":
    main()
