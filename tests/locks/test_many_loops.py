"""One process with several event loops and plain threads that want the same pack."""

from __future__ import annotations

import contextlib
import gc
import queue
import random
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Generator
from pathlib import Path
from typing import Any

import anyio
import pytest

from grex.errors import LockTimeoutError
from grex.locks import PACK_LOCK_FILE_NAME, CancelToken, PackHold, PackLock, WaitPolicy
from grex.locks.path_mutex import PATH_MUTEXES, PathMutexes
from grex.locks.protocol import Standing
from tests.support.lock_census import Counter as Resources
from tests.support.lock_census import tickets_in_line, wait_until
from tests.support.lock_holder import LockHolder
from tests.support.no_timers import NEVER_S

pytestmark = pytest.mark.invariant("L8")

ROUNDS = 1_000
PATIENCE_S = 60.0
FEWEST_HOLDS = 50


class Pack:
    """A pack, and a count of who is in it that any overlap would spoil."""

    def __init__(self, lock: PackLock) -> None:
        self.lock = lock
        self._inside = 0
        self.most = 0
        self.holds: Counter[str] = Counter()
        self.cancelled: Counter[str] = Counter()

    def enter(self, name: str) -> None:
        """Count in."""
        self._inside += 1
        self.most = max(self.most, self._inside)
        self.holds[name] += 1

    def leave(self) -> None:
        """Count out."""
        self._inside -= 1

    async def work_in_loop(self, name: str, rounds: int) -> None:
        """Take the pack again and again in a task, and give up at random."""
        moments = random.Random(name)  # noqa: S311 - moments, not secrets
        for _ in range(rounds):
            patience_s = moments.choice([0.0005, 0.005, PATIENCE_S])
            with anyio.move_on_after(patience_s) as scope:
                async with await self.lock.acquire_async():
                    self.enter(name)
                    with anyio.CancelScope(shield=True):
                        await anyio.lowlevel.checkpoint()
                    self.leave()
            if scope.cancelled_caught:
                assert patience_s < PATIENCE_S, f"{name} was stuck"
                self.cancelled[name] += 1

    def work_in_thread(self, name: str, rounds: int) -> None:
        """Take the pack again and again in a thread, and give up at random."""
        moments = random.Random(name)  # noqa: S311 - moments, not secrets
        for _ in range(rounds):
            patience_s = moments.choice([0.0005, 0.005, PATIENCE_S])
            try:
                with self.lock.acquire(timeout_s=patience_s):
                    self.enter(name)
                    threading.Event().wait(0.00001)  # lets another thread run
                    self.leave()
            except LockTimeoutError:
                assert patience_s < PATIENCE_S, f"{name} was stuck"
                self.cancelled[name] += 1


def run_together(runs: dict[str, Callable[[], object]]) -> None:
    """Run each in a thread of its own until all have ended; the first error is raised here."""
    errors: list[BaseException] = []

    def run(one: Callable[[], object]) -> None:
        try:
            one()
        except BaseException as error:  # noqa: BLE001 - carried to the thread of the test
            errors.append(error)

    threads = [threading.Thread(target=run, args=(one,), name=name, daemon=True) for name, one in runs.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S * 1.5)
    assert [thread.name for thread in threads if thread.is_alive()] == []
    for error in errors:
        raise error


@pytest.mark.invariant("L1")
@pytest.mark.invariant("L7")
@pytest.mark.parametrize("each", [1, 3], ids=["one of each", "three of each"])
def test_loops_of_both_libraries_and_threads_share_a_pack_with_random_cancels(tmp_path: Path, each: int) -> None:
    count = Resources()
    pack = Pack(PackLock.open(tmp_path / "pack"))
    pack.lock.try_acquire().release()
    before = count()
    rounds = ROUNDS // each
    runs: dict[str, Callable[[], object]] = {}
    for number in range(each):
        for backend in ("asyncio", "trio"):
            name = f"{backend} {number}"
            runs[name] = lambda name=name, backend=backend: anyio.run(  # type: ignore[misc]  # mypy cannot type a default in a lambda
                pack.work_in_loop, name, rounds, backend=backend
            )
        name = f"thread {number}"
        runs[name] = lambda name=name: pack.work_in_thread(name, rounds)  # type: ignore[misc]  # as above
    run_together(runs)
    assert pack.most == 1
    for name in runs:
        assert pack.holds[name] + pack.cancelled[name] == rounds
        assert pack.holds[name] >= FEWEST_HOLDS, pack.holds
    assert sum(pack.cancelled.values()) > 0
    assert count() == before


