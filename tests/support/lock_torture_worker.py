"""One worker of the torture of the locks: an asyncio loop, a trio loop and plain threads, all at once.

`python -m ... SETTINGS` with a JSON object. Commands are single bytes on standard input: `d` ends the disturbances,
after which every actor takes every lock once more, without a time limit, and the worker ends in order; `?` prints who
waits for what. Whatever is wrong goes to the findings of the run at once.
"""

from __future__ import annotations

import contextlib
import errno
import faulthandler
import fcntl
import gc
import heapq
import json
import os
import random
import select
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel

from grex.errors import LockBusyError, LockCancelledError, LockInheritedError, LockTimeoutError, TierOrderError
from grex.locks import (
    BackendHold,
    BackendLock,
    CancelToken,
    ManifestLock,
    PackLock,
    PermitPool,
    WaitPolicy,
    WorkspaceLock,
    set_verb,
)
from grex.locks import hold as hold_module
from grex.locks.path_mutex import PATH_MUTEXES
from tests.support.lock_torture_ground import Ground, Place, report_finding
from tests.support.lock_torture_plan import Plan, Step, draw_plan
from tests.support.lock_witness import OverlapError, Witness

__all__ = ["Settings", "main"]

_BACKENDS = ("asyncio", "trio")
_SETTLE_S = 5.0
_FORK_ANSWER_S = 20.0
_TICK_S = 0.1
_SWITCH_S = 0.0003  # threads of one process take turns so often: more interleavings than with the default of 5 ms
_ROOT = Path(__file__).resolve().parents[2]


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


