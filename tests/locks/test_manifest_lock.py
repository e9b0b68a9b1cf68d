"""The manifest lock: readers share, a writer is alone, and neither starves."""

from __future__ import annotations

import errno
from pathlib import Path

import anyio
import pytest

from grex.errors import LockBusyError, LockUnavailableError
from grex.locks import MANIFEST_LOCK_FILE_NAME, ManifestLock, WaitPolicy
from grex.locks.path_mutex import PATH_MUTEXES
from tests.support.lock_holder import LockHolder

NO_WAIT = WaitPolicy(no_wait=True)


@pytest.mark.anyio
@pytest.mark.invariant("L1")
async def test_readers_of_several_processes_share_and_keep_a_writer_out(workspace: Path) -> None:
    lock = ManifestLock(workspace)
    with LockHolder("reader", workspace) as one, LockHolder("reader", workspace) as two:
        assert [one.ask("try"), two.ask("try")] == ["held", "held"]
        async with await lock.acquire_shared(NO_WAIT) as hold:
            assert hold.mode == "s"
        with pytest.raises(LockBusyError):
            await lock.acquire_exclusive(NO_WAIT)
        assert one.ask("release") == "ok"
        with pytest.raises(LockBusyError):
            await lock.acquire_exclusive(NO_WAIT)
        assert two.ask("release") == "ok"
        async with await lock.acquire_exclusive(NO_WAIT) as hold:
            assert hold.mode == "x"
            assert [one.ask("try"), two.ask("try")] == ["busy", "busy"]


@pytest.mark.anyio
async def test_tasks_of_one_process_read_together(workspace: Path) -> None:
    lock = ManifestLock(workspace)
    inside = 0
    all_inside = anyio.Event()

    async def read() -> None:
        nonlocal inside
        async with await lock.acquire_shared():
            inside += 1
            if inside == 3:
                all_inside.set()
            with anyio.fail_after(20):
                await all_inside.wait()

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(read)


@pytest.mark.anyio
async def test_a_writer_that_waits_goes_before_readers_of_other_processes_that_come_later(workspace: Path) -> None:
    lock = ManifestLock(workspace)
    with LockHolder("reader", workspace) as early, LockHolder("reader", workspace) as late:
        assert early.ask("take") == "held"
        wrote = anyio.Event()

        async def write() -> None:
            async with await lock.acquire_exclusive():
                wrote.set()

        async with anyio.create_task_group() as group:
            group.start_soon(write)
            await anyio.wait_all_tasks_blocked()
            assert late.ask("try") == "busy"
            assert early.ask("release") == "ok"
            with anyio.fail_after(20):
                await wrote.wait()
        assert late.ask("try") == "held"


@pytest.mark.anyio
async def test_a_writer_that_was_cancelled_holds_back_nobody(workspace: Path) -> None:
    lock = ManifestLock(workspace)
    with LockHolder("reader", workspace) as early, LockHolder("reader", workspace) as late:
        assert early.ask("take") == "held"

        async def write() -> None:
            await lock.acquire_exclusive()

        async with anyio.create_task_group() as group:
            group.start_soon(write)
            await anyio.wait_all_tasks_blocked()
            assert late.ask("try") == "busy"
            group.cancel_scope.cancel()
        assert late.ask("try") == "held"


@pytest.mark.anyio
@pytest.mark.invariant("L5")
async def test_a_writer_in_the_queue_is_not_overtaken_by_readers_of_its_process(workspace: Path) -> None:
    lock = ManifestLock(workspace)
    order: list[str] = []
    let_go = anyio.Event()

    async def use(name: str, write: bool) -> None:
        async with await (lock.acquire_exclusive() if write else lock.acquire_shared()):
            order.append(name)
            await let_go.wait()

    async with anyio.create_task_group() as group:
        for name in ("reader 1", "writer", "reader 2", "reader 3"):
            group.start_soon(use, name, name == "writer")
            await anyio.wait_all_tasks_blocked()
        assert order == ["reader 1"]
        let_go.set()
    assert order[:2] == ["reader 1", "writer"]
    assert len(PATH_MUTEXES) == 0


@pytest.mark.anyio
async def test_a_command_that_must_write_nothing_creates_no_lock_file(workspace: Path) -> None:
    with pytest.raises(LockUnavailableError) as caught:
        await ManifestLock(workspace).acquire_shared(create=False)
    assert caught.value.errno == errno.ENOENT
    assert list(workspace.iterdir()) == []


@pytest.mark.anyio
async def test_a_reader_opens_an_existing_file_for_reading_only_and_leaves_its_bytes(workspace: Path) -> None:
    file = workspace / MANIFEST_LOCK_FILE_NAME
    file.write_bytes(b"")
    file.chmod(0o444)
    async with await ManifestLock(workspace).acquire_shared() as hold:
        flags = Path(f"/proc/self/fdinfo/{hold._grant.opened.fd}").read_text().split("flags:")[1].split()[0]
        assert int(flags, 8) & 0o3 == 0
    assert file.read_bytes() == b""


def test_a_manifest_is_untouched_until_a_writer_comes_and_not_while_one_has_lost_its_file(workspace: Path) -> None:
    lock = ManifestLock(workspace)
    file = workspace / MANIFEST_LOCK_FILE_NAME
    assert lock.is_untouched()
    assert not file.exists()
    with LockHolder("writer", workspace) as writer:
        assert writer.ask("take") == "held"
        assert not lock.is_untouched()
        file.unlink()
        assert not lock.is_untouched()
        writer.kill()
    assert lock.is_untouched()
