"""Permits: the right to run, so many of a kind at once, handed out in the order in which they were asked for.

There is no file; a pool lives as long as one run, or one server, in one event loop. `anyio.CapacityLimiter` is fair
and can be resized while it is used, but one that is shared by two event loops hangs, so a pool remembers its loop and
refuses another.

With a limit per key (a host, say) the key's permit is taken first and the pool's second. The other way round, tasks
that wait for a saturated key would sit on permits of the pool and starve every other key. It cannot deadlock: the pool
is always taken last, and who holds both waits for neither.

A pool may lie `within` another one, which several runs of one process share: a permit of it is then one of the outer
pool as well, taken last. Who waits for the outer pool holds a permit of a run of its own, which nobody outside of that
run waits for; who holds both waits for neither.

All of these are one tier: one frame, one interval in the trace, which speaks of the outermost pool.

What the processes above this one hold (`held`) is not compared with a permit: the permits that a task waits for are
held by tasks of its own run only, never by an ancestor. Each of those tasks is refused what an ancestor keeps from it,
so it ends, and its permit comes free.
"""

from __future__ import annotations

from types import TracebackType
from typing import Literal, Self

import anyio
import anyio.lowlevel

from grex.locks.statistics import PermitKeyStatistics, PermitStatistics
from grex.locks.tiers import Frame, Tier, enter_tier, leave_tier
from grex.locks.trace import AttemptTrace, trace_attempt

__all__ = ["PermitHold", "PermitKind", "PermitPool"]

PermitKind = Literal["network", "disk"]


class _KeyLimit:
    """The limiter of one key, and how many holds refer to it."""

    __slots__ = ("limiter", "users")

    def __init__(self, total: int) -> None:
        self.limiter = anyio.CapacityLimiter(total)
        self.users = 0


def _limiter_statistics(limiter: anyio.CapacityLimiter) -> PermitKeyStatistics:
    found = limiter.statistics()
    return PermitKeyStatistics(int(found.total_tokens), found.borrowed_tokens, found.tasks_waiting)


class PermitPool:
    """Permits of one kind, for one run; `within` is the pool that it shares with others."""

    __slots__ = ("_keys", "_limiter", "_loop", "_name", "_per_key", "_total", "_within")

    def __init__(
        self, kind: PermitKind, total: int, per_key: int | None = None, *, within: PermitPool | None = None
    ) -> None:
        if total < 1 or (per_key is not None and per_key < 1):
            raise ValueError("a pool without permits would never let anybody run")
        self._name = f"permits:{kind}"
        self._total = total
        self._per_key = per_key
        self._within = within
        self._limiter: anyio.CapacityLimiter | None = None
        self._loop: object = None
        self._keys: dict[str, _KeyLimit] = {}

    @property
    def name(self) -> str:
        """The pool's name in messages and traces."""
        return self._name

    @property
    def total(self) -> int:
        """How many permits there are."""
        return self._total

    @property
    def line(self) -> tuple[PermitPool, ...]:
        """This pool and those around it, the innermost first: in this order a permit is taken of each."""
        return (self,) if self._within is None else (self, *self._within.line)

    @property
    def in_use(self) -> int:
        """How many permits are held."""
        return 0 if self._limiter is None else self._limiter.borrowed_tokens

    @property
    def keys_in_use(self) -> int:
        """How many keys have holders or waiters."""
        return len(self._keys)

    def statistics(self) -> PermitStatistics:
        """How much the pool is asked for at this moment."""
        keys = {key: _limiter_statistics(limit.limiter) for key, limit in dict(self._keys).items()}
        if self._limiter is None:
            return PermitStatistics(self._total, in_use=0, waiting=0)
        found = _limiter_statistics(self._limiter)
        waiting = found.waiting + sum(one.waiting for one in keys.values())
        return PermitStatistics(self._total, found.in_use, waiting, keys)

    def resize(self, total: int) -> None:
        """Change the number of permits; holders keep theirs, so after shrinking it takes effect as they end."""
        if total < 1:
            raise ValueError("a pool without permits would never let anybody run")
        self._total = total
        if self._limiter is not None:
            self._limiter.total_tokens = total

    def hold(self, key: str | None = None) -> PermitHold:
        """A permit for the time of an `async with` block; `key` counts towards the limit per key.

        Tier: PERMIT. Cancellation: no permit is held afterwards; one that was granted too late is passed on.

        Entering raises:
            TierOrderError: a tier is held that is not below PERMIT.
        """
        return PermitHold(self, key)

    def limiter_here(self) -> anyio.CapacityLimiter:
        """The pool's limiter, for this event loop only.

        Raises:
            RuntimeError: another event loop used the pool before.
        """
        loop = anyio.lowlevel.current_token().native_token
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(self._total)
            self._loop = loop
        if loop is not self._loop:
            raise RuntimeError(f"{self._name} is used from two event loops: make one pool for each run")
        return self._limiter

    def join_key(self, key: str | None) -> _KeyLimit | None:
        """Count a user of the key; None if the key is not limited."""
        if key is None or self._per_key is None:
            return None
        limit = self._keys.get(key)
        if limit is None:
            limit = self._keys[key] = _KeyLimit(self._per_key)
        limit.users += 1
        return limit

    def leave_key(self, key: str | None, limit: _KeyLimit) -> None:
        """Count a user of the key out; the last one takes its limiter away."""
        limit.users -= 1
        if limit.users == 0 and key is not None:
            self._keys.pop(key, None)


