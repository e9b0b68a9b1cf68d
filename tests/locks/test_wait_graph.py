"""Circles of waits over several processes: those that are there are found, and no others."""

from __future__ import annotations

import fcntl
import os
import select
from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from grex.errors import LockDeadlockError
from grex.locks import (
    PACK_LOCK_FILE_NAME,
    WORKSPACE_LOCK_FILE_NAME,
    PackLock,
    Tier,
    WaitPolicy,
    WorkspaceLock,
    wait_graph,
)
from grex.locks.held import HeldEntry
from grex.locks.kernel_table import FlockEntry, LockFinder, LockPlace, LockTable, TicketEntry, read_lock_table
from grex.locks.ticket import TicketNumber, render_ticket
from grex.locks.wait_graph import KernelView, Wait, check_cycle, find_cycle, search_cycle
from tests.support.hook_process import HookProcess
from tests.support.ticket_taker import TicketTaker

PATIENCE_S = 10.0

needs_tickets = pytest.mark.skipif(
    not hasattr(fcntl, "F_OFD_SETLK") or not Path("/proc/locks").exists(),
    reason="needs open file description locks and the kernel's list of locks",
)


# --- a machine that was made up -----------------------------------------------------------------------------------


@dataclass
class Machine:
    """Processes and locks that were made up; a lock is its inode on one device."""

    holders: dict[int, int] = field(default_factory=dict)  # lock -> process
    waits: dict[int, list[int]] = field(default_factory=dict)  # process -> locks
    inside: dict[int, list[tuple[int, int]]] = field(default_factory=dict)  # process -> (holder, lock) above it
    gone: set[int] = field(default_factory=set)  # processes that do not show the ticket that the list has

    @property
    def table(self) -> LockTable:
        """The kernel's list."""
        tickets: dict[LockPlace, list[TicketEntry]] = {}
        for pid, locks in self.waits.items():
            for lock in locks:
                entry = TicketEntry(TicketNumber(1, pid), shared=False, offset=render_ticket(1, pid))
                tickets.setdefault(place(lock), []).append(entry)
        return LockTable(
            {place(lock): (FlockEntry(pid, shared=False),) for lock, pid in self.holders.items()},
            {},
            {where: tuple(entries) for where, entries in tickets.items()},
        )

    def held_above(self, pid: int) -> tuple[HeldEntry, ...]:
        """What the process was told."""
        return tuple(entry(holder, lock) for holder, lock in self.inside.get(pid, ()))

    def is_at(self, entry: HeldEntry, place: LockPlace) -> bool:
        """Compare."""
        return entry.key == f"1:{place.inode}"

    def still_waits(self, wait: Wait) -> bool:
        """Whether the process shows its ticket."""
        return wait.pid not in self.gone

    def cycle(self, me: int, lock: int) -> list[int] | None:
        """The processes that wait along the circle which a wait of `me` closes."""
        own = (*self.held_above(me), *(entry(me, held) for held, pid in self.holders.items() if pid == me))
        found = search_cycle(self, place(lock), own, me)
        return None if found is None else [link.wait.pid for link in found[1]]


def place(lock: int) -> LockPlace:
    return LockPlace("00:01", lock)


def entry(pid: int, lock: int) -> HeldEntry:
    return HeldEntry(f"/ws{lock}", int(Tier.PACK), f"1:{lock}", f"/ws{lock}/a", pid, None, "sync")


A, B, C = 1, 2, 3
P1, P2, P3, HOOK1, HOOK2, HOOK3, OTHER = 10, 20, 30, 11, 21, 31, 40


def test_two_hooks_that_wait_for_what_is_held_above_the_other_are_a_circle() -> None:
    machine = Machine({A: P1, B: P2}, {HOOK2: [A]}, {HOOK1: [(P1, A)], HOOK2: [(P2, B)]})
    assert machine.cycle(HOOK1, B) == [HOOK2]


def test_a_circle_may_go_over_many_processes() -> None:
    machine = Machine(
        {A: P1, B: P2, C: P3},
        {HOOK2: [C], HOOK3: [A]},
        {HOOK1: [(P1, A)], HOOK2: [(P2, B)], HOOK3: [(P3, C)]},
    )
    assert machine.cycle(HOOK1, B) == [HOOK2, HOOK3]


def test_what_this_very_task_holds_closes_a_circle_too() -> None:
    machine = Machine({A: P1, B: P2}, {HOOK2: [A]}, {HOOK2: [(P2, B)]})
    assert machine.cycle(P1, B) == [HOOK2]


