"""A model of the kernel, and of everything else that `grex.locks.file_lock.Attempt` does for a `Protocol`.

What decides is the real code: `protocol.Protocol`, `protocol.RELEASE` and `path_mutex.PathMutexes`. What is modelled
is what they are told: kernel locks by inode, tickets, connections, watches, the guard, the death of processes. A
`World` is at any time one state of all that; `World.actions` says what can happen next, and `World.act` makes it
happen. One action is at most one call that another process can see, so all orders of actions are all orders in which
those calls can interleave.

What is a step of its own, because it is one in the code or in the kernel:

- taking a ticket is two: look for the highest, then lock the next (in between others may do the same);
- giving one back is two: free the byte, then end the connections. Meanwhile this process has its registry locked;
- giving the lock back is the guard, the kernel's lock, the touch, the mutex;
- a process dies in pieces, in any order: kernel locks, guards, tickets, connections. A close is told to those who watch
  before the kernel frees the lock; a second wake-up stands for the retry that follows every event (1 ms, 2, 4 ...).

A plain close tells nobody here, as if a forked child had the descriptor too: the touch has to be enough.

What wakes: the mutex (a grant), the end of a connection, an event of the watched file. What is polled may wake at any
time: a guard that is taken, a predecessor that cannot be connected to. Only a `Scenario` with timers has safety
wake-ups and probes; without them a wake-up that is lost is lost for good, which is how the tests find it.

Not modelled: readers that were in before their file was replaced, beside a writer of the new one (see
`grex.locks.guard`); so no scenario has both. Errors of the kernel are cancellations here: they end an attempt anywhere.
"""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple

from grex.locks import path_mutex, protocol
from grex.locks.protocol import GUARD, THE_FILE, Ask, Protocol, Step

__all__ = [
    "FAULTS",
    "Action",
    "Code",
    "Scenario",
    "Snapshot",
    "Violation",
    "Want",
    "World",
]

# What a task is doing.
READY, RUN, HELD, DOWN, END, DEAD = range(6)
PHASES = ("ready", "waits", "holds", "ends", "is done", "is dead")
# What a task watches.
NOTHING, FILE, CONNECTION, POLL, SPENT = range(5)
# What woke a task.
GRANTED, TOLD, ENDED = 1, 2, 4

FAULTS = frozenset({"cancel", "crash", "replace", "intrude", "timer"})
"""The actions that nobody can count on; all others happen sooner or later."""

_PIDS = 16  # a ticket's number is its sequence number times this, and the process
_FOREIGN_FREE, _FOREIGN_HOLDS, _FOREIGN_CLOSES = range(3)


class Violation(AssertionError):  # noqa: N818 - what is violated is a promise
    """A state that must not be."""


class Want(NamedTuple):
    """One acquire of a task's program."""

    lock: int = 0
    shared: bool = False
    may_wait: bool = True


@dataclass(frozen=True)
class Code:
    """The code that is driven, and what the model itself does wrong when a mutation is not in that code."""

    protocol: Any = protocol
    path_mutex: Any = path_mutex
    faults: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Scenario:
    """Who is there, and what may happen to them: how many cancellations, deaths and so on.

    Attributes:
        programs: For each task its process, and what it acquires, one after the other.
        foreign: How often a program that is not grex takes the lock's file 0.
        foreign_holds: Whether it has it in the beginning.
        timers: Whether safety wake-ups and probes happen, at any time.
    """

    programs: tuple[tuple[int, tuple[Want, ...]], ...]
    cancels: int = 0
    crashes: int = 0
    replacements: int = 0
    foreign: int = 0
    foreign_holds: bool = False
    timers: bool = False

    @property
    def processes(self) -> int:
        """How many there are."""
        return 1 + max(process for process, _ in self.programs)


class Action(NamedTuple):
    """Something that happens: what, and to which task or process (or -1)."""

    what: str
    whom: int = -1
    thing: tuple[Any, ...] = ()


Snapshot = tuple[Any, ...]
"""One state of a world: hashable, and all that there is to it."""


