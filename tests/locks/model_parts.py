"""Of what a `kernel_model.World` is made: scenarios, tasks, the line that a process sees, calls of two steps."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from grex.locks import path_mutex, protocol

if TYPE_CHECKING:
    from tests.locks.kernel_state import KernelState

# What a task is doing.
READY, RUN, HELD, DOWN, END, DEAD = range(6)
PHASES = ("ready", "waits", "holds", "ends", "is done", "is dead")
# What a task watches.
NOTHING, FILE, CONNECTION, POLL, SPENT = range(5)
# What woke a task.
GRANTED, TOLD, ENDED = 1, 2, 4

FAULTS = frozenset({"cancel", "crash", "replace", "intrude", "timer"})
"""The actions that nobody can count on; all others happen sooner or later."""

PIDS = 16  # a ticket's number is its sequence number times this, and the process
FOREIGN_FREE, FOREIGN_HOLDS, FOREIGN_CLOSES = range(3)


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

    def __init__(self, world: KernelState, index: int, process: int, program: tuple[Want, ...]) -> None:
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
        self.at = 0  # which step of giving back; while it waits, of a probe
        self.locked = False  # whether there is a lock to give back
        self.wake: Callable[[], None] = lambda: world.granted(index)
        self.open_line: Callable[[], FakeLine | None] = lambda: world.open_line(index)

    @property
    def want(self) -> Want:
        """What it acquires now."""
        return self.program[self.done]

    @property
    def reads(self) -> bool:
        """Whether the kernel's lock that it has is a shared one; a probe's never is."""
        return self.want.shared and not (self.phase == RUN and self.at)


class FakeLine:
    """What a process sees of the tickets; the tickets are the world's."""

    __slots__ = ("inode", "listens", "registry", "world")

    def __init__(self, world: KernelState, registry: int, inode: int, *, listens: bool) -> None:
        self.world = world
        self.registry = registry
        self.inode = inode
        self.listens = listens

    def take(self, *, shared: bool) -> int | None:
        return self.world.take(self, shared=shared)

    def drop(self, number: int) -> None:
        self.world.drop(self, number)
        own = {
            other
            for (inode, other), (registry, _) in self.world.tickets.items()
            if (inode, registry) == (self.inode, self.registry)
        }
        if not own - {number}:
            self.close()  # as the real one does with its last ticket

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


class NoLatch(AbstractContextManager[bool]):
    """The registry's lock: nothing runs beside a step, and who would wait for it is kept from stepping."""

    def acquire(self, blocking: bool = True) -> bool:
        return True

    def release(self) -> None:
        pass

    def __enter__(self) -> bool:
        """Enter at once."""
        return True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Nothing to give back."""


LATCH = NoLatch()


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