class _Timers:
    """Calls functions later, from a thread that belongs to no loop."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[], object]]] = []
        self._changed = threading.Condition()
        self._ended = False
        self._numbers = 0
        self._thread = threading.Thread(target=self._run, name="timers")
        self._thread.start()

    def after(self, delay_s: float, function: Callable[[], object]) -> None:
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

    def end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join()


class _Worker:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.ground = Ground(Path(settings.base))
        self.witness = Witness(self.ground.witness)
        self.draining = threading.Event()
        self.waits: dict[str, tuple[float, str]] = {}
        self.counts: Counter[str] = Counter()
        self.forked: dict[int, None] = {}
        self.timers: _Timers | None = None
        self.told: set[str] = set()

    def find(self, text: str) -> None:
        report_finding(self.ground.base, f"{text} [worker {self.settings.slot}.{self.settings.life} pid {os.getpid()}]")

    def rng(self, name: str) -> random.Random:
        return random.Random(f"{self.settings.seed}/{self.settings.slot}/{self.settings.life}/{name}")  # noqa: S311 - what happens when, not a secret

    # How an attempt can end, and what is said about it.

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

    # Tasks.

    async def run_loop(self, backend: str) -> None:
        pool = PermitPool("network" if backend == "asyncio" else "disk", max(1, self.settings.tasks - 1))
        async with anyio.create_task_group() as group:
            for number in range(self.settings.tasks):
                group.start_soon(self.act, f"{backend}-{number}", pool)

    async def act(self, name: str, pool: PermitPool) -> None:
        rng = self.rng(name)
        set_verb("sync")
        while not self.draining.is_set():
            plan = draw_plan(rng, self.ground)
            with self.judged(name):
                if plan.steps[0].trick > 0.95 and plan.steps[0].place.kind == "pack":
                    await self.duel(name, plan.steps[0], early=rng.random() < 0.5, ticks=rng.randrange(5))
                elif plan.permit and plan.steps[0].place.kind != "workspace":
                    async with pool.hold():
                        await self.climb(name, plan, 0)
                else:
                    await self.climb(name, plan, 0)
            await anyio.sleep(plan.pause_s)
        for place in self.ground.places:
            with self.judged(name):
                await self.climb(name, _last_plan(place), 0)
                self.counts["drained"] += 1

    async def climb(self, name: str, plan: Plan, at: int) -> None:
        if at == len(plan.steps):
            await anyio.sleep(plan.dwell_s)
            return
        step = plan.steps[at]
        hold = await self.take(name, step)
        if hold is None:
            self.counts["cancelled"] += 1
            return
        lingering = None
        async with hold:
            with self.witness.inside(step.place.number, _mode(step), f"{name} on {step.place.name}"):
                self.counts["holds"] += 1
                await self.probe(name, step)
                with anyio.CancelScope(shield=True):
                    lingering = await self.play(step, hold)
                await self.climb(name, plan, at + 1)
        if lingering is not None:
            _say_released(lingering)

    async def take(self, name: str, step: Step) -> Any:
        place = step.place
        if step.manner == "try" and place.kind != "manifest":
            return _lock(place).try_acquire()
        if step.manner in {"try", "no_wait"}:
            return await _acquire(step, WaitPolicy(no_wait=True))
        if step.manner == "timeout":
            return await _acquire(step, WaitPolicy(timeout_s=step.after_s))
        if step.manner == "token" and place.kind == "pack":
            token = CancelToken()
            self.later(step.after_s, token.fire)
            return await PackLock.open(place.root).acquire_cancellable(token)
        if step.manner == "wait":
            with self.waiting(name, place):
                return await _acquire(step, None)
        with anyio.CancelScope() as scope:
            if step.manner == "deadline":
                scope.deadline = anyio.current_time() + step.after_s
            else:
                post = _poster()
                self.later(step.after_s, lambda: post(scope.cancel))
            return await _acquire(step, None)
        return None

    def later(self, delay_s: float, function: Callable[[], object]) -> None:
        if self.timers is not None:
            self.timers.after(delay_s, function)

    async def duel(self, name: str, step: Step, *, early: bool, ticks: int) -> None:
        """Two tasks of one loop: the first releases, and cancels the second in the very tick of its grant."""
        place, scope, go = step.place, anyio.CancelScope(), anyio.Event()

        async def second() -> None:
            await go.wait()
            hold = None
            with scope:
                hold = await _acquire(step, None)
            self.counts["duels lost" if hold is None else "duels won"] += 1
            if hold is not None:
                async with hold:
                    with self.witness.inside(place.number, "x", f"{name} in a duel on {place.name}"):
                        await anyio.lowlevel.checkpoint()

        async with anyio.create_task_group() as group:
            group.start_soon(second)
            try:
                hold = await _acquire(step, WaitPolicy(timeout_s=0.5))
            except LockTimeoutError:
                group.cancel_scope.cancel()
                return
            with self.witness.inside(place.number, "x", f"{name} on {place.name}"):
                go.set()
                for _ in range(2 + ticks):
                    await anyio.lowlevel.checkpoint()
            if early:
                scope.cancel()
            hold.release()
            scope.cancel()

    # What happens inside of a hold.

    async def probe(self, name: str, step: Step) -> None:
        """Sometimes ask for what must be refused at once: the same lock again, or one of a lower tier."""
        if not 0.05 < step.trick < 0.1:
            return
        with anyio.CancelScope(shield=True):
            try:
                wrong = await _acquire(step, None)
            except LockBusyError as error:
                if not error.reentrant:
                    self.find(f"order: {name} was told that {step.place.name}, which it holds, is busy: {error}")
            else:
                wrong.release()
                self.find(f"order: {name} took {step.place.name} twice")
            if step.place.kind == "workspace":
                return
            try:
                wrong = WorkspaceLock(self.ground.workspaces[0]).try_acquire()
            except (TierOrderError, LockBusyError):  # busy: this very one is held further out
                self.counts["refusals"] += 1
            else:
                wrong.release()
                self.find(f"order: {name} took a workspace inside of {step.place.name}")

    async def play(self, step: Step, hold: Any) -> subprocess.Popen[bytes] | None:
        child = self.start_child(step, hold)
        if child is not None and child.stdin is not None:
            return child
        while child is not None and child.poll() is None:  # noqa: ASYNC110 - the event is another process's
            await anyio.sleep(0.003)
        fork = self.fork(step, hold)
        until = time.monotonic() + _FORK_ANSWER_S
        while fork is not None and not self.has_answered(fork, until):  # noqa: ASYNC110 - as above
            await anyio.sleep(0.003)
        return None

    def play_in_thread(self, step: Step, hold: Any) -> subprocess.Popen[bytes] | None:
        child = self.start_child(step, hold)
        if child is not None and child.stdin is not None:
            return child
        if child is not None:
            child.wait()
        fork = self.fork(step, hold)
        until = time.monotonic() + _FORK_ANSWER_S
        while fork is not None and not self.has_answered(fork, until):
            time.sleep(0.003)
        return None

    def start_child(self, step: Step, hold: Any) -> subprocess.Popen[bytes] | None:
        """Sometimes start a program that inherits the checkout's lock; one that has a standard input only lingers."""
        if not isinstance(hold, BackendHold) or step.trick > 0.04:
            return None
        lingers = step.trick < 0.013
        self.counts["lingering children" if lingers else "working children"] += 1
        seconds = step.trick * 2
        child = subprocess.Popen(
            [
                *(sys.executable, "-S", "-m", "tests.support.lock_torture_child"),
                *("linger" if lingers else "work", str(self.ground.base)),
                *(str(step.place.number), str(os.getpid()), str(hold.fd), str(seconds)),
            ],
            cwd=_ROOT,
            stdin=subprocess.PIPE if lingers else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[hold.fd],
        )
        self.forked[child.pid] = None
        return child

    def fork(self, step: Step, hold: Any) -> tuple[int, int] | None:
        """Sometimes fork with the hold; gives the child and a pipe through which it says that it looked around."""
        if not 0.04 < step.trick < 0.05:
            return None
        self.counts["forks"] += 1
        key = hold._grant.opened.key
        answer, say = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(answer)
                self._look_around(step, hold, key)
                os.write(say, b".")
                time.sleep((step.trick - 0.04) * 20)  # the parent releases meanwhile
            finally:
                os._exit(0)
        os.close(say)
        os.set_blocking(answer, False)
        self.forked[pid] = None
        return pid, answer

    def _look_around(self, step: Step, hold: Any, key: tuple[int, int]) -> None:
        """What a forked child finds: nothing is held, nothing can be released, and no descriptor keeps the lock."""
        if hold.active:
            self.find(f"fork: the child says it holds {step.place.name}")
        try:
            hold.release()
        except LockInheritedError:
            pass
        else:
            self.find(f"fork: the child could release {step.place.name}")
        if _mode(step) == "x" and _flocks_of(key):
            self.find(f"fork: the child keeps the lock of {step.place.name}")

    def has_answered(self, fork: tuple[int, int], until: float) -> bool:
        pid, answer = fork
        try:
            os.read(answer, 1)
        except BlockingIOError:
            if time.monotonic() < until:
                return False
            self.find(f"fork: the child {pid} hangs")
            os.kill(pid, signal.SIGKILL)
        os.close(answer)
        return True

    def reap(self) -> None:
        for pid in list(self.forked):
            with contextlib.suppress(ChildProcessError):  # whoever waited for it was faster
                if os.waitpid(pid, os.WNOHANG) == (0, 0):
                    continue
            del self.forked[pid]

    # Plain threads.

    def act_in_thread(self, name: str) -> None:
        rng = self.rng(name)
        while not self.draining.is_set():
            plan = draw_plan(rng, self.ground)
            with self.judged(name):
                self.climb_in_thread(name, plan, 0, rng)
            time.sleep(plan.pause_s)
        for place in self.ground.places:
            with self.judged(name):
                self.climb_in_thread(name, _last_plan(place), 0, rng)
                self.counts["drained"] += 1

    def climb_in_thread(self, name: str, plan: Plan, at: int, rng: random.Random) -> None:
        if at == len(plan.steps):
            time.sleep(plan.dwell_s)
            return
        step = plan.steps[at]
        lingering = None
        with self.take_in_thread(name, step, rng) as hold:  # noqa: SIM117 - two things, and the order matters
            with self.witness.inside(step.place.number, _mode(step), f"{name} on {step.place.name}"):
                self.counts["holds"] += 1
                lingering = self.play_in_thread(step, hold)
                self.climb_in_thread(name, plan, at + 1, rng)
        if lingering is not None:
            _say_released(lingering)

    def take_in_thread(self, name: str, step: Step, rng: random.Random) -> Any:
        place = step.place
        wait = step.manner == "wait"
        if place.kind == "pack":
            if not wait:
                return PackLock.open(place.root).acquire(step.after_s)
            with self.waiting(name, place):
                return PackLock.open(place.root).acquire()
        if place.kind != "manifest" and not wait:
            return _lock(place).try_acquire()
        # A loop of its own for one lock, which ends before the lock is released.
        policy = None if wait else WaitPolicy(timeout_s=step.after_s)
        with self.waiting(name, place) if wait else contextlib.nullcontext():
            return anyio.run(_acquire, step, policy, backend=rng.choice(_BACKENDS))

    # The life of a worker.

    def warm_up(self) -> None:
        """Load whatever is loaded late, with a lock that has to be waited for on each loop and in a thread."""
        pack = self.ground.base / "warm" / f"{self.settings.slot}-{self.settings.life}"
        pack.mkdir(parents=True)
        place = Place(-1, "pack", pack, pack / ".grex-lock")

        def wait_for_a_stranger() -> Any:
            lock = PackLock.open(pack)
            fd = os.open(place.file, os.O_RDWR | os.O_CLOEXEC)
            fcntl.flock(fd, fcntl.LOCK_EX)
            if self.timers is not None:
                self.timers.after(0.02, lambda: os.close(fd))
            return lock

        for backend in _BACKENDS:
            anyio.run(wait_for_a_stranger().acquire_async, backend=backend).release()
            manifest = Place(-1, "manifest", pack, pack / ".grex.jsonl.lock")
            anyio.run(_acquire, Step(manifest, True, "wait", 0, 1), None, backend=backend).release()
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
        self.timers = _Timers()
        self.warm_up()
        self.timers.end()
        before = self.inventory()
        self.timers = _Timers()
        actors = [threading.Thread(target=self._loop, args=(backend,), name=backend) for backend in _BACKENDS]
        actors += [
            threading.Thread(target=self._guarded, args=(self.act_in_thread, name), name=name)
            for name in (f"thread-{number}" for number in range(self.settings.threads))
        ]
        for actor in actors:
            actor.start()
        while any(actor.is_alive() for actor in actors):
            self.obey()
            self.reap()
            self.complain_of_long_waits()
        self.timers.end()
        self.check_leaks(before)
        self.report()

    def _loop(self, backend: str) -> None:
        self._guarded(lambda name: anyio.run(self.run_loop, name, backend=name), backend)

    def _guarded(self, run: Callable[[str], None], name: str) -> None:
        try:
            run(name)
        except BaseException as error:  # noqa: BLE001 - an actor that is gone would only look like one with nothing to do
            self.find(f"error: the actor {name} ended: {error!r}")

    def obey(self) -> None:
        if not select.select([0], [], [], _TICK_S)[0]:
            return
        command = os.read(0, 1)
        if command == b"d":
            self.draining.set()
        elif command == b"?":
            print(
                json.dumps(
                    {name: [time.monotonic() - since, what] for name, (since, what) in self.waits.copy().items()}
                )
            )
            sys.stdout.flush()
        else:
            os._exit(3)  # whoever started us is gone

    def complain_of_long_waits(self) -> None:
        for name, (since, what) in self.waits.copy().items():
            waited_s = time.monotonic() - since
            if waited_s > self.settings.stuck_s and name not in self.told:
                self.told.add(name)
                self.find(f"stuck: {name} has waited {waited_s:.0f} s for {what}")

    def check_leaks(self, before: Counter[str]) -> None:
        until = time.monotonic() + _SETTLE_S
        while leaks := self.inventory() - before:
            if time.monotonic() > until:
                self.find(f"leak: {dict(leaks)}")
                break
            self.reap()
            time.sleep(0.02)
        while self.forked:
            self.reap()
            time.sleep(0.005)

    def report(self) -> None:
        name = f"{self.settings.slot}-{self.settings.life}.json"
        (self.ground.reports / name).write_text(json.dumps({"pid": os.getpid(), "counts": self.counts}))


