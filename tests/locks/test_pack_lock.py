"""The pack lock: exclusion, re-entry, aliases, and the many ways to ask for it."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import queue
import threading
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from grex.errors import (
    LockBusyError,
    LockInheritedError,
    LockTimeoutError,
    LockUnavailableError,
    LockUnsupportedError,
    TierOrderError,
)
from grex.locks import (
    PACK_LOCK_FILE_NAME,
    PackLock,
    Tier,
    WaitPolicy,
    WaitReport,
    WorkspaceLock,
    attempt,
    held_tiers,
    obstacle,
    set_verb,
)
from grex.locks import hold as hold_module
from grex.locks.kernel import EXCLUSIVE, open_lock_file
from grex.locks.line import KernelLine
from grex.locks.path_mutex import PATH_MUTEXES
from grex.locks.wait_clock import WaitClock
from tests.support.lock_holder import LockHolder
from tests.support.no_timers import UNREPORTED, take_safety_interval_away

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.mark.invariant("L1")
def test_another_process_keeps_us_out_and_we_keep_it_out(tmp_path: Path) -> None:
    lock = PackLock.open(tmp_path / "pack")
    with LockHolder("pack", tmp_path / "pack") as holder:
        with lock.try_acquire():
            assert holder.ask("try") == "busy"
        assert holder.ask("try") == "held"
        with pytest.raises(LockBusyError):
            lock.try_acquire()
        assert holder.ask("release") == "ok"
        lock.try_acquire().release()


@pytest.mark.invariant("L1")
def test_a_plain_flock_of_another_program_counts(tmp_path: Path) -> None:
    lock = PackLock.open(tmp_path / "pack")
    with LockHolder("flock", tmp_path / "pack" / PACK_LOCK_FILE_NAME) as holder:
        assert holder.ask("take") == "held"
        with pytest.raises(LockBusyError):
            lock.try_acquire()


@pytest.mark.anyio
@pytest.mark.invariant("L6")
async def test_a_waiter_gets_the_pack_when_its_holder_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the kernel's word alone: the safety interval does not end within the test."""
    take_safety_interval_away(monkeypatch)
    lock = PackLock.open(tmp_path / "pack")
    with LockHolder("pack", tmp_path / "pack") as holder:
        assert holder.ask("take") == "held"
        async with anyio.create_task_group() as group:
            got = anyio.Event()

            async def wait() -> None:
                async with await lock.acquire_async(UNREPORTED):
                    got.set()

            group.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            assert not got.is_set()
            holder.kill()
            with anyio.fail_after(20):
                await got.wait()


@pytest.mark.invariant("L6")
def test_what_a_killed_holder_wrote_is_overwritten_and_emptied(tmp_path: Path) -> None:
    lock = PackLock.open(tmp_path / "pack")
    file = tmp_path / "pack" / PACK_LOCK_FILE_NAME
    with LockHolder("pack", tmp_path / "pack") as holder:
        assert holder.ask("take") == "held"
        holder.kill()
        assert f'"pid":{holder.pid}' in file.read_text()
    with lock.try_acquire():
        assert f'"pid":{os.getpid()}' in file.read_text()
    assert file.read_bytes().isspace()


@pytest.mark.invariant("L5")
@pytest.mark.invariant("L8")
def test_two_event_loops_and_a_plain_thread_are_served_in_the_order_they_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = PackLock.open(tmp_path / "pack")
    served: list[str] = []
    entered: queue.SimpleQueue[None] = queue.SimpleQueue()
    enter = PATH_MUTEXES.enter

    def report(*arguments: object, **keywords: object) -> object:
        standing = enter(*arguments, **keywords)  # type: ignore[arg-type]  # passed on as they came
        entered.put(None)
        return standing

    def in_loop(name: str, backend: str) -> None:
        async def main() -> None:
            async with await lock.acquire_async():
                served.append(name)

        anyio.run(main, backend=backend)

    def in_thread(name: str) -> None:
        with lock.acquire():
            served.append(name)

    hold = lock.try_acquire()
    monkeypatch.setattr(PATH_MUTEXES, "enter", report)
    plan: list[tuple[str, Callable[[], None]]] = [
        ("asyncio 1", lambda: in_loop("asyncio 1", "asyncio")),
        ("thread 1", lambda: in_thread("thread 1")),
        ("trio 1", lambda: in_loop("trio 1", "trio")),
        ("asyncio 2", lambda: in_loop("asyncio 2", "asyncio")),
        ("thread 2", lambda: in_thread("thread 2")),
        ("trio 2", lambda: in_loop("trio 2", "trio")),
    ]
    threads = []
    for _, run in plan:
        thread = threading.Thread(target=run)
        thread.start()
        entered.get(timeout=20)
        threads.append(thread)
    hold.release()
    for thread in threads:
        thread.join(timeout=20)
    assert served == [name for name, _ in plan]


