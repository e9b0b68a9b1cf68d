"""The composition behind every lock that has a file: checks, tier frame, path mutex, kernel lock, record.

An `Attempt` is the state machine of one acquire, without any waiting in it:

    start ── open the file, check the order, enter the tier, queue for the path mutex
    step ─── token fired? turn come? kernel lock free? still the right file?  -> a `Grant`, or None, or an error
    pause_s ─ how long to sleep before the next step if nothing wakes us
    abandon ─ give back whatever there is, in reverse

Three thin drivers run it: a task (`acquire_in_task`), a thread (`acquire_in_thread`), and one that does not wait
(`try_acquire`). The only places where a task can be cancelled are before `start` and inside of the sleep; the way from
the kernel's grant to the `Grant` has no await, so a cancelled waiter never holds the lock.

While it queues for its turn an attempt has no descriptor open: a thousand waiters cost a thousand small objects. The
one whose turn it is keeps its descriptor until the end.
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
from grex.locks.hold import Grant, give_up, unlock
from grex.locks.holder import HolderRecord, read_record, write_record
from grex.locks.inspection import find_holder
from grex.locks.kernel import OpenedFile, lock_failure
from grex.locks.path_mutex import PATH_MUTEXES, Ticket, TicketState
from grex.locks.policy import WaitPolicy, WaitReport
from grex.locks.target import Target, Verdict, refuse_foreign_content
from grex.locks.tiers import Frame, enter_tier
from grex.locks.trace import Ending, trace_attempt
from grex.locks.waiter import PollingWaiter, TaskWakeup, ThreadWakeup, Waiter, Watch

__all__ = ["Attempt", "acquire_in_task", "acquire_in_thread", "try_acquire"]

_MAX_REPLACEMENTS = 8  # in one step; a file that is replaced more often than that is looked at again after a pause
_LONGEST_SLEEP_S = 3600.0

DEFAULT_POLICY = WaitPolicy()
WAITER: Waiter = PollingWaiter()


def _seconds(duration_s: float) -> str:
    return f"{duration_s:.3g} s"


class Attempt:
    """One acquire, from its first check to its grant or its end."""

    __slots__ = (
        "_deadline",
        "_frame",
        "_is_locked",
        "_next_report",
        "_opened",
        "_pid",
        "_policy",
        "_started",
        "_target",
        "_ticket",
        "_token",
        "_trace",
        "_unsubscribe",
        "_waits",
        "_wake",
        "_watch",
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
        self._waits = False
        self._trace = trace_attempt(target.tier, target.kernel.mode, target.subject)
        self._opened: OpenedFile | None = None
        self._watch: Watch | None = None
        self._ticket: Ticket | None = None
        self._frame: Frame | None = None
        self._is_locked = False
        self._unsubscribe: Callable[[], None] | None = None

    def start(self) -> None:
        """Check what can be checked and join the queue."""
        target = self._target
        self._trace.wait()
        self._check_token()
        if self._token is not None:
            self._unsubscribe = self._token.subscribe(self._wake)
        held.check_tier(target.tier, target.subject, target.workspace)
        opened = self._opened = target.file.open()
        held.check_key(target.tier, target.subject, opened.key)
        self._frame = enter_tier(target.tier, target.subject, opened.key, workspace=target.workspace)
        self._queue(opened)

    def _queue(self, opened: OpenedFile) -> None:
        self._ticket = Ticket(opened.key, self._wake, shared=self._target.kernel.mode == "s")
        PATH_MUTEXES.enter(self._ticket, may_wait=not self._policy.no_wait)
        if self._ticket.granted:
            self._watch = WAITER.watch(opened, self._wake)
        else:
            opened.close()
            self._opened = None

    def _close(self) -> None:
        watch, self._watch = self._watch, None
        opened, self._opened = self._opened, None
        try:
            if watch is not None:
                watch.close()
        finally:
            if opened is not None:
                opened.close()

    def _queue_anew(self) -> None:
        """The file was replaced: queue for the one that stands there now."""
        self._close()
        if self._ticket is not None:
            PATH_MUTEXES.leave(self._ticket)
        opened = self._opened = self._target.file.open()
        held.check_key(self._target.tier, self._target.subject, opened.key)
        if self._frame is not None:
            self._frame.key = opened.key
        self._queue(opened)

    def _check_token(self) -> None:
        if self._token is not None and self._token.fired:
            raise LockCancelledError(
                f"Waiting for the {self._target.name()} was cancelled.",
                details={"path": self._target.subject, "tier": self._target.tier.name},
            )

    def step(self) -> Grant | None:
        """Try once; None means sleep and step again.

        Raises:
            GrexError: the attempt has to end.
        """
        self._check_token()
        for _ in range(_MAX_REPLACEMENTS):
            verdict = self._try()
            if verdict is Verdict.HELD:
                return self._grant()
            if verdict is Verdict.BUSY:
                break
            self._queue_anew()
        self._end_or_report()
        return None

    def step_once(self) -> Grant:
        """Try once for good; what is not free at once is busy."""
        grant = self.step()
        if grant is None:
            raise RuntimeError("an attempt that must not wait was told to")
        return grant

    def _try(self) -> Verdict:
        ticket = self._ticket
        if ticket is None or not ticket.granted:
            return Verdict.BUSY
        if self._opened is None:
            self._opened = self._target.file.open()
            if self._opened.key != ticket.key:
                return Verdict.REPLACED  # while we queued
            self._watch = WAITER.watch(self._opened, self._wake)
        opened = self._opened
        try:
            if not self._target.kernel.try_lock(opened.fd):
                return Verdict.BUSY
        except OSError as error:
            raise lock_failure(opened.path, error) from error
        self._is_locked = True
        verdict = self._target.file.confirm(opened)
        if verdict is Verdict.HELD and self._target.kernel.mode == "x":
            refuse_foreign_content(opened)
        if verdict is not Verdict.HELD:
            unlock(self._target.kernel, opened)
            self._is_locked = False
        return verdict

    def _grant(self) -> Grant:
        opened, ticket, frame = self._opened, self._ticket, self._frame
        if opened is None or ticket is None or frame is None:
            raise RuntimeError("a lock was granted to an attempt that was never started")
        if self._watch is not None:
            self._watch.close()
        if self._unsubscribe is not None:
            self._unsubscribe()
        if self._target.kernel.mode == "x":  # readers are many, and a record is one
            write_record(opened, self._target.tier)
        grant = Grant(self._target, opened, ticket, frame, self._trace)
        self._trace.acquire(frame)
        return grant

    def _end_or_report(self) -> None:
        now = time.monotonic()
        if self._policy.no_wait or (self._ticket is not None and self._ticket.state is TicketState.GONE):
            raise self._busy(find_holder(self._target.file.path))
        if not self._waits and self._ticket is not None and self._ticket.granted:
            self._waits = True  # it is the kernel that says no; who queues behind a task of ours finds that out later
            record = read_record(self._target.file.path)
            if record is not None:
                held.check_ancestor(self._target.tier, self._target.subject, record)
        if now >= self._deadline:
            raise self._timed_out(find_holder(self._target.file.path), now - self._started)
        if now >= self._next_report:
            self._next_report = now + self._policy.report_every_s
            self._report(now - self._started)

    def _report(self, waited_s: float) -> None:
        target = self._target
        if self._policy.on_wait is None and self._watch is None:
            return  # nobody listens, and who is before us in the queue looks for itself
        holder = find_holder(target.file.path)
        if holder is not None:
            held.check_ancestor(target.tier, target.subject, holder)
        if self._policy.on_wait is not None:
            self._policy.on_wait(WaitReport(target.tier, target.subject, waited_s, holder))

    def _details(self, holder: HolderRecord | None) -> dict[str, Any]:
        return {
            "tier": self._target.tier.name,
            "path": self._target.subject,
            "holder": None if holder is None else holder.to_json(),
        }

    def _busy(self, holder: HolderRecord | None) -> GrexError:
        who = holder.describe() if holder else "another process that left no note"
        return LockBusyError(
            f"The {self._target.name()} is locked by {who}.",
            hint="Try again when it has ended, or leave out --no-wait to queue.",
            details=self._details(holder),
        )

    def _timed_out(self, holder: HolderRecord | None, waited_s: float) -> GrexError:
        who = holder.describe() if holder else "another process that left no note"
        return LockTimeoutError(
            f"The {self._target.name()} did not come free within {_seconds(waited_s)}: it is locked by {who}.",
            hint="Try again when it has ended, or give more time with --lock-timeout.",
            details={**self._details(holder), "waited_s": round(waited_s, 3)},
        )

    def pause_s(self) -> float:
        """How long to sleep before the next step."""
        until = min(self._deadline, self._next_report) - time.monotonic()
        if self._watch is not None:
            until = min(until, self._watch.delay_s())
        return min(max(until, 0.0), _LONGEST_SLEEP_S)

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
            self._close()
        finally:
            give_up(self._target.kernel, opened, self._ticket, self._frame, is_locked=self._is_locked)
        self._trace.end(ending)


async def acquire_in_task(target: Target, policy: WaitPolicy | None = None, token: CancelToken | None = None) -> Grant:
    """Wait in a task of an event loop."""
    await anyio.lowlevel.checkpoint_if_cancelled()  # who is cancelled already does not take even a free lock
    wakeup = TaskWakeup()
    attempt = Attempt(target, policy or DEFAULT_POLICY, token, wakeup.set)
    try:
        attempt.start()
        while (grant := attempt.step()) is None:
            await wakeup.wait(attempt.pause_s())
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
            wakeup.wait(attempt.pause_s())
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
