"""One acquire: what the protocol asks for, done with the kernel.

Whose turn it is, what to try and what to watch is decided by `protocol.Protocol`, which does no I/O; an `Attempt` does
what it asks for:

    start ── check the order, open the file, enter the tier
    step ─── run the protocol until it holds the lock (a `Grant`), sleeps (None), or has to end (an error)
    pause ── what to sleep on, and for how long
    wake ─── what was heard, for the next step
    abandon ─ give back whatever there is, in reverse

It never sleeps itself; `file_lock` has those who do. The way from the kernel's grant to the `Grant` is one `step`, and
has no await.

While it queues behind another of its process an attempt has no descriptor open: a thousand waiters cost a thousand
small objects. The one at the front has its own, on which it tries, until the end.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from grex.errors import LockCancelledError, LockTimeoutError
from grex.locks import held
from grex.locks.cancel import CancelToken
from grex.locks.file_system import abilities, be_without_tickets, warn_of_polling
from grex.locks.guard import take_guard
from grex.locks.hold import Grant, give_up, unlock
from grex.locks.holder import prepare_record, read_record, write_record
from grex.locks.kernel import WRITER, OpenedFile, lock_failure
from grex.locks.line import NEVER_THERE, KernelLine, Line, first_in_line
from grex.locks.path_mutex import PATH_MUTEXES, Ticket, TicketState
from grex.locks.policy import WaitPolicy
from grex.locks.protocol import THE_FILE, Ask, Protocol, Standing, Verdict
from grex.locks.target import Target, refuse_foreign_content
from grex.locks.tiers import Frame, enter_tier
from grex.locks.trace import Ending, trace_attempt
from grex.locks.wait_clock import WaitClock
from grex.locks.waiter import LAST_POLL_S, PollingWatch, Watch, prepare_to_watch, watch_file, watch_predecessor

if TYPE_CHECKING:
    from grex.locks.obstacle import Obstacle

__all__ = ["Attempt"]


def _nobody_sleeps() -> None:
    pass


class Attempt:
    """One acquire, from its first check to its grant or its end."""

    __slots__ = (
        "_clock",
        "_frame",
        "_opened",
        "_pid",
        "_policy",
        "_protocol",
        "_target",
        "_ticket",
        "_token",
        "_trace",
        "_unsubscribe",
        "_waits",
        "_wake",
        "_watch",
        "_why_polled",
    )

    def __init__(self, target: Target, policy: WaitPolicy, token: CancelToken | None, wake: Callable[[], None]) -> None:
        self._target = target
        self._policy = policy
        self._token = token
        self._wake = wake
        self._pid = os.getpid()
        self._clock = WaitClock(policy)
        self._waits = False
        self._trace = trace_attempt(target.tier, target.kernel.mode, target.subject)
        self._protocol = Protocol(may_wait=not policy.no_wait)
        self._opened: OpenedFile | None = None
        self._watch: Watch | None = None
        self._why_polled = ""
        self._ticket: Ticket | None = None
        self._frame: Frame | None = None
        self._unsubscribe: Callable[[], None] | None = None

    def start(self) -> None:
        """Check what can be checked, open the file and enter the tier."""
        target = self._target
        self._trace.wait()
        self._check_token()
        if self._token is not None:
            self._unsubscribe = self._token.subscribe(self._wake)
        held.check_tier(target.tier, target.subject, target.workspace)
        opened = self._open()
        self._frame = enter_tier(target.tier, target.subject, opened.key, workspace=target.workspace)

    def step(self) -> Grant | None:
        """Run the protocol as far as it goes without a sleep; None means sleep, `wake` and step again.

        Raises:
            GrexError: the attempt has to end.
        """
        self._check_token()
        protocol = self._protocol
        while True:
            ask = protocol.ask
            if ask is Ask.DONE:
                return self._grant()
            if ask is Ask.SLEEP:
                if not self._waits:
                    self._begin_to_wait()
                self._end_or_report()
                return None
            if ask is Ask.BUSY:
                raise self._obstacle().busy()
            protocol.advance(_ANSWERS[ask](self))

    def step_once(self) -> Grant:
        """Try once for good; what is not free at once is busy."""
        grant = self.step()
        if grant is None:
            raise RuntimeError("an attempt that must not wait was told to")
        return grant

    def _check_token(self) -> None:
        if self._token is not None and self._token.fired:
            raise LockCancelledError(
                f"Waiting for the {self._target.name()} was cancelled.",
                details={"path": self._target.subject, "tier": self._target.tier.name},
            )

    # The answers to what the protocol asks.

    def _open(self) -> OpenedFile:
        opened = self._opened
        if opened is None:
            target = self._target
            opened = self._opened = target.file.open()
            opened.has_line = abilities(opened).tickets
            held.check_key(target.tier, target.subject, opened.key)
        return opened

    def _enter(self) -> Standing:
        opened = self._open()
        if self._frame is not None:
            self._frame.key = opened.key
        ticket = Ticket(opened.key, self._wake, shared=self._target.kernel.mode == "s", open_line=self._open_line)
        self._ticket = ticket
        standing = PATH_MUTEXES.enter(ticket, may_wait=not self._policy.no_wait)
        self._warn()
        if standing is not Standing.FRONT:
            self._opened = None
            opened.close()
        return standing

    def _open_line(self) -> Line | None:
        opened = self._opened
        if opened is None:
            return None
        if not opened.has_line:
            self._why_polled = abilities(opened).why_not
            return None
        try:
            return KernelLine(opened)
        except OSError as error:
            self._why_polled = f"no line of waiters can be opened ({error.strerror})"
            return None

    def _warn(self) -> None:
        """Say what `_open_line` found out, which is called where nobody may be called."""
        why, self._why_polled = self._why_polled, ""
        ticket = self._place()
        if not why and ticket.was_queued and ticket.number is None:
            why = "no place in the line of waiters can be had"
        if why:
            warn_of_polling(self._target.file.path, why)

    def _place(self) -> Ticket:
        if self._ticket is None:
            raise RuntimeError("an attempt that was never started was asked for its place")
        return self._ticket

    def _turn(self) -> bool:
        return self._place().granted

    def _look(self) -> int | None:
        return PATH_MUTEXES.look(self._place(), self._anybody)

    def _anybody(self) -> int | None:
        opened = self._opened
        if opened is None or not opened.has_line:
            return None
        try:
            return first_in_line(opened.fd, shared=self._target.kernel.mode == "s")
        except OSError as error:
            opened.has_line = False
            if error.errno in NEVER_THERE:  # Python knows these locks, and the kernel or the file system does not
                be_without_tickets(opened, f"it has no open file description locks ({error.strerror})")
            return None

    def _try(self) -> Verdict:
        opened = self._open()
        if opened.key != self._place().key:
            return Verdict.REPLACED  # while we queued
        try:
            if self._target.kernel.try_lock(opened.fd):
                return Verdict.HELD
        except OSError as error:
            raise lock_failure(opened.path, error) from error
        return Verdict.BUSY if self._target.file.is_current(opened) else Verdict.REPLACED

    def _probe(self) -> Verdict:
        opened = self._open()
        if opened.key != self._place().key:
            return Verdict.REPLACED
        alone = WRITER if self._target.kernel.mode == "s" else self._target.kernel
        try:
            if not alone.try_lock(opened.fd):
                return Verdict.BUSY if self._target.file.is_current(opened) else Verdict.REPLACED
        except OSError as error:
            raise lock_failure(opened.path, error) from error
        unlock(alone, opened)
        self._clock.probe_again_soon()
        return Verdict.HELD

    def _judge(self) -> Verdict:
        opened, target = self._open(), self._target
        shared = target.kernel.mode == "s"
        verdict = target.file.confirm(opened)
        if verdict is Verdict.HELD and not opened.is_kept:
            is_free = take_guard(opened, target.file.path, shared=shared)
            verdict = target.file.confirm_guarded(opened) if is_free else Verdict.BUSY
        if verdict is Verdict.HELD and not shared:
            refuse_foreign_content(opened)
        return verdict

    def _queue(self) -> bool:
        is_front = PATH_MUTEXES.queue(self._place())
        self._warn()
        if not is_front:
            self._close_file()
        return is_front

    def _watch_target(self) -> None:
        self._end_watch()
        target = self._protocol.target
        if target > THE_FILE:
            self._watch = watch_predecessor(self._place().key, target)
            self._clock.probe_in_turn(self._count())
            return
        self._watch = watch_file(self._open(), self._wake) if target == THE_FILE else PollingWatch()
        self._clock.probe_never()

    def _unlock(self) -> None:
        unlock(self._target.kernel, self._open())

    def _move(self) -> None:
        self._end_watch()
        self._close_file()
        PATH_MUTEXES.leave(self._place())
        self._open()

    def _retire(self) -> None:
        self._end_watch()
        PATH_MUTEXES.retire(self._place())

    def _count(self) -> int:
        return PATH_MUTEXES.count_before(self._place())

    def _end_watch(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.close()

    def _close_file(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def _grant(self) -> Grant:
        opened, ticket, frame = self._opened, self._ticket, self._frame
        if opened is None or ticket is None or frame is None:
            raise RuntimeError("a lock was granted to an attempt that was never started")
        self._end_watch()
        if self._unsubscribe is not None:
            self._unsubscribe()
        if self._target.kernel.mode == "x":  # readers are many, and a record is one
            write_record(opened, self._target.tier)
        ticket.wake = _nobody_sleeps
        grant = Grant(self._target, opened, ticket, frame, self._trace)
        self._trace.acquire(frame)
        return grant

    def _file(self) -> str | int:
        """The lock file for those who only read: by its descriptor if there is one, which wakes nobody."""
        return self._target.file.path if self._opened is None else self._opened.fd

    def _begin_to_wait(self) -> None:
        target = self._target
        target.kernel.prepare()
        prepare_to_watch()
        if target.kernel.mode == "x":
            prepare_record(target.tier)
        if self._place().granted:  # it is another process that is in the way; who is behind a task finds out later
            self._waits = True
            record = read_record(self._file())
            if record is not None:
                held.check_ancestor(target.tier, target.subject, record)
            if self._policy.on_blocked is not None:
                from grex.locks.inspection import find_holder  # noqa: PLC0415 - most attempts do not wait

                holder = find_holder(self._file())
                if holder is not None:
                    self._policy.on_blocked(holder)

    def _end_or_report(self) -> None:
        ticket = self._place()
        if ticket.state is TicketState.GONE:
            raise self._obstacle().busy()
        if self._clock.is_over():
            raise self._obstacle().timed_out(self._clock.timeout_s, self._clock.waited_s())
        if self._clock.is_report_due():
            if not ticket.granted:
                PATH_MUTEXES.prod(ticket)
            self._report(ticket)

    def _report(self, ticket: Ticket) -> None:
        tell = self._policy.on_wait
        if tell is None and not held.is_anything_else_held():
            return  # of many waiters each would load and look for nothing
        from grex.locks.obstacle import report_wait  # noqa: PLC0415 - most attempts do not wait

        waited_s = self._clock.waited_s()
        report = report_wait(self._target, self._file(), ticket.number, waited_s, is_wanted=tell is not None)
        if tell is not None and report is not None:
            tell(report)

    def _obstacle(self) -> Obstacle:
        from grex.locks.obstacle import Obstacle  # noqa: PLC0415 - most attempts meet none

        ticket = self._place()
        own_waits = int(ticket.state is not TicketState.GONE)
        return Obstacle.find(self._target, self._file(), ticket.key, own_waits=own_waits)

    def pause(self) -> tuple[float, int | None]:
        """How long to sleep before the next step if nothing happens, and on what descriptor, if on one."""
        watch = self._watch
        if watch is not None:
            return self._clock.sleep_s(watch.delay_s()), watch.fd
        # Who is at the front and watches nothing waits for a file that was replaced again and again.
        is_front = self._ticket is not None and self._ticket.granted
        return self._clock.sleep_s(LAST_POLL_S if is_front else math.inf), None

    def wake(self) -> None:
        """End a sleep: take what was heard."""
        spent = self._watch is not None and self._watch.collect()
        overdue = not spent and self._clock.is_probe_due()
        self._protocol.wake(spent=spent, overdue=overdue)

    def abandon(self, error: BaseException) -> None:
        """Give everything back, in reverse, and say in the trace how it ended."""
        if self._pid != os.getpid():
            return  # a forked child collects what was its parent's: descriptor numbers mean other files here
        if self._unsubscribe is not None:
            self._unsubscribe()
        ending: Ending = "fail"
        if isinstance(error, LockTimeoutError):
            ending = "timeout"
        elif isinstance(error, LockCancelledError) or not isinstance(error, Exception):
            ending = "cancel"
        opened, self._opened = self._opened, None
        try:
            self._end_watch()
        finally:
            give_up(self._target.kernel, opened, self._ticket, self._frame, is_locked=self._protocol.locked)
        self._trace.end(ending)


# In the order of `Ask`.
_ANSWERS: tuple[Callable[[Attempt], object], ...] = (
    Attempt._enter,  # noqa: SLF001 - the table of the class above
    Attempt._turn,  # noqa: SLF001 - as above
    Attempt._look,  # noqa: SLF001 - as above
    Attempt._try,  # noqa: SLF001 - as above
    Attempt._judge,  # noqa: SLF001 - as above
    Attempt._queue,  # noqa: SLF001 - as above
    Attempt._watch_target,  # noqa: SLF001 - as above
    Attempt._unlock,  # noqa: SLF001 - as above
    Attempt._move,  # noqa: SLF001 - as above
    Attempt._retire,  # noqa: SLF001 - as above
    Attempt._probe,  # noqa: SLF001 - as above
    Attempt._count,  # noqa: SLF001 - as above
)
