"""The engine's locks: tiers in ascending order, given back in reverse, cancelled or not, and told as slices."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Generator
from pathlib import Path

import anyio
import pytest

from grex.engine import Permits
from grex.engine.holds import _Asked
from grex.errors import LockBusyError, TierOrderError
from grex.locks import Tier, WaitReport
from grex.locks.environment import forget_environment
from grex.locks.trace import close_trace
from grex.progress import LockHad, LockWait, PermitReturned, PermitTaken, Slice
from tests.support.git_server import git
from tests.support.place import Place

ASKED = _Asked("PACK", "a", "PACK", "/ws/a")

pytestmark = pytest.mark.anyio


@pytest.fixture
def trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Path]:
    """Where the lock trace of this test goes."""
    monkeypatch.setenv("GREX_LOCK_TRACE", str(tmp_path / "trace"))
    forget_environment()
    close_trace()
    yield tmp_path / "trace"
    monkeypatch.delenv("GREX_LOCK_TRACE")
    close_trace()
    forget_environment()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def moves(trace: Path) -> list[str]:
    lines = [json.loads(line) for line in trace.read_text().splitlines()]
    return [f"{line['ev']} {Tier(line['tier']).name}" for line in lines if line.get("ev") in ("acquire", "release")]


TAKEN = [f"acquire {tier}" for tier in ("WORKSPACE", "PERMIT", "PACK", "BACKEND", "MANIFEST")]
GIVEN = [f"release {tier}" for tier in ("MANIFEST", "BACKEND", "PACK", "PERMIT", "WORKSPACE")]


async def test_tiers_are_taken_in_order_and_given_back_in_reverse(place: Place, trace: Path) -> None:
    holds, root = place.session().holds, place / "a"
    async with (
        holds.workspace(),
        holds.pack("a", root, "disk"),
        holds.backend("a", root),
        holds.manifest_exclusive("a"),
    ):
        assert moves(trace) == TAKEN
    assert moves(trace) == [*TAKEN, *GIVEN]


async def test_a_cancelled_block_gives_everything_back_in_reverse(place: Place, trace: Path) -> None:
    holds, root = place.session().holds, place / "a"
    with anyio.CancelScope() as scope:
        async with (
            holds.workspace(),
            holds.pack("a", root, "network", host="h"),
            holds.backend("a", root),
            holds.manifest_exclusive("a"),
        ):
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert moves(trace) == [*TAKEN, *GIVEN]


async def test_a_cancelled_waiter_for_a_pack_gives_its_permit_back(place: Place) -> None:
    holds = place.session(jobs=2).holds
    held, done = anyio.Event(), anyio.Event()

    async def hold() -> None:
        async with holds.pack("a", place / "a", "disk"):
            held.set()
            await done.wait()

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hold)
            await held.wait()
            async with anyio.create_task_group() as waiting:
                waiting.start_soon(hold)
                while holds._pools["disk"].in_use < 2:
                    await anyio.lowlevel.checkpoint()
                waiting.cancel_scope.cancel()
            assert holds._pools["disk"].in_use == 1
            done.set()
    assert holds._pools["disk"].in_use == 0


async def test_a_second_pack_or_permit_is_never_waited_for_while_one_is_held(place: Place) -> None:
    holds = place.session().holds
    async with holds.pack("a", place / "a", "disk"):
        with pytest.raises(TierOrderError):
            async with holds.pack("b", place / "b", "disk"):
                pass
        with pytest.raises(TierOrderError):
            async with holds.network_permit("b", "h"):
                pass


async def test_no_wait_fails_at_once_and_leaves_nothing_held(place: Place) -> None:
    one, other = place.session().holds, place.session(no_wait=True).holds
    async with anyio.create_task_group() as tasks:
        held, done = anyio.Event(), anyio.Event()

        async def hold() -> None:
            async with one.workspace():
                held.set()
                await done.wait()

        tasks.start_soon(hold)
        await held.wait()
        with pytest.raises(LockBusyError):
            async with other.workspace():
                pass
        done.set()
    async with other.workspace():
        pass


async def test_a_wait_that_somebody_could_notice_is_a_slice_before_its_hold(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grex.engine.holds._NOTICEABLE_NS", -1)
    async with place.session().holds.pack("a", place / "a", "disk"):
        pass
    slices = [event for event in place.seen.events if isinstance(event, Slice)]
    assert [(found.name, found.category, found.track) for found in slices] == [
        ("wait PERMIT disk", "wait", "a"),
        ("wait PACK", "wait", "a"),
        ("PACK (disk)", "lock", "a"),
        ("PERMIT disk", "permit", "a"),
    ]
    assert all(found.start_ns <= found.end_ns for found in slices)
    assert slices[0].end_ns <= slices[1].start_ns <= slices[1].end_ns <= slices[2].start_ns


async def test_a_short_wait_is_no_slice(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grex.engine.holds._NOTICEABLE_NS", 10**15)
    async with place.session().holds.pack("a", place / "a", "disk"):
        pass
    assert [event.category for event in place.seen.events if isinstance(event, Slice)] == ["lock", "permit"]


@pytest.mark.parametrize(
    ("jobs", "permits"),
    [(1, Permits(1, 1, 1)), (3, Permits(3, 32, 8)), (None, Permits(os.cpu_count() or 1, 32, 8))],
)
def test_one_job_is_serial_in_both_kinds(jobs: int | None, permits: Permits) -> None:
    assert Permits.for_jobs(jobs, 32, 8) == permits


async def test_a_long_wait_is_told_with_its_holder_and_how_many_are_ahead(place: Place) -> None:
    holds = place.session().holds
    told = LockWait("PACK", "/ws/a", 1.5, None, ahead=2, pack="a")

    def give_up() -> None:
        with holds._wait(ASKED) as policy:
            assert policy.on_wait is not None
            policy.on_wait(WaitReport(Tier.PACK, "/ws/a", 1.5, None, ahead=2))
            assert place.seen.events == [told]
            raise LockBusyError("it is not to be had")

    with pytest.raises(LockBusyError):
        give_up()
    assert LockHad("PACK", "/ws/a", "a") in place.seen.events


async def test_the_end_of_a_wait_is_told_where_the_wait_was_and_permits_always_are(place: Place) -> None:
    holds = place.session().holds
    with holds._wait(ASKED) as policy:
        assert policy.on_wait is not None
        policy.on_wait(WaitReport(Tier.PACK, "/ws/a", 1.5, None))
    async with holds.pack("a", place / "a", "disk"):
        pass
    over = [event for event in place.seen.events if isinstance(event, LockHad | PermitTaken | PermitReturned)]
    assert over == [LockHad("PACK", "/ws/a", "a"), PermitTaken("a", "disk"), PermitReturned("a")]


async def test_work_trees_of_one_repository_are_packs_of_their_own_and_have_one_backend(
    place: Place, tmp_path: Path
) -> None:
    """Whatever their places: the usual one, linked, and those of a repository that lies apart from its checkout."""
    for name in ("usual", "apart"):
        main, linked = place.root / name, tmp_path / f"{name}-linked"
        apart = ["--separate-git-dir", str(tmp_path / "apart.git")] if name == "apart" else []
        git(place.root, "init", "--quiet", *apart, name)
        git(main, "commit", "--quiet", "--allow-empty", "-m", "x")
        git(main, "worktree", "add", "--quiet", str(linked))
        session = place.session(no_wait=True)
        async with session.holds.pack("main", main, "disk"), session.holds.backend("main", main):
            pass  # the lock files are there now
        backend = (
            place.root / ".usual.grex-backend.lock" if name == "usual" else tmp_path / ".apart.git.grex-backend.lock"
        )
        with backend.open() as theirs, (main / ".grex-lock").open() as pack:
            fcntl.flock(theirs, fcntl.LOCK_EX)
            fcntl.flock(pack, fcntl.LOCK_EX)
            async with session.holds.pack("linked", linked, "disk"):
                with pytest.raises(LockBusyError):
                    await session.holds.backend("linked", linked).__aenter__()
        async with session.holds.backend("linked", linked) as hold:
            assert hold.active
    assert not list(tmp_path.glob(".*linked.grex-backend.lock"))
