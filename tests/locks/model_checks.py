"""What must be true in every state of a `kernel_model.World`."""

from __future__ import annotations

from typing import Any

from grex.locks.protocol import Ask
from tests.locks.kernel_state import KernelState
from tests.locks.model_parts import DEAD, END, FOREIGN_FREE, HELD, NOTHING, RUN, SPENT, Violation

__all__ = ["check", "is_over"]


def check(state: KernelState) -> None:
    """Find what must not be in this state.

    Raises:
        Violation: there is something.
    """
    held = [task for task in state.tasks if task.phase == HELD]
    for task in state.tasks:
        if task.phase == RUN and task.protocol.ask == Ask.SLEEP and task.watch == SPENT:
            raise Violation(f"task {task.index} sleeps on a connection that has ended, which is no sleep")
        if task.is_locked and task.phase != DEAD and not (task.ticket is not None and task.ticket.granted):
            raise Violation(f"task {task.index} has the kernel's lock without the mutex of its process")
    for task in held:
        if not task.is_locked:
            raise Violation(f"task {task.index} holds what the kernel does not know")
        if task.ticket.number is not None or task.watch != NOTHING:
            raise Violation(f"task {task.index} holds the lock and still has a ticket or a watch")
        for other in held:
            same = other is not task and other.want.lock == task.want.lock
            if same and not (other.want.shared and task.want.shared):
                raise Violation(f"tasks {task.index} and {other.index} hold the same lock")
    _check_tickets(state)
    for number, registry in enumerate(state.registries):
        for key, mutex in registry._mutexes.items():
            _check_mutex(state, number, key, mutex)


def _check_tickets(state: KernelState) -> None:
    owned = {
        (task.ticket.key[1], task.ticket.number): state.registry_of[task.index]
        for task in state.tasks
        if task.ticket is not None and task.ticket.number is not None
    }
    for (inode, number), (registry, _) in state.tickets.items():
        if owned.pop((inode, number), None) != registry:
            busy = state.busy.get(registry)
            late = busy is not None and busy.late == number
            if not late and ("tickets", registry, inode) not in state.debris:
                raise Violation(f"ticket {number} of file {inode} belongs to nobody")
    if owned:
        raise Violation(f"somebody has a ticket that the kernel does not know: {owned}")
    process_of = {state.registry_of[task.index]: task.process for task in state.tasks}
    listening = {(process_of[registry], inode) for (inode, _), (registry, _) in state.tickets.items()}
    for process, inode in state.listeners ^ listening:
        if any(task.process == process and task.phase == DEAD for task in state.tasks):
            continue  # the dead lose them in any order
        if not any(busy.inode == inode and state.tasks[busy.task].process == process for busy in state.busy.values()):
            raise Violation(f"process {process} has tickets and does not listen, or the other way round")
    _check_fronts(state)


def _check_fronts(state: KernelState) -> None:
    """Of one process only one asks the kernel for a file, or several readers."""
    fronts = [task for task in state.tasks if task.ticket is not None and task.ticket.granted]
    for task in fronts:
        for other in fronts:
            if (
                other is not task
                and other.process == task.process
                and other.ticket.key == task.ticket.key
                and not (other.ticket.shared and task.ticket.shared)
            ):
                raise Violation(f"tasks {task.index} and {other.index} are both at the front of their process")


def _check_mutex(state: KernelState, registry: int, key: tuple[int, int], mutex: Any) -> None:
    known = [task.ticket for task in state.tasks if state.registry_of[task.index] == registry]
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


def is_over(state: KernelState) -> bool:
    """Whether everybody came to an end, and nothing is left."""
    if any(task.phase < END for task in state.tasks) or state.debris or state.foreign != FOREIGN_FREE:
        return False
    if state.tickets or state.listeners or state.busy or any(registry._mutexes for registry in state.registries):
        raise Violation("everybody came to an end, and something is left")
    return True
