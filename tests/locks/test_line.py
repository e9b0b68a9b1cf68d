"""The line of waiters over all processes: who is in it, who leaves it, and that no wake-up gets lost at its turns.

The other process is pretended here: to the kernel another open file description is as foreign as another process, and
a step of it can be put between any two steps of ours.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import AsyncGenerator, Callable, Generator
from pathlib import Path
from typing import Any

import anyio
import pytest

from grex.errors import LockBusyError
from grex.locks import PACK_LOCK_FILE_NAME, PackLock, WorkspaceLock, file_lock, waiter
from grex.locks.kernel import open_lock_file
from grex.locks.line import KernelLine
from tests.support.lock_census import tickets_in_line
from tests.support.lock_holder import LockHolder
from tests.support.no_timers import UNREPORTED, take_timers_away

OTHER_PID = (1 << 22) - 1  # the greatest there can be, so hardly anybody's
PATIENCE_S = 20.0


@pytest.fixture
def only_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what would find a lock free without having been told."""
    take_timers_away(monkeypatch)


@pytest.fixture
def lock(tmp_path: Path) -> PackLock:
    """The lock of a pack that nobody holds."""
    return PackLock.open(tmp_path / "pack")


@pytest.fixture
def other(lock: PackLock, monkeypatch: pytest.MonkeyPatch) -> Generator[KernelLine]:
    """The line that another process has before this lock, with nobody in it."""
    opened = open_lock_file(str(lock.path / PACK_LOCK_FILE_NAME), create=False)
    assert opened is not None
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: OTHER_PID)
        line = KernelLine(opened)
    opened.close()
    yield line
    line.close()


def take(line: KernelLine) -> int:
    """A ticket of the other process."""
    number = line.take(shared=False)
    assert number is not None
    return number


@contextlib.asynccontextmanager
async def somebody_waiting(lock: PackLock) -> AsyncGenerator[anyio.Event]:
    """A task of ours that waits for the lock; gives what is set when it has got it, which must be soon."""
    got = anyio.Event()

    async def wait() -> None:
        with await lock.acquire_async(UNREPORTED):
            got.set()

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        yield got
        with anyio.fail_after(PATIENCE_S):
            await got.wait()


def first(act: Callable[[], object], function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, with `act` done right before its first call."""
    todo = [act]

    def call(*arguments: Any, **keywords: Any) -> Any:
        while todo:
            todo.pop()()
        return function(*arguments, **keywords)

    return call


@pytest.mark.invariant("L5")
def test_a_newcomer_does_not_take_a_free_lock_that_somebody_queues_for(lock: PackLock, other: KernelLine) -> None:
    number = take(other)
    with pytest.raises(LockBusyError):
        lock.try_acquire()
    other.drop(number)
    lock.try_acquire().release()


@pytest.mark.anyio
@pytest.mark.invariant("L5")
@pytest.mark.usefixtures("only_events")
async def test_the_one_before_us_wakes_us_when_it_leaves_though_others_of_its_process_stay(
    lock: PackLock, other: KernelLine
) -> None:
    number = take(other)
    async with somebody_waiting(lock) as got:
        behind = take(other)
        await anyio.wait_all_tasks_blocked()
        assert not got.is_set()
        other.drop(number)
    other.drop(behind)


@pytest.mark.anyio
@pytest.mark.invariant("L5")
@pytest.mark.usefixtures("only_events")
async def test_the_one_before_us_wakes_us_also_if_it_can_open_nothing_more(
    lock: PackLock, other: KernelLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def accept(_: socket.socket) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    number = take(other)
    async with somebody_waiting(lock):
        behind = take(other)
        with monkeypatch.context() as patch:
            patch.setattr(socket.socket, "accept", accept)
            other.drop(number)
    other.drop(behind)


@pytest.mark.anyio
@pytest.mark.invariant("L5")
@pytest.mark.usefixtures("only_events")
async def test_one_that_leaves_just_before_we_connect_to_its_process_is_not_waited_for(
    lock: PackLock, other: KernelLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = take(other)

    def leave() -> None:
        take(other)  # behind us: so there still is somebody to connect to
        other.drop(number)

    monkeypatch.setattr(file_lock, "watch_predecessor", first(leave, waiter.watch_predecessor))
    async with somebody_waiting(lock):
        pass


@pytest.mark.anyio
@pytest.mark.invariant("L7")
@pytest.mark.usefixtures("only_events")
async def test_a_lock_that_comes_free_just_before_we_watch_its_file_is_not_waited_for(
    lock: PackLock, other: KernelLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """We sleep behind somebody first: at its first sleep a wait reads the holder's record, and that wakes it."""
    with LockHolder("pack", lock.path) as holder:
        assert holder.ask("take") == "held"
        number = take(other)
        monkeypatch.setattr(file_lock, "watch_file", first(lambda: holder.ask("release"), waiter.watch_file))
        async with somebody_waiting(lock) as got:
            assert not got.is_set()
            other.drop(number)


@pytest.mark.anyio
@pytest.mark.invariant("L2")
async def test_who_has_waited_and_got_the_lock_is_in_the_line_no_more(lock: PackLock) -> None:
    file = lock.path / PACK_LOCK_FILE_NAME
    seen: list[list[tuple[int, int]]] = []

    async def wait() -> None:
        with await lock.acquire_async():
            seen.append(tickets_in_line(file))

    with LockHolder("pack", lock.path) as holder:
        assert holder.ask("take") == "held"
        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            assert [pid for _, pid in tickets_in_line(file)] == [os.getpid()]
            assert holder.ask("release") == "ok"
    assert seen == [[]]


@pytest.mark.invariant("L1")
def test_a_lock_file_that_was_deleted_while_it_is_held_lets_nobody_in(workspace: Path) -> None:
    lock = WorkspaceLock(workspace)
    with LockHolder("workspace", workspace) as holder:
        assert holder.ask("take") == "held"
        (workspace / ".grex.sync.lock").unlink()
        with pytest.raises(LockBusyError):
            lock.try_acquire()
        assert holder.ask("release") == "ok"
        lock.try_acquire().release()
