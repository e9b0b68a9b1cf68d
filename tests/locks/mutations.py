"""Wrong versions of the lock protocol, each one mistake away from the real one, for the exploration to find.

Most are the real source with one place replaced; a place that is not there any more (or there twice) is an error, so
that a mutation cannot quietly turn into the real code. Where the mistake would be in code that the model stands for
(`line`, `attempt`) it is the model that makes it, by a name in `Code.faults`.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from grex.locks import path_mutex, protocol
from tests.locks.model_parts import Code

__all__ = ["MUTATIONS", "Mutation", "mutated"]


@dataclass(frozen=True)
class Mutation:
    """One mistake: in `module` the text `old` becomes `new`, or the model has the `fault`."""

    module: ModuleType | None = None
    old: str = ""
    new: str = ""
    fault: str = ""


MUTATIONS = {
    "no look after the watch of a predecessor": Mutation(
        protocol,
        "self.ask = Ask.TRY if self.target == THE_FILE else Ask.LOOK",
        "self.ask = Ask.TRY if self.target == THE_FILE else Ask.SLEEP",
    ),
    "no try after the watch of the file": Mutation(
        protocol,
        "self.ask = Ask.TRY if self.target == THE_FILE else Ask.LOOK",
        "self.ask = Ask.SLEEP if self.target == THE_FILE else Ask.LOOK",
    ),
    "a connection that ended counts as a watch": Mutation(
        protocol,
        "            self.is_watching = False\n            self.strikes = 0  # the line",
        "            pass  # the line",
    ),
    "a newcomer ignores the queue": Mutation(
        protocol,
        "        elif not self.is_queued:\n            self._wait_or_refuse()\n        elif isinstance(answer, int):",
        "        elif not self.is_queued:\n            self.ask = Ask.TRY\n        elif isinstance(answer, int):",
    ),
    "not the head alone tries": Mutation(
        protocol,
        "        elif isinstance(answer, int):\n            self._watch_or(answer, Ask.SLEEP)",
        "        else:\n            self.ask = Ask.TRY",
    ),
    "the file is not judged": Mutation(
        protocol,
        "            self.locked = True\n            self.ask = Ask.JUDGE",
        "            self.ask = Ask.RETIRE",
    ),
    "a lock that is not the right one is kept": Mutation(
        protocol, "        self.ask, self.then = Ask.UNLOCK, self.ask\n\n    def _move", "\n    def _move"
    ),
    "no retirement": Mutation(protocol, "self.ask = Ask.RETIRE if self.is_queued else Ask.DONE", "self.ask = Ask.DONE"),
    "a probe that found it free keeps it at once": Mutation(
        protocol, "answer <= self.strikes:\n            self.ask = Ask.TRY", "True:\n            self.ask = Ask.DONE"
    ),
    "the mutex is left before the lock is freed": Mutation(
        protocol,
        "RELEASE = (Step.UNLOCK, Step.NUDGE, Step.CLOSE, Step.LEAVE)",
        "RELEASE = (Step.LEAVE, Step.UNLOCK, Step.NUDGE, Step.CLOSE)",
    ),
    "the touch comes before the lock is freed": Mutation(
        protocol,
        "RELEASE = (Step.UNLOCK, Step.NUDGE, Step.CLOSE, Step.LEAVE)",
        "RELEASE = (Step.NUDGE, Step.UNLOCK, Step.CLOSE, Step.LEAVE)",
    ),
    "a grant is dropped on cancel": Mutation(
        path_mutex,
        "        ticket.state = TicketState.GONE\n        mutex.holders.discard(ticket)\n",
        "        cancelled = ticket.number is not None and ticket.granted\n"
        "        ticket.state = TicketState.GONE\n        mutex.holders.discard(ticket)\n"
        "        if cancelled and mutex.queue:\n            mutex.drop_number(ticket)\n            return []\n",
    ),
    "a grant is dropped": Mutation(
        path_mutex,
        "        granted = mutex.grant_next()\n        if not mutex.holders",
        "        granted: list[Ticket] = []\n        if not mutex.holders",
    ),
    "nobody is told of a grant": Mutation(path_mutex, "                ticket.wake()\n", "                pass\n"),
    "the ticket is kept after the grant": Mutation(
        path_mutex,
        "            if mutex is not None:\n                mutex.drop_number(ticket)\n",
        "",
    ),
    "one that queues stays before those who did": Mutation(
        path_mutex,
        "            if mutex.queue:\n                mutex.holders.discard",
        "            if False:\n                mutex.holders.discard",
    ),
    "a newcomer overtakes the queue of its process": Mutation(
        path_mutex, "if not mutex.queue and mutex.admits(ticket):", "if mutex.admits(ticket):"
    ),
    "a reader is let in beside a writer": Mutation(
        path_mutex, "(ticket.shared and all(holder.shared for holder in self.holders))", "ticket.shared"
    ),
    "a place in the line only at the front of the process": Mutation(
        path_mutex,
        "        self.queue[ticket] = None\n        self.take_number(ticket)\n",
        "        self.queue[ticket] = None\n",
    ),
    "a ticket is dropped and the connections stay": Mutation(fault="connections stay"),
    "the connections end before the ticket is free": Mutation(fault="connections end first"),
    "a mutex for each loop": Mutation(fault="a mutex for each loop"),
    "no guard": Mutation(fault="no guard"),
    "one that moves stays in the old line": Mutation(fault="moves and stays"),
}


def _load(module: ModuleType, old: str, new: str) -> ModuleType:
    source = inspect.getsource(module)
    if source.count(old) != 1:
        raise RuntimeError(f"the mutation does not fit the source any more, it found {source.count(old)} of: {old}")
    copy = ModuleType(module.__name__)
    exec(compile(source.replace(old, new), f"mutated {module.__name__}", "exec"), copy.__dict__)  # noqa: S102 - our own
    return copy


def mutated(mutation: Mutation) -> Code:
    """The code with that mistake."""
    if mutation.module is None:
        return Code(faults=frozenset({mutation.fault}))
    copy: Any = _load(mutation.module, mutation.old, mutation.new)
    if mutation.module is path_mutex:
        return Code(path_mutex=copy)
    # The mutex answers in the words of the protocol that asks.
    mutex: Any = _load(path_mutex, "__all__", "__all__")
    mutex.Standing = copy.Standing
    return Code(protocol=copy, path_mutex=mutex)