@pytest.mark.anyio
@pytest.mark.invariant("L1")
async def test_many_tasks_never_hold_one_pack_at_once(tmp_path: Path) -> None:
    lock = PackLock.open(tmp_path / "pack")
    inside = 0
    most = 0

    async def work() -> None:
        nonlocal inside, most
        for _ in range(5):
            async with await lock.acquire_async():
                inside += 1
                most = max(most, inside)
                await anyio.lowlevel.checkpoint()
                inside -= 1

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(work)
    assert most == 1


@pytest.mark.anyio
@pytest.mark.invariant("L9")
@pytest.mark.parametrize("spelling", ["same", "symlink", "dotdot", "trailing", "relative"])
async def test_reentry_through_any_spelling_is_an_error_at_once(
    tmp_path: Path, spelling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pack" / "sub").mkdir(parents=True)
    (tmp_path / "link").symlink_to("pack")
    monkeypatch.chdir(tmp_path)
    spellings: dict[str, Path | str] = {
        "same": tmp_path / "pack",
        "symlink": tmp_path / "link",
        "dotdot": tmp_path / "pack" / "sub" / "..",
        "trailing": f"{tmp_path}/pack//",
        "relative": "pack",
    }
    async with await PackLock.open(tmp_path / "pack").acquire_async():
        with pytest.raises(LockBusyError) as caught, anyio.fail_after(20):
            await PackLock.open(spellings[spelling]).acquire_async()
    assert caught.value.reentrant


@pytest.mark.anyio
@pytest.mark.invariant("L9")
async def test_a_hard_linked_alias_of_the_lock_file_is_the_same_lock(tmp_path: Path) -> None:
    """What a bind mount or a case-insensitive file system looks like: two paths, one inode."""
    (tmp_path / "alias").mkdir()
    lock = PackLock.open(tmp_path / "pack")
    (tmp_path / "alias" / PACK_LOCK_FILE_NAME).hardlink_to(tmp_path / "pack" / PACK_LOCK_FILE_NAME)
    async with await lock.acquire_async():
        with pytest.raises(LockBusyError) as caught, anyio.fail_after(20):
            await PackLock.open(tmp_path / "alias").acquire_async()
    assert caught.value.reentrant


@pytest.mark.anyio
@pytest.mark.invariant("L9")
async def test_reentry_by_a_child_task_and_by_every_way_to_ask_is_an_error(tmp_path: Path) -> None:
    lock = PackLock.open(tmp_path / "pack")
    refused: list[bool] = []

    async def child() -> None:
        with pytest.raises(LockBusyError) as caught:
            await lock.acquire_async()
        refused.append(caught.value.reentrant)
        with pytest.raises(LockBusyError) as caught:
            lock.try_acquire()
        refused.append(caught.value.reentrant)

    def in_thread() -> None:
        with pytest.raises(LockBusyError) as caught:
            lock.acquire()
        refused.append(caught.value.reentrant)

    async with await lock.acquire_async(), anyio.create_task_group() as group:
        group.start_soon(child)
        await anyio.to_thread.run_sync(in_thread)
    assert refused == [True, True, True]


@pytest.mark.anyio
@pytest.mark.invariant("L10")
@pytest.mark.parametrize("policy", [WaitPolicy(no_wait=True), WaitPolicy(timeout_s=0.02)])
async def test_a_lock_that_could_not_be_had_says_who_holds_it(tmp_path: Path, policy: WaitPolicy) -> None:
    lock = PackLock.open(tmp_path / "pack")
    with LockHolder("pack", tmp_path / "pack") as holder:
        assert holder.ask("take") == "held"
        expected = LockBusyError if policy.no_wait else LockTimeoutError
        with pytest.raises(expected) as caught:
            await lock.acquire_async(policy)
        found = caught.value.details["holder"]
        assert found["pid"] == holder.pid
        assert found["tier"] == "PACK"
        assert found["verb"] == "sync"
        assert found["acquired_at"].endswith("Z")
        for text in (f"pid {holder.pid} on host {found['host']}", "grex sync", "since 2", str(lock.path)):
            assert text in caught.value.message


@pytest.mark.invariant("L10")
def test_a_holder_without_a_record_is_found_in_the_kernels_list(tmp_path: Path) -> None:
    lock = PackLock.open(tmp_path / "pack")
    with LockHolder("flock", tmp_path / "pack" / PACK_LOCK_FILE_NAME) as holder:
        assert holder.ask("take") == "held"
        with pytest.raises(LockBusyError, match=f"pid {holder.pid} on host .*, tests.support.lock_holder"):
            lock.try_acquire()


@pytest.mark.anyio
@pytest.mark.invariant("L10")
async def test_a_long_wait_is_reported_with_its_holder_and_again(tmp_path: Path) -> None:
    lock = PackLock.open(tmp_path / "pack")
    reports: list[WaitReport] = []
    twice = anyio.Event()

    def note(report: WaitReport) -> None:
        reports.append(report)
        if len(reports) == 2:
            twice.set()

    with LockHolder("pack", tmp_path / "pack") as holder:
        assert holder.ask("take") == "held"
        async with anyio.create_task_group() as group:

            async def wait() -> None:
                policy = WaitPolicy(on_wait=note, first_report_s=0.02, report_every_s=0.03)
                async with await lock.acquire_async(policy):
                    pass

            group.start_soon(wait)
            with anyio.fail_after(20):
                await twice.wait()
            assert holder.ask("release") == "ok"
    first = reports[0]
    assert (first.tier, first.path) == (Tier.PACK, str(lock.path))
    assert first.waited_s >= 0.02
    assert first.holder is not None
    assert first.holder.pid == holder.pid


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("listens", "holds", "looks"),
    [(False, False, False), (True, False, True), (False, True, True)],
    ids=["nobody listens", "somebody listens", "something else is held"],
)
async def test_a_long_wait_looks_at_others_only_if_somebody_listens_or_it_could_close_a_circle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listens: bool, holds: bool, looks: bool
) -> None:
    """Of fifty waiters that each read what all the others are, nothing would be gained, and a core would be busy."""
    looked: list[bool] = []
    monkeypatch.setattr(obstacle, "report_wait", lambda *_, is_wanted: looked.append(is_wanted))
    twice = anyio.Event()
    due: list[bool] = []
    is_due = WaitClock.is_report_due

    def noted(clock: WaitClock) -> bool:
        if is_due(clock):
            due.append(True)
            if len(due) == 3:  # so the second has been dealt with
                twice.set()
            return True
        return False

    monkeypatch.setattr(WaitClock, "is_report_due", noted)
    policy = WaitPolicy(on_wait=(lambda _: None) if listens else None, first_report_s=0.01, report_every_s=0.01)
    with LockHolder("pack", tmp_path / "pack") as holder, contextlib.ExitStack() as outer:
        assert holder.ask("take") == "held"
        if holds:
            outer.enter_context(await WorkspaceLock(tmp_path).acquire_async())
        async with anyio.create_task_group() as group:
            group.start_soon(PackLock.open(tmp_path / "pack").acquire_async, policy)
            with anyio.fail_after(20):
                await twice.wait()
            group.cancel_scope.cancel()
    assert bool(looked) is looks
    assert set(looked) <= {listens}


