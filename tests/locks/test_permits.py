"""Permits: first come, first served, within the limits."""

from __future__ import annotations

from functools import partial

import anyio
import pytest

from grex.errors import TierOrderError
from grex.locks import PermitHold, PermitPool, Tier, held_tiers, with_tier


class Crowd:
    """Tasks that each hold a permit until they are told to let go."""

    def __init__(self, pool: PermitPool) -> None:
        self._pool = pool
        self.order: list[str] = []
        self._gates: dict[str, anyio.Event] = {}

    async def start(self, group: anyio.abc.TaskGroup, name: str, key: str | None = None) -> None:
        """Start one and let it come as far as it can."""
        self._gates[name] = anyio.Event()
        group.start_soon(self._work, name, key)
        await anyio.wait_all_tasks_blocked()

    async def let_go(self, name: str) -> None:
        """Let one go and the next ones come as far as they can."""
        self._gates[name].set()
        await anyio.wait_all_tasks_blocked()

    async def _work(self, name: str, key: str | None) -> None:
        async with self._pool.hold(key):
            self.order.append(name)
            await self._gates[name].wait()


@pytest.mark.anyio
@pytest.mark.invariant("L5")
async def test_permits_are_handed_out_in_order_and_never_too_many() -> None:
    pool = PermitPool("disk", 2)
    crowd = Crowd(pool)
    async with anyio.create_task_group() as group:
        for name in "abcde":
            await crowd.start(group, name)
        assert crowd.order == ["a", "b"]
        assert pool.in_use == 2
        await crowd.let_go("b")
        assert crowd.order == ["a", "b", "c"]
        for name in "acde":
            await crowd.let_go(name)
    assert crowd.order == list("abcde")
    assert pool.in_use == 0


@pytest.mark.anyio
async def test_a_saturated_key_does_not_starve_the_others() -> None:
    pool = PermitPool("network", 2, per_key=1)
    crowd = Crowd(pool)
    async with anyio.create_task_group() as group:
        await crowd.start(group, "slow 1", "slow")
        await crowd.start(group, "slow 2", "slow")
        await crowd.start(group, "slow 3", "slow")
        await crowd.start(group, "other", "other")
        assert crowd.order == ["slow 1", "other"]
        await crowd.let_go("slow 1")
        assert crowd.order == ["slow 1", "other", "slow 2"]
        for name in ("other", "slow 2", "slow 3"):
            await crowd.let_go(name)
    assert (pool.in_use, pool.keys_in_use) == (0, 0)


@pytest.mark.anyio
@pytest.mark.invariant("L2")
@pytest.mark.parametrize("key", [None, "host"])
async def test_cancelled_waiter_gives_the_permit_back(key: str | None) -> None:
    pool = PermitPool("network", 1, per_key=1)
    crowd = Crowd(pool)
    scope = anyio.CancelScope()

    async def wait() -> None:
        with scope:
            async with pool.hold(key):
                pytest.fail("a cancelled waiter got a permit")

    async with anyio.create_task_group() as group:
        await crowd.start(group, "first", key)
        group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        await crowd.start(group, "last", key)
        scope.cancel()
        await crowd.let_go("first")
        assert crowd.order == ["first", "last"]
        await crowd.let_go("last")
    assert (pool.in_use, pool.keys_in_use) == (0, 0)
    assert held_tiers() == ()


@pytest.mark.anyio
@pytest.mark.invariant("L2")
async def test_one_that_has_its_key_and_is_cancelled_at_the_pool_gives_the_key_back() -> None:
    pool = PermitPool("network", 1, per_key=1)
    crowd = Crowd(pool)
    async with anyio.create_task_group() as group:
        await crowd.start(group, "other", "other")
        async with anyio.create_task_group() as cancelled:
            await crowd.start(cancelled, "cancelled", "host")
            await crowd.start(group, "next", "host")
            cancelled.cancel_scope.cancel()
        await crowd.let_go("other")
        assert crowd.order == ["other", "next"]
        await crowd.let_go("next")
    assert (pool.in_use, pool.keys_in_use) == (0, 0)


def is_active(hold: PermitHold) -> bool:
    """A call, so that a type checker does not take the first answer for the last."""
    return hold.active


@pytest.mark.anyio
@pytest.mark.invariant("L3")
async def test_a_permit_is_a_tier() -> None:
    pool = PermitPool("disk", 2)
    async with pool.hold() as hold:
        assert is_active(hold)
        assert held_tiers() == (Tier.PERMIT,)
        with pytest.raises(TierOrderError):
            async with pool.hold():
                pytest.fail("two permits in one task")
    assert not is_active(hold)
    with with_tier(Tier.PACK), pytest.raises(TierOrderError):
        async with pool.hold():
            pytest.fail("a permit inside of a pack")
    assert pool.in_use == 0


@pytest.mark.anyio
async def test_a_pool_can_grow_and_shrink_while_it_is_used() -> None:
    pool = PermitPool("disk", 1)
    crowd = Crowd(pool)
    async with anyio.create_task_group() as group:
        for name in "abcd":
            await crowd.start(group, name)
        assert crowd.order == ["a"]
        pool.resize(3)
        await anyio.wait_all_tasks_blocked()
        assert sorted(crowd.order) == ["a", "b", "c"]  # granted in order, but trio runs what it woke in any
        pool.resize(1)
        await crowd.let_go("a")
        await crowd.let_go("b")
        assert "d" not in crowd.order
        await crowd.let_go("c")
        assert crowd.order[3:] == ["d"]
        await crowd.let_go("d")


@pytest.mark.invariant("L8")
def test_a_pool_of_another_event_loop_is_refused_instead_of_hanging() -> None:
    pool = PermitPool("disk", 1)

    async def use() -> None:
        async with pool.hold():
            pass

    anyio.run(use)
    with pytest.raises(RuntimeError, match="two event loops"):
        anyio.run(partial(use), backend="trio")


@pytest.mark.parametrize(("total", "per_key"), [(0, None), (1, 0)])
def test_a_pool_that_would_never_let_anybody_run_is_refused(total: int, per_key: int | None) -> None:
    with pytest.raises(ValueError, match="never"):
        PermitPool("disk", total, per_key)
    with pytest.raises(ValueError, match="never"):
        PermitPool("disk", 1).resize(0)
