"""The state of a `kernel_model.World`: what the kernel and the processes have, and a value for all of it.

Tickets and connections are here too, for the real mutexes call them. What happens in which order is in `kernel_model`.
"""

from __future__ import annotations

import operator
from collections import OrderedDict
from typing import Any

from grex.locks.protocol import Ask, Protocol
from tests.locks.model_parts import (
    CONNECTION,
    ENDED,
    FILE,
    FOREIGN_FREE,
    FOREIGN_HOLDS,
    GRANTED,
    LATCH,
    NOTHING,
    PHASES,
    PIDS,
    RUN,
    TOLD,
    Busy,
    Code,
    FakeLine,
    Scenario,
    Task,
    Violation,
)  # fmt: skip

__all__ = ["KernelState", "Snapshot"]

Snapshot = tuple[Any, ...]
"""One state of a world: hashable, and all that there is to it."""

_PROTOCOL_STATE = operator.attrgetter(*Protocol.__slots__)


class KernelState:
    """What the kernel and the processes have."""

    def __init__(self, scenario: Scenario, code: Code | None = None) -> None:
        self.scenario = scenario
        self.code = code or Code()
        self.faults = self.code.faults
        self.tasks = [Task(self, index, *spec) for index, spec in enumerate(scenario.programs)]
        per_task = "a mutex for each loop" in self.faults
        self.registry_of = [task.index if per_task else task.process for task in self.tasks]
        self.registries = [self.code.path_mutex.PathMutexes(LATCH) for _ in range(1 + max(self.registry_of))]
        self._ticket_states = {state.value: state for state in self.code.path_mutex.TicketState}
        locks = 1 + max(want.lock for task in self.tasks for want in task.program)
        self.paths = list(range(1, locks + 1))  # the inode that each path leads to
        self.tickets: dict[tuple[int, int], tuple[int, bool]] = {}  # (inode, number) -> registry, whether a reader's
        self.listeners: set[tuple[int, int]] = set()  # process, inode
        self.busy: dict[int, Busy] = {}  # by registry
        self.debris: set[tuple[Any, ...]] = set()  # what is left of dead processes
        self.foreign = FOREIGN_HOLDS if scenario.foreign_holds else FOREIGN_FREE
        self.foreign_inode = 1
        self.cancels = scenario.cancels
        self.crashes = scenario.crashes
        self.replacements = scenario.replacements
        self.foreigns = scenario.foreign
        self.acting = self.tasks[0]

    # What the kernel and the other processes get to see.

    def end_watch(self, task: Task) -> None:
        task.watch = NOTHING
        task.pending &= GRANTED

    def nudge(self, task: Task) -> None:
        if task.inode and any(inode == task.inode for inode, _ in self.tickets):
            self.tell(task.inode)

    def tell(self, inode: int) -> None:
        for task in self.tasks:
            if task.watch == FILE and task.inode == inode:
                task.pending |= TOLD

    def end_connections(self, process: int, inode: int) -> None:
        for task in self.tasks:
            if task.watch == CONNECTION and task.ticket.key[1] == inode and task.protocol.target % PIDS - 1 == process:
                task.pending |= ENDED

    def hang_up(self, registry: int) -> None:
        busy = self.busy.pop(registry)
        process = self.tasks[busy.task].process
        if busy.late is not None:
            del self.tickets[busy.inode, busy.late]
        elif busy.listens and "connections stay" not in self.faults:
            self.end_connections(process, busy.inode)
        if busy.closes and busy.listens:
            self.listeners.discard((process, busy.inode))
            self.end_connections(process, busy.inode)

    def forget(self, task: Task) -> None:
        """Nobody can overtake one that does not wait any more."""
        for other in self.tasks:
            if task.index in other.before:
                other.before -= {task.index}

    def granted(self, index: int) -> None:
        """The mutex wakes a task; one that holds the lock is not woken any more."""
        if self.tasks[index].phase == RUN:
            self.tasks[index].pending |= GRANTED

    def open_line(self, index: int) -> FakeLine:
        """Open the line of a task's process before its file."""
        task = self.tasks[index]
        inode = task.inode
        place = (task.process, inode)
        listens = place not in self.listeners
        self.listeners.add(place)
        return FakeLine(self, self.registry_of[index], inode, listens=listens)

    def highest(self, inode: int) -> int:
        return max((number // PIDS for found, number in self.tickets if found == inode), default=0)

    def take(self, line: FakeLine, *, shared: bool) -> int:
        """Lock the byte of a ticket behind the highest one that was seen."""
        busy = self.busy.pop(line.registry, None)
        seq = self.highest(line.inode) if busy is None or busy.scanned is None else busy.scanned
        while True:
            seq += 1
            number = seq * PIDS + self.acting.process + 1
            if (line.inode, number) not in self.tickets:
                self.tickets[line.inode, number] = (line.registry, shared)
                return number

    def drop(self, line: FakeLine, number: int) -> None:
        """Free the byte of a ticket; its process has yet to end the connections."""
        busy = self.busy[line.registry] = Busy(self.acting.index, line.inode, listens=line.listens)
        if "connections end first" in self.faults:
            self.end_connections(self.acting.process, line.inode)
            busy.late = number
        else:
            del self.tickets[line.inode, number]

    def close_line(self, line: FakeLine) -> None:
        """Close a line without tickets."""
        busy = self.busy.get(line.registry)
        if busy is None or busy.scanned is not None:
            raise Violation("a line was opened and closed without a ticket")
        busy.closes = True

    def anybody(self, inode: int, registry: int | None, *, shared: bool) -> int | None:
        """The first ticket that a newcomer has to go behind."""
        found = [
            number
            for (where, number), (owner, reads) in self.tickets.items()
            if where == inode and owner != registry and not (shared and reads)
        ]
        return min(found, default=None)

    def describe(self) -> str:
        """The state, for people."""
        lines = [
            f"  task {task.index} in process {task.process} {PHASES[task.phase]}"
            + ("" if task.protocol is None else f", ask {Ask(task.protocol.ask).name}, target {task.protocol.target}")
            + ("" if task.ticket is None else f", mutex {task.ticket.state.value}, ticket {task.ticket.number}")
            + (", has the kernel's lock" if task.is_locked else "")
            + f", watch {task.watch}, pending {task.pending}"
            for task in self.tasks
        ]
        return "\n".join([*lines, f"  paths {self.paths}, tickets {self.tickets}, left of the dead {self.debris}"])

    # Snapshots.

    def freeze(self) -> Snapshot:
        """All that there is, as a value."""
        return (
            *[self._freeze_task(task) for task in self.tasks],
            *[self._freeze_registry(registry) for registry in self.registries],
            (
                tuple(self.paths),
                tuple(sorted(self.tickets.items())),
                frozenset(self.listeners),
                tuple([(registry, busy.freeze()) for registry, busy in sorted(self.busy.items())]),
                frozenset(self.debris),
                self.foreign,
                self.foreign_inode,
                self.cancels,
                self.crashes,
                self.replacements,
                self.foreigns,
            ),
        )

    def _freeze_task(self, task: Task) -> tuple[Any, ...]:
        machine, ticket = task.protocol, task.ticket
        return (
            task.done,
            task.phase,
            None if machine is None else _PROTOCOL_STATE(machine),
            None
            if ticket is None
            else (ticket.key, ticket.shared, ticket.state.value, ticket.number, ticket.was_queued),
            task.inode,
            task.is_locked,
            task.guard,
            task.watch,
            task.pending,
            task.before,
            task.at,
            task.locked,
        )

    def _owner(self, ticket: Any) -> int:
        return next(task.index for task in self.tasks if task.ticket is ticket)

    def _freeze_registry(self, registry: Any) -> tuple[Any, ...]:
        return tuple(
            [
                (
                    key,
                    tuple(sorted([self._owner(ticket) for ticket in mutex.holders])),
                    tuple([self._owner(ticket) for ticket in mutex.queue]),
                    None if mutex.line is None else mutex.line.listens,
                    mutex.numbers,
                )
                for key, mutex in sorted(registry._mutexes.items())
            ]
        )

    def thaw(self, snapshot: Snapshot) -> None:
        """Become that state."""
        for index, task in enumerate(self.tasks):
            self._thaw_task(task, snapshot[index])
        for index in range(len(self.registries)):
            self._thaw_registry(index, snapshot[len(self.tasks) + index])
        (
            paths, tickets, listeners, busy, debris,
            self.foreign, self.foreign_inode, self.cancels, self.crashes, self.replacements, self.foreigns,
        ) = snapshot[-1]  # fmt: skip
        self.paths = list(paths)
        self.tickets = dict(tickets)
        self.listeners = set(listeners)
        self.busy = {registry: Busy(*state) for registry, state in busy}
        self.debris = set(debris)

    def _thaw_task(self, task: Task, frozen: tuple[Any, ...]) -> None:
        (
            task.done, task.phase, machine, ticket, task.inode, task.is_locked, task.guard, task.watch, task.pending,
            task.before, task.at, task.locked,
        ) = frozen  # fmt: skip
        if machine is None:
            task.protocol = None
        else:
            kind = self.code.protocol.Protocol
            task.protocol = kind.__new__(kind)
            for name, value in zip(Protocol.__slots__, machine, strict=True):
                setattr(task.protocol, name, value)
        if ticket is None:
            task.ticket = None
        else:
            key, shared, state, number, was_queued = ticket
            task.ticket = new = self.code.path_mutex.Ticket(key, task.wake, shared=shared, open_line=task.open_line)
            new.state = self._ticket_states[state]
            new.number = number
            new.was_queued = was_queued

    def _thaw_registry(self, index: int, frozen: tuple[Any, ...]) -> None:
        registry = self.registries[index]
        registry._mutexes = {}
        for key, holders, queue, listens, numbers in frozen:
            mutex = registry._mutexes[key] = self.code.path_mutex._Mutex()
            mutex.holders = {self.tasks[holder].ticket for holder in holders}
            mutex.queue = OrderedDict((self.tasks[waiter].ticket, None) for waiter in queue)
            if listens is not None:
                mutex.line = FakeLine(self, index, key[1], listens=listens)
            mutex.numbers = numbers
