"""Cancelled waits: nothing of them survives, and they never hold the lock later."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from grex.errors import LockCancelledError, LockError
from grex.locks import PACK_LOCK_FILE_NAME, CancelToken, PackHold, PackLock, held_tiers
from grex.locks.path_mutex import PATH_MUTEXES
from tests.support.lock_holder import LockHolder

Resources = Callable[[], tuple[int, ...]]


@pytest.mark.anyio
@pytest.mark.invariant("L2")
@pytest.mark.invariant("L7")
async def test_a_thousand_cancelled_waits_leave_nothing_and_never_hold(tmp_path: Path, resources: Resources) -> None:
    """Told as steps.

    - Another process holds the pack, and 1,000 tasks wait for it.
    - No thread was made for them, and three descriptors: the file's, the line's and the one where the line is watched.
    - All are cancelled; descriptors, threads and mutexes are as before, and none ever held the pack.
    - The holder lets go, and the pack can be had at once.
    """
    lock = PackLock.open(tmp_path / "pack")
    held: list[PackHold] = []

    async def wait() -> None:
        held.append(await lock.acquire_async())

    with LockHolder("pack", tmp_path / "pack") as holder:
        assert holder.ask("take") == "held"
        before = resources()
        async with anyio.create_task_group() as group:
            for _ in range(1000):
                group.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            fds, watches, threads, mutexes = resources()
            assert (fds, threads, mutexes) == (before[0] + 3, before[2], before[3] + 1)
            assert watches <= before[1] + 1  # none at the moment in which an event has ended it
            group.cancel_scope.cancel()
        assert resources() == before
        assert held_tiers() == ()
        assert holder.ask("release") == "ok"
        lock.try_acquire().release()
        await anyio.wait_all_tasks_blocked()
    assert held == []


@pytest.mark.anyio
@pytest.mark.invariant("L2")
async def test_waits_on_many_packs_that_are_cancelled_close_their_descriptors(
    tmp_path: Path, resources: Resources
) -> None:
    """Each of these is at the head of its line: it has its file open, the line's, and the socket of the line."""
    locks = [PackLock.open(tmp_path / str(number)) for number in range(50)]
    others = [os.open(lock.path / PACK_LOCK_FILE_NAME, os.O_RDWR) for lock in locks]
    for fd in others:
        fcntl.flock(fd, fcntl.LOCK_EX)

    async def wait(lock: PackLock) -> None:
        await lock.acquire_async()
        pytest.fail("a cancelled waiter got the pack")

    async with anyio.create_task_group() as group:
        before = resources()
        for lock in locks:
            group.start_soon(wait, lock)
        await anyio.wait_all_tasks_blocked()
        fds, watches, threads, mutexes = resources()
        assert (fds, threads, mutexes) == (before[0] + 150, before[2], before[3] + 50)
        assert watches <= before[1] + 50
        group.cancel_scope.cancel()
    assert resources() == before
    for fd in others:
        os.close(fd)
    for lock in locks:
        lock.try_acquire().release()


@pytest.mark.anyio
@pytest.mark.invariant("L7")
@pytest.mark.parametrize("cancelled_first", [True, False])
async def test_a_waiter_cancelled_in_the_tick_of_its_grant_passes_the_grant_on(
    tmp_path: Path, cancelled_first: bool
) -> None:
    lock = PackLock.open(tmp_path / "pack")
    hold = await lock.acquire_async()
    scope = anyio.CancelScope()
    got: list[str] = []

    async def wait(name: str, within: anyio.CancelScope) -> None:
        with within:
            async with await lock.acquire_async():
                got.append(name)

    async with anyio.create_task_group() as group:
        # The stack of this task would be theirs too, and to wait for one's own pack is an error.
        hold._grant.frame.deactivate()
        group.start_soon(wait, "cancelled", scope)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(wait, "next", anyio.CancelScope())
        await anyio.wait_all_tasks_blocked()
        if cancelled_first:
            scope.cancel()
            hold.release()
        else:
            hold.release()
            scope.cancel()
        with anyio.fail_after(20):
            while len(PATH_MUTEXES):
                await anyio.lowlevel.checkpoint()
    assert got == ["next"]


@pytest.mark.anyio
@pytest.mark.invariant("L5")
async def test_a_waiter_cancelled_in_the_middle_delays_nobody(tmp_path: Path) -> None:
    lock = PackLock.open(tmp_path / "pack")
    scopes = [anyio.CancelScope() for _ in range(5)]
    got: list[int] = []

    async def wait(number: int) -> None:
        with scopes[number]:
            async with await lock.acquire_async():
                got.append(number)

    hold = await lock.acquire_async()
    hold._grant.frame.deactivate()
    async with anyio.create_task_group() as group:
        for number in range(5):
            group.start_soon(wait, number)
            await anyio.wait_all_tasks_blocked()
        scopes[1].cancel()
        scopes[3].cancel()
        await anyio.wait_all_tasks_blocked()
        hold.release()
    assert got == [0, 2, 4]


@pytest.mark.anyio
@pytest.mark.invariant("L7")
async def test_one_who_is_cancelled_already_does_not_take_a_free_lock(tmp_path: Path) -> None:
    lock = PackLock.open(tmp_path / "pack")
    with anyio.CancelScope() as scope:
        scope.cancel()
        await lock.acquire_async()
        pytest.fail("a cancelled task acquired")
    assert held_tiers() == ()
    lock.try_acquire().release()


@pytest.mark.anyio
@pytest.mark.invariant("L7")
async def test_a_token_that_fired_before_never_acquires_and_is_no_lock_error(tmp_path: Path) -> None:
    token = CancelToken()
    token.fire()
    lock = PackLock.open(tmp_path / "pack")
    with pytest.raises(LockCancelledError) as caught:
        await lock.acquire_cancellable(token)
    assert not isinstance(caught.value, LockError | OSError | anyio.get_cancelled_exc_class())
    lock.try_acquire().release()


@pytest.mark.anyio
@pytest.mark.invariant("L7")
@pytest.mark.parametrize("source", ["task", "thread", "signal"])
@pytest.mark.parametrize("behind", ["process", "task"])
async def test_a_token_ends_the_wait_from_anywhere(
    tmp_path: Path, source: str, behind: str, resources: Resources
) -> None:
    """Both for the waiter that asks the kernel and for one that queues behind another task."""
    lock = PackLock.open(tmp_path / "pack")
    token = CancelToken()
    ended = anyio.Event()
    with LockHolder("pack", tmp_path / "pack") as holder:
        mine = None
        if behind == "process":
            assert holder.ask("take") == "held"
        else:
            mine = lock.try_acquire()
            mine._grant.frame.deactivate()
        before = resources()

        async def wait() -> None:
            with pytest.raises(LockCancelledError):
                await lock.acquire_cancellable(token)
            ended.set()

        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            if source == "task":
                token.fire()
            elif source == "thread":
                thread = threading.Thread(target=token.fire)
                thread.start()
                thread.join()
            else:
                previous = signal.signal(signal.SIGUSR1, lambda *_: token.fire())
                os.kill(os.getpid(), signal.SIGUSR1)
                signal.signal(signal.SIGUSR1, previous)
            with anyio.fail_after(20):
                await ended.wait()
        assert token.fired
        assert resources() == before
        if mine is not None:
            mine.release()


@pytest.mark.anyio
async def test_a_token_that_fires_after_the_grant_changes_nothing(tmp_path: Path) -> None:
    token = CancelToken()
    async with await PackLock.open(tmp_path / "pack").acquire_cancellable(token) as hold:
        token.fire()
        assert hold.active
        assert token._callbacks == {}
