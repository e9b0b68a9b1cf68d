"""A process that forks while it holds a lock or waits for one: its child has neither, and keeps neither alive."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.support.killing import eventually
from tests.support.lock_holder import Kind, LockHolder
from tests.support.lock_queue import WaiterFleet, seen_tickets
from tests.support.processes import alive

KINDS: list[Kind] = ["pack", "workspace", "backend", "reader", "writer"]


@pytest.fixture
def fleet(tmp_path: Path) -> Generator[WaiterFleet]:
    """Waiters for one pack."""
    with WaiterFleet("pack", tmp_path / "pack", tmp_path / "served") as started:
        yield started


def fork(process: LockHolder, name: str = "") -> tuple[int, str]:
    """Let a process fork; the child and what became of its attempt to use what its parent has."""
    pid, became = process.ask(f"fork {name}").split()
    return int(pid), became


def listening(pid: int) -> list[str]:
    """The addresses in the abstract namespace at which waiters of this process would be found."""
    lines = Path("/proc/net/unix").read_text().splitlines()
    return [line.split()[-1] for line in lines if "@grex-lock/" in line and line.endswith(f"/{pid}")]


@pytest.mark.invariant("L1")
@pytest.mark.parametrize("kind", KINDS)
def test_a_forked_child_can_neither_use_nor_end_the_hold_of_its_parent(tmp_path: Path, kind: Kind) -> None:
    other_kind: Kind = "writer" if kind == "reader" else kind
    (tmp_path / "place").mkdir()
    with LockHolder(kind, tmp_path / "place") as holder, LockHolder(other_kind, tmp_path / "place") as other:
        assert holder.ask("take") == "held"
        child, became = fork(holder)
        assert became == "refused"
        assert other.ask("try") == "busy"
        os.kill(child, signal.SIGKILL)
        eventually(lambda: not alive(child), "the end of the child")
        assert other.ask("try") == "busy"
        assert holder.ask("release") == "ok"
        assert other.ask("try") == "held"


@pytest.mark.invariant("L4")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", ["releases", pytest.param("is killed", marks=pytest.mark.invariant("L6"))])
def test_a_lock_is_free_when_its_holder_ends_although_a_forked_child_lives(
    tmp_path: Path, kind: Kind, ending: str
) -> None:
    other_kind: Kind = "writer" if kind == "reader" else kind
    (tmp_path / "place").mkdir()
    with LockHolder(kind, tmp_path / "place") as holder, LockHolder(other_kind, tmp_path / "place") as other:
        assert holder.ask("take") == "held"
        child, _ = fork(holder)
        if ending == "releases":
            assert holder.ask("release") == "ok"
        else:
            holder.kill()
        assert other.ask("try") == "held"
        assert alive(child)


@pytest.mark.invariant("L5")
@pytest.mark.parametrize("ending", ["cancelled", "killed"])
def test_a_child_forked_while_its_parent_waited_keeps_no_place_in_the_queue(fleet: WaiterFleet, ending: str) -> None:
    """Told as steps.

    - One holds the pack, three wait; the second in line forks, and its wait ends while the child lives on.
    - Its ticket is gone, and so is the address at which its successor would listen for its end.
    - The holder lets go, and the other two are served.
    """
    holder = fleet.start_one()
    assert holder.ask("take holder") == "held holder"
    waiters = fleet.line_up(3)
    parent = waiters.pop("waiter-2")
    child, became = fork(parent, "waiter-2")
    assert became == "waits"
    assert listening(parent.pid) != []
    if ending == "killed":
        parent.kill()
    else:
        assert parent.ask("cancel waiter-2") == "cancelled waiter-2"
    assert seen_tickets(parent.pid) == []
    assert listening(parent.pid) == []
    assert holder.ask("release holder") == "ok holder"
    fleet.all_pass(waiters)
    assert fleet.served == ["holder", *waiters]
    assert alive(child)


@pytest.mark.invariant("L5")
def test_a_parent_that_goes_on_waiting_beside_its_forked_child_is_served_in_its_turn(fleet: WaiterFleet) -> None:
    """The child closes its copies of tickets, sockets and watches without ending those of its parent."""
    holder = fleet.start_one()
    assert holder.ask("take holder") == "held holder"
    waiters = fleet.line_up(4)
    children = [fork(waiter, name)[0] for name, waiter in waiters.items()]
    assert [ticket.pid for ticket in seen_tickets(*(waiter.pid for waiter in waiters.values()))] == [
        waiter.pid for waiter in waiters.values()
    ]
    for child in children[:2]:
        os.kill(child, signal.SIGKILL)
    eventually(lambda: not any(map(alive, children[:2])), "the end of two children")
    assert holder.ask("release holder") == "ok holder"
    fleet.all_pass(waiters)
    assert fleet.served == ["holder", *waiters]


@pytest.mark.invariant("L2")
@pytest.mark.parametrize("state", ["holds", "waits"])
def test_a_forked_child_has_no_descriptor_of_the_lock_file_and_no_socket_of_the_queue(
    fleet: WaiterFleet, state: str
) -> None:
    holder, waiter = fleet.start(2)
    assert holder.ask("take holder") == "held holder"
    fleet.queue(waiter, "waiter")
    child, _ = fork(holder, "holder") if state == "holds" else fork(waiter, "waiter")
    inode = fleet.lock_file.stat().st_ino
    parent = holder if state == "holds" else waiter

    def locks_of(pid: int) -> list[str]:
        found = []
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            target = str(fd.readlink())
            if fd.stat().st_ino == inode or (target.startswith("socket:") and target[8:-1] in queue_sockets()):
                found.append(target)
        return found

    assert locks_of(parent.pid) != []
    assert locks_of(child) == []


def queue_sockets() -> set[str]:
    """The inodes of the sockets that belong to queues."""
    lines = Path("/proc/net/unix").read_text().splitlines()
    return {line.split()[6] for line in lines if "@grex-" in line}


@pytest.mark.invariant("L1")
def test_a_forked_child_takes_locks_of_its_own(tmp_path: Path) -> None:
    """Its registry, its stack and its event loop start anew."""
    code = f"""
import os, anyio
from grex.locks import PackLock, held_tiers
hold = PackLock.open({str(tmp_path / "one")!r}).try_acquire()
pid = os.fork()
if pid == 0:
    async def main():
        async with await PackLock.open({str(tmp_path / "two")!r}).acquire_async():
            return len(held_tiers())
    os._exit(0 if anyio.run(main) == 1 else 1)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
hold.release()
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
