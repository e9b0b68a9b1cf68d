"""Where the kernel does not wake a waiter or keep its order: the lock is as exclusive, and everybody is served.

The limits of inotify are real ones, of a user namespace. What cannot be had on this machine (a kernel without
open file description locks, a network file system) is played to one process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from tests.support.lock_holder import Kind
from tests.support.lock_queue import WaiterFleet, seen_tickets
from tests.support.namespaces import with_limit

Options = Callable[[], dict[str, Any]]

POLLS: dict[str, Options] = {
    "no inotify instance left": lambda: {"within": with_limit("max_inotify_instances", 0)},
    "no inotify watch left": lambda: {"within": with_limit("max_inotify_watches", 0)},
    "no inotify at all": lambda: {"fault": "no-inotify"},
    "no open file description locks": lambda: {"fault": "no-ofd"},
    "a network file system": lambda: {"fault": "nfs"},
}
WARNING = "LockFallbackWarning"


@pytest.fixture
def fleet(tmp_path: Path) -> Generator[WaiterFleet]:
    """Waiters for one pack."""
    with WaiterFleet("pack", tmp_path / "pack", tmp_path / "served") as started:
        yield started


@pytest.fixture(params=POLLS)
def lacking(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the process is started with that has to do without something; every warning is shown, however often."""
    return POLLS[request.param]() | {"env": {"PYTHONWARNINGS": "always"}}


@pytest.mark.invariant("L1")
@pytest.mark.parametrize("kind", ["pack", pytest.param("writer", marks=pytest.mark.slow)])
def test_polling_processes_are_never_in_together_and_all_served(
    tmp_path: Path, kind: Kind, lacking: dict[str, Any]
) -> None:
    """Three that poll and two that need not, each of them twenty times."""
    (tmp_path / "place").mkdir()
    with WaiterFleet(kind, tmp_path / "place", tmp_path / "served") as fleet:
        processes = {"a": fleet.start_one(**lacking), "b": fleet.start_one()}
        processes |= {"c": fleet.start_one(**lacking), "d": fleet.start_one(), "e": fleet.start_one(**lacking)}
        for number in range(20):
            for name, process in processes.items():
                process.send(f"pass {name}-{number}")
        for process in processes.values():
            for _ in range(20):
                assert process.answer().startswith("passed")
        assert sorted(fleet.served) == sorted(f"{name}-{number}" for name in processes for number in range(20))


@pytest.mark.invariant("L6")
def test_a_polling_waiter_has_the_lock_after_the_death_of_its_holder(
    fleet: WaiterFleet, lacking: dict[str, Any]
) -> None:
    holder = fleet.start_one()
    assert holder.ask("take holder") == "held holder"
    polling = fleet.start_one(**lacking)
    assert polling.ask("take-aloud polling") == "waits polling"
    holder.kill()
    assert polling.answer() == "held polling"
    assert fleet.start_one().ask("try") == "busy"


def test_a_polling_waiter_warns_once_however_often_it_waits(fleet: WaiterFleet, lacking: dict[str, Any]) -> None:
    holder = fleet.start_one()
    polling = fleet.start_one(**lacking)
    for number in range(3):
        assert holder.ask("take") == "held"
        assert polling.ask(f"pass-aloud {number}") == f"waits {number}"
        assert holder.ask("release") == "ok"
        assert polling.answer() == f"passed {number}"
    assert polling.said.count(WARNING) == 1, polling.said
    assert str(fleet.lock_file) in polling.said
    assert WARNING not in holder.said


@pytest.mark.invariant("L5")
@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("no inotify at all", "inotify cannot be used (Function not implemented)"),
        ("no open file description locks", "it has no open file description locks (Invalid argument)"),
        ("a network file system", "the file system is of type nfs4"),
    ],
)
def test_the_warning_says_what_is_missing(fleet: WaiterFleet, what: str, why: str) -> None:
    holder = fleet.start_one()
    polling = fleet.start_one(**POLLS[what]())
    assert holder.ask("take") == "held"
    assert polling.ask("pass-aloud") == "waits"
    assert holder.ask("release") == "ok"
    assert polling.answer() == "passed"
    assert f"because {why};" in polling.said


def test_a_process_that_lacks_nothing_does_not_warn(fleet: WaiterFleet) -> None:
    holder = fleet.start_one(env={"PYTHONWARNINGS": "always"})
    waiter = fleet.start_one(env={"PYTHONWARNINGS": "always"})
    assert holder.ask("take holder") == "held holder"
    fleet.queue(waiter, "waiter")
    assert holder.ask("release holder") == "ok holder"
    assert waiter.answer() == "passed waiter"
    assert holder.said + waiter.said == ""


@pytest.mark.invariant("L7")
def test_a_polling_waiter_costs_little_and_can_be_cancelled(fleet: WaiterFleet, lacking: dict[str, Any]) -> None:
    """A second of a wait is mostly sleep: processor time is counted, which no load of the machine adds to."""
    holder = fleet.start_one()
    assert holder.ask("take holder") == "held holder"
    polling = fleet.start_one(**lacking)
    assert polling.ask("take-aloud polling") == "waits polling"
    before = polling.cpu_s
    time.sleep(1.0)  # the stretch of time that is measured
    assert polling.cpu_s - before <= 0.25
    assert polling.ask("cancel polling") == "cancelled polling"
    assert seen_tickets(polling.pid) == []
    assert holder.ask("release holder") == "ok holder"
    assert polling.ask("take again") == "held again"


@pytest.mark.invariant("L5")
@pytest.mark.parametrize("what", ["no inotify instance left", "no inotify watch left", "no inotify at all"])
def test_one_that_is_not_woken_by_the_kernel_keeps_its_place_in_the_queue(fleet: WaiterFleet, what: str) -> None:
    """Tickets need no inotify, and those behind it wait for its end and not for the file."""
    holder = fleet.start_one()
    assert holder.ask("take holder") == "held holder"
    lacking = POLLS[what]()
    waiters = {"a": fleet.start_one(**lacking), "b": fleet.start_one(), "c": fleet.start_one(**lacking)}
    waiters["d"] = fleet.start_one()
    for name, waiter in waiters.items():
        fleet.queue(waiter, name)
    assert holder.ask("release holder") == "ok holder"
    fleet.all_pass(waiters)
    assert fleet.served == ["holder", *waiters]