class _Grant:
    """One permit of one pool, and that of its key: the key's is taken first, and both come back together."""

    __slots__ = ("_key", "_key_limit", "_limiter", "_pool")

    def __init__(self, pool: PermitPool, key: str | None) -> None:
        self._pool = pool
        self._key = key
        self._limiter = pool.limiter_here()
        self._key_limit: _KeyLimit | None = None

    async def take(self) -> None:
        """Wait for it. Cancellation: nothing is taken."""
        key_limit = self._key_limit = self._pool.join_key(self._key)
        try:
            if key_limit is not None:
                await key_limit.limiter.acquire_on_behalf_of(self)
            try:
                await self._limiter.acquire_on_behalf_of(self)
            except BaseException:
                if key_limit is not None:
                    key_limit.limiter.release_on_behalf_of(self)
                raise
        except BaseException:
            if key_limit is not None:
                self._pool.leave_key(self._key, key_limit)
            raise

    def give_back(self) -> None:
        """Give it back."""
        self._limiter.release_on_behalf_of(self)
        if self._key_limit is not None:
            self._key_limit.limiter.release_on_behalf_of(self)
            self._pool.leave_key(self._key, self._key_limit)


class PermitHold:
    """One permit; enter it once."""

    __slots__ = ("_frame", "_grants", "_is_used", "_key", "_pool", "_trace")

    def __init__(self, pool: PermitPool, key: str | None) -> None:
        self._pool = pool
        self._key = key
        self._is_used = False
        self._grants: list[_Grant] = []
        self._frame: Frame | None = None
        self._trace: AttemptTrace | None = None

    @property
    def active(self) -> bool:
        """Whether the permit is held."""
        return bool(self._grants) and self._frame is not None and self._frame.active

    async def __aenter__(self) -> Self:
        """Wait for the permit."""
        if self._is_used:
            raise RuntimeError("a permit is entered once: ask the pool for another")
        self._is_used = True
        pool = self._pool
        wanted = [_Grant(one, self._key) for one in pool.line]
        total = pool.line[-1].total
        trace = self._trace = trace_attempt(Tier.PERMIT, "permit", pool.name)
        trace.wait(total)
        taken: list[_Grant] = []
        try:
            self._frame = enter_tier(Tier.PERMIT, pool.name)
            for grant in wanted:
                await grant.take()
                taken.append(grant)
        except BaseException as error:
            for grant in reversed(taken):
                grant.give_back()
            if self._frame is not None:
                leave_tier(self._frame)
            trace.end("fail" if isinstance(error, Exception) else "cancel", total)
            raise
        self._grants = taken
        trace.acquire(self._frame, total)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Give the permit back."""
        grants, self._grants = self._grants, []
        if not grants or self._frame is None or self._trace is None:
            return
        self._trace.release(self._pool.line[-1].total)
        for grant in reversed(grants):
            grant.give_back()
        order_error = leave_tier(self._frame)
        if order_error is not None:
            raise order_error
