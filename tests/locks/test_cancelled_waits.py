"""Ten thousand waits that come to nothing: what the process has afterwards is what it had before.

The pack is held by another process all the time. A wait ends in one of the ways in which waits are ended, from one of
the places that a waiter can have: at the head of the line, where it watches the lock file; behind a waiter of another
process, where it is connected to that one; and in a crowd of its own process.

An inotify instance stays for as long as its event loop; so each test counts after a first wait.
"""

from __future__ import annotations

import contextlib
import queue
import random
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from pathlib import Path

import anyio
import pytest
import trio

from grex.errors import LockCancelledError
from grex.locks import PACK_LOCK_FILE_NAME, CancelToken, PackHold, PackLock
from tests.support.lock_census import Counter, resident_bytes, tickets_in_line, wait_until
from tests.support.lock_holder import LockHolder
from tests.support.loops import trio_among_the_slow  # noqa: F401 - a fixture

pytestmark = pytest.mark.anyio

MEMORY_BYTES = 2 << 20
CROWD = 50
MANY = 10_000
LONG = {("scope", "head"), ("native", "behind")}
"""What is tried ten thousand times in each run of CI; the others are in `make torture`."""


class Waits:
    """Makes waits for one pack that end before it comes free."""

    def __init__(self, lock: PackLock, fire: Callable[[CancelToken], None]) -> None:
        self._lock = lock
        self._fire = fire
        self._random = random.Random(4)  # noqa: S311 - moments, not secrets
        self._begun = 0
        self.held: list[PackHold] = []

    async def _wait(self) -> None:
        self._begun += 1
        # From here to its first sleep a wait does not yield, so who sees the number sees a wait that sleeps.
        self.held.append(await self._lock.acquire_async())

    async def _until_begun(self, number: int) -> None:
        while self._begun < number:
            await anyio.lowlevel.checkpoint()
        for _ in range(self._random.randrange(4)):
            await anyio.lowlevel.checkpoint()

    async def by_timeout(self) -> None:
        """The library's own time limit."""
        with anyio.move_on_after(self._random.uniform(0.0002, 0.001)):
            await self._wait()

    async def by_token(self) -> None:
        """A token that another thread fires."""
        token = CancelToken()
        self._begun += 1
        self._fire(token)
        with contextlib.suppress(LockCancelledError):
            self.held.append(await self._lock.acquire_cancellable(token))

    async def by_scope(self) -> None:
        """A cancel scope of anyio around a task."""
        target = self._begun + 1
        async with anyio.create_task_group() as group:
            group.start_soon(self._wait)
            await self._until_begun(target)
            group.cancel_scope.cancel()

    async def natively(self) -> None:
        """As programs do that know nothing of anyio: `task.cancel()`, or a scope of trio."""
        target = self._begun + 1
        if _runs_trio():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._wait)
                await self._until_begun(target)
                nursery.cancel_scope.cancel()
            return
        import asyncio  # noqa: PLC0415, TID251 - the very thing that is tested here

        task = asyncio.get_running_loop().create_task(self._wait())
        await self._until_begun(target)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def in_a_crowd(self) -> None:
        """Many at once, cancelled one by one in any order."""
        target = self._begun + CROWD
        scopes = [anyio.CancelScope() for _ in range(CROWD)]

        async def wait_within(scope: anyio.CancelScope) -> None:
            with scope:
                await self._wait()

        async with anyio.create_task_group() as group:
            for scope in scopes:
                group.start_soon(wait_within, scope)
            await self._until_begun(target)
            self._random.shuffle(scopes)
            for scope in scopes:
                scope.cancel()
                if self._random.randrange(2):
                    await anyio.lowlevel.checkpoint()


def _runs_trio() -> bool:
    try:
        trio.lowlevel.current_task()
    except RuntimeError:
        return False
    return True


WAYS: dict[str, Callable[[Waits], Callable[[], Awaitable[None]]]] = {
    "timeout": lambda waits: waits.by_timeout,
    "token": lambda waits: waits.by_token,
    "scope": lambda waits: waits.by_scope,
    "native": lambda waits: waits.natively,
    "crowd": lambda waits: waits.in_a_crowd,
}