class Task:
    """One task, its attempt and what the kernel has of it."""

    __slots__ = (
        "at", "before", "done", "guard", "index", "inode", "is_locked", "locked", "open_line", "pending", "phase",
        "process", "program", "protocol", "ticket", "wake", "watch",
    )  # fmt: skip

    def __init__(self, world: World, index: int, process: int, program: tuple[Want, ...]) -> None:
        self.index = index
        self.process = process
        self.program = program
        self.done = 0  # how much of the program
        self.phase = READY
        self.protocol: Any = None
        self.ticket: Any = None
        self.inode = 0  # of the open lock file; 0 if none is open
        self.is_locked = False  # the kernel's lock on that
        self.guard = False
        self.watch = NOTHING
        self.pending = 0
        self.before: frozenset[int] = frozenset()  # who had come before this one arrived
        self.at = 0  # which step of giving back
        self.locked = False  # whether there is a lock to give back
        self.wake: Callable[[], None] = lambda: world.granted(index)
        self.open_line: Callable[[], FakeLine | None] = lambda: world.open_line(index)

    @property
    def want(self) -> Want:
        """What it acquires now."""
        return self.program[self.done]


class FakeLine:
    """What a process sees of the tickets; the tickets are the world's."""

    __slots__ = ("inode", "listens", "registry", "world")

    def __init__(self, world: World, registry: int, inode: int, *, listens: bool) -> None:
        self.world = world
        self.registry = registry
        self.inode = inode
        self.listens = listens

    def take(self, *, shared: bool) -> int | None:
        return self.world.take(self, shared=shared)

    def drop(self, number: int) -> None:
        self.world.drop(self, number)

    def _others(self) -> list[tuple[int, bool]]:
        return [
            (number, shared)
            for (inode, number), (registry, shared) in self.world.tickets.items()
            if inode == self.inode and registry != self.registry
        ]

    def before(self, number: int, *, shared: bool) -> int | None:
        found = [other for other, reads in self._others() if other < number and not (shared and reads)]
        return max(found, default=None)

    def anybody(self, *, shared: bool) -> int | None:
        return self.world.anybody(self.inode, self.registry, shared=shared)

    def count_before(self, number: int) -> int:
        return sum(other < number for other, _ in self._others())

    def close(self) -> None:
        self.world.close_line(self)

    def forget(self) -> None:
        """Not used: nobody forks here."""


class _NoLatch(AbstractContextManager[bool]):
    """The registry's lock: nothing runs beside a step, and who would wait for it is kept from stepping."""

    def acquire(self, blocking: bool = True) -> bool:
        return True

    def release(self) -> None:
        pass

    def __enter__(self) -> bool:
        return True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass


_LATCH = _NoLatch()
_PROTOCOL_STATE = operator.attrgetter(*Protocol.__slots__)
_UNDER_THE_REGISTRY = frozenset({Ask.ENTER, Ask.QUEUE, Ask.LOOK, Ask.MOVE, Ask.RETIRE, Ask.COUNT})


@dataclass
class Busy:
    """A process that is in the middle of a call under its registry's lock."""

    task: int
    inode: int
    scanned: int | None = None  # it is about to take a ticket, and this was the highest
    listens: bool = True
    late: int | None = None  # only with a fault: the ticket that is freed after the connections ended
    closes: bool = False  # its line is closed with this

    def freeze(self) -> tuple[Any, ...]:
        return self.task, self.inode, self.scanned, self.listens, self.late, self.closes