def test_one_of_several_waits_of_a_hook_is_enough() -> None:
    machine = Machine({A: P1, B: P2, C: P3}, {HOOK2: [C, A]}, {HOOK1: [(P1, A)], HOOK2: [(P2, B)]})
    assert machine.cycle(HOOK1, B) == [HOOK2]


def test_a_hook_of_a_hook_waits_for_both_of_its_holders() -> None:
    machine = Machine({A: P1, B: P2, C: HOOK2}, {HOOK3: [A]}, {HOOK1: [(P1, A)], HOOK3: [(P2, B), (HOOK2, C)]})
    assert machine.cycle(HOOK1, B) == [HOOK3]
    assert machine.cycle(HOOK1, C) == [HOOK3]


@pytest.mark.parametrize(
    "machine",
    [
        pytest.param(Machine({A: P1, B: P2}, {}, {HOOK1: [(P1, A)], HOOK2: [(P2, B)]}), id="nobody else waits"),
        pytest.param(
            Machine({A: P1, B: P2}, {P2: [A]}, {HOOK1: [(P1, A)]}), id="the holder itself waits, in another task maybe"
        ),
        pytest.param(
            Machine({A: P1, B: P2}, {HOOK2: [A]}, {HOOK1: [(P1, A)]}), id="a child of a server outside of its hold"
        ),
        pytest.param(
            Machine({A: P1, B: P2, C: P2}, {HOOK2: [A]}, {HOOK1: [(P1, A)], HOOK2: [(P2, C)]}),
            id="a child of a server inside of another hold",
        ),
        pytest.param(
            Machine({A: P1, B: P2}, {HOOK2: [A]}, {HOOK1: [(P1, A)], HOOK2: [(P3, B)]}),
            id="the hold that it was told of is over, and somebody else has the lock",
        ),
        pytest.param(
            Machine({A: OTHER, B: P2}, {HOOK2: [A]}, {HOOK1: [(P1, A)], HOOK2: [(P2, B)]}),
            id="what was held above us is held by somebody else by now",
        ),
        pytest.param(
            Machine({A: P1, B: P2, C: P3}, {HOOK2: [C]}, {HOOK1: [(P1, A)], HOOK2: [(P2, B)]}),
            id="a chain that ends with somebody who works",
        ),
        pytest.param(
            Machine({A: P1, B: P2}, {HOOK2: [A]}, {HOOK1: [(P1, A)], HOOK2: [(P2, B)]}, gone={HOOK2}),
            id="a ticket in the name of a process that does not have it",
        ),
        pytest.param(
            Machine(
                {A: P1, B: P2, C: P3}, {HOOK2: [C], HOOK3: [B]}, {HOOK1: [(P1, A)], HOOK2: [(P2, B)], HOOK3: [(P3, C)]}
            ),
            id="a circle of others, of which this one is no part",
        ),
    ],
)
def test_what_is_not_certain_is_no_circle(machine: Machine) -> None:
    assert machine.cycle(HOOK1, B) is None


# --- real processes -----------------------------------------------------------------------------------------------


@dataclass
class Workspaces:
    """Two of them, and the processes that work there."""

    one: Path
    two: Path
    stack: ExitStack

    def process(self) -> HookProcess:
        """A process that is ended with the test."""
        return self.stack.enter_context(HookProcess())

    @property
    def files(self) -> tuple[str, str]:
        """The lock files of the two workspaces."""
        return str(self.one / WORKSPACE_LOCK_FILE_NAME), str(self.two / WORKSPACE_LOCK_FILE_NAME)


