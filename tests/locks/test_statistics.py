"""How much a lock is asked for, in numbers."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from grex.locks import (
    MANIFEST_LOCK_FILE_NAME,
    PACK_LOCK_FILE_NAME,
    WORKSPACE_LOCK_FILE_NAME,
    BackendLock,
    LockStatistics,
    ManifestLock,
    PackLock,
    PermitKeyStatistics,
    PermitPool,
    PermitStatistics,
    WorkspaceLock,
    backend_lock_path,
)
from grex.locks.hold import Hold
from tests.support.lock_holder import LockHolder
from tests.support.ticket_taker import TicketTaker

NOBODY = LockStatistics(held_here=0, waiting_here=0, queued=0, holder=None)

pytestmark = pytest.mark.skipif(
    not hasattr(fcntl, "F_OFD_SETLK") or not Path("/proc/locks").exists(),
    reason="needs open file description locks and the kernel's list of locks",
)


def workspace_lock(root: Path) -> tuple[WorkspaceLock, Path]:
    return WorkspaceLock(root), root / WORKSPACE_LOCK_FILE_NAME


def pack_lock(root: Path) -> tuple[PackLock, Path]:
    return PackLock.open(root / "pack"), root / "pack" / PACK_LOCK_FILE_NAME


def backend_lock(root: Path) -> tuple[BackendLock, Path]:
    return BackendLock.for_checkout(root / "checkout"), backend_lock_path(root / "checkout")


@pytest.mark.parametrize("make", [workspace_lock, pack_lock, backend_lock])
def test_each_lock_with_a_file_counts_its_holds_and_its_line(
    workspace: Path, make: Callable[[Path], tuple[WorkspaceLock | PackLock | BackendLock, Path]]
) -> None:
    lock, file = make(workspace)
    assert lock.statistics() == NOBODY
    hold: Hold = lock.try_acquire()
    with hold, TicketTaker(file) as one, TicketTaker(file) as other:
        one.ask("take 1")
        one.ask("take 2")
        other.ask("take 3")
        found = lock.statistics()
        assert (found.held_here, found.waiting_here, found.queued) == (1, 0, 3)
        assert found.holder is not None
        assert found.holder.pid == os.getpid()
    assert lock.statistics() == NOBODY


def test_a_lock_that_another_process_holds_is_not_held_here(workspace: Path) -> None:
    lock = PackLock.open(workspace / "pack")
    with LockHolder("pack", workspace / "pack") as holder:
        assert holder.ask("take") == "held"
        found = lock.statistics()
        assert (found.held_here, found.waiting_here) == (0, 0)
        assert found.holder is not None
        assert found.holder.pid == holder.pid
        holder.kill()
        assert lock.statistics() == NOBODY  # its record is still there, and nobody holds the lock


def test_looking_makes_no_lock_file(workspace: Path) -> None:
    assert WorkspaceLock(workspace).statistics() == NOBODY
    assert BackendLock.for_checkout(workspace / "checkout").statistics() == NOBODY
    assert ManifestLock(workspace).statistics() == NOBODY
    assert list(workspace.iterdir()) == []


@pytest.mark.anyio
async def test_the_readers_of_this_process_are_counted(workspace: Path) -> None:
    lock = ManifestLock(workspace)
    read, done = anyio.Event(), anyio.Event()

    async def reader() -> None:
        async with await lock.acquire_shared():
            read.set()
            await done.wait()

    async with anyio.create_task_group() as group:
        group.start_soon(reader)
        await read.wait()
        async with await lock.acquire_shared():
            with TicketTaker(workspace / MANIFEST_LOCK_FILE_NAME) as writer:
                writer.ask("take 1")
                found = lock.statistics()
        done.set()
    assert (found.held_here, found.waiting_here, found.queued) == (2, 0, 1)
    assert found.holder is not None
    assert found.holder.pid == os.getpid()


@pytest.mark.anyio
async def test_the_attempts_of_this_process_that_wait_are_counted(workspace: Path) -> None:
    lock = PackLock.open(workspace / "pack")
    go = anyio.Event()

    async def wait() -> None:
        await go.wait()
        async with await lock.acquire_async():
            pass

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(wait)  # before the lock is held: what is started inside of a hold may not ask for it
        async with await lock.acquire_async():
            go.set()
            await anyio.wait_all_tasks_blocked()
            found = lock.statistics()
    assert (found.held_here, found.waiting_here) == (1, 3)
    assert lock.statistics() == NOBODY


@pytest.mark.anyio
async def test_who_waits_for_another_process_is_counted(workspace: Path) -> None:
    lock = PackLock.open(workspace / "pack")

    async def wait() -> None:
        async with await lock.acquire_async():
            pass

    with LockHolder("pack", workspace / "pack") as holder:
        assert holder.ask("take") == "held"
        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            group.start_soon(wait)
            with anyio.fail_after(20):
                while lock.statistics().waiting_here < 2:
                    await anyio.lowlevel.checkpoint()
            assert lock.statistics().held_here == 0
            holder.send("release")


@pytest.mark.anyio
async def test_a_pool_counts_permits_and_those_who_wait_in_total_and_for_each_key() -> None:
    pool = PermitPool("network", 2, per_key=1)
    assert pool.statistics() == PermitStatistics(total=2, in_use=0, waiting=0, keys={})
    done = anyio.Event()

    async def work(key: str | None) -> None:
        async with pool.hold(key):
            await done.wait()

    async with anyio.create_task_group() as group:
        for key in ("a", "a", "a", "b", None):
            group.start_soon(work, key)
            await anyio.wait_all_tasks_blocked()
        assert pool.statistics() == PermitStatistics(
            total=2,
            in_use=2,
            waiting=3,  # two for their key, one for the pool
            keys={
                "a": PermitKeyStatistics(total=1, in_use=1, waiting=2),
                "b": PermitKeyStatistics(total=1, in_use=1, waiting=0),
            },
        )
        pool.resize(1)
        assert pool.statistics().total == 1
        done.set()
    assert pool.statistics() == PermitStatistics(total=1, in_use=0, waiting=0, keys={})