@pytest.mark.anyio
@pytest.mark.invariant("L2")
async def test_a_report_that_raises_ends_the_wait_and_leaves_nothing(
    tmp_path: Path, resources: Callable[[], tuple[int, ...]]
) -> None:
    lock = PackLock.open(tmp_path / "pack")

    def refuse(_: WaitReport) -> None:
        raise ValueError("no more")

    with LockHolder("pack", tmp_path / "pack") as holder:
        assert holder.ask("take") == "held"
        with pytest.raises(LockTimeoutError):
            await lock.acquire_async(WaitPolicy(timeout_s=0))
        before = resources()
        with pytest.raises(ValueError, match="no more"):
            await lock.acquire_async(WaitPolicy(on_wait=refuse, first_report_s=0))
        assert resources() == before
        assert held_tiers() == ()


@pytest.mark.invariant("L2")
def test_a_forgotten_hold_is_freed_with_a_warning_that_says_where_it_was_taken(tmp_path: Path) -> None:
    lock = PackLock.open(tmp_path / "pack")
    forgotten = [lock.try_acquire()]
    with pytest.warns(ResourceWarning, match=r"test_pack_lock\.py:\d+ was never released"):
        forgotten.clear()
    gc.collect()
    assert held_tiers() == ()
    with LockHolder("pack", tmp_path / "pack") as other:
        assert other.ask("try") == "held"


