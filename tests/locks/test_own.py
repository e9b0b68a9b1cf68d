"""What is said to somebody who cannot have a lock is true of this very process too."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import anyio
import pytest

from grex.locks import MANIFEST_LOCK_FILE_NAME, PACK_LOCK_FILE_NAME, ManifestLock, PackLock, set_verb
from grex.locks.inspection import find_holder
from grex.locks.kernel import file_key
from grex.locks.own import describe_obstacle, describe_own, own_attempts, own_places
from grex.locks.path_mutex import PATH_MUTEXES, Ticket
from grex.locks.tiers import LockKey
from tests.support.lock_holder import LockHolder
from tests.support.ticket_taker import TicketTaker


def key_of(file: Path) -> LockKey:
    key = file_key(str(file))
    assert key is not None
    return key


def next_line() -> str:
    """The place of the line after the caller's."""
    frame = sys._getframe(1)
    return f"{frame.f_code.co_filename}:{frame.f_lineno + 1}"


def obstacle(file: Path) -> str:
    return describe_obstacle(str(file), key_of(file), find_holder(str(file)))


def test_the_holder_is_this_process_and_it_is_said_where_it_took_the_lock(workspace: Path) -> None:
    lock = PackLock.open(workspace / "pack")
    file = workspace / "pack" / PACK_LOCK_FILE_NAME
    set_verb("sync")
    assert describe_own(key_of(file)) is None
    place = next_line()
    with lock.try_acquire():
        assert describe_own(key_of(file)) == f"this very process, which took it at {place}"
        assert own_places(key_of(file)) == (place,)
        assert own_places(key_of(workspace)) == ()
        said = obstacle(file)
        assert said.startswith(f"pid {os.getpid()} on host {os.uname().nodename}, grex sync, for ")
        assert said.endswith(f"; this very process, which took it at {place}")
    assert describe_own(key_of(file)) is None


@pytest.mark.anyio
async def test_readers_of_this_process_are_named_though_they_write_no_record(workspace: Path) -> None:
    lock = ManifestLock(workspace)
    file = workspace / MANIFEST_LOCK_FILE_NAME
    go, reads, done = anyio.Event(), anyio.Event(), anyio.Event()

    async def reader() -> None:
        await go.wait()
        async with await lock.acquire_shared():
            reads.set()
            await done.wait()

    async with anyio.create_task_group() as group:
        group.start_soon(reader)
        place = next_line()
        async with await lock.acquire_shared():
            assert obstacle(file).endswith(f"; this very process, which took it at {place}")
            go.set()
            await reads.wait()
            assert obstacle(file).endswith(f"; this very process, which took it at {place} and 1 more time")
        done.set()
    assert describe_own(key_of(file)) is None


def test_another_process_is_named_as_ever(workspace: Path) -> None:
    file = PackLock.open(workspace / "pack").path / PACK_LOCK_FILE_NAME
    with LockHolder("pack", workspace / "pack") as holder:
        assert holder.ask("take") == "held"
        assert obstacle(file).startswith(f"pid {holder.pid} on host ")
        assert "very process" not in obstacle(file)


def test_a_line_before_a_free_lock_is_what_is_in_the_way(workspace: Path) -> None:
    file = PackLock.open(workspace / "pack").path / PACK_LOCK_FILE_NAME
    with TicketTaker(file) as waiter:
        waiter.ask("take 1")
        assert obstacle(file) == (
            f"nobody yet, but pid {waiter.pid} (tests.support.ticket_taker) waits for it and is served first"
        )
    assert obstacle(file) == "another process that left no note"


def test_the_note_of_a_dead_holder_is_not_in_the_way_of_those_who_wait(workspace: Path) -> None:
    file = PackLock.open(workspace / "pack").path / PACK_LOCK_FILE_NAME
    with LockHolder("pack", workspace / "pack") as holder, TicketTaker(file) as waiter:
        assert holder.ask("take") == "held"
        holder.kill()
        waiter.ask("take 1")
        assert f"pid {waiter.pid}" in obstacle(file)
        waiter.ask("drop 1")
        assert f"pid {holder.pid}" in obstacle(file)


def test_attempts_of_this_process_are_in_the_way_of_one_that_came_later(workspace: Path) -> None:
    file = PackLock.open(workspace / "pack").path / PACK_LOCK_FILE_NAME
    key = key_of(file)
    ticket = Ticket(key, lambda: None)
    assert own_attempts(key) == 0
    PATH_MUTEXES.enter(ticket)
    try:
        assert own_attempts(key) == 1
        assert obstacle(file) == "nobody yet, but other tasks of this very process wait for it and are served first"
        assert describe_obstacle(str(file), key, None, own_waits=1) == "another process that left no note"
    finally:
        PATH_MUTEXES.leave(ticket)
    assert own_attempts(key) == 0
