"""The order of tiers, checked along chains of tasks."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from grex.errors import LockBusyError, TierOrderError
from grex.locks import BackendLock, ManifestLock, PackLock, PermitPool, Tier, WorkspaceLock, held_tiers
from grex.locks.tiers import enter_tier, leave_tier, tier_scope, with_tier


@pytest.mark.anyio
@pytest.mark.invariant("L3")
async def test_all_five_tiers_are_taken_upwards_and_given_back(workspace: Path) -> None:
    pool = PermitPool("disk", 2)
    async with (
        await WorkspaceLock(workspace).acquire_async(verb="sync"),
        pool.hold(),
        await PackLock.open(workspace / "a").acquire_async(),
        await BackendLock.for_checkout(workspace / "a").acquire_async(),
        await ManifestLock(workspace).acquire_exclusive(),
    ):
        assert held_tiers() == tuple(Tier)
    assert held_tiers() == ()


@pytest.mark.anyio
@pytest.mark.invariant("L3")
async def test_a_second_pack_is_refused_naming_both_tiers_both_paths_and_the_place(workspace: Path) -> None:
    first, second = PackLock.open(workspace / "a"), PackLock.open(workspace / "b")
    async with await first.acquire_async():
        with pytest.raises(TierOrderError) as caught:
            await second.acquire_async()
    error = caught.value
    assert error.details["tier"] == error.details["outer_tier"] == "PACK"
    assert error.details["path"] == str(second.path)
    assert error.details["outer_path"] == str(first.path)
    assert error.details["taken_at"].startswith(f"{__file__}:")
    assert all(text in error.message for text in (str(first.path), str(second.path), __file__))


@pytest.mark.anyio
@pytest.mark.invariant("L3")
@pytest.mark.parametrize("outer", [Tier.PACK, Tier.BACKEND, Tier.MANIFEST])
async def test_a_lower_tier_inside_of_a_higher_one_is_refused(workspace: Path, outer: Tier) -> None:
    with with_tier(outer):
        with pytest.raises(TierOrderError):
            await PackLock.open(workspace / "a").acquire_async()
        with pytest.raises(TierOrderError):
            await WorkspaceLock(workspace).acquire_async()
        with pytest.raises(TierOrderError):
            async with PermitPool("disk", 1).hold():
                pytest.fail("a permit inside of a pack")
    async with await PackLock.open(workspace / "a").acquire_async() as hold:  # the refusal left nothing behind
        assert hold.active


@pytest.mark.anyio
@pytest.mark.invariant("L3")
async def test_backend_is_above_pack_and_below_manifest(workspace: Path) -> None:
    backend = BackendLock.for_checkout(workspace / "a")
    with with_tier(Tier.PACK):
        async with await backend.acquire_async():
            assert held_tiers() == (Tier.PACK, Tier.BACKEND)
            async with await ManifestLock(workspace).acquire_shared():
                with pytest.raises(TierOrderError):
                    await BackendLock.for_checkout(workspace / "b").acquire_async()


@pytest.mark.anyio
@pytest.mark.invariant("L3")
async def test_a_child_task_sees_what_its_parent_holds_and_its_own_stays_its_own(workspace: Path) -> None:
    async def child(name: str) -> None:
        assert held_tiers() == (Tier.WORKSPACE,)
        async with await PackLock.open(workspace / name).acquire_async():
            assert held_tiers() == (Tier.WORKSPACE, Tier.PACK)

    async with await WorkspaceLock(workspace).acquire_async(), anyio.create_task_group() as group:
        group.start_soon(child, "a")
        group.start_soon(child, "b")
        await anyio.lowlevel.checkpoint()
        assert held_tiers() == (Tier.WORKSPACE,)


@pytest.mark.anyio
@pytest.mark.invariant("L3")
async def test_a_child_sees_at_once_that_its_parent_released(workspace: Path) -> None:
    released = anyio.Event()
    hold = await PackLock.open(workspace / "a").acquire_async()

    async def child() -> None:
        assert held_tiers() == (Tier.PACK,)
        await released.wait()
        assert held_tiers() == ()
        async with await PackLock.open(workspace / "b").acquire_async():
            assert held_tiers() == (Tier.PACK,)

    async with anyio.create_task_group() as group:
        group.start_soon(child)
        await anyio.wait_all_tasks_blocked()
        hold.release()
        released.set()


@pytest.mark.anyio
@pytest.mark.invariant("L4")
async def test_a_hold_may_be_released_by_another_task(workspace: Path) -> None:
    hold = await PackLock.open(workspace / "a").acquire_async()

    async def child() -> None:
        hold.release()

    async with anyio.create_task_group() as group:
        group.start_soon(child)
    assert held_tiers() == ()
    async with await PackLock.open(workspace / "a").acquire_async() as again:
        assert again.active


@pytest.mark.anyio
async def test_a_worker_thread_of_anyio_carries_the_stack_and_a_plain_thread_does_not(workspace: Path) -> None:
    seen: list[tuple[Tier, ...]] = []

    def look() -> None:
        seen.append(held_tiers())

    async with await WorkspaceLock(workspace).acquire_async():
        await anyio.to_thread.run_sync(look)
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert seen == [(Tier.WORKSPACE,), ()]


@pytest.mark.invariant("L4")
def test_a_lock_released_out_of_order_is_released_all_the_same_and_then_an_error(workspace: Path) -> None:
    outer = WorkspaceLock(workspace).try_acquire()
    inner = PackLock.open(workspace / "a").try_acquire()
    with pytest.raises(TierOrderError, match="released before"):
        outer.release()
    assert not outer.active
    assert held_tiers() == (Tier.PACK,)
    inner.release()
    WorkspaceLock(workspace).try_acquire().release()


def test_a_fresh_scope_is_allowed_only_where_nothing_is_held() -> None:
    with tier_scope(), with_tier(Tier.PACK), pytest.raises(TierOrderError, match="fresh stack"), tier_scope():
        pytest.fail("a scope inside of a hold")


def test_a_scope_that_ends_inside_of_a_hold_says_so() -> None:
    with pytest.raises(TierOrderError, match="still held where its scope ends"), tier_scope():
        frame = enter_tier(Tier.PACK, "/somewhere")
    frame.deactivate()


def test_the_place_is_the_line_of_the_caller() -> None:
    frame = enter_tier(Tier.PACK, "/somewhere")
    assert frame.place[0] == __file__
    assert leave_tier(frame) is None


def test_the_same_key_is_reentry_whatever_the_tier() -> None:
    frame = enter_tier(Tier.PACK, "/somewhere", (1, 2))
    with pytest.raises(LockBusyError) as caught:
        enter_tier(Tier.MANIFEST, "/elsewhere", (1, 2))
    assert caught.value.reentrant
    leave_tier(frame)


@pytest.mark.invariant("L3")
def test_the_order_is_checked_under_python_dash_o(workspace: Path) -> None:
    code = """
import sys
from grex.errors import LockBusyError, TierOrderError
from grex.locks import PackLock, WorkspaceLock
root = sys.argv[1]
pack = PackLock.open(root + "/a")
with pack.try_acquire():
    below, beside = WorkspaceLock(root), PackLock.open(root + "/b")
    for wrong, error in ((below, TierOrderError), (beside, TierOrderError), (pack, LockBusyError)):
        try:
            wrong.try_acquire()
        except error:
            continue
        sys.exit("not refused")
print("refused", __debug__)
"""
    done = subprocess.run(
        [sys.executable, "-O", "-c", code, str(workspace)], capture_output=True, text=True, check=False, cwd="."
    )
    assert (done.stdout, done.stderr) == ("refused False\n", "")