class Arrivals:
    """Tells when an attempt has its place in the line: at once, or after a try in vain at the front."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._arrived: queue.SimpleQueue[None] = queue.SimpleQueue()
        enter, queue_up = PathMutexes.enter, PathMutexes.queue

        def enter_and_tell(*arguments: Any, **keywords: Any) -> Any:
            standing = enter(*arguments, **keywords)
            if standing is Standing.QUEUED:
                self._arrived.put(None)
            return standing

        def queue_and_tell(*arguments: Any, **keywords: Any) -> Any:
            is_front = queue_up(*arguments, **keywords)
            self._arrived.put(None)
            return is_front

        monkeypatch.setattr(PathMutexes, "enter", enter_and_tell)
        monkeypatch.setattr(PathMutexes, "queue", queue_and_tell)

    def wait(self) -> None:
        """Wait for one more."""
        self._arrived.get(timeout=PATIENCE_S)


class Loop:
    """An event loop in a thread of its own that runs what it is given, as tasks, until it is told to end."""

    def __init__(self, backend: str) -> None:
        self._ready = threading.Event()
        self._token: Any = None
        self._group: Any = None
        self._end: Any = None
        self._thread = threading.Thread(target=anyio.run, args=(self._main,), kwargs={"backend": backend})
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)

    async def _main(self) -> None:
        self._token = anyio.lowlevel.current_token()
        self._end = anyio.Event()
        async with anyio.create_task_group() as self._group:
            self._ready.set()
            await self._end.wait()

    def call(self, function: Callable[..., object], *arguments: object) -> None:
        """Run a function in the loop."""
        anyio.from_thread.run_sync(lambda: function(*arguments), token=self._token)

    def start(self, task: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start a task in the loop."""
        self.call(self._group.start_soon, task)

    def end(self) -> None:
        """Let the loop end when its tasks have."""
        self.call(self._end.set)
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()


@pytest.fixture
def loops() -> Generator[list[Loop]]:
    """Two loops of each library."""
    made = [Loop(backend) for backend in ("asyncio", "trio", "asyncio", "trio")]
    yield made
    for loop in made:
        loop.end()


@pytest.mark.invariant("L5")
@pytest.mark.parametrize("holder_is", ["this process", "another process"])
def test_waiters_of_all_loops_are_served_in_the_order_they_came_without_the_cancelled_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loops: list[Loop], holder_is: str
) -> None:
    lock = PackLock.open(tmp_path / "pack")
    choice = random.Random(5)  # noqa: S311 - an order, not a secret
    served: list[int] = []
    scopes: dict[int, tuple[Loop, anyio.CancelScope]] = {}

    def waiter(number: int, loop: Loop) -> Callable[[], Coroutine[Any, Any, None]]:
        async def wait() -> None:
            with anyio.CancelScope() as scope:
                scopes[number] = (loop, scope)
                with await lock.acquire_async():
                    served.append(number)

        return wait

    def in_thread(number: int) -> None:
        with lock.acquire():
            served.append(number)

    threads: list[threading.Thread] = []
    with LockHolder("pack", tmp_path / "pack") as holder:
        mine = None
        if holder_is == "this process":
            mine = lock.try_acquire()
            mine._grant.frame.deactivate()
        else:
            assert holder.ask("take") == "held"
        arrivals = Arrivals(monkeypatch)
        for number in range(60):
            place = choice.randrange(len(loops) + 1)
            if place == len(loops):
                threads.append(threading.Thread(target=in_thread, args=(number,)))
                threads[-1].start()
            else:
                loops[place].start(waiter(number, loops[place]))
            arrivals.wait()
        cancelled = set(choice.sample(sorted(scopes), 20))
        for number in cancelled:
            loop, scope = scopes[number]
            loop.call(scope.cancel)
        if mine is not None:
            mine.release()
        else:
            assert holder.ask("release") == "ok"
        for thread in threads:
            thread.join(PATIENCE_S)
        wait_until(lambda: len(served) == 40, "everybody was served")
    assert served == [number for number in range(60) if number not in cancelled]


def go_round(loop: Any) -> None:
    """Let the tasks of an asyncio loop that stands still do what there is to do."""
    import asyncio  # noqa: PLC0415, TID251 - as below

    for _ in range(5):
        loop.run_until_complete(asyncio.sleep(0))