@pytest.fixture
def fire() -> Generator[Callable[[CancelToken], None]]:
    """Fires tokens from a thread of its own, which is there before anything is counted."""
    tokens: queue.SimpleQueue[CancelToken | None] = queue.SimpleQueue()

    def run() -> None:
        while (token := tokens.get()) is not None:
            token.fire()

    thread = threading.Thread(target=run)
    thread.start()
    yield tokens.put
    tokens.put(None)
    thread.join()


@contextlib.asynccontextmanager
async def pack_held_elsewhere(pack: Path, *, behind_a_waiter: bool) -> AsyncGenerator[PackLock]:
    """A pack that another process holds, and for which a third one waits if told to; in the end both get their way."""
    lock = PackLock.open(pack)
    with contextlib.ExitStack() as stack:
        holder = stack.enter_context(LockHolder("pack", pack))
        assert holder.ask("take") == "held"
        waiter = None
        if behind_a_waiter:
            waiter = stack.enter_context(LockHolder("pack", pack))
            waiter.send("take")
            pid = waiter.pid
            file = pack / PACK_LOCK_FILE_NAME
            wait_until(lambda: [p for _, p in tickets_in_line(file)] == [pid], "the other waiter is in the line")
        yield lock
        assert holder.ask("release") == "ok"
        if waiter is not None:
            assert waiter.answer() == "held"
            assert waiter.ask("release") == "ok"
        lock.try_acquire().release()


@pytest.mark.invariant("L2")
@pytest.mark.invariant("L7")
@pytest.mark.parametrize(
    ("number", "way", "place"),
    [
        pytest.param(
            number,
            way,
            place,
            marks=[pytest.mark.slow if (way, place) in LONG else pytest.mark.exhaustive, pytest.mark.timeout(600)]
            if number == MANY
            else [],
        )
        for number in (100, MANY)
        for way in WAYS
        for place in ("head", "behind")
    ],
)
async def test_cancelled_waits_leave_nothing_and_never_hold(
    tmp_path: Path, number: int, way: str, place: str, fire: Callable[[CancelToken], None]
) -> None:
    count = Counter()
    async with pack_held_elsewhere(tmp_path / "pack", behind_a_waiter=place == "behind") as lock:
        waits = Waits(lock, fire)
        wait = WAYS[way](waits)
        each = CROWD if way == "crowd" else 1
        grown: list[int] = []
        before, memory = count(), resident_bytes()
        for _ in range(4):
            for _ in range(number // 4 // each):
                await wait()
            if not grown:
                before = count()
                assert (before.watches, before.tickets, before.mutexes, before.frames) == (0, 0, 0, 0)
            assert count() == before
            grown.append(resident_bytes() - memory)
            memory += grown[-1]
        # What is lost with each wait is lost in each quarter; that an allocator takes a few pages more is seen in one.
        assert min(grown[1:]) <= MEMORY_BYTES / 4
        assert waits.held == []


@pytest.mark.invariant("L2")
@pytest.mark.parametrize("place", ["head", "behind"])
async def test_a_thousand_waiters_cost_no_more_of_the_kernels_than_one(tmp_path: Path, place: str) -> None:
    """Told as steps.

    - One task waits: what it needs is counted.
    - A thousand wait: no descriptor, watch or thread more; all of them stand in the line.
    - All are cancelled: everything is as before the first.
    """
    count = Counter()
    held: list[PackHold] = []

    async with pack_held_elsewhere(tmp_path / "pack", behind_a_waiter=place == "behind") as lock:

        async def wait() -> None:
            held.append(await lock.acquire_async())

        async with anyio.create_task_group() as warm_up:
            warm_up.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            warm_up.cancel_scope.cancel()
        before = count()
        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            one = count()
            for _ in range(999):
                group.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            crowd = count()
            group.cancel_scope.cancel()
        assert (crowd.descriptors, crowd.threads) == (one.descriptors, one.threads)
        assert crowd.watches <= 1  # none at the moment in which an event has ended it
        assert (one.threads, one.mutexes, one.tickets) == (before.threads, 1, 1)
        assert (crowd.mutexes, crowd.tickets) == (1, 1000)
        assert count() == before
    assert held == []
