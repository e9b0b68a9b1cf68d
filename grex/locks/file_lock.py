"""The composition behind every lock that has a file: checks, tier frame, the protocol, record.

An `Attempt` is one acquire. Whose turn it is, what to try and what to watch is decided by `protocol.Protocol`, which
does no I/O; the attempt does what it asks for:

    start ── check the order, open the file, enter the tier
    step ─── run the protocol until it holds the lock (a `Grant`), sleeps (None), or has to end (an error)
    pause ── what to sleep on, and for how long
    wake ─── what was heard, for the next step
    abandon ─ give back whatever there is, in reverse

Three thin drivers run it: a task (`acquire_in_task`), a thread (`acquire_in_thread`), and one that does not wait
(`try_acquire`). The only places where a task can be cancelled are before `start` and inside of the sleep; the way from
the kernel's grant to the `Grant` has no await, so a cancelled waiter never holds the lock.

While it queues behind another of its process an attempt has no descriptor open: a thousand waiters cost a thousand
small objects. The one at the front has its own, on which it tries, until the end.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from typing import Any

import anyio.lowlevel

from grex.errors import GrexError, LockBusyError, LockCancelledError, LockTimeoutError
from grex.locks import held
from grex.locks.cancel import CancelToken
from grex.locks.file_system import abilities, be_without_tickets, warn_of_polling
from grex.locks.guard import take_guard
from grex.locks.hold import Grant, give_up, unlock
from grex.locks.holder import read_record, write_record
from grex.locks.inotify import SAFETY_S
from grex.locks.inspection import find_holder
from grex.locks.kernel import WRITER, OpenedFile, lock_failure
from grex.locks.line import NEVER_THERE, KernelLine, Line, first_in_line
from grex.locks.own import describe_obstacle, own_places
from grex.locks.path_mutex import PATH_MUTEXES, Ticket, TicketState
from grex.locks.policy import WaitPolicy, WaitReport
from grex.locks.protocol import GUARD, THE_FILE, Ask, Protocol, Standing, Verdict
from grex.locks.queue_view import queue_ahead
from grex.locks.target import Target, refuse_foreign_content
from grex.locks.tiers import Frame, enter_tier
from grex.locks.trace import Ending, trace_attempt
from grex.locks.wait_graph import check_cycle
from grex.locks.waiter import (
    LAST_POLL_S,
    PollingWatch,
    TaskWakeup,
    ThreadWakeup,
    Watch,
    prepare_to_watch,
    watch_file,
    watch_predecessor,
)

__all__ = ["Attempt", "acquire_in_task", "acquire_in_thread", "try_acquire"]

_LONGEST_SLEEP_S = 3600.0
_MOST_PATIENT = 5  # times the safety interval
_KICK_S = 1.0  # what a head of the line that was woken has to take the lock before it counts as suspended

DEFAULT_POLICY = WaitPolicy()


def _seconds(duration_s: float) -> str:
    return f"{duration_s:.3g} s"


class Attempt:
    """One acquire, from its first check to its grant or its end."""

    __slots__ = (
        "_deadline",
        "_frame",
        "_next_probe",
        "_next_report",
        "_opened",
        "_patience_s",
        "_pid",
        "_policy",
        "_protocol",
        "_started",
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
        self._started = time.monotonic()
        timeout_s = policy.timeout_s
        if timeout_s is None:
            timeout_s = held.NESTED_TIMEOUT_S if held.is_nested() else math.inf
        self._deadline = self._started + timeout_s
        self._next_report = self._started + policy.first_report_s
        self._next_probe = math.inf
        self._patience_s = SAFETY_S
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
                raise self._busy()
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
        self._next_probe = time.monotonic() + _KICK_S
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
        self._next_probe = math.inf
        if target == THE_FILE:
            self._watch = watch_file(self._open(), self._wake)
        elif target == GUARD:
            self._watch = PollingWatch()
        else:
            self._watch = watch_predecessor(self._place().key, target)
            # The nearer to the head the sooner: of many waiters the one right behind a suspended head is enough.
            self._patience_s = SAFETY_S * min(max(1, PATH_MUTEXES.count_before(self._place())), _MOST_PATIENT)
            self._next_probe = time.monotonic() + self._patience_s

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
        self._target.kernel.prepare()
        prepare_to_watch()
        if self._place().granted:  # it is another process that is in the way; who is behind a task finds out later
            self._waits = True
            record = read_record(self._file())
            if record is not None:
                held.check_ancestor(self._target.tier, self._target.subject, record)

    def _end_or_report(self) -> None:
        ticket = self._place()
        if ticket.state is TicketState.GONE:
            raise self._busy()
        now = time.monotonic()
        if now >= self._deadline:
            raise self._timed_out(now - self._started)
        if now >= self._next_report:
            self._next_report = now + self._policy.report_every_s
            self._report(now - self._started)

    def _report(self, waited_s: float) -> None:
        target, file, ticket = self._target, self._file(), self._place()
        if not ticket.granted:
            PATH_MUTEXES.prod(ticket)
        check_cycle(target.tier, target.subject, file)
        if self._policy.on_wait is None:
            return
        holder = find_holder(file)
        if holder is not None:
            held.check_ancestor(target.tier, target.subject, holder)
        ahead = None if ticket.number is None else queue_ahead(file, ticket.number)
        self._policy.on_wait(WaitReport(target.tier, target.subject, waited_s, holder, ahead))

    def _obstacle(self) -> tuple[str, dict[str, Any]]:
        """Who is in the way: for the sentence, and for programs."""
        file, key = self._file(), self._place().key
        holder = find_holder(file)
        is_waiting = self._place().state is not TicketState.GONE
        who = describe_obstacle(file, key, holder, own_waits=int(is_waiting))
        details: dict[str, Any] = {
            "tier": self._target.tier.name,
            "path": self._target.subject,
            "holder": None if holder is None else holder.to_json(),
        }
        places = own_places(key)
        if places:
            details["taken_at"] = list(places)
        return who, details

    def _busy(self) -> GrexError:
        who, details = self._obstacle()
        return LockBusyError(
            f"The {self._target.name()} is locked by {who}.",
            hint="Try again when it has ended, or leave out --no-wait to queue.",
            details=details,
        )

    def _timed_out(self, waited_s: float) -> GrexError:
        who, details = self._obstacle()
        return LockTimeoutError(
            f"The {self._target.name()} did not come free within {_seconds(waited_s)}: it is locked by {who}.",
            hint="Try again when it has ended, or give more time with --lock-timeout.",
            details={**details, "waited_s": round(waited_s, 3)},
        )

    def pause(self) -> tuple[float, int | None]:
        """How long to sleep before the next step if nothing happens, and on what descriptor, if on one."""
        now = time.monotonic()
        until = min(self._deadline, self._next_report, self._next_probe) - now
        watch = self._watch
        if watch is not None:
            until = min(until, watch.delay_s())
        elif self._ticket is not None and self._ticket.granted:
            until = min(until, LAST_POLL_S)  # the file was replaced again and again
        return min(max(until, 0.0), _LONGEST_SLEEP_S), None if watch is None else watch.fd

    def wake(self) -> None:
        """End a sleep: take what was heard."""
        spent = self._watch is not None and self._watch.collect()
        overdue = not spent and time.monotonic() >= self._next_probe
        if overdue:
            self._next_probe = time.monotonic() + self._patience_s
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


async def acquire_in_task(target: Target, policy: WaitPolicy | None = None, token: CancelToken | None = None) -> Grant:
    """Wait in a task of an event loop."""
    await anyio.lowlevel.checkpoint_if_cancelled()  # who is cancelled already does not take even a free lock
    wakeup = TaskWakeup()
    attempt = Attempt(target, policy or DEFAULT_POLICY, token, wakeup.set)
    try:
        attempt.start()
        while (grant := attempt.step()) is None:
            await wakeup.wait(*attempt.pause())
            attempt.wake()
    except BaseException as error:
        attempt.abandon(error)
        raise
    return grant


def acquire_in_thread(target: Target, policy: WaitPolicy | None = None) -> Grant:
    """Wait in the calling thread, which must not be one that runs an event loop.

    Raises:
        RuntimeError: it is one, and would stand still.
    """
    if _runs_event_loop():
        raise RuntimeError("a blocking acquire would stop this thread's event loop: use acquire_async")
    wakeup = ThreadWakeup()
    attempt = Attempt(target, policy or DEFAULT_POLICY, None, wakeup.set)
    try:
        attempt.start()
        while (grant := attempt.step()) is None:
            wakeup.wait(*attempt.pause())
            attempt.wake()
    except BaseException as error:
        attempt.abandon(error)
        raise
    return grant


def _runs_event_loop() -> bool:
    try:
        anyio.lowlevel.current_token()
    except RuntimeError:
        return False
    return True


_NO_WAIT = WaitPolicy(no_wait=True)


def try_acquire(target: Target) -> Grant:
    """Take the lock if it is free; never sleeps, so it may be called anywhere."""
    attempt = Attempt(target, _NO_WAIT, None, _nobody_sleeps)
    try:
        attempt.start()
        return attempt.step_once()
    except BaseException as error:
        attempt.abandon(error)
        raise


def _nobody_sleeps() -> None:
    pass
