"""Waits that would close a circle over several processes, found from outside before they become a hang.

Within one workspace the order of the tiers excludes circles. Across workspaces nested commands can make one:

    P1 holds PACK a of ws1, its hook C1 waits for WORKSPACE ws2
    P2 holds WORKSPACE ws2, its hook C2 waits for PACK a of ws1

Each of the hooks waits for a lock that is kept until the other one ends. What is followed here, beginning with the lock
that this task waits for, is only what is certain:

- the lock is held by process H (the kernel's list says so);
- a process D, started by H and still below it, was told by `GREX_HELD` that H holds this very lock while D runs;
- D waits for another lock: it has a ticket for it, or sleeps in the kernel for it.

H cannot release before D ends, and D does not end before it has that other lock, so the search goes on with that one.
It is a circle if it reaches a lock that this task holds, or that is held above this process until it ends.

That H itself waits for something is no reason: a server may hold a lock in one task and wait in another. For the same
reason a child of the server that was not started inside of the hold does not count, nor does one that has left it and
lives on by itself. A circle does not go away, so one is believed only if a second look finds the very same; the
kernel's list is not written in one piece.

Of other users' processes neither the environment nor the open files can be read. For them, and where there are no
tickets, a nested command still ends by its time limit.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple, Protocol

from msgspec import Struct, field

from grex.errors import LockDeadlockError
from grex.locks import held, processes
from grex.locks.environment import HELD_VARIABLE
from grex.locks.held import HeldEntry
from grex.locks.kernel_table import (
    LockFinder,
    LockPlace,
    LockTable,
    has_lock_open,
    has_ticket,
    read_lock_table,
    render_device,
)
from grex.locks.lock_paths import standing_path
from grex.locks.tiers import Tier

__all__ = ["KernelView", "Link", "View", "Wait", "check_cycle", "find_cycle", "search_cycle"]

_MAX_ENVIRONMENT_BYTES = 1 << 20
_MAX_LOCKS = 256  # that one search follows


class Wait(NamedTuple):
    """A process that waits for a lock; `offset` is its ticket, or None if it sleeps in the kernel."""

    pid: int
    place: LockPlace
    offset: int | None


class Link(NamedTuple):
    """One step: `entry` says who holds a lock until the process of `wait` ends, and that one waits for the next."""

    entry: HeldEntry
    wait: Wait


class View(Protocol):
    """What is seen of the machine in one look."""

    @property
    def table(self) -> LockTable:
        """The kernel's list of locks."""

    def held_above(self, pid: int) -> tuple[HeldEntry, ...]:
        """What is certainly held until that process ends; nothing of what cannot be read."""

    def is_at(self, entry: HeldEntry, place: LockPlace) -> bool:
        """Whether the entry speaks of the lock at that place of the list."""

    def still_waits(self, wait: Wait) -> bool:
        """Whether that process really waits there, as far as it shows."""


class KernelView(Struct):
    """One look at this machine; the environment of a process is read when it is first asked for."""

    table: LockTable
    _held: dict[int, tuple[HeldEntry, ...]] = field(default_factory=dict)

    def held_above(self, pid: int) -> tuple[HeldEntry, ...]:
        """What is certainly held until that process ends; nothing of what cannot be read."""
        entries = self._held.get(pid)
        if entries is None:
            found = _environment_entries(pid)
            above = processes.ancestors(pid) if found else ()
            entries = self._held[pid] = tuple(entry for entry in found if entry.pid in above and entry.counts)
        return entries

    def is_at(self, entry: HeldEntry, place: LockPlace) -> bool:
        """Whether the entry speaks of the lock at that place of the list."""
        key = entry.lock_key
        if key is None or key[1] != place.inode:
            return False
        return render_device(key[0]) == place.device or has_lock_open(entry.pid, place, key)

    def still_waits(self, wait: Wait) -> bool:
        """Whether that process really waits there, as far as it shows."""
        return wait.offset is None or has_ticket(wait.pid, wait.place, wait.offset) is True


def _environment_entries(pid: int) -> tuple[HeldEntry, ...]:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123 - read up to a limit
            variables = file.read(_MAX_ENVIRONMENT_BYTES).split(b"\0")
    except OSError:
        return ()
    start = f"{HELD_VARIABLE}=".encode("ascii")
    for variable in variables:
        if variable.startswith(start):
            return held.parse_held(os.fsdecode(variable.removeprefix(start)))
    return ()