def run_loop_that_is_closed_on_its_waiter(lock: PackLock, begun: Callable[[Any], None]) -> list[Any]:
    """An asyncio loop is closed while a task of it waits for the pack, as `loop.close()` allows; gives the task."""
    import asyncio  # noqa: PLC0415, TID251 - only there can a loop be closed under its tasks

    async def wait() -> PackHold:
        return await lock.acquire_async()

    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # it would say that a task was destroyed, which is what we do
    task = loop.create_task(wait())
    go_round(loop)
    begun(loop)
    loop.close()
    return [task]


@pytest.mark.invariant("L7")
def test_a_waiter_in_the_queue_whose_loop_was_closed_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The task of the closed loop is still referenced, so nothing but its turn can tell that it will never run."""
    lock = PackLock.open(tmp_path / "pack")
    hold = lock.try_acquire()
    hold._grant.frame.deactivate()
    arrivals = Arrivals(monkeypatch)
    tasks = run_loop_that_is_closed_on_its_waiter(lock, lambda _: arrivals.wait())
    served = threading.Event()

    def wait() -> None:
        with contextlib.suppress(LockTimeoutError), lock.acquire(PATIENCE_S / 6):
            served.set()

    thread = threading.Thread(target=wait)
    thread.start()
    arrivals.wait()
    hold.release()
    thread.join()
    assert served.is_set()
    assert tasks[0].done() is False
    tasks.clear()
    gc.collect()
    assert len(PATH_MUTEXES) == 0


@pytest.mark.invariant("L7")
def test_a_token_ends_the_waits_of_others_though_one_of_its_waiters_is_in_a_closed_loop() -> None:
    """To wake that one is an error, and the next one is woken all the same."""
    import asyncio  # noqa: PLC0415, TID251 - as above

    token = CancelToken()
    loop = asyncio.new_event_loop()
    loop.close()
    woken = threading.Event()

    def wake() -> None:
        loop.call_soon_threadsafe(woken.clear)

    token.subscribe(wake)
    token.subscribe(woken.set)
    token.fire()
    assert woken.is_set()


@pytest.mark.invariant("L7")
def test_a_waiter_at_the_front_whose_loop_was_closed_is_passed_over_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process holds the pack, and who would ask for it here will never run: the next one asks instead.

    It finds out as it comes, without the look at reports.
    """
    lock = PackLock.open(tmp_path / "pack")
    with LockHolder("pack", tmp_path / "pack") as holder:
        assert holder.ask("take") == "held"
        arrivals = Arrivals(monkeypatch)
        tasks = run_loop_that_is_closed_on_its_waiter(lock, lambda _: arrivals.wait())
        served = threading.Event()

        async def wait() -> None:
            policy = WaitPolicy(timeout_s=PATIENCE_S / 6, first_report_s=NEVER_S)
            with contextlib.suppress(LockTimeoutError):
                async with await lock.acquire_async(policy):
                    served.set()

        thread = threading.Thread(target=anyio.run, args=(wait,))
        thread.start()
        arrivals.wait()
        assert holder.ask("release") == "ok"
        thread.join()
        assert served.is_set()
        assert tasks[0].done() is False
        assert len(PATH_MUTEXES) == 0
        assert tickets_in_line(tmp_path / "pack" / PACK_LOCK_FILE_NAME) == []


@pytest.mark.invariant("L7")
@pytest.mark.parametrize("last", ["it hears of them", "it does not hear of them any more"])
def test_a_waiter_at_the_front_whose_loop_is_closed_while_others_wait_is_passed_over_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    """Nothing happens any more that could tell those behind it, so each of them has to ask now and then."""
    lock = PackLock.open(tmp_path / "pack")
    with LockHolder("pack", tmp_path / "pack") as holder:
        assert holder.ask("take") == "held"
        arrivals = Arrivals(monkeypatch)
        served = threading.Event()

        async def wait() -> None:
            policy = WaitPolicy(timeout_s=PATIENCE_S / 6, first_report_s=0.01, report_every_s=0.01)
            with contextlib.suppress(LockTimeoutError):
                async with await lock.acquire_async(policy):
                    served.set()

        thread = threading.Thread(target=anyio.run, args=(wait,))

        def queue_behind_it(loop: Any) -> None:
            arrivals.wait()
            thread.start()
            arrivals.wait()
            if last == "it hears of them":
                go_round(loop)  # and has nothing to do

        tasks = run_loop_that_is_closed_on_its_waiter(lock, queue_behind_it)
        assert holder.ask("release") == "ok"
        thread.join()
        assert served.is_set()
        assert tasks[0].done() is False
        assert len(PATH_MUTEXES) == 0
        assert tickets_in_line(tmp_path / "pack" / PACK_LOCK_FILE_NAME) == []
