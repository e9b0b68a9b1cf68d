"""How one attempt gets a lock, as a state machine without any I/O: what to ask of the world, and what to make of it.

`Protocol.ask` is the one thing that has to be done or found out now. Whoever runs the machine does it and hands the
answer to `advance`. `grex.locks.attempt.Attempt` runs it against the kernel; the tests run it against a model of the
kernel, in every order in which several attempts, cancellations and deaths of processes can interleave.

    ENTER ──front──> LOOK ──nobody before──> TRY ──locked──> JUDGE ──right file──> RETIRE ──> DONE
      │               │                       │                 └─not──> UNLOCK ─> MOVE ──> ENTER
      │queued         │somebody before        │busy
      v               v                       v
    SLEEP <───────  WATCH the predecessor   WATCH the file
      │               └─> LOOK once more      └─> TRY once more ──busy──> SLEEP
      └──woken──> TURN ──front──> LOOK

Three rules make it right, and every one of them is a mutation that the tests catch:

- *Watch, then look again.* After it began to watch, an attempt looks at what it watches once more before it sleeps.
  What happened before is seen by the look, what happens afterwards by the watch.
- *Only the head of the line tries.* Who has somebody before it watches that one and nobody else; a newcomer who finds
  a line joins it, though the lock may be free this very moment.
- *The ticket first.* Whoever leaves the line, by a grant, a cancellation or death, frees its ticket first and ends the
  connections of those who watch it afterwards.

Order only: at no time does exclusion depend on a ticket. Who holds the lock is decided by the kernel's lock alone.

A head of the line that does not run (Ctrl-Z, a frozen container) would stop everybody behind it though nobody holds the
lock. So a waiter that was not woken for the time of a safety interval does a PROBE: finds it the lock free, it gives it
back at once, which wakes the head; found free again as often as there are tickets before it, it takes it. A reader
probes as if it wanted to write, for readers who hold the lock are no reason to pass a writer that waits for them.
"""

from __future__ import annotations

from enum import Enum, IntEnum

__all__ = ["GUARD", "RELEASE", "THE_FILE", "Ask", "Protocol", "Standing", "Step", "Verdict"]

THE_FILE = 0
"""What the head of the line watches; every ticket is greater than that."""
GUARD = -1
"""What is watched where the lock's file is free and its guard is not: nothing tells, so it is polled."""

_MAX_MOVES = 8  # without a sleep; a file that is replaced more often than that is looked at again after a pause


class Ask(IntEnum):
    """What the protocol asks of whoever runs it; the comment says what the answer is."""

    ENTER = 0  # join the mutex of this process                                  -> Standing
    TURN = 1  # is this attempt at the front of its process by now?              -> bool
    LOOK = 2  # the nearest ticket before this one that is in its way            -> int or None
    TRY = 3  # one kernel call that does not wait                                -> Verdict
    JUDGE = 4  # is the file that was locked the lock's file?                    -> Verdict
    QUEUE = 5  # take a ticket, at the end of the line                           -> bool: still at the front?
    WATCH = 6  # watch `target` instead of what was watched before               -> anything
    UNLOCK = 7  # give the kernel's lock back, and touch the file                -> anything
    MOVE = 8  # leave the line of this file, open the one that is there now      -> anything
    RETIRE = 9  # end the watch, give the ticket back                            -> anything
    PROBE = 10  # is the lock free, for one alone? gives it back with a touch    -> Verdict
    COUNT = 11  # how many tickets are before this one                           -> int
    SLEEP = 12  # nothing, until something watched happens; then call `wake`
    DONE = 13  # nothing: the lock is held
    BUSY = 14  # nothing: the lock is not free, and this attempt must not wait


class Standing(Enum):
    """Where an attempt stands in its process."""

    FRONT = "front"
    QUEUED = "queued"
    REFUSED = "refused"  # it is not free, and the attempt must not wait


class Verdict(Enum):
    """What a kernel lock that was tried, or one that was granted, is worth."""

    HELD = "held"
    BUSY = "busy"  # somebody holds it, maybe by another file
    REPLACED = "replaced"  # the path leads to another file by now


class Step(Enum):
    """What gives a lock back."""

    UNLOCK = "unlock"  # free the kernel's lock
    NUDGE = "nudge"  # touch the file if anybody queues: the event for those who watch it
    CLOSE = "close"  # close the descriptor
    LEAVE = "leave"  # leave the mutex of this process, which grants the next in it


RELEASE = (Step.UNLOCK, Step.NUDGE, Step.CLOSE, Step.LEAVE)
"""The steps of a release, in this order."""