def _flat(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [one for inner in error.exceptions for one in _flat(inner)]
    return [error]


def _mode(step: Step) -> Any:
    return "s" if step.shared else "x"


def _last_plan(place: Place) -> Plan:
    return Plan((Step(place, False, "wait", 0, 1.0),), permit=False, dwell_s=0, pause_s=0)


def _lock(place: Place) -> Any:
    if place.kind == "workspace":
        return WorkspaceLock(place.root)
    if place.kind == "backend":
        return BackendLock.for_checkout(place.root)
    return PackLock.open(place.root)


async def _acquire(step: Step, policy: WaitPolicy | None) -> Any:
    if step.place.kind != "manifest":
        return await _lock(step.place).acquire_async(policy)
    lock = ManifestLock(step.place.root)
    return await (lock.acquire_shared(policy) if step.shared else lock.acquire_exclusive(policy))


def _poster() -> Callable[[Callable[[], None]], object]:
    native: Any = anyio.lowlevel.current_token().native_token
    post: Callable[[Callable[[], None]], object] = getattr(native, "call_soon_threadsafe", None) or native.run_sync_soon
    return post


def _say_released(child: subprocess.Popen[bytes]) -> None:
    if child.stdin is not None:
        with contextlib.suppress(OSError):
            child.stdin.write(b".")
            child.stdin.close()


def _flocks_of(key: tuple[int, int]) -> bool:
    """Whether a descriptor of this process keeps an flock on this file."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names are all that is wanted
        try:
            found = os.fstat(int(name))
            if (found.st_dev, found.st_ino) == key:
                lines = Path(f"/proc/self/fdinfo/{name}").read_text("ascii").splitlines()
                if any(line.startswith("lock:") and " FLOCK " in line for line in lines):
                    return True
        except OSError as error:
            if error.errno not in {errno.EBADF, errno.ENOENT}:
                raise
    return False


def main() -> None:
    """Live until told to end."""
    _Worker(Settings(**json.loads(sys.argv[1]))).run()


if __name__ == "__main__":
    main()
