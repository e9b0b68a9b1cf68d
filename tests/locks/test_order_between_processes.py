"""Processes that wait for one lock are served first come, first served, whatever becomes of some of them.

Each of them is known to stand in the queue before the next one asks, so "who came first" is a fact and no guess.
"""

from __future__ import annotations

import signal
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.support.killing import eventually
from tests.support.lock_holder import Kind, LockHolder
from tests.support.lock_queue import WaiterFleet, seen_tickets

pytestmark = pytest.mark.invariant("L5")


@pytest.fixture
def fleet(tmp_path: Path) -> Generator[WaiterFleet]:
    """Waiters for one pack."""
    with WaiterFleet("pack", tmp_path / "pack", tmp_path / "served") as started:
        yield started


@pytest.fixture
def holder(tmp_path: Path) -> Generator[LockHolder]:
    """The process that holds the pack."""
    with LockHolder("pack", tmp_path / "pack") as started:
        assert started.ask("take") == "held"
        yield started


@pytest.mark.parametrize(
    "count", [8, pytest.param(50, marks=[pytest.mark.slow, pytest.mark.timeout(300)])], ids=lambda count: f"{count}"
)
def test_processes_are_served_in_the_order_in_which_they_came(
    fleet: WaiterFleet, holder: LockHolder, count: int
) -> None:
    waiters = fleet.line_up(count)
    pids = [waiter.pid for waiter in waiters.values()]
    eventually(lambda: [ticket.pid for ticket in seen_tickets(*pids)] == pids, "their tickets in this order")
    assert holder.ask("release") == "ok"
    fleet.all_pass(waiters)
    assert fleet.served == list(waiters)
    granted = [int(waiter.ask(f"when {name}")) for name, waiter in waiters.items()]
    assert granted == sorted(granted)
    assert seen_tickets(*(waiter.pid for waiter in waiters.values())) == []


@pytest.mark.parametrize("kind", ["workspace", "backend", "writer"])
def test_so_are_those_who_wait_for_any_other_exclusive_lock(tmp_path: Path, kind: Kind) -> None:
    (tmp_path / "place").mkdir()
    with (
        LockHolder(kind, tmp_path / "place") as holder,
        WaiterFleet(kind, tmp_path / "place", tmp_path / "served") as fleet,
    ):
        assert holder.ask("take") == "held"
        waiters = fleet.line_up(4)
        assert holder.ask("release") == "ok"
        fleet.all_pass(waiters)
        assert fleet.served == list(waiters)


@pytest.mark.parametrize("leaving", [[1], [4], [8], [4, 5], [1, 2], [3, 5, 7]], ids=str)
@pytest.mark.parametrize("manner", ["cancelled", "killed"])
def test_those_who_leave_the_queue_delay_nobody_and_change_no_order(
    fleet: WaiterFleet, holder: LockHolder, leaving: list[int], manner: str
) -> None:
    waiters = fleet.line_up(8)
    gone = {f"waiter-{number}": waiters.pop(f"waiter-{number}") for number in leaving}
    if manner == "killed":
        for waiter in gone.values():
            waiter.signal(signal.SIGKILL)  # all of them before the first is looked after
        for waiter in gone.values():
            waiter.wait_dead()
    else:
        for name, waiter in gone.items():
            waiter.send(f"cancel {name}")
        assert [waiter.answer() for waiter in gone.values()] == [f"cancelled {name}" for name in gone]
    assert seen_tickets(*(waiter.pid for waiter in gone.values())) == []
    assert holder.ask("release") == "ok"
    fleet.all_pass(waiters)
    assert fleet.served == list(waiters)


@pytest.mark.parametrize("manner", ["cancelled", "killed"])
def test_those_who_leave_in_the_moment_of_the_release_take_nothing_with_them(
    fleet: WaiterFleet, holder: LockHolder, manner: str
) -> None:
    """The first two leave while the lock is on its way to them; one of them may have had it for a moment."""
    waiters = fleet.line_up(6)
    leaving = {name: waiters.pop(name) for name in ("waiter-1", "waiter-2")}
    holder.send("release")
    for name, waiter in leaving.items():
        if manner == "killed":
            waiter.signal(signal.SIGKILL)
        else:
            waiter.send(f"cancel {name}")
    fleet.all_pass(waiters)
    assert [name for name in fleet.served if name not in leaving] == list(waiters)


@pytest.mark.slow  # each of the others waits for two seconds and more before it steps over it
@pytest.mark.parametrize("place", [1, 2])
def test_a_suspended_waiter_lets_the_others_through_and_has_its_turn_when_it_goes_on(
    fleet: WaiterFleet, holder: LockHolder, place: int
) -> None:
    waiters = fleet.line_up(4)
    name = f"waiter-{place}"
    suspended = waiters.pop(name)
    suspended.wait_stopped()
    assert holder.ask("release") == "ok"
    fleet.all_pass(waiters)
    assert sorted(fleet.served) == sorted(waiters)  # who steps over it is the first whose patience ends
    assert [ticket.pid for ticket in seen_tickets(suspended.pid)] == [suspended.pid]
    suspended.signal(signal.SIGCONT)
    assert suspended.answer() == f"passed {name}"
    assert fleet.served[-1] == name


