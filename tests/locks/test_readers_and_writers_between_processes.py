"""Readers and writers of one manifest in several processes: readers share, and nobody goes before who came earlier."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.support.killing import eventually
from tests.support.lock_holder import LockHolder
from tests.support.lock_queue import WaiterFleet, seen_tickets

pytestmark = pytest.mark.invariant("L5")


@pytest.fixture
def fleet(workspace: Path, tmp_path: Path) -> Generator[WaiterFleet]:
    """Readers and writers of the manifest of one workspace."""
    with WaiterFleet("reader", workspace, tmp_path / "served") as started:
        yield started


def test_readers_who_came_before_a_writer_read_together_and_those_after_it_wait(fleet: WaiterFleet) -> None:
    """Told as steps.

    - A writer has the manifest; reader 1, reader 2, writer 3, reader 4, reader 5, writer 6 queue in this order.
    - The writer ends: readers 1 and 2 read at the same time, and nobody else gets in.
    - Both end: writer 3 writes. It ends: readers 4 and 5 read together, and then writer 6 writes.
    """
    first = fleet.start_one("writer")
    assert first.ask("take first") == "held first"
    one, two, four, five = fleet.start(4, "reader")
    three, six = fleet.start(2, "writer")
    in_line = {"1": one, "2": two, "3": three, "4": four, "5": five, "6": six}
    for name, process in in_line.items():
        fleet.queue(process, name, "take")
    assert first.ask("release first") == "ok first"
    assert [one.answer(), two.answer()] == ["held 1", "held 2"]
    fleet.assert_nobody_else("first", "1", "2", for_s=0.3)
    pids = [process.pid for process in in_line.values()]
    eventually(lambda: [ticket.pid for ticket in seen_tickets(*pids)] == pids[2:], "only those who still wait")
    assert one.ask("release 1") == "ok 1"
    assert len(fleet.served) == 3  # writer 3 is not in beside reader 2
    assert two.ask("release 2") == "ok 2"
    assert three.answer() == "held 3"
    assert three.ask("release 3") == "ok 3"
    assert [four.answer(), five.answer()] == ["held 4", "held 5"]
    assert four.ask("release 4") == "ok 4"
    assert five.ask("release 5") == "ok 5"
    assert six.answer() == "held 6"
    assert sorted(fleet.served) == sorted(["first", *in_line])


@pytest.mark.slow
def test_readers_who_came_after_a_writer_stay_behind_it_however_long_others_read(fleet: WaiterFleet) -> None:
    """Who is not woken for seconds may step over a waiter that is suspended. A writer that waits for readers is not.

    To a reader the lock looks free all the time, for it could join those who read.
    """
    early, late, later = fleet.start(3, "reader")
    writer = fleet.start_one("writer")
    assert early.ask("take early") == "held early"
    fleet.queue(writer, "writer")
    fleet.queue(late, "late")
    fleet.queue(later, "later")
    fleet.assert_nobody_else("early", for_s=10)
    assert early.ask("release early") == "ok early"
    assert [writer.answer(), late.answer(), later.answer()] == ["passed writer", "passed late", "passed later"]
    assert fleet.served[:2] == ["early", "writer"]


def test_a_queue_of_readers_tells_that_it_is_one(fleet: WaiterFleet) -> None:
    writer = fleet.start_one("writer")
    assert writer.ask("take first") == "held first"
    reader, other = fleet.start_one("reader"), fleet.start_one("writer")
    fleet.queue(reader, "reader")
    fleet.queue(other, "writer")
    assert [ticket.shared for ticket in seen_tickets(reader.pid, other.pid)] == [True, False]
    assert writer.ask("release first") == "ok first"
    assert reader.answer() == "passed reader"
    assert other.answer() == "passed writer"


def test_a_reader_that_must_not_wait_is_refused_while_a_writer_queues(fleet: WaiterFleet) -> None:
    early, late = fleet.start(2, "reader")
    writer = fleet.start_one("writer")
    assert early.ask("take early") == "held early"
    fleet.queue(writer, "writer")
    assert late.ask("try") == "busy"
    assert writer.ask("cancel writer") == "cancelled writer"
    assert late.ask("try") == "held"


@pytest.mark.parametrize("manner", ["cancelled", "killed"])
def test_readers_behind_a_writer_that_leaves_join_those_who_read(fleet: WaiterFleet, manner: str) -> None:
    early, late, later = fleet.start(3, "reader")
    writer = fleet.start_one("writer")
    assert early.ask("take early") == "held early"
    fleet.queue(writer, "writer")
    fleet.queue(late, "late", "take")
    fleet.queue(later, "later", "take")
    if manner == "killed":
        writer.kill()
    else:
        assert writer.ask("cancel writer") == "cancelled writer"
    assert [late.answer(), later.answer()] == ["held late", "held later"]
    assert fleet.served[0] == "early"
    assert early.ask("release early") == "ok early"


def test_a_writer_gets_in_again_and_again_among_readers_of_three_processes_who_never_pause(fleet: WaiterFleet) -> None:
    """Each reader comes back the moment it has left, so hardly ever is nobody reading."""
    readers = fleet.start(3, "reader")
    writer = fleet.start_one("writer")
    for number, reader in enumerate(readers):
        reader.send(f"churn stream-{number}")
    eventually(lambda: set(fleet.served) == {"stream-0", "stream-1", "stream-2"}, "three streams")
    for number in range(10):
        assert writer.ask(f"pass writer-{number}") == f"passed writer-{number}"
    for number, reader in enumerate(readers):
        reader.send(f"cancel stream-{number}")
    assert [name for name in fleet.served if name.startswith("writer")] == [f"writer-{number}" for number in range(10)]


def test_readers_get_in_among_writers_of_three_processes_who_never_pause(fleet: WaiterFleet) -> None:
    writers = fleet.start(3, "writer")
    reader = fleet.start_one("reader")
    for number, writer in enumerate(writers):
        writer.send(f"churn stream-{number}")
    eventually(lambda: set(fleet.served) == {"stream-0", "stream-1", "stream-2"}, "three streams")
    for number in range(10):
        assert reader.ask(f"pass reader-{number}") == f"passed reader-{number}"
    for number, writer in enumerate(writers):
        writer.send(f"cancel stream-{number}")
    assert [name for name in fleet.served if name.startswith("reader")] == [f"reader-{number}" for number in range(10)]


@pytest.mark.invariant("L6")
def test_the_death_of_one_of_two_readers_lets_no_writer_in_and_that_of_both_does(fleet: WaiterFleet) -> None:
    one, two = fleet.start(2, "reader")
    writer = fleet.start_one("writer")
    assert [one.ask("take one"), two.ask("take two")] == ["held one", "held two"]
    fleet.queue(writer, "writer")
    one.kill()
    assert [ticket.pid for ticket in seen_tickets(writer.pid)] == [writer.pid]
    with LockHolder("flock", fleet.lock_file) as stranger:
        assert stranger.ask("try") == "busy"
    two.kill()
    assert writer.answer() == "passed writer"
    assert fleet.served[-1] == "writer"
