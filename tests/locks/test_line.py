"""The line of waiters over all processes: who is in it, who leaves it, and that no wake-up gets lost at its turns.

The other process is pretended here: to the kernel another open file description is as foreign as another process, and
a step of it can be put between any two steps of ours.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable, Generator
from pathlib import Path
from typing import Any

import anyio
import pytest

from grex.errors import LockBusyError
from grex.locks import PACK_LOCK_FILE_NAME, PackLock, WorkspaceLock, attempt, waiter
from grex.locks.inheritance import close_descriptor
from grex.locks.kernel import open_lock_file
from grex.locks.line import KernelLine, connect_to
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


_LOCK_A_RANGE = """
import fcntl, sys
file = open(sys.argv[1], "r+")
fcntl.lockf(file, fcntl.LOCK_SH if sys.argv[2] == "shared" else fcntl.LOCK_EX, int(sys.argv[4]), int(sys.argv[3]))
print("locked", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def somebody_elses_range(file: Path, mode: str, start: int, length: int) -> Generator[None]:
    """A program that knows nothing of tickets has a range of the file locked; length 0 is all of the rest."""
    command = [sys.executable, "-c", _LOCK_A_RANGE, str(file), mode, str(start), str(length)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        yield
        assert process.stdin is not None
        process.stdin.close()


@pytest.mark.anyio
@pytest.mark.invariant("L1")
@pytest.mark.invariant("L7")
@pytest.mark.filterwarnings("ignore::grex.errors.LockFallbackWarning")
@pytest.mark.parametrize(
    ("start", "length"), [(0, 0), ((1 << 62) + 1, 0), (0, (1 << 63) - 1), ((1 << 62) + 1, 1 << 40)]
)
@pytest.mark.parametrize("mode", ["shared", "exclusive"])
async def test_a_range_that_another_program_has_locked_is_no_ticket(
    lock: PackLock, mode: str, start: int, length: int
) -> None:
    """An NFS server, for instance, locks the whole of a file so for its clients."""
    with somebody_elses_range(lock.path / PACK_LOCK_FILE_NAME, mode, start, length), anyio.fail_after(PATIENCE_S):
        with LockHolder("pack", lock.path) as holder:
            assert holder.ask("take") == "held"
            with pytest.raises(LockBusyError):
                lock.try_acquire()
            async with somebody_waiting(lock):
                assert holder.ask("release") == "ok"
        lock.try_acquire().release()


@pytest.mark.invariant("L7")
def test_the_tickets_before_a_reader_are_counted_where_another_program_reads_the_whole_file(
    lock: PackLock, other: KernelLine
) -> None:
    with somebody_elses_range(lock.path / PACK_LOCK_FILE_NAME, "shared", 0, 0):
        number = other.take(shared=True)
        assert number is not None
        assert other.count_before(number) == 0


@pytest.mark.invariant("L7")
def test_a_time_limit_for_all_sockets_of_the_program_stops_nobody_who_leaves(other: KernelLine) -> None:
    first_number, _ = take(other), take(other)
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE_S)
    try:
        began = time.monotonic()
        other.drop(first_number)
        assert time.monotonic() - began < PATIENCE_S / 2
    finally:
        socket.setdefaulttimeout(before)


@pytest.mark.invariant("L7")
def test_the_last_one_of_a_process_wakes_the_next_though_a_child_has_copies_of_its_descriptors(
    lock: PackLock, other: KernelLine
) -> None:
    """As a program has that another thread just forked, before it becomes another program."""
    number = take(other)
    key = (lock.path / PACK_LOCK_FILE_NAME).stat()
    fd = connect_to((key.st_dev, key.st_ino), number)
    assert fd is not None
    copies = [os.dup(other._listener), os.dup(other._fd)]
    try:
        other.drop(number)
        assert os.read(fd, 1) == b""
        lock.try_acquire().release()
    finally:
        for copy in copies:
            os.close(copy)
        close_descriptor(fd)


def test_hundreds_who_came_and_gave_up_take_nobody_the_place_to_watch(lock: PackLock, other: KernelLine) -> None:
    """Who gives up leaves a connection that is accepted by nobody before the one it watched leaves."""
    places = int(Path("/proc/sys/net/core/somaxconn").read_text())
    number = take(other)
    key = (lock.path / PACK_LOCK_FILE_NAME).stat()
    for _ in range(min(1000, places)):
        fd = connect_to((key.st_dev, key.st_ino), number)
        assert fd is not None
        close_descriptor(fd)


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

    monkeypatch.setattr(attempt, "watch_predecessor", first(leave, waiter.watch_predecessor))
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
        monkeypatch.setattr(attempt, "watch_file", first(lambda: holder.ask("release"), waiter.watch_file))
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