class Protocol:
    """The state of one attempt."""

    __slots__ = ("ask", "is_queued", "is_watching", "locked", "may_wait", "moves", "strikes", "target", "then")

    def __init__(self, *, may_wait: bool) -> None:
        self.ask = Ask.ENTER
        self.may_wait = may_wait
        self.locked = False
        self.is_queued = False  # it has waited, and has a ticket if the file system has tickets
        self.target = THE_FILE  # what is watched, or is to be
        self.is_watching = False
        self.then = Ask.SLEEP  # what follows an UNLOCK
        self.strikes = 0  # how often the lock was found free out of turn, in a row
        self.moves = 0

    def advance(self, answer: object) -> None:
        """Take the answer to `ask`; there is a new one then."""
        _ADVANCE[self.ask](self, answer)

    def wake(self, *, spent: bool = False, overdue: bool = False) -> None:
        """End a SLEEP.

        Args:
            spent: What was watched told all that it ever will (a predecessor left, something happened to the file).
            overdue: Nothing was heard for the safety interval.
        """
        self.moves = 0
        if spent:
            self.is_watching = False
            self.strikes = 0  # the line moves, so its head runs
        if overdue and self.is_watching and self.target > THE_FILE:
            self.ask = Ask.PROBE
        else:
            self.ask = Ask.TURN

    def _wait_or_refuse(self) -> None:
        self.ask = Ask.QUEUE if self.may_wait else Ask.BUSY

    def _watch_or(self, target: int, otherwise: Ask) -> None:
        """Watch the target, unless it is watched already."""
        if self.is_watching and self.target == target:
            self.ask = otherwise
        else:
            self.target = target
            self.is_watching = False
            self.ask = Ask.WATCH

    def _entered(self, answer: object) -> None:
        if answer is Standing.FRONT:
            self.ask = Ask.LOOK
        elif answer is Standing.QUEUED:
            self.is_queued = True
            self.ask = Ask.SLEEP
        else:
            self.ask = Ask.BUSY

    def _turned(self, answer: object) -> None:
        self.ask = Ask.LOOK if answer else Ask.SLEEP

    def _looked(self, answer: object) -> None:
        if answer is None:
            self.strikes = 0
            self.ask = Ask.TRY
        elif not self.is_queued:
            self._wait_or_refuse()
        elif isinstance(answer, int):
            self._watch_or(answer, Ask.SLEEP)

    def _tried(self, answer: object) -> None:
        if answer is Verdict.HELD:
            self.locked = True
            self.ask = Ask.JUDGE
        elif answer is Verdict.REPLACED:
            self._move()
        elif not self.is_queued:
            self._wait_or_refuse()
        elif self.strikes:
            self.strikes = 0  # out of turn, and somebody else had it first
            self.ask = Ask.LOOK
        else:
            self._watch_or(THE_FILE, Ask.SLEEP)

    def _judged(self, answer: object) -> None:
        if answer is Verdict.HELD:
            self.ask = Ask.RETIRE if self.is_queued else Ask.DONE
            return
        if answer is Verdict.REPLACED:
            self.ask = Ask.MOVE
        elif not self.is_queued:
            self._wait_or_refuse()
        else:
            self._watch_or(GUARD, Ask.SLEEP)
        self.ask, self.then = Ask.UNLOCK, self.ask

    def _move(self) -> None:
        self.ask = Ask.MOVE
        self.moves += 1
        if self.moves > _MAX_MOVES:
            self.ask = Ask.SLEEP if self.may_wait else Ask.BUSY

    def _unlocked(self, answer: object) -> None:
        del answer
        self.locked = False
        self.ask = self.then
        if self.ask is Ask.MOVE:
            self._move()

    def _moved(self, answer: object) -> None:
        del answer
        self.is_queued = self.is_watching = False
        self.strikes = 0
        self.ask = Ask.ENTER

    def _queued(self, answer: object) -> None:
        self.is_queued = True
        self.ask = Ask.LOOK if answer else Ask.SLEEP

    def _watched(self, answer: object) -> None:
        del answer
        self.is_watching = True
        if self.target == GUARD:
            self.ask = Ask.SLEEP
        else:
            self.ask = Ask.TRY if self.target == THE_FILE else Ask.LOOK

    def _retired(self, answer: object) -> None:
        del answer
        self.is_watching = False
        self.ask = Ask.DONE

    def _probed(self, answer: object) -> None:
        if answer is Verdict.HELD:
            self.ask = Ask.COUNT
        elif answer is Verdict.REPLACED:
            self._move()
        else:
            self.strikes = 0
            self.ask = Ask.LOOK

    def _counted(self, answer: object) -> None:
        if isinstance(answer, int) and answer <= self.strikes:
            self.ask = Ask.TRY
        else:
            self.strikes += 1
            self.ask = Ask.LOOK


_ADVANCE = (
    Protocol._entered,  # noqa: SLF001 - the table of the class above, in the order of `Ask`
    Protocol._turned,  # noqa: SLF001 - as above
    Protocol._looked,  # noqa: SLF001 - as above
    Protocol._tried,  # noqa: SLF001 - as above
    Protocol._judged,  # noqa: SLF001 - as above
    Protocol._queued,  # noqa: SLF001 - as above
    Protocol._watched,  # noqa: SLF001 - as above
    Protocol._unlocked,  # noqa: SLF001 - as above
    Protocol._moved,  # noqa: SLF001 - as above
    Protocol._retired,  # noqa: SLF001 - as above
    Protocol._probed,  # noqa: SLF001 - as above
    Protocol._counted,  # noqa: SLF001 - as above
)
