"""The torture of the locks: workers that mix everything, disturbances, and the judgement.

`torture(base, options)` runs for so many seconds and gives an `Outcome`; what is wrong ends it at once. What is drawn
from the seed is what everybody does next; in which order they come to do it is the machine's. Judges, none of which
relies on another:

- the *witness* (`witness`): who is inside of a lock is alone there, by a kernel primitive of another kind;
- the *trace* of all workers, through `lock_trace_checker`, and for the order in which waiters were served;
- the *drain*: after the disturbances every actor takes every lock once more, and everybody ends within a bound;
- the *inventory* of each worker before and after, and of `/proc/locks` when all have ended.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from grex.locks import PackLock
from tests.support.lock_torture.ground import Ground, findings_in, report_finding
from tests.support.lock_torture.outcome import Outcome, judge_trace
from tests.support.lock_torture.sweeper import Sweep, Sweeper
from tests.support.lock_torture.witness import Witness
from tests.support.lock_torture.worker import Settings

__all__ = ["Options", "torture"]

_ROOT = Path(__file__).resolve().parents[3]
_TICK_S = 0.02
_KILL_PARENT_S = 1.0
_ANSWER_S = 0.5  # for answers that are for people
_BURN = "import os\np = os.getppid()\nwhile os.getppid() == p:\n    sum(range(100_000))\n"


@dataclass(frozen=True)
class Options:
    """How to torture.

    Attributes:
        seed: What everything is drawn from.
        seconds: How long the disturbances last.
        workers: How many processes take locks.
        tasks: How many tasks each of a worker's two loops runs.
        threads: How many plain threads a worker has besides.
        strangers: How many processes lock packs with a plain flock.
        burners: How many processes keep the processors busy.
        kill_every_s: How much time lies between two kills, on average.
        stop_every_s: How much time lies between two suspensions, on average.
        sweep_every_s: How much time lies between two attacks on a lock file, on average.
        sweep: Which lock files are attacked while they are held; the others, while nobody holds them.
        drain_s: How long everybody may take to end after the disturbances.
        stuck_s: How long a wait may take at any time.
    """

    seed: str
    seconds: float = 60.0
    workers: int = 4
    tasks: int = 3
    threads: int = 2
    strangers: int = 1
    burners: int = 2
    kill_every_s: float = 1.0
    stop_every_s: float = 1.0
    sweep_every_s: float = 0.1
    sweep: Sweep = "guarded"
    drain_s: float = 20.0
    stuck_s: float = 25.0


@dataclass
class _Life:
    """One process of ours, and what is to be known of it."""

    process: subprocess.Popen[bytes]
    number: int
    trace: Path | None
    log: Path
    stopped_at: int = 0
    stopped_until: float | None = None

    @property
    def pid(self) -> int:
        return self.process.pid


class _Torture:
    def __init__(self, base: Path, options: Options) -> None:
        self.options = options
        self.ground = Ground(base)
        self.rng = random.Random(options.seed)  # noqa: S311 - what happens when, not a secret
        self.outcome = Outcome()
        self.workers: dict[int, _Life] = {}
        self.strangers: dict[int, _Life] = {}
        self.burners: list[subprocess.Popen[bytes]] = []
        self.lives = itertools.count()
        self.all: list[_Life] = []
        self.killed: set[int] = set()
        self.suspensions: list[tuple[int, int, int]] = []
        self.kill_parent_until: float | None = None
        self.environ = {
            name: value for name, value in os.environ.items() if not name.startswith(("GREX_", "GIT_", "COV_"))
        } | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "HOME": str(base)}
        self.sweeper = Sweeper(self.ground, self.rng, options.sweep, self.environ)

    # Beginning and end.

    def run(self) -> Outcome:
        started = time.monotonic()
        try:
            self.make_ground()
            for slot in range(self.options.workers):
                self.start_worker(slot)
            for slot in range(self.options.strangers):
                self.start_stranger(slot)
            self.burners = [
                subprocess.Popen([sys.executable, "-S", "-c", _BURN], stdin=subprocess.DEVNULL)
                for _ in range(self.options.burners)
            ]
            self.disturb(time.monotonic() + self.options.seconds)
            self.continue_all()
            if not self.found():
                self.drain()
            elif self.is_stuck():
                self.dump([*self.workers.values()])
        finally:
            if self.found():
                self.outcome.found_after_s = time.monotonic() - started
            self.end_everything()
        self.outcome.findings += findings_in(self.ground.base)
        self.judge_traces()
        self.outcome.seconds = time.monotonic() - started
        return self.outcome

    def make_ground(self) -> None:
        self.ground.make()
        self.witness = Witness(self.ground.witness)
        for place in self.ground.packs("kept"):
            subprocess.run(["git", "init", "--quiet", str(place.root)], check=True, env=self.environ)
        for place in self.ground.packs("kept", "plain", "steady"):
            PackLock.open(place.root).try_acquire().release()

    def found(self) -> bool:
        return (self.ground.base / "findings").exists()

    def find(self, text: str) -> None:
        report_finding(self.ground.base, text)

    # Processes.

    def start(self, name: str, arguments: list[str], slot: int, *, traced: bool) -> _Life:
        number = next(self.lives)
        trace = self.ground.traces / f"{number:05}.jsonl" if traced else None
        log = self.ground.reports / f"{number:05}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", f"tests.support.lock_torture.{name}", *arguments],
                cwd=_ROOT,
                env=self.environ | ({"GREX_LOCK_TRACE": str(trace)} if trace else {}),
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
            )
        life = _Life(process, slot, trace, log)
        self.all.append(life)
        return life

    def start_worker(self, slot: int) -> None:
        options = self.options
        settings = Settings(
            base=str(self.ground.base),
            slot=slot,
            life=sum(life.number == slot and life.trace is not None for life in self.all),
            seed=options.seed,
            tasks=options.tasks,
            threads=options.threads,
            stuck_s=options.stuck_s,
        )
        self.workers[slot] = self.start("worker", [settings.render()], slot, traced=True)

    def start_stranger(self, slot: int) -> None:
        seed = f"{self.options.seed}/stranger/{slot}/{len(self.all)}"
        self.strangers[slot] = self.start("stranger", [str(self.ground.base), seed], slot, traced=False)

    def kill(self, life: _Life) -> None:
        self.killed.add(life.pid)
        life.process.kill()
        life.process.wait()
        if life.process.stdin is not None:
            life.process.stdin.close()

    def end_everything(self) -> None:
        for life in self.all:
            if life.process.poll() is None:
                self.kill(life)
            if life.process.stdin is not None:
                life.process.stdin.close()
        for burner in self.burners:
            burner.kill()
            burner.wait()

    # Disturbances.

    def disturb(self, until: float) -> None:
        while time.monotonic() < until and not self.found():
            self.look_after_processes()
            self.kill_a_parent()
            for every_s, disturbance in (
                (self.options.kill_every_s, self.kill_one),
                (self.options.stop_every_s, self.stop_one),
                (self.options.sweep_every_s, self.sweep_one),
            ):
                if self.rng.random() < _TICK_S / every_s:
                    disturbance()
            time.sleep(_TICK_S)

    def look_after_processes(self) -> None:
        now = time.monotonic()
        for life in (*self.workers.values(), *self.strangers.values()):
            if life.process.poll() is not None:
                self.find(f"error: pid {life.pid} ended by itself with {life.process.returncode}: {_tail(life.log)}")
            elif life.stopped_until is not None and life.stopped_until < now:
                self.let_go_on(life)

    def kill_one(self) -> None:
        if self.strangers and self.rng.random() < 0.15:
            slot = self.rng.choice(list(self.strangers))
            self.outcome.counts["kills"] += 1
            self.kill(self.strangers[slot])
            self.start_stranger(slot)
        elif self.rng.random() < 0.5:
            self.kill_parent_until = time.monotonic() + _KILL_PARENT_S
        else:
            self.kill_worker(self.rng.choice(list(self.workers)))

    def kill_worker(self, slot: int) -> None:
        self.outcome.counts["kills"] += 1
        self.kill(self.workers[slot])
        self.start_worker(slot)

    def kill_a_parent(self) -> None:
        """Kill a worker whose child is at work under a checkout's lock; if none comes in time, any worker."""
        if self.kill_parent_until is None:
            return
        slots = {life.pid: slot for slot, life in self.workers.items()}
        for place in self.ground.places:
            child = self.witness.child_at_work(place.number) if place.has_children else None
            parent = None if child is None else _parent_of(child)
            if parent in slots:
                self.outcome.counts["kills with a child at work"] += 1
                self.kill_parent_until = None
                self.kill_worker(slots[parent])
                return
        if time.monotonic() > self.kill_parent_until:
            self.kill_parent_until = None
            self.kill_worker(self.rng.choice(list(self.workers)))

    def stop_one(self) -> None:
        life = self.rng.choice(list(self.workers.values()))
        if life.stopped_until is None and life.process.poll() is None:
            self.outcome.counts["suspensions"] += 1
            life.stopped_at = time.monotonic_ns()
            life.stopped_until = time.monotonic() + self.rng.choice((0.05, 0.3, 1.2))
            life.process.send_signal(signal.SIGSTOP)

    def sweep_one(self) -> None:
        if manner := self.sweeper.sweep_one():
            self.outcome.counts[manner] += 1

    def let_go_on(self, life: _Life) -> None:
        life.stopped_until = None
        life.process.send_signal(signal.SIGCONT)
        self.suspensions.append((life.pid, life.stopped_at, time.monotonic_ns()))

    # After the disturbances.

    def continue_all(self) -> None:
        for life in self.workers.values():
            if life.stopped_until is not None:
                self.let_go_on(life)

    def is_stuck(self) -> bool:
        return any(finding.startswith("stuck") for finding in findings_in(self.ground.base))

    def drain(self) -> None:
        living = [*self.workers.values(), *self.strangers.values()]
        for burner in self.burners:
            burner.kill()
        for life in living:
            self.tell(life, b"d")
        began = time.monotonic()
        while waiting := [life for life in living if life.process.poll() is None]:
            if time.monotonic() - began > self.options.drain_s or self.is_stuck():
                self.dump(waiting)
                return
            time.sleep(_TICK_S)
        self.outcome.counts["drained in ms"] = round(1000 * (time.monotonic() - began))
        for life in living:
            if life.process.returncode != 0:
                self.find(f"error: pid {life.pid} ended with {life.process.returncode}: {_tail(life.log)}")
        self.check_locks_left()

    def dump(self, waiting: list[_Life]) -> None:
        """Say who waits for what, and what the kernel knows; the log of each worker has the stacks of its threads."""
        for life in waiting:
            self.tell(life, b"?")
        time.sleep(_ANSWER_S)
        for life in waiting:
            self.find(f"stuck: pid {life.pid} (worker {life.number}) has not ended; see {life.log}: {_tail(life.log)}")
            if life.trace is not None:
                life.process.send_signal(signal.SIGUSR1)
        self.find("locks: " + "; ".join(self.locks_of_the_run()))
        time.sleep(_ANSWER_S)

    def tell(self, life: _Life, command: bytes) -> None:
        if life.process.stdin is not None:
            with contextlib.suppress(OSError):  # it has ended meanwhile
                life.process.stdin.write(command)
                life.process.stdin.flush()

    def check_locks_left(self) -> None:
        """Once all have ended, the kernel knows of no lock on any of the files; children get a moment to end."""
        until = time.monotonic() + 5
        while left := self.locks_of_the_run():
            if time.monotonic() > until:
                self.find(f"leak: locks that outlive everybody: {left}")
                return
            time.sleep(_TICK_S)

    def locks_of_the_run(self) -> list[str]:
        """Lines of `/proc/locks` that concern our files or our processes."""
        inodes = {str(self.ground.witness.stat().st_ino): "witness"}
        for place in self.ground.places:
            for path in (place.file, place.kept):
                with contextlib.suppress(OSError):
                    inodes[str(path.stat().st_ino)] = place.name
        pids = {str(life.pid) for life in self.all}
        device = self.witness.device()
        found = []
        for line in Path("/proc/locks").read_text("ascii").splitlines():
            fields = [part for part in line.split() if part != "->"]
            on, _, inode = fields[5].rpartition(":")
            if on == device and (fields[4] in pids or inode in inodes):
                found.append(f"{line} ({inodes.get(inode, 'a file that was swept away')})")
        return found

    # The traces.

    def judge_traces(self) -> None:
        outcome = self.outcome
        judge_trace(outcome, list(self.trace_lines()), self.ground, self.suspensions)
        slots = {life.pid: life.number for life in self.all if life.trace is not None}
        for pid, holds in outcome.served_by_pid.items():
            outcome.served[slots[pid]] = outcome.served.get(slots[pid], 0) + holds
        for report in self.ground.reports.glob("*.json"):
            outcome.counts.update(json.loads(report.read_text()))

    def trace_lines(self) -> Iterator[bytes]:
        """All lines, without the last one of a process that was killed while it wrote it."""
        for life in self.all:
            if life.trace is None or not life.trace.exists():
                continue
            with life.trace.open("rb") as lines:
                for line in lines:
                    if line.endswith(b"\n") or life.pid not in self.killed:
                        yield line


def _parent_of(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    return int(stat[stat.rfind(b")") + 2 :].split()[1])


def _tail(log: Path) -> str:
    return log.read_text("utf-8", "replace")[-1500:]


def torture(base: Path, options: Options) -> Outcome:
    """Torture the locks in an empty directory, and judge."""
    return _Torture(base, options).run()