def _waits(table: LockTable, besides: int) -> list[Wait]:
    """Who waits for what, but for one process."""
    waits = [
        Wait(ticket.number.pid, place, ticket.offset) for place, queue in table.tickets.items() for ticket in queue
    ]
    waits += [Wait(entry.pid, place, None) for place, entries in table.blocked.items() for entry in entries]
    return [wait for wait in waits if wait.pid != besides]


def search_cycle(
    view: View, start: LockPlace, own: tuple[HeldEntry, ...], pid: int
) -> tuple[HeldEntry, tuple[Link, ...]] | None:
    """The circle that a wait of process `pid` for the lock at `start` would close.

    Args:
        view: What is seen of the machine.
        start: The lock that is waited for.
        own: What this task holds, and what is held until this process ends.
        pid: This process.

    Returns:
        The entry of `own` that closes the circle and the steps from `start` to it; None if there is no circle.
    """
    waits = _waits(view.table, pid)
    wanted = {key[1] for entry in own if (key := entry.lock_key) is not None}
    if not any(wait.place.inode in wanted for wait in waits):
        return None  # nobody waits for what is ours: the common case, and no process was looked at
    seen = {start}
    trails: list[tuple[LockPlace, tuple[Link, ...]]] = [(start, ())]
    while trails and len(seen) < _MAX_LOCKS:
        place, trail = trails.pop(0)
        holders = {holder.pid for holder in view.table.holders_of(place)}
        if trail:
            for entry in own:
                if entry.pid in holders and view.is_at(entry, place):
                    return entry, trail
        for wait in waits:
            if wait.place in seen:
                continue
            for entry in view.held_above(wait.pid):
                if entry.pid in holders and view.is_at(entry, place) and view.still_waits(wait):
                    seen.add(wait.place)
                    trails.append((wait.place, (*trail, Link(entry, wait))))
                    break
    return None


def _own_entries() -> tuple[HeldEntry, ...]:
    above = held.held_above()
    if above:
        parents = processes.ancestors(os.getpid())
        above = tuple(entry for entry in above if entry.pid in parents)
    return tuple(entry for entry in (*above, *held.held_here()) if entry.lock_key is not None)


def find_cycle(
    tier: Tier, path: str, file: str | int, *, look: Callable[[], LockTable | None] = read_lock_table
) -> tuple[str, ...] | None:
    """The chain of processes and locks that a wait of this task would close to a circle; None if it would not.

    Costs nothing where this task holds no lock and none is held above it; otherwise one reading of the kernel's list,
    and of the environment of those that wait for a lock.

    Args:
        tier: The tier of the lock that is waited for.
        path: What it locks, for the chain.
        file: Its lock file: a descriptor of it, or its path.
        look: Reads the kernel's list.
    """
    own = _own_entries()
    found = LockFinder().find(standing_path(file) if isinstance(file, str) else file) if own else None
    if found is None:
        return None
    start, pid = found[0], os.getpid()
    # A task that waits has the tier of what it waits for on its stack already.
    own = tuple(entry for entry in own if entry.lock_key != found[1])
    if not own:
        return None

    def search() -> tuple[HeldEntry, tuple[Link, ...]] | None:
        table = look()
        return None if table is None else search_cycle(KernelView(table), start, own, pid)

    cycle = search()
    if cycle is None or cycle != search():
        return None
    closing, links = cycle
    lines = [closing.describe() if closing.pid == pid else f"{closing.describe()} until pid {pid} has ended"]
    for link in reversed(links):
        waiter = link.wait.pid
        name = processes.command_summary(waiter)
        lines.append(f"pid {waiter}{f' ({name})' if name else ''} waits for it")
        lines.append(f"{link.entry.describe()} until pid {waiter} has ended")
    return (*lines, f"pid {pid} wants {tier.name} {path}")


def check_cycle(tier: Tier, path: str, file: str | int) -> None:
    """Refuse a wait that closes a circle; whatever else goes wrong in the search changes nothing.

    Raises:
        LockDeadlockError: it does, and the chain says how.
    """
    try:
        chain = find_cycle(tier, path, file)
    except Exception:  # noqa: BLE001 - a picture of other processes that cannot be read must not end a wait
        return
    if chain is not None:
        raise LockDeadlockError(
            f"{tier.name} {path} was not waited for: its holder waits, over other processes, for this command.",
            chain=chain,
            hint="Run one of these commands after the other has ended.",
        )