def test_a_suspended_waiter_that_goes_on_before_its_turn_has_lost_nothing(
    fleet: WaiterFleet, holder: LockHolder
) -> None:
    waiters = fleet.line_up(4)
    waiters["waiter-2"].wait_stopped()
    waiters["waiter-2"].signal(signal.SIGCONT)
    assert holder.ask("release") == "ok"
    fleet.all_pass(waiters)
    assert fleet.served == list(waiters)


def test_tasks_of_two_processes_are_served_in_the_order_in_which_they_came(
    fleet: WaiterFleet, holder: LockHolder
) -> None:
    """Four tasks in each, arriving by turns: what stands at the front of one process may not go before the other's."""
    one, two = fleet.start(2)
    names = [f"{who}-{number}" for number in range(1, 5) for who in ("one", "two")]
    for name in names:
        fleet.queue(one if name.startswith("one") else two, name)
    assert holder.ask("release") == "ok"
    for process, who in ((one, "one"), (two, "two")):
        assert [process.answer() for _ in range(4)] == [f"passed {who}-{number}" for number in range(1, 5)]
    assert fleet.served == names


def test_tasks_that_are_cancelled_among_those_of_two_processes_delay_nobody(
    fleet: WaiterFleet, holder: LockHolder
) -> None:
    one, two = fleet.start(2)
    names = [f"{who}-{number}" for number in range(1, 5) for who in ("one", "two")]
    for name in names:
        fleet.queue(one if name.startswith("one") else two, name)
    for process, name in ((one, "one-1"), (one, "one-3"), (two, "two-2"), (two, "two-3")):
        assert process.ask(f"cancel {name}") == f"cancelled {name}"
        names.remove(name)
    assert holder.ask("release") == "ok"
    for process, answers in ((one, ["one-2", "one-4"]), (two, ["two-1", "two-4"])):
        assert [process.answer() for _ in answers] == [f"passed {name}" for name in answers]
    assert fleet.served == names


def test_the_last_task_of_a_process_that_leaves_does_not_take_its_neighbours_place_along(
    fleet: WaiterFleet, holder: LockHolder
) -> None:
    """A task that comes back queues at the end, although its process still stands further ahead."""
    one, two = fleet.start(2)
    fleet.queue(one, "one-1")
    fleet.queue(one, "one-2")
    fleet.queue(two, "two-1")
    assert one.ask("cancel one-1") == "cancelled one-1"
    fleet.queue(one, "one-3")
    assert holder.ask("release") == "ok"
    assert [one.answer(), one.answer()] == ["passed one-2", "passed one-3"]
    assert two.answer() == "passed two-1"
    assert fleet.served == ["one-2", "two-1", "one-3"]


def test_a_newcomer_that_must_not_wait_is_refused_while_others_queue(fleet: WaiterFleet, holder: LockHolder) -> None:
    """Also in the moment in which nobody has the lock, here made to last: the first in the queue stands still."""
    newcomer = fleet.start_one()
    (waiter,) = fleet.line_up(1).values()
    assert newcomer.ask("try") == "busy"
    waiter.wait_stopped()
    assert holder.ask("release") == "ok"
    assert newcomer.ask("try") == "busy"
    waiter.signal(signal.SIGCONT)
    assert waiter.answer() == "passed waiter-1"
    assert newcomer.ask("try") == "held"
    assert fleet.served == ["waiter-1", ""]


def test_a_holder_that_comes_back_at_once_queues_behind_those_who_wait(fleet: WaiterFleet) -> None:
    """It has the shortest way to the lock; a queue is only one if it holds for it too."""
    first = fleet.start_one()
    assert first.ask("take first") == "held first"
    waiters = fleet.line_up(3)
    first.send("release first\npass again")
    assert sorted([first.answer(), first.answer()]) == ["ok first", "passed again"]
    fleet.all_pass(waiters)
    assert fleet.served == ["first", *waiters, "again"]


def test_one_who_queues_while_the_lock_is_handed_on_comes_last(fleet: WaiterFleet, holder: LockHolder) -> None:
    waiters = fleet.line_up(5)
    late = fleet.start_one()
    assert late.ask("try probe") == "busy probe"  # everything that is loaded at the first try is there now
    holder.send("release")
    eventually(
        lambda: len(seen_tickets(*(waiter.pid for waiter in waiters.values()))) < len(waiters), "the first grant"
    )
    late.send("pass late")
    fleet.all_pass(waiters)
    assert late.answer() == "passed late"
    assert fleet.served == [*waiters, "late"]


def test_a_ticket_is_gone_with_the_grant_and_its_numbers_begin_anew(fleet: WaiterFleet, holder: LockHolder) -> None:
    for _ in range(3):
        waiters = fleet.line_up(2)
        tickets = seen_tickets(*(waiter.pid for waiter in waiters.values()))
        assert [ticket.number for ticket in tickets] == [1, 2]
        assert {ticket.inode for ticket in tickets} == {fleet.lock_file.stat().st_ino}
        assert holder.ask("release") == "ok"
        fleet.all_pass(waiters)
        assert seen_tickets(*(waiter.pid for waiter in waiters.values())) == []
        assert holder.ask("take") == "held"
