"""SIGKILL for whoever holds a lock, waits for it or is just taking it: the kernel frees it, and the next one has it."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from pathlib import Path

import pytest

from grex.locks import backend_lock_path
from tests.support.backend import is_free
from tests.support.lock_holder import LockHolder
from tests.support.lock_queue import WaiterFleet, wait_for_ticket
from tests.support.processes import alive

pytestmark = pytest.mark.invariant("L6")


@pytest.fixture
def fleet(tmp_path: Path) -> Generator[WaiterFleet]:
    """Waiters for one pack."""
    with WaiterFleet("pack", tmp_path / "pack", tmp_path / "served") as started:
        yield started


@pytest.mark.invariant("L5")
def test_the_death_of_the_holder_lets_eight_waiters_in_one_after_the_other(fleet: WaiterFleet) -> None:
    holder = fleet.start_one()
    assert holder.ask("take holder") == "held holder"
    waiters = fleet.line_up(8)
    holder.kill()
    assert waiters["waiter-1"].answer(timeout_s=20) == "passed waiter-1"
    del waiters["waiter-1"]
    fleet.all_pass(waiters)
    assert fleet.served == ["holder", "waiter-1", *waiters]


@pytest.mark.invariant("L5")
def test_every_holder_dies_in_turn_and_each_time_the_next_one_has_the_lock(fleet: WaiterFleet) -> None:
    holder = fleet.start_one()
    assert holder.ask("take holder") == "held holder"
    waiters = fleet.start(5)
    for number, waiter in enumerate(waiters):
        fleet.queue(waiter, str(number), "take")
    for number, waiter in enumerate(waiters):
        holder.kill()
        assert waiter.answer() == f"held {number}"
        holder = waiter
    assert fleet.served == ["holder", *map(str, range(5))]


@pytest.mark.invariant("L5")
def test_the_holder_and_the_first_in_line_die_at_once(fleet: WaiterFleet) -> None:
    holder = fleet.start_one()
    assert holder.ask("take holder") == "held holder"
    waiters = fleet.line_up(4)
    first = waiters.pop("waiter-1")
    for process in (first, holder):
        process.signal(signal.SIGKILL)
    fleet.all_pass(waiters)
    assert [name for name in fleet.served if name != "waiter-1"] == ["holder", *waiters]


STEPS = {
    "won, and not yet judged": "grex.locks.target:PlainLockFile.confirm before",
    "granted, and nothing written": "grex.locks.attempt:write_record before",
    "recorded, and not yet returned": "grex.locks.attempt:write_record after",
    "half of the record": "os:pwrite torn",
    "releasing, with the record there": "grex.locks.hold:empty_record before",
    "releasing, with the record emptied": "grex.locks.hold:empty_record after",
    "unlocked, and not yet touched": "os:utime before",
}


@pytest.mark.parametrize("step", STEPS)
def test_a_death_at_any_step_of_a_hold_lets_the_next_in_line_in(tmp_path: Path, step: str) -> None:
    """The one that dies has waited before, so it has had a ticket, a watch and a place in front of the others."""
    workspace = tmp_path / "ws"
    workspace.mkdir()
    with WaiterFleet("workspace", workspace, tmp_path / "served") as fleet:
        holder = fleet.start_one()
        assert holder.ask("take holder") == "held holder"
        doomed = fleet.start_one(fault=f"die {STEPS[step]}")
        fleet.queue(doomed, "doomed")
        waiters = fleet.line_up(3)
        assert holder.ask("release holder") == "ok holder"
        assert doomed.wait_dead() == -signal.SIGKILL
        fleet.all_pass(waiters)
        assert [name for name in fleet.served if name != "doomed"] == ["holder", *waiters]
        assert fleet.lock_file.read_bytes().isspace()


@pytest.mark.invariant("L10")
def test_a_git_that_outlives_its_grex_keeps_the_backend_and_nothing_else(tmp_path: Path) -> None:
    """Told as steps.

    - A process holds WORKSPACE, PACK and BACKEND as a verb does, and starts a git that writes.
    - Another one waits for the workspace, a third for the checkout; then the first is killed, and its git lives on.
    - Workspace and pack are free at once. The backend is not, and who asks for it is told of which git it is.
    - The git ends, and the one that waits for the checkout has it.
    """
    workspace = tmp_path / "ws"
    pack = workspace / "pack"
    pack.mkdir(parents=True)
    with (
        LockHolder("command", workspace) as holder,
        LockHolder("workspace", workspace) as next_verb,
        LockHolder("pack", pack) as other,
        LockHolder("backend", pack) as waiter,
        LockHolder("backend", pack) as asker,
    ):
        assert holder.ask("take") == "held"
        git = int(holder.ask("child git hash-object --stdin-paths"))
        try:
            next_verb.send("take")
            wait_for_ticket(next_verb.pid)
            assert waiter.ask("take-aloud") == "waits"
            holder.kill()
            assert next_verb.answer() == "held"
            assert other.ask("try") == "held"
            assert alive(git)
            assert not is_free(backend_lock_path(pack))
            assert asker.ask("try") == "busy"
            assert f"its lock lives on in git (pid {git})" in asker.ask("why")
        finally:
            os.kill(git, signal.SIGKILL)
        assert waiter.answer() == "held"
        assert waiter.ask("release") == "ok"


def test_a_program_of_a_killed_grex_that_is_no_git_has_no_lock(tmp_path: Path) -> None:
    """What is started without being given the descriptor has none, however long it lives."""
    with LockHolder("backend", tmp_path / "checkout") as holder, LockHolder("backend", tmp_path / "checkout") as next_:
        assert holder.ask("take") == "held"
        hook = int(holder.ask("hook"))
        try:
            next_.send("take")
            wait_for_ticket(next_.pid)
            holder.kill()
            assert next_.answer() == "held"
            assert alive(hook)
        finally:
            os.kill(hook, signal.SIGKILL)


@pytest.mark.invariant("L10")
def test_the_note_of_a_killed_holder_is_not_taken_for_that_of_the_next_one(fleet: WaiterFleet) -> None:
    holder, waiter, asker = fleet.start(3)
    assert holder.ask("take") == "held"
    fleet.queue(waiter, "next", "take")
    holder.kill()
    assert waiter.answer() == "held next"
    assert asker.ask("try") == "busy"
    assert f"locked by pid {waiter.pid} " in asker.ask("why")