class World:
    """One state of all processes and the kernel, and everything that can happen next."""

    def __init__(self, scenario: Scenario, code: Code | None = None) -> None:
        self.scenario = scenario
        self.code = code or Code()
        self.faults = self.code.faults
        self.tasks = [Task(self, index, *spec) for index, spec in enumerate(scenario.programs)]
        per_task = "a mutex for each loop" in self.faults
        self.registry_of = [task.index if per_task else task.process for task in self.tasks]
        self.registries = [self.code.path_mutex.PathMutexes(_LATCH) for _ in range(1 + max(self.registry_of))]
        self._ticket_states = {state.value: state for state in self.code.path_mutex.TicketState}
        locks = 1 + max(want.lock for task in self.tasks for want in task.program)
        self.paths = list(range(1, locks + 1))  # the inode that each path leads to
        self.tickets: dict[tuple[int, int], tuple[int, bool]] = {}  # (inode, number) -> registry, whether a reader's
        self.listeners: set[tuple[int, int]] = set()  # process, inode
        self.busy: dict[int, Busy] = {}  # by registry
        self.debris: set[tuple[Any, ...]] = set()  # what is left of dead processes
        self.foreign = _FOREIGN_HOLDS if scenario.foreign_holds else _FOREIGN_FREE
        self.foreign_inode = 1
        self.cancels = scenario.cancels
        self.crashes = scenario.crashes
        self.replacements = scenario.replacements
        self.foreigns = scenario.foreign
        self._acting = self.tasks[0]

    # What can happen, and making it happen.

    def actions(self) -> list[Action]:
        """Everything that can happen now."""
        found: list[Action] = []
        for task in self.tasks:
            if task.phase < END:
                self._actions_of(task, found)
        found += [Action("reap", thing=thing) for thing in sorted(self.debris)]
        if self.crashes:
            living = {task.process for task in self.tasks if task.phase in (RUN, HELD, DOWN)}
            found += [Action("crash", process) for process in living]
        if self.replacements:
            found.append(Action("replace"))
        if self.foreign != _FOREIGN_FREE:
            found.append(Action("foreign"))
        elif self.foreigns and not self._in_the_way(self.paths[0], None, shared=False):
            found.append(Action("intrude"))
        return found

    def _actions_of(self, task: Task, found: list[Action]) -> None:
        busy = self.busy.get(self.registry_of[task.index])
        if busy is not None and busy.task == task.index:
            found.append(Action("step", task.index))
            return  # under the registry's lock it cannot be cancelled
        if task.phase == RUN:
            ask = task.protocol.ask
            if ask == Ask.SLEEP:
                if busy is None:
                    self._wake_ups(task, found)
            elif busy is None or ask not in _UNDER_THE_REGISTRY:
                found.append(Action("step", task.index))
            if self.cancels:
                found.append(Action("cancel", task.index))
        elif busy is None or task.phase != DOWN or self._step_down(task) != Step.LEAVE.value:
            found.append(Action("step", task.index))

    def _wake_ups(self, task: Task, found: list[Action]) -> None:
        if task.pending or task.watch == POLL:
            found.append(Action("wake", task.index))
        elif task.ticket.granted and self.scenario.timers:
            found.append(Action("timer", task.index))

    def act(self, action: Action) -> None:
        """Make it happen.

        Raises:
            Violation: it must not have been possible.
        """
        _ACTIONS[action.what](self, action)
        self.check()

    def _step(self, action: Action) -> None:
        task = self._acting = self.tasks[action.whom]
        registry = self.registry_of[task.index]
        busy = self.busy.get(registry)
        if busy is not None and busy.task == task.index and busy.scanned is None:
            self._hang_up(registry)
            self._after_leaving(task)
        elif task.phase == READY:
            self._arrive(task)
        elif task.phase == RUN:
            self._answer(task)
        else:
            self._go_down(task)

    def _arrive(self, task: Task) -> None:
        task.protocol = self.code.protocol.Protocol(may_wait=task.want.may_wait)
        task.phase = RUN
        task.inode = self.paths[task.want.lock]
        task.before = frozenset(
            other.index
            for other in self.tasks
            if other.phase == RUN
            and other.ticket is not None
            and other.ticket.number is not None
            and other.ticket.key[1] == task.inode
            and not (other.want.shared and task.want.shared)
        )

    def _answer(self, task: Task) -> None:
        ask = task.protocol.ask
        if ask in (Ask.RETIRE, Ask.MOVE):
            self._end_watch(task)
            if ask == Ask.RETIRE:
                self._registry(task).retire(task.ticket)
            else:
                task.inode = 0
                if "moves and stays" not in self.faults:
                    self._registry(task).leave(task.ticket)
                self._forget(task)
                task.before = frozenset()
            if self.registry_of[task.index] not in self.busy:
                self._after_leaving(task)
            return
        answer = _ANSWERS[ask](self, task)
        if answer is not _NOT_YET:
            self._advance(task, answer)

    def _advance(self, task: Task, answer: object) -> None:
        task.protocol.advance(answer)
        ask = task.protocol.ask
        if ask == Ask.DONE:
            if task.before and not self.scenario.timers:
                raise Violation(f"task {task.index} overtook {sorted(task.before)}")
            self._forget(task)
            task.phase, task.at, task.locked = HELD, 0, True
        elif ask == Ask.BUSY:
            self._begin_down(task)

    def _after_leaving(self, task: Task) -> None:
        """Go on behind a call that gave a ticket back."""
        if task.phase == RUN:
            if task.protocol.ask == Ask.MOVE:
                task.inode = self.paths[task.want.lock]
            self._advance(task, None)
        else:
            task.at += 1
            self._settle(task)

    def _begin_down(self, task: Task) -> None:
        self._end_watch(task)
        self._forget(task)
        task.phase, task.at, task.locked = DOWN, 0, task.protocol.locked
        self._settle(task)

    def _step_down(self, task: Task) -> str:
        return str(self.code.protocol.RELEASE[task.at].value)

    def _go_down(self, task: Task) -> None:
        task.phase = DOWN
        what = self._step_down(task)
        if what == Step.LEAVE.value:
            self._registry(task).leave(task.ticket)
            if self.registry_of[task.index] in self.busy:
                return
        elif what == Step.UNLOCK.value:
            if task.guard:
                task.guard = False
                if self.scenario.replacements:
                    return  # a step of its own
            task.is_locked = False
        elif what == Step.NUDGE.value:
            self._nudge(task)
        task.at += 1
        self._settle(task)

    def _settle(self, task: Task) -> None:
        """Do what nobody else can see: close the file, leave out what is not there, end."""
        while task.at < len(self.code.protocol.RELEASE):
            what = self._step_down(task)
            if what == Step.CLOSE.value:
                task.is_locked = task.guard = False
                task.inode = 0
            elif task.locked or (what == Step.LEAVE.value and task.ticket is not None):
                return
            task.at += 1
        if task.is_locked or task.guard or task.inode or task.watch != NOTHING:
            raise Violation(f"task {task.index} ended and left something")
        task.done += 1
        task.phase = END if task.done == len(task.program) else READY
        task.protocol = task.ticket = None
        task.before = frozenset()
        task.at, task.locked, task.pending = 0, False, 0

    def _wake(self, action: Action) -> None:
        self._wake_up(self.tasks[action.whom], overdue=False)

    def _timer(self, action: Action) -> None:
        task = self.tasks[action.whom]
        self._wake_up(task, overdue=task.protocol.target > THE_FILE)

    def _wake_up(self, task: Task, *, overdue: bool) -> None:
        spent = bool(task.pending & ENDED)
        task.pending = 0
        if spent:
            task.watch = SPENT
        task.protocol.wake(spent=spent, overdue=overdue)
        if task.protocol.ask == Ask.TURN:  # with the wake-up, for it only reads what the wake-up was about
            task.protocol.advance(task.ticket.granted)

    def _cancel(self, action: Action) -> None:
        self.cancels -= 1
        self._begin_down(self.tasks[action.whom])

    def _crash(self, action: Action) -> None:
        self.crashes -= 1
        for task in self.tasks:
            if task.process != action.whom or task.phase == END:
                continue
            self._forget(task)
            if task.is_locked:
                self.debris.add(("lock", task.index, 0))
            elif task.inode and task.phase in (RUN, DOWN):
                self.debris.add(("lock", task.index, 1))  # unlocked, maybe, but not touched yet: the close tells
            if task.guard:
                self.debris.add(("guard", task.index, 0))
            task.phase = DEAD
            task.protocol = task.ticket = None
            task.watch, task.pending, task.before = NOTHING, 0, frozenset()
            registry = self.registry_of[task.index]
            self.registries[registry]._mutexes = {}
            self.busy.pop(registry, None)
            for (inode, _), (owner, _) in self.tickets.items():
                if owner == registry:
                    self.debris.add(("tickets", registry, inode))
        for process, inode in self.listeners:
            if process == action.whom:
                self.debris.add(("listener", process, inode))

    def _reap(self, action: Action) -> None:
        thing = action.thing
        self.debris.discard(thing)
        what, whose, which = thing
        if what == "lock":
            task = self.tasks[whose]
            self._tell(task.inode)
            if which == 0:
                self.debris.add(("lock", whose, 1))
            else:
                task.is_locked = False
                task.inode = 0
        elif what == "guard":
            self.tasks[whose].guard = False
        elif what == "tickets":
            for place in [p for p, (owner, _) in self.tickets.items() if owner == whose and p[0] == which]:
                del self.tickets[place]
        else:
            self.listeners.discard((whose, which))
            self._end_connections(whose, which)

    def _replace(self, _: Action) -> None:
        self.replacements -= 1
        self._tell(self.paths[0])
        self.paths[0] += 10

    def _intrude(self, _: Action) -> None:
        self.foreigns -= 1
        self.foreign = _FOREIGN_HOLDS
        self.foreign_inode = self.paths[0]

    def _foreign(self, _: Action) -> None:
        self._tell(self.foreign_inode)
        self.foreign = _FOREIGN_CLOSES if self.foreign == _FOREIGN_HOLDS else _FOREIGN_FREE

    # The answers to what the protocol asks.

    def _registry(self, task: Task) -> Any:
        return self.registries[self.registry_of[task.index]]

    def _scan(self, task: Task, inode: int) -> bool:
        """Look for the highest ticket, as the first half of taking one; whether that was done now."""
        registry = self.registry_of[task.index]
        if registry in self.busy:
            return False
        self.busy[registry] = Busy(task.index, inode, scanned=self._highest(inode))
        return True

    def _enter(self, task: Task) -> object:
        key = (0, task.inode)
        ticket = self.code.path_mutex.Ticket(key, task.wake, shared=task.want.shared, open_line=task.open_line)
        registry = self._registry(task)
        mutex = registry._mutexes.get(key)
        has_to_wait = mutex is not None and task.want.may_wait and (mutex.queue or not mutex.admits(ticket))
        if has_to_wait and self._scan(task, task.inode):
            return _NOT_YET
        task.ticket = ticket
        standing = registry.enter(ticket, may_wait=task.want.may_wait)
        self.busy.pop(self.registry_of[task.index], None)
        if standing is not self.code.protocol.Standing.FRONT:
            task.inode = 0
        return standing

    def _look(self, task: Task) -> object:
        def anybody() -> int | None:
            return self.anybody(task.inode, None, shared=task.want.shared) if task.inode else None

        return self._registry(task).look(task.ticket, anybody)

    def _in_the_way(self, inode: int, task: Task | None, *, shared: bool) -> bool:
        if self.foreign != _FOREIGN_FREE and self.foreign_inode == inode:
            return True
        return any(
            other.is_locked and other.inode == inode and other is not task and not (shared and other.want.shared)
            for other in self.tasks
        )

    def _try(self, task: Task) -> object:
        verdicts = self.code.protocol.Verdict
        if not task.inode:
            task.inode = self.paths[task.want.lock]
        if task.inode != task.ticket.key[1]:
            return verdicts.REPLACED
        if not self._in_the_way(task.inode, task, shared=task.want.shared):
            task.is_locked = True
            return verdicts.HELD
        return verdicts.BUSY if self.paths[task.want.lock] == task.inode else verdicts.REPLACED

    def _judge(self, task: Task) -> object:
        verdicts = self.code.protocol.Verdict
        if self.paths[task.want.lock] != task.inode:
            return verdicts.REPLACED
        if "no guard" in self.faults:
            return verdicts.HELD
        if any(other.guard and other.want.lock == task.want.lock for other in self.tasks if other is not task):
            return verdicts.BUSY
        task.guard = not task.want.shared
        return verdicts.HELD

    def _queue(self, task: Task) -> object:
        if self._scan(task, task.ticket.key[1]):
            return _NOT_YET
        front = self._registry(task).queue(task.ticket)
        self.busy.pop(self.registry_of[task.index], None)
        if not front:
            task.inode = 0
        return front

    def _watch(self, task: Task) -> object:
        self._end_watch(task)
        target = task.protocol.target
        if target == THE_FILE:
            if not task.inode:
                task.inode = self.paths[task.want.lock]
            task.watch = FILE
        elif target == GUARD:
            task.watch = POLL
        else:
            listens = (target % _PIDS - 1, task.ticket.key[1]) in self.listeners
            task.watch = CONNECTION if listens else POLL
        return None

    def _unlock(self, task: Task) -> object:
        if task.is_locked:
            task.is_locked = task.guard = False
            return _NOT_YET
        self._nudge(task)
        return None

    def _count(self, task: Task) -> object:
        return self._registry(task).count_before(task.ticket)

    def _nothing(self, task: Task) -> object:
        raise Violation(f"task {task.index} asked for what is not asked for: {task.protocol.ask}")

    # What the kernel and the other processes get to see.

    def _end_watch(self, task: Task) -> None:
        task.watch = NOTHING
        task.pending &= GRANTED

    def _nudge(self, task: Task) -> None:
        if task.inode and any(inode == task.inode for inode, _ in self.tickets):
            self._tell(task.inode)

    def _tell(self, inode: int) -> None:
        for task in self.tasks:
            if task.watch == FILE and task.inode == inode:
                task.pending |= TOLD

    def _end_connections(self, process: int, inode: int) -> None:
        for task in self.tasks:
            if task.watch == CONNECTION and task.ticket.key[1] == inode and task.protocol.target % _PIDS - 1 == process:
                task.pending |= ENDED

    def _hang_up(self, registry: int) -> None:
        busy = self.busy.pop(registry)
        process = self.tasks[busy.task].process
        if busy.late is not None:
            del self.tickets[busy.inode, busy.late]
        elif busy.listens and "connections stay" not in self.faults:
            self._end_connections(process, busy.inode)
        if busy.closes and busy.listens:
            self.listeners.discard((process, busy.inode))
            self._end_connections(process, busy.inode)

    def _forget(self, task: Task) -> None:
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

    def _highest(self, inode: int) -> int:
        return max((number // _PIDS for found, number in self.tickets if found == inode), default=0)

    def take(self, line: FakeLine, *, shared: bool) -> int:
        """Lock the byte of a ticket behind the highest one that was seen."""
        busy = self.busy.pop(line.registry, None)
        seq = self._highest(line.inode) if busy is None or busy.scanned is None else busy.scanned
        while True:
            seq += 1
            number = seq * _PIDS + self._acting.process + 1
            if (line.inode, number) not in self.tickets:
                self.tickets[line.inode, number] = (line.registry, shared)
                return number

    def drop(self, line: FakeLine, number: int) -> None:
        """Free the byte of a ticket; its process has yet to end the connections."""
        busy = self.busy[line.registry] = Busy(self._acting.index, line.inode, listens=line.listens)
        if "connections end first" in self.faults:
            self._end_connections(self._acting.process, line.inode)
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

    # What must be true, always.

    def check(self) -> None:
        """Find what must not be in this state.

        Raises:
            Violation: there is something.
        """
        held = [task for task in self.tasks if task.phase == HELD]
        for task in self.tasks:
            if task.phase == RUN and task.protocol.ask == Ask.SLEEP and task.watch == SPENT:
                raise Violation(f"task {task.index} sleeps on a connection that has ended, which is no sleep")
            if task.is_locked and task.phase != DEAD and not (task.ticket is not None and task.ticket.granted):
                raise Violation(f"task {task.index} has the kernel's lock without the mutex of its process")
        for task in held:
            if task.ticket.number is not None or task.watch != NOTHING:
                raise Violation(f"task {task.index} holds the lock and still has a ticket or a watch")
            for other in held:
                same = other is not task and other.want.lock == task.want.lock
                if same and not (other.want.shared and task.want.shared):
                    raise Violation(f"tasks {task.index} and {other.index} hold the same lock")
        self._check_tickets()
        for number, registry in enumerate(self.registries):
            for key, mutex in registry._mutexes.items():
                self._check_mutex(number, key, mutex)

    def _check_tickets(self) -> None:
        owned = {
            (task.ticket.key[1], task.ticket.number): self.registry_of[task.index]
            for task in self.tasks
            if task.ticket is not None and task.ticket.number is not None
        }
        for (inode, number), (registry, _) in self.tickets.items():
            if owned.pop((inode, number), None) != registry:
                busy = self.busy.get(registry)
                late = busy is not None and busy.late == number
                if not late and ("tickets", registry, inode) not in self.debris:
                    raise Violation(f"ticket {number} of file {inode} belongs to nobody")
        if owned:
            raise Violation(f"somebody has a ticket that the kernel does not know: {owned}")
        self._check_fronts()

    def _check_fronts(self) -> None:
        """Of one process only one asks the kernel for a file, or several readers."""
        fronts = [task for task in self.tasks if task.ticket is not None and task.ticket.granted]
        for task in fronts:
            for other in fronts:
                if (
                    other is not task
                    and other.process == task.process
                    and other.ticket.key == task.ticket.key
                    and not (other.ticket.shared and task.ticket.shared)
                ):
                    raise Violation(f"tasks {task.index} and {other.index} are both at the front of their process")

    def _check_mutex(self, registry: int, key: tuple[int, int], mutex: Any) -> None:
        known = [task.ticket for task in self.tasks if self.registry_of[task.index] == registry]
        if not all(ticket in known for ticket in (*mutex.holders, *mutex.queue)):
            raise Violation(f"somebody left and is still in the mutex of {key}")
        if not mutex.holders:
            raise Violation(f"the mutex of {key} is free, and nobody gets it")
        numbers = [ticket.number for ticket in mutex.queue]
        if None in numbers or numbers != sorted(numbers):
            raise Violation(f"the queue of a process is not in the order of its tickets: {numbers}")
        ahead = [ticket.number for ticket in mutex.holders if ticket.number is not None]
        if ahead and numbers and max(ahead) > numbers[0]:
            raise Violation(f"behind the front of a process there is an earlier ticket: {ahead}, {numbers}")
        if mutex.numbers != len(ahead) + len(numbers):
            raise Violation(f"the mutex of {key} has miscounted its tickets")

    def is_over(self) -> bool:
        """Whether everybody came to an end, and nothing is left."""
        if any(task.phase < END for task in self.tasks) or self.debris or self.foreign != _FOREIGN_FREE:
            return False
        if self.tickets or self.listeners or self.busy or any(registry._mutexes for registry in self.registries):
            raise Violation("everybody came to an end, and something is left")
        return True

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


_NOT_YET = object()  # the answer takes another step

_ACTIONS: dict[str, Callable[[World, Action], None]] = {
    "step": World._step,
    "wake": World._wake,
    "timer": World._timer,
    "cancel": World._cancel,
    "crash": World._crash,
    "reap": World._reap,
    "replace": World._replace,
    "intrude": World._intrude,
    "foreign": World._foreign,
}

# In the order of `Ask`; what gives a ticket back is done elsewhere, for it is two steps.
_ANSWERS: tuple[Callable[[World, Task], object], ...] = (
    World._enter,
    World._nothing,
    World._look,
    World._try,
    World._judge,
    World._queue,
    World._watch,
    World._unlock,
    World._nothing,
    World._nothing,
    World._try,
    World._count,
)