def in_fork(check: Callable[[], None]) -> int:
    """Run a check in a forked child; its exit code is 0 if the check passed."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            check()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.invariant("L1")
def test_a_forked_child_holds_nothing_and_takes_nothing_from_its_parent(tmp_path: Path) -> None:
    lock = PackLock.open(tmp_path / "pack")
    hold = lock.try_acquire()
    fd = hold._grant.opened.fd

    def child() -> None:
        assert held_tiers() == ()
        assert not hold.active
        with pytest.raises(LockInheritedError):
            hold.release()
        with pytest.raises(LockInheritedError), hold:
            pytest.fail("an inherited hold was entered")
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)
        with pytest.raises(LockBusyError) as caught:
            lock.try_acquire()
        assert not caught.value.reentrant
        with PackLock.open(tmp_path / "other").try_acquire():
            assert held_tiers() == (Tier.PACK,)

    assert in_fork(child) == 0
    with LockHolder("pack", tmp_path / "pack") as other:
        assert other.ask("try") == "busy"
        hold.release()
        assert other.ask("try") == "held"


@pytest.mark.invariant("L4")
def test_a_release_frees_the_lock_although_another_process_has_the_descriptor(tmp_path: Path) -> None:
    """A close alone would not: the lock belongs to the open file, and a child may still have that."""
    lock = PackLock.open(tmp_path / "pack")
    hold = lock.try_acquire()
    copy = os.dup(hold._grant.opened.fd)  # what an inherited descriptor is: the same open file
    try:
        hold.release()
        with LockHolder("pack", tmp_path / "pack") as other:
            assert other.ask("try") == "held"
    finally:
        os.close(copy)


@pytest.mark.invariant("L4")
@pytest.mark.parametrize("somebody_queues", [False, True])
def test_a_release_touches_the_file_after_the_unlock_if_somebody_queues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, somebody_queues: bool
) -> None:
    hold = PackLock.open(tmp_path / "pack").try_acquire()
    file = tmp_path / "pack" / PACK_LOCK_FILE_NAME
    opened = open_lock_file(str(file), create=False)
    assert opened is not None
    line = KernelLine(opened)
    if somebody_queues:
        assert line.take(shared=False) is not None
    unlock = EXCLUSIVE.unlock

    def unlock_and_age(fd: int) -> None:
        unlock(fd)
        os.utime(fd, (1, 1))

    monkeypatch.setattr(EXCLUSIVE, "unlock", unlock_and_age)
    hold.release()
    assert (file.stat().st_mtime > 1) == somebody_queues
    line.close()
    opened.close()


@pytest.mark.invariant("L4")
def test_a_release_gives_everything_up_even_if_the_kernel_refuses_to_unlock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = PackLock.open(tmp_path / "pack")
    hold = lock.try_acquire()

    def fail(_: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    with monkeypatch.context() as patch:
        patch.setattr(EXCLUSIVE, "_unlock", fail)
        hold.release()
    assert held_tiers() == ()
    assert len(PATH_MUTEXES) == 0
    lock.try_acquire().release()


@pytest.mark.invariant("L4")
def test_a_release_goes_the_way_of_the_acquire_backwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is let in by one step must find the steps inside of it done already."""
    steps: list[str] = []

    def note(name: str, step: Callable[..., object]) -> Callable[..., object]:
        def noted(*arguments: object, **keywords: object) -> object:
            steps.append(name)
            return step(*arguments, **keywords)

        return noted

    lock = PackLock.open(tmp_path / "pack")
    lock.try_acquire().release()  # loads what is loaded at the first lock
    for owner, attribute, name in (
        (attempt, "enter_tier", "enter tier"),
        (PATH_MUTEXES, "enter", "enter mutex"),
        (EXCLUSIVE, "_lock", "lock"),
        (attempt, "write_record", "write record"),
        (hold_module, "empty_record", "empty record"),
        (EXCLUSIVE, "_unlock", "unlock"),
        (PATH_MUTEXES, "leave", "leave mutex"),
        (hold_module, "leave_tier", "leave tier"),
    ):
        monkeypatch.setattr(owner, attribute, note(name, getattr(owner, attribute)))
    lock.try_acquire().release()
    acquired, released = steps[:4], steps[4:]
    assert acquired == ["enter tier", "enter mutex", "lock", "write record"]
    assert released == ["empty record", "unlock", "leave mutex", "leave tier"]


