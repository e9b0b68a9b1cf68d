"""What takes the locks: tasks of an event loop, and plain threads."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel

from grex.errors import LockTimeoutError
from grex.locks import CancelToken, PackLock, PermitPool, WaitPolicy, set_verb
from tests.support.lock_torture.plan import Plan, Step, draw_plan
from tests.support.lock_torture.scene import Scene, acquire, last_plan, lock_of, mode_of
from tests.support.lock_torture.tricks import Tricks, say_released

__all__ = ["BACKENDS", "TaskActors", "ThreadActors"]

BACKENDS = ("asyncio", "trio")


class TaskActors:
    """The tasks of one event loop."""

    def __init__(self, scene: Scene, tricks: Tricks, count: int) -> None:
        self._scene = scene
        self._tricks = tricks
        self._count = count

    async def run(self, backend: str) -> None:
        """Run all of them, until they were told to drain and have."""
        pool = PermitPool("network" if backend == "asyncio" else "disk", max(1, self._count - 1))
        async with anyio.create_task_group() as group:
            for number in range(self._count):
                group.start_soon(self._act, f"{backend}-{number}", pool)

    async def _act(self, name: str, pool: PermitPool) -> None:
        rng = self._scene.rng(name)
        set_verb("sync")
        while not self._scene.draining.is_set():
            plan = draw_plan(rng, self._scene.ground)
            with self._scene.judged(name):
                if plan.steps[0].trick > 0.95 and plan.steps[0].place.kind == "pack":
                    await self._duel(name, plan.steps[0], rng=rng)
                elif plan.permit and plan.steps[0].place.kind != "workspace":
                    async with pool.hold():
                        await self._climb(name, plan, 0)
                else:
                    await self._climb(name, plan, 0)
            await anyio.sleep(plan.pause_s)
        for place in self._scene.ground.places:
            with self._scene.judged(name):
                await self._climb(name, last_plan(place), 0)
                self._scene.counts["drained"] += 1

    async def _climb(self, name: str, plan: Plan, at: int) -> None:
        if at == len(plan.steps):
            await anyio.sleep(plan.dwell_s)
            return
        step = plan.steps[at]
        hold = await self._take(name, step)
        if hold is None:
            self._scene.counts["cancelled"] += 1
            return
        lingering = None
        try:
            async with hold:
                with self._scene.witness.inside(step.place.number, mode_of(step), f"{name} on {step.place.name}"):
                    self._scene.counts["holds"] += 1
                    await self._tricks.probe(name, step, hold)
                    with anyio.CancelScope(shield=True):
                        lingering = await self._tricks.play(step, hold)
                    await self._climb(name, plan, at + 1)
                await self._tricks.hand_over(name, step, hold)
        finally:
            say_released(lingering)

    async def _take(self, name: str, step: Step) -> Any:
        place = step.place
        if step.manner == "try" and place.kind != "manifest":
            return lock_of(place).try_acquire()
        if step.manner in {"try", "no_wait"}:
            return await acquire(step, WaitPolicy(no_wait=True))
        if step.manner == "timeout":
            return await acquire(step, WaitPolicy(timeout_s=step.after_s))
        if step.manner == "token" and place.kind == "pack":
            token = CancelToken()
            self._scene.timers.after(step.after_s, token.fire)
            return await PackLock.open(place.root).acquire_cancellable(token)
        if step.manner == "wait":
            with self._scene.waiting(name, place):
                return await acquire(step, None)
        with anyio.CancelScope() as scope:
            if step.manner == "deadline":
                scope.deadline = anyio.current_time() + step.after_s
            else:
                post = _poster()
                self._scene.timers.after(step.after_s, lambda: post(scope.cancel))
            return await acquire(step, None)
        return None

    async def _duel(self, name: str, step: Step, rng: random.Random) -> None:
        """Two tasks of one loop: the first releases, and cancels the second in the tick of its grant, or near it."""
        place, scope, go = step.place, anyio.CancelScope(), anyio.Event()

        async def second() -> None:
            await go.wait()
            hold = None
            with scope:
                hold = await acquire(step, None)
            self._scene.counts["duels lost" if hold is None else "duels won"] += 1
            if hold is not None:
                async with hold:
                    with self._scene.witness.inside(place.number, "x", f"{name} in a duel on {place.name}"):
                        await anyio.lowlevel.checkpoint()

        async with anyio.create_task_group() as group:
            group.start_soon(second)
            try:
                hold = await acquire(step, WaitPolicy(timeout_s=0.5))
            except LockTimeoutError:
                group.cancel_scope.cancel()
                return
            with self._scene.witness.inside(place.number, "x", f"{name} on {place.name}"):
                go.set()
                for _ in range(2 + rng.randrange(5)):
                    await anyio.lowlevel.checkpoint()
            if rng.random() < 0.3:
                scope.cancel()
            hold.release()
            for _ in range(rng.choice((0, 0, 1, 2, 3))):
                await anyio.lowlevel.checkpoint()
            scope.cancel()


class ThreadActors:
    """Plain threads, which begin with an empty tier stack and run a loop now and then."""

    def __init__(self, scene: Scene, tricks: Tricks) -> None:
        self._scene = scene
        self._tricks = tricks

    def run(self, name: str) -> None:
        """Be one of them, until told to drain and through with it."""
        rng = self._scene.rng(name)
        while not self._scene.draining.is_set():
            plan = draw_plan(rng, self._scene.ground)
            with self._scene.judged(name):
                self._climb(name, plan, 0, rng)
            time.sleep(plan.pause_s)
        for place in self._scene.ground.places:
            with self._scene.judged(name):
                self._climb(name, last_plan(place), 0, rng)
                self._scene.counts["drained"] += 1

    def _climb(self, name: str, plan: Plan, at: int, rng: random.Random) -> None:
        if at == len(plan.steps):
            time.sleep(plan.dwell_s)
            return
        step = plan.steps[at]
        lingering = None
        try:
            with (
                self._take(name, step, rng) as hold,
                self._scene.witness.inside(step.place.number, mode_of(step), f"{name} on {step.place.name}"),
            ):
                self._scene.counts["holds"] += 1
                lingering = self._tricks.play_in_thread(step, hold)
                self._climb(name, plan, at + 1, rng)
        finally:
            say_released(lingering)

    def _take(self, name: str, step: Step, rng: random.Random) -> Any:
        place = step.place
        wait = step.manner == "wait"
        if place.kind == "pack":
            if not wait:
                return PackLock.open(place.root).acquire(step.after_s)
            with self._scene.waiting(name, place):
                return PackLock.open(place.root).acquire()
        if place.kind != "manifest" and not wait:
            return lock_of(place).try_acquire()
        # A loop of its own for one lock, which ends before the lock is released.
        policy = None if wait else WaitPolicy(timeout_s=step.after_s)
        with self._scene.waiting(name, place) if wait else contextlib.nullcontext():
            return anyio.run(acquire, step, policy, backend=rng.choice(BACKENDS))


def _poster() -> Callable[[Callable[[], None]], object]:
    native: Any = anyio.lowlevel.current_token().native_token
    post: Callable[[Callable[[], None]], object] = getattr(native, "call_soon_threadsafe", None) or native.run_sync_soon
    return post
