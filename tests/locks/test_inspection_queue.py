"""Who waits for a lock, seen from outside: nobody is asked, nothing is taken, written or made."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import anyio
import pytest

from grex.locks import (
    PACK_LOCK_FILE_NAME,
    LockInfo,
    PackLock,
    Tier,
    WaitPolicy,
    WaitReport,
    inspect_locks,
    kernel_table,
    queue_view,
)
from grex.locks.inspection import find_holder
from grex.locks.pack_lock import KEPT_LINK_NAME
from grex.locks.queue_view import pids_ahead
from grex.locks.ticket import render_ticket
from tests.support.lock_holder import LockHolder
from tests.support.lock_queue import wait_for_ticket
from tests.support.ticket_taker import TicketTaker

pytestmark = pytest.mark.skipif(
    not hasattr(fcntl, "F_OFD_SETLK") or not Path("/proc/locks").exists(),
    reason="needs open file description locks and the kernel's list of locks",
)


@pytest.fixture
def file(workspace: Path) -> Path:
    """The lock file of a pack."""
    PackLock.open(workspace / "pack")
    return workspace / "pack" / PACK_LOCK_FILE_NAME


def look(file: Path) -> LockInfo:
    (info,) = inspect_locks([(Tier.PACK, file)])
    return info


def state(file: Path) -> tuple[object, ...]:
    found = file.stat()
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, file.read_bytes(), sorted(file.parent.rglob("*"))


def facts(info: LockInfo) -> list[tuple[int, int, int, bool, bool]]:
    return [(one.place, one.seq, one.pid, one.shared, one.verified) for one in info.queue]


def test_the_line_is_told_in_the_order_of_its_tickets_with_its_processes(file: Path) -> None:
    with LockHolder("pack", file.parent) as holder, TicketTaker(file) as one, TicketTaker(file) as other:
        assert holder.ask("take") == "held"
        one.ask("take 3")
        other.ask("take 2")
        one.ask("read 10")
        before = state(file)
        info = look(file)
        assert state(file) == before
        assert facts(info) == [
            (1, 2, other.pid, False, True),
            (2, 3, one.pid, False, True),
            (3, 10, one.pid, True, True),
        ]
        assert [(process.pid, process.ended) for process in info.holders] == [(holder.pid, False)]
        program = info.queue[0].command
        assert program == "tests.support.ticket_taker"  # what runs, and not the interpreter that runs it
        assert info.describe_queue() == [
            f"1. pid {other.pid} {program} (waiting)",
            f"2. pid {one.pid} {program} (waiting)",
            f"3. pid {one.pid} {program} (waiting to read)",
        ]
        document = json.loads(json.dumps(info.to_json()))
        assert document["queue"][0] == {
            "place": 1,
            "seq": 2,
            "pid": other.pid,
            "command": program,
            "shared": False,
            "verified": True,
            "stopped": False,
        }
        assert 0 <= document["held_for_s"] < 60
        other.ask("drop 2")
        assert [one[1] for one in facts(look(file))] == [3, 10]


def test_of_two_that_took_the_same_number_the_smaller_pid_is_first(file: Path) -> None:
    with TicketTaker(file) as one, TicketTaker(file) as other:
        one.ask("take 5")
        other.ask("take 5")
        assert [waiter.pid for waiter in look(file).queue] == sorted([one.pid, other.pid])


def test_a_waiter_that_was_killed_is_in_no_line(file: Path) -> None:
    with TicketTaker(file) as one:
        one.ask("take 1")
        assert len(look(file).queue) == 1
        one.kill()
        assert look(file).queue == ()


def test_a_ticket_in_the_name_of_somebody_else_is_not_believed(file: Path) -> None:
    with TicketTaker(file) as liar, LockHolder("pack", file.parent) as innocent:
        assert innocent.ask("take") == "held"
        with TicketTaker(file) as other:
            other.ask("take 5")
            liar.ask(f"take 1 {other.pid}")
            assert [waiter.verified for waiter in look(file).queue] == [False, True]  # it has one, but not this one
            liar.ask(f"drop 1 {other.pid}")
        liar.ask(f"take 1 {innocent.pid}")
        (waiter,) = look(file).queue
        assert (waiter.pid, waiter.verified, waiter.command) == (innocent.pid, False, "")
        assert waiter.describe() == f"1. pid {innocent.pid} (waiting; the pid is what its ticket says)"


def test_a_ticket_on_another_file_proves_nothing(file: Path, workspace: Path) -> None:
    with TicketTaker(file) as liar, TicketTaker(workspace / "elsewhere") as other:
        other.ask("take 1")
        liar.ask(f"take 1 {other.pid}")
        assert [waiter.verified for waiter in look(file).queue] == [False]


def test_where_this_user_may_not_look_the_program_is_named_and_nothing_is_vouched_for(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str) -> list[str]:
        raise PermissionError(13, "Permission denied", name)

    with TicketTaker(file) as one:
        one.ask("take 1")
        monkeypatch.setattr("grex.locks.kernel_table.os.listdir", refuse)
        (waiter,) = look(file).queue
        monkeypatch.undo()
    assert (waiter.pid, waiter.verified, waiter.command) == (one.pid, False, "tests.support.ticket_taker")


def test_the_list_is_read_once_for_all_locks(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [(Tier.PACK, PackLock.open(workspace / name).path / PACK_LOCK_FILE_NAME) for name in "abc"]
    read: list[None] = []
    real: Callable[[], kernel_table.LockTable | None] = kernel_table.read_lock_table

    def count() -> kernel_table.LockTable | None:
        read.append(None)
        return real()

    for module in ("inspection", "queue_view"):
        monkeypatch.setattr(f"grex.locks.{module}.read_lock_table", count)
    assert len(inspect_locks(paths)) == 3
    assert len(read) == 1


def test_a_program_that_sleeps_in_the_kernel_is_named_and_is_in_no_line(file: Path) -> None:
    with LockHolder("pack", file.parent) as holder:
        assert holder.ask("take") == "held"
        blocked = subprocess.Popen(["flock", str(file), "true"])
        try:
            while not (found := look(file).blocked):
                assert blocked.poll() is None
            assert [(one.pid, one.command) for one in found] == [(blocked.pid, "flock")]
            assert look(file).pids == (holder.pid,)
            assert look(file).describe_queue() == [f"-  pid {blocked.pid} flock (asleep in the kernel, in no line)"]
        finally:
            holder.send("release")
            assert blocked.wait(timeout=20) == 0


def test_a_holder_that_wrote_no_record_is_named_by_its_program(file: Path) -> None:
    with LockHolder("flock", file) as holder:
        assert holder.ask("take") == "held"
        info = look(file)
        assert info.describe() == f"held by pid {holder.pid} on host {os.uname().nodename}, tests.support.lock_holder"
    assert info.to_json()["held_for_s"] is None


def test_every_reader_is_named(workspace: Path) -> None:
    with ExitStack() as stack:
        readers = [stack.enter_context(LockHolder("reader", workspace)) for _ in range(2)]
        for reader in readers:
            assert reader.ask("take") == "held"
        info = look(workspace / ".grex.jsonl.lock")
        assert {process.pid for process in info.holders} == {reader.pid for reader in readers}
        for reader in readers:
            assert f"pid {reader.pid} tests.support.lock_holder" in info.describe()
        assert info.describe().startswith("shared by pid ")


def test_a_lock_whose_name_was_swept_away_while_it_was_held_is_still_seen(workspace: Path) -> None:
    pack = workspace / "pack"
    subprocess.run(["git", "init", "--quiet", str(pack)], check=True)
    PackLock.open(pack)
    file = pack / PACK_LOCK_FILE_NAME
    with LockHolder("pack", pack) as holder, TicketTaker(pack / ".git" / KEPT_LINK_NAME) as waiter:
        assert holder.ask("take") == "held"
        waiter.ask("take 1")
        subprocess.run(["git", "-C", str(pack), "clean", "-fdxq"], check=True)
        assert not file.exists()
        info = look(file)
        assert (info.path, info.held, info.pids) == (file, True, (holder.pid,))
        assert [one.pid for one in info.queue] == [waiter.pid]
        found = find_holder(str(file))
        assert found is not None
        assert found.pid == holder.pid


def test_a_record_that_is_newer_than_the_picture_does_not_count(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = kernel_table.read_lock_table()
    monkeypatch.setattr("grex.locks.inspection.read_lock_table", lambda: picture)
    with LockHolder("pack", file.parent) as holder:
        assert holder.ask("take") == "held"
        info = look(file)
    assert (info.held, info.holder, info.is_noteworthy) == (False, None, False)


def test_where_the_system_has_no_list_nothing_is_claimed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grex.locks.inspection.read_lock_table", lambda: None)
    monkeypatch.setattr(queue_view, "read_lock_table", lambda: None)
    with LockHolder("pack", file.parent) as holder:
        assert holder.ask("take") == "held"
        info = look(file)
        assert info.held is None
        assert info.describe().startswith(f"unknown; last note: pid {holder.pid}")
        assert pids_ahead(str(file), render_ticket(1, 1)) is None


def test_whose_tickets_are_ahead_of_ones_own(file: Path) -> None:
    with TicketTaker(file) as one, TicketTaker(file) as other:
        one.ask("take 1")
        other.ask("read 2")
        one.ask("take 4")
        assert pids_ahead(str(file), render_ticket(2, other.pid)) == (one.pid,)  # one's own ticket is not before it
        before = (one.pid, other.pid, one.pid)
        fd = os.open(file, os.O_RDONLY)
        try:
            for seq, ahead in ((1, 0), (2, 1), (3, 2), (4, 2), (5, 3)):
                assert pids_ahead(fd, render_ticket(seq, 1)) == before[:ahead]
                assert pids_ahead(str(file), render_ticket(seq, 1)) == before[:ahead]
        finally:
            os.close(fd)
    assert pids_ahead(str(file), render_ticket(9, 1)) == ()
    assert pids_ahead(str(file.parent / "missing"), render_ticket(9, 1)) is None


def test_who_stands_still_is_said_to(file: Path) -> None:
    """A holder and the head of the line were suspended: both look alive, and nothing will ever happen."""
    with LockHolder("pack", file.parent) as holder, LockHolder("pack", file.parent) as waiter:
        assert holder.ask("take") == "held"
        waiter.send("take")
        wait_for_ticket(waiter.pid)
        assert not look(file).holders[0].stopped
        assert look(file).describe_queue() == [f"1. pid {waiter.pid} {look(file).queue[0].command} (waiting)"]
        holder.wait_stopped()
        waiter.wait_stopped()
        info = look(file)
        assert info.describe().endswith(f"; it is stopped (`kill -CONT {holder.pid}` continues it)")
        assert info.describe_queue() == [f"1. pid {waiter.pid} {info.queue[0].command} (waiting; stopped)"]
        document = info.to_json()
        assert (document["holders"][0]["stopped"], document["queue"][0]["stopped"]) == (True, True)


@pytest.mark.anyio
async def test_a_long_wait_says_who_before_it_stands_still(file: Path) -> None:
    with LockHolder("pack", file.parent) as holder, LockHolder("pack", file.parent) as waiter:
        assert holder.ask("take") == "held"
        waiter.send("take")
        wait_for_ticket(waiter.pid)
        waiter.wait_stopped()
        reports: list[WaitReport] = []
        with anyio.CancelScope() as scope:

            def told(report: WaitReport) -> None:
                reports.append(report)
                scope.cancel()

            policy = WaitPolicy(on_wait=told, first_report_s=0)
            await PackLock.open(file.parent).acquire_async(policy=policy)
        assert (reports[0].ahead, reports[0].stopped) == (1, (waiter.pid,))


def test_who_looks_by_a_descriptor_closes_nothing_that_others_would_wake_up_for(file: Path) -> None:
    """A descriptor is read where it stands; opening the path again and closing it would be an event on the file."""
    with LockHolder("pack", file.parent) as holder:
        assert holder.ask("take") == "held"
        fd = os.open(file, os.O_RDONLY)
        hidden = file.rename(file.parent / "moved")
        try:
            found = find_holder(fd)
        finally:
            os.close(fd)
            hidden.rename(file)
    assert found is not None
    assert found.pid == holder.pid


def test_other_lines_of_the_list_are_left_out() -> None:
    offset = render_ticket(7, 12)
    table = kernel_table.parse_lock_table(
        "1: POSIX  ADVISORY  WRITE 10 fe:00:5 0 EOF\n"
        f"2: OFDLCK ADVISORY  WRITE -1 fe:00:5 {offset} {offset}\n"
        f"2: OFDLCK ADVISORY  WRITE -1 fe:00:5 {offset} {offset}\n"  # a page of the list may repeat what was said
        "3: OFDLCK ADVISORY  READ -1 fe:00:5 4611686018427387904 4611686018427387904\n"  # the turnstile of the manifest
        "4: OFDLCK ADVISORY  READ -1 fe:00:5 0 EOF\n"
        "5: FLOCK  ADVISORY  READ 11 fe:00:5 0 EOF\n"
        "5:  -> FLOCK  ADVISORY  WRITE 13 fe:00:5 0 EOF\n"
        "6: LEASE  ACTIVE    READ 14 fe:00:5 0 EOF\n"
        "7: FLOCK  ADVISORY  WRITE 15 <none>:0 0 EOF\n"
        "nonsense\n"
    )
    place = kernel_table.LockPlace("fe:00", 5)
    assert table.holders_of(place) == ((11, True),)
    assert table.blocked_on(place) == ((13, False),)
    assert table.queue_of(place) == (((7, 12), False, offset),)
    assert set(table.flocks) == {place}


def page(*pids: int) -> bytes:
    lines = (f"{pid}: FLOCK  ADVISORY  WRITE {pid} fe:00:{pid} 0 EOF\n" for pid in pids)
    return "".join(lines).encode()


@pytest.mark.parametrize(
    ("readings", "seen", "read"),
    [
        ([(page(1, 2),), ()], {1, 2}, 1),  # one page is true by itself
        ([()], set(), 1),
        ([(page(1), page(2)), (page(1), page(2))], {1, 2}, 2),
        ([(page(1), page(3)), (page(1), page(2, 3)), (page(1), page(2, 3))], {1, 2, 3}, 3),  # 2 was missed at first
        (
            [(page(1, 2), page(3)), (page(2), page(3)), (page(2, 4), page(3)), (page(2), page(5)), ()],
            {1, 2, 3, 4, 5},
            4,
        ),
    ],
)
def test_what_one_reading_of_a_long_list_missed_another_one_has(
    readings: list[tuple[bytes, ...]], seen: set[int], read: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = list(readings)
    monkeypatch.setattr(kernel_table, "_read_pages", lambda: left.pop(0))
    table = kernel_table.read_lock_table()
    assert table is not None
    assert {entry.pid for entries in table.flocks.values() for entry in entries} == seen
    assert len(readings) - len(left) == read


@pytest.mark.anyio
@pytest.mark.invariant("L10")
async def test_a_long_wait_says_how_many_are_before_it_and_stands_in_the_line(file: Path) -> None:
    reports: list[WaitReport] = []
    first = anyio.Event()

    def note(report: WaitReport) -> None:
        reports.append(report)
        first.set()

    async def wait() -> None:
        async with await PackLock.open(file.parent).acquire_async(WaitPolicy(on_wait=note, first_report_s=0.02)):
            pass

    with LockHolder("pack", file.parent) as holder, TicketTaker(file) as other:
        assert holder.ask("take") == "held"
        other.ask("take 1")
        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            with anyio.fail_after(30):
                await first.wait()
            queue = facts(look(file))
            other.ask("drop 1")
            holder.send("release")
    assert reports[0].ahead == 1
    assert queue == [(1, 1, other.pid, False, True), (2, 2, os.getpid(), False, True)]
