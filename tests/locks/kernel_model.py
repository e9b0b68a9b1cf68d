"""A model of the kernel, and of everything else that `grex.locks.attempt.Attempt` does for a `Protocol`.

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

from collections.abc import Callable
from typing import Any

from grex.locks.protocol import GUARD, THE_FILE, Ask, Step
from tests.locks.kernel_state import KernelState
from tests.locks.model_checks import check
from tests.locks.model_parts import (
    CONNECTION,
    DEAD,
    DOWN,
    END,
    ENDED,
    FILE,
    FOREIGN_CLOSES,
    FOREIGN_FREE,
    FOREIGN_HOLDS,
    HELD,
    NOTHING,
    PIDS,
    POLL,
    READY,
    RUN,
    SPENT,
    Action,
    Busy,
    Task,
    Violation,
)  # fmt: skip

__all__ = ["World"]

_UNDER_THE_REGISTRY = frozenset({Ask.ENTER, Ask.QUEUE, Ask.LOOK, Ask.MOVE, Ask.RETIRE, Ask.COUNT})


class World(KernelState):
    """One state of all processes and the kernel, and everything that can happen next."""

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
        if self.foreign != FOREIGN_FREE:
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
            if self.cancels and not task.at:
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
        check(self)

    def _step(self, action: Action) -> None:
        task = self.acting = self.tasks[action.whom]
        registry = self.registry_of[task.index]
        busy = self.busy.get(registry)
        if busy is not None and busy.task == task.index and busy.scanned is None:
            self.hang_up(registry)
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
            self.end_watch(task)
            if ask == Ask.RETIRE:
                self._registry(task).retire(task.ticket)
            else:
                task.inode = 0
                if "moves and stays" not in self.faults:
                    self._registry(task).leave(task.ticket)
                self.forget(task)
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
            self.forget(task)
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
        self.end_watch(task)
        self.forget(task)
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
            self.nudge(task)
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
            self.forget(task)
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
            self.tell(task.inode)
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
            self.end_connections(whose, which)

    def _replace(self, _: Action) -> None:
        self.replacements -= 1
        self.tell(self.paths[0])
        self.paths[0] += 10

    def _intrude(self, _: Action) -> None:
        self.foreigns -= 1
        self.foreign = FOREIGN_HOLDS
        self.foreign_inode = self.paths[0]

    def _foreign(self, _: Action) -> None:
        self.tell(self.foreign_inode)
        self.foreign = FOREIGN_CLOSES if self.foreign == FOREIGN_HOLDS else FOREIGN_FREE

    # The answers to what the protocol asks.

    def _registry(self, task: Task) -> Any:
        return self.registries[self.registry_of[task.index]]

    def _scan(self, task: Task, inode: int) -> bool:
        """Look for the highest ticket, as the first half of taking one; whether that was done now."""
        registry = self.registry_of[task.index]
        if registry in self.busy:
            return False
        self.busy[registry] = Busy(task.index, inode, scanned=self.highest(inode))
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
        if self.foreign != FOREIGN_FREE and self.foreign_inode == inode:
            return True
        return any(
            other.is_locked and other.inode == inode and other is not task and not (shared and other.reads)
            for other in self.tasks
        )

    def _try(self, task: Task) -> object:
        return self._try_for(task, shared=task.want.shared)

    def _try_for(self, task: Task, *, shared: bool) -> object:
        verdicts = self.code.protocol.Verdict
        if not task.inode:
            task.inode = self.paths[task.want.lock]
        if task.inode != task.ticket.key[1]:
            return verdicts.REPLACED
        if not self._in_the_way(task.inode, task, shared=shared):
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
        self.end_watch(task)
        target = task.protocol.target
        if target == THE_FILE:
            if not task.inode:
                task.inode = self.paths[task.want.lock]
            task.watch = FILE
        elif target == GUARD:
            task.watch = POLL
        else:
            listens = (target % PIDS - 1, task.ticket.key[1]) in self.listeners
            task.watch = CONNECTION if listens else POLL
        return None

    def _unlock(self, task: Task) -> object:
        if task.is_locked:
            task.is_locked = task.guard = False
            return _NOT_YET
        self.nudge(task)
        return None

    def _probe(self, task: Task) -> object:
        """Try for it alone, give it back, touch the file: three calls, between which nobody can cancel."""
        if task.at == 0:
            answer = self._try_for(task, shared=False)
            task.at = int(answer is self.code.protocol.Verdict.HELD)
            return _NOT_YET if task.at else answer
        if task.at == 1:
            task.is_locked = False
            task.at = 2
            return _NOT_YET
        self.nudge(task)
        task.at = 0
        return self.code.protocol.Verdict.HELD

    def _count(self, task: Task) -> object:
        return self._registry(task).count_before(task.ticket)

    def _nothing(self, task: Task) -> object:
        raise Violation(f"task {task.index} asked for what is not asked for: {task.protocol.ask}")


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
    World._probe,
    World._count,
)