@pytest.fixture
def workspaces(tmp_path: Path) -> Generator[Workspaces]:
    """Two workspaces."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with ExitStack() as stack:
        yield Workspaces(tmp_path / "one", tmp_path / "two", stack)


@needs_tickets
def test_four_processes_in_two_workspaces_that_wait_for_each_other_are_told_the_chain(workspaces: Workspaces) -> None:
    """P1 holds a pack of the first, P2 the second; the hook of each waits for what the other one holds."""
    file = workspaces.one / "a" / PACK_LOCK_FILE_NAME
    p1, p2 = workspaces.process(), workspaces.process()
    p1.ask("hold", "PACK", str(workspaces.one / "a"))
    p2.ask("hold", "WORKSPACE", str(workspaces.two))
    c1, c2 = p1.spawn(), p2.spawn()
    wanted = ("cycle", "WORKSPACE", str(workspaces.two), workspaces.files[1])
    assert p1.ask("hook", *wanted) is None
    p2.ask("hook", "ticket", str(file), 1)
    program = "tests.support.hook_process"
    assert p1.ask("hook", *wanted) == [
        f"pid {p1.pid} (grex sync) holds PACK {workspaces.one}/a until pid {c1} has ended",
        f"pid {c2} ({program}) waits for it",
        f"pid {p2.pid} (grex sync) holds WORKSPACE {workspaces.two} until pid {c2} has ended",
        f"pid {c1} wants WORKSPACE {workspaces.two}",
    ]
    # From the other side it is the same circle.
    p1.ask("hook", "ticket", workspaces.files[1], 1)
    assert p2.ask("hook", "cycle", "PACK", str(workspaces.one / "a"), str(file)) == [
        f"pid {p2.pid} (grex sync) holds WORKSPACE {workspaces.two} until pid {c2} has ended",
        f"pid {c1} ({program}) waits for it",
        f"pid {p1.pid} (grex sync) holds PACK {workspaces.one}/a until pid {c1} has ended",
        f"pid {c2} wants PACK {workspaces.one}/a",
    ]


@needs_tickets
@pytest.mark.invariant("L10")
def test_hooks_that_really_wait_for_each_other_do_not_wait_for_ever(workspaces: Workspaces) -> None:
    """As above, with nothing taken by hand: one of them, or each, is refused, and the other one goes on."""
    pack = str(workspaces.one / "a")
    p1, p2 = workspaces.process(), workspaces.process()
    p1.ask("hold", "PACK", pack)
    p2.ask("hold", "WORKSPACE", str(workspaces.two))
    c1, c2 = p1.spawn(), p2.spawn()
    p1.tell("hook", "wait", "WORKSPACE", str(workspaces.two))
    p2.tell("hook", "wait", "PACK", pack)
    ready, _, _ = select.select([p1, p2], [], [], 30)
    assert ready, "both wait"
    sides = ((p1, c1, p2, c2), (p2, c2, p1, c1))
    for mine, me, _, other in sides:
        if mine in ready:
            chain = mine.told()
            assert isinstance(chain, list)
            assert chain[0].startswith(f"pid {mine.pid} (grex sync) holds ")
            assert chain[1].startswith(f"pid {other} ")
            assert chain[3].startswith(f"pid {me} wants ")
    for mine, _, theirs, _ in sides:
        if mine not in ready:
            theirs.close()  # the refused hook and its holder end
            said = mine.told()
            assert said == "held" or len(said) == 4  # it may have been refused at the same moment


@needs_tickets
def test_a_server_with_a_hold_in_one_task_and_a_child_that_waits_in_another_is_no_circle(
    workspaces: Workspaces,
) -> None:
    """The child was started before the hold, so it may wait as long as it likes: the hold will end without it."""
    p1, server = workspaces.process(), workspaces.process()
    p1.ask("hold", "WORKSPACE", str(workspaces.one))
    server.spawn()
    server.ask("hold", "WORKSPACE", str(workspaces.two))
    server.ask("hook", "ticket", workspaces.files[0], 1)
    p1.spawn()
    assert p1.ask("hook", "cycle", "WORKSPACE", str(workspaces.two), workspaces.files[1]) is None


@needs_tickets
def test_a_daemon_that_has_left_the_hold_keeps_nobody(workspaces: Workspaces) -> None:
    p1, p2 = workspaces.process(), workspaces.process()
    p1.ask("hold", "WORKSPACE", str(workspaces.one))
    p2.ask("hold", "WORKSPACE", str(workspaces.two))
    daemon = p2.spawn("leave")
    p2.ask("hook", "ticket", workspaces.files[0], 1)
    variables = Path(f"/proc/{daemon}/environ").read_bytes()
    assert f'"pid":{p2.pid}'.encode() in variables  # it was told of the hold
    p1.spawn()
    assert p1.ask("hook", "cycle", "WORKSPACE", str(workspaces.two), workspaces.files[1]) is None


@needs_tickets
def test_a_ticket_in_the_name_of_a_hook_makes_no_circle(workspaces: Workspaces) -> None:
    p1, p2 = workspaces.process(), workspaces.process()
    p1.ask("hold", "WORKSPACE", str(workspaces.one))
    p2.ask("hold", "WORKSPACE", str(workspaces.two))
    hook = p2.spawn()
    p1.spawn()
    wanted = ("cycle", "WORKSPACE", str(workspaces.two), workspaces.files[1])
    with TicketTaker(Path(workspaces.files[0])) as liar:
        liar.ask(f"take 1 {hook}")
        assert p1.ask("hook", *wanted) is None
    p2.ask("hook", "ticket", workspaces.files[0], 1)
    assert p1.ask("hook", *wanted) is not None


@needs_tickets
def test_what_this_task_holds_closes_the_circle_and_the_error_has_the_chain(workspaces: Workspaces) -> None:
    p2 = workspaces.process()
    p2.ask("hold", "PACK", str(workspaces.two / "a"))
    with WorkspaceLock(workspaces.one).try_acquire():
        hook = p2.spawn()
        p2.ask("hook", "ticket", workspaces.files[0], 1)
        wanted = workspaces.two / "a"
        with pytest.raises(LockDeadlockError) as caught:
            check_cycle(Tier.PACK, str(wanted), str(wanted / PACK_LOCK_FILE_NAME))
    assert caught.value.chain == (
        f"pid {os.getpid()} holds WORKSPACE {workspaces.one}",
        f"pid {hook} (tests.support.hook_process) waits for it",
        f"pid {p2.pid} (grex sync) holds PACK {wanted} until pid {hook} has ended",
        f"pid {os.getpid()} wants PACK {wanted}",
    )
    assert str(wanted) in caught.value.message
    check_cycle(Tier.PACK, str(wanted), str(wanted / PACK_LOCK_FILE_NAME))  # nothing is held here any more


@needs_tickets
@pytest.mark.anyio
@pytest.mark.invariant("L10")
async def test_a_wait_that_closes_a_circle_ends_at_its_first_report(workspaces: Workspaces) -> None:
    p2 = workspaces.process()
    p2.ask("hold", "PACK", str(workspaces.two / "a"))
    async with await WorkspaceLock(workspaces.one).acquire_async():
        p2.spawn()
        p2.ask("hook", "ticket", workspaces.files[0], 1)
        policy = WaitPolicy(timeout_s=PATIENCE_S, first_report_s=0)
        with pytest.raises(LockDeadlockError):
            await PackLock.open(workspaces.two / "a").acquire_async(policy)


@needs_tickets
def test_a_circle_that_is_gone_at_the_second_look_was_none(workspaces: Workspaces) -> None:
    p2 = workspaces.process()
    p2.ask("hold", "PACK", str(workspaces.two / "a"))
    file = workspaces.two / "a" / PACK_LOCK_FILE_NAME
    with WorkspaceLock(workspaces.one).try_acquire():
        p2.spawn()
        p2.ask("hook", "ticket", workspaces.files[0], 1)
        looks: list[LockTable | None] = [LockTable(), read_lock_table()]
        assert find_cycle(Tier.PACK, "a", str(file), look=looks.pop) is None
        assert looks == []
        assert find_cycle(Tier.PACK, "a", str(file)) is not None


def test_who_holds_nothing_looks_at_nothing(workspaces: Workspaces) -> None:
    file = workspaces.one / "file"
    file.touch()

    def look() -> LockTable | None:
        pytest.fail("the list was read")

    assert find_cycle(Tier.PACK, "a", str(file), look=look) is None
    with WorkspaceLock(workspaces.one).try_acquire():  # on the stack of this task, as is what it waits for
        assert find_cycle(Tier.WORKSPACE, "a", workspaces.files[0], look=look) is None


def test_a_search_that_fails_ends_no_wait(workspaces: Workspaces, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []

    def fail(*arguments: object) -> None:
        calls.append(arguments)
        raise RuntimeError("a bug, or a system unlike any other")

    monkeypatch.setattr(wait_graph, "search_cycle", fail)
    file = workspaces.two / "file"
    file.touch()
    with WorkspaceLock(workspaces.one).try_acquire():
        check_cycle(Tier.PACK, "a", str(file))
    assert len(calls) == (1 if Path("/proc/locks").exists() else 0)


@needs_tickets
def test_a_file_is_found_in_the_list_where_stat_gives_it_another_device(
    workspaces: Workspaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on btrfs: the device that a key has is not the one that the list has; the open files of the holder tell."""
    p1 = workspaces.process()
    p1.ask("hold", "WORKSPACE", str(workspaces.one))
    found = LockFinder().find(workspaces.files[0])
    other = LockFinder().find(str(workspaces.one))
    assert found is not None
    assert other is not None
    (place, key), table = found, read_lock_table()
    assert table is not None
    view = KernelView(table)
    monkeypatch.setattr(wait_graph, "render_device", lambda number: "00:00")
    held = HeldEntry(None, 0, f"{key[0]}:{key[1]}", "", p1.pid, None, "")
    assert view.is_at(held, place)
    assert not view.is_at(HeldEntry(None, 0, f"{key[0]}:{key[1]}", "", os.getpid(), None, ""), place)
    assert not view.is_at(HeldEntry(None, 0, f"{key[0] + 1}:{key[1]}", "", p1.pid, None, ""), place)
    assert not view.is_at(held, other[0])