def test_a_hold_may_be_released_many_times_and_not_entered_again(tmp_path: Path) -> None:
    hold = PackLock.open(tmp_path / "pack").try_acquire()
    hold.release()
    hold.release()
    with pytest.raises(RuntimeError, match="after its release"), hold:
        pytest.fail("a released hold was entered")


@pytest.mark.anyio
async def test_a_blocking_acquire_on_an_event_loop_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="acquire_async"):
        PackLock.open(tmp_path / "pack").acquire()


@pytest.mark.invariant("L10")
def test_a_blocking_acquire_times_out_naming_the_holder(tmp_path: Path) -> None:
    lock = PackLock.open(tmp_path / "pack")
    with LockHolder("pack", tmp_path / "pack") as holder:
        assert holder.ask("take") == "held"
        with pytest.raises(LockTimeoutError, match=f"pid {holder.pid}"):
            lock.acquire(timeout_s=0.02)


@pytest.mark.invariant("L2")
@pytest.mark.parametrize(
    ("number", "expected"),
    [(errno.ENOLCK, LockUnavailableError), (errno.ENOSYS, LockUnsupportedError), (errno.EIO, LockUnavailableError)],
)
def test_a_kernel_that_cannot_lock_is_a_typed_error_and_leaves_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    expected: type[Exception],
    resources: Callable[[], tuple[int, ...]],
) -> None:
    lock = PackLock.open(tmp_path / "pack")
    lock.try_acquire().release()

    def fail(_: int) -> bool:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(EXCLUSIVE, "_lock", fail)
    before = resources()
    with pytest.raises(expected, match=PACK_LOCK_FILE_NAME) as caught:
        lock.try_acquire()
    assert caught.value.details["errno"] == number  # type: ignore[attr-defined]  # every expected class has details
    assert resources() == before
    assert held_tiers() == ()


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EMFILE])
def test_a_lock_file_that_cannot_be_opened_is_a_typed_error_with_a_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    lock = PackLock.open(tmp_path / "pack")
    opening = os.open

    def fail(path: str, *arguments: int) -> int:
        if str(path).endswith(PACK_LOCK_FILE_NAME):
            raise OSError(number, os.strerror(number), path)
        return opening(path, *arguments)

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(LockUnavailableError, match=PACK_LOCK_FILE_NAME) as caught:
        lock.try_acquire()
    assert caught.value.errno == number
    assert caught.value.hint


def test_a_directory_that_cannot_be_made_is_not_called_a_lock_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(LockUnavailableError) as caught:
        PackLock.open(tmp_path / "file/pack")
    assert caught.value.message == f"The directory {tmp_path}/file/pack of the pack cannot be made: Not a directory."
    assert (caught.value.path, caught.value.errno) == (f"{tmp_path}/file/pack", errno.ENOTDIR)
    assert caught.value.hint


def test_opening_creates_the_directory_and_the_file_and_truncates_nothing(tmp_path: Path) -> None:
    lock = PackLock.open(tmp_path / "deep" / "pack")
    file = lock.path / PACK_LOCK_FILE_NAME
    assert file.is_file()
    file.write_bytes(b'{"v":1,')
    PackLock.open(lock.path)
    assert file.read_bytes() == b'{"v":1,'


def test_the_verb_of_the_context_stands_in_the_record(tmp_path: Path) -> None:
    set_verb("update")
    try:
        with PackLock.open(tmp_path / "pack").try_acquire() as hold:
            assert '"verb":"update"' in (hold.path / PACK_LOCK_FILE_NAME).read_text()
    finally:
        set_verb("")


@pytest.mark.invariant("L4")
def test_a_body_that_fails_releases_and_keeps_its_error(tmp_path: Path) -> None:
    lock = PackLock.open(tmp_path / "pack")
    with pytest.raises(ValueError, match="mine"), lock.try_acquire():
        raise ValueError("mine")
    with pytest.raises(TierOrderError), lock.try_acquire(), PackLock.open(tmp_path / "other").try_acquire():
        pytest.fail("two packs at once")
    lock.try_acquire().release()
