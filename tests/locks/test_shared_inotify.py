"""Several waits of one event loop share one inotify instance, which one of them reads for all: no event gets lost.

Here nothing but an event wakes a waiter: the retries after an event, the safety interval and the reports of a long
wait, which would hide a lost one, are made longer than any test.
"""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from grex.locks import PackLock, inotify
from tests.support.lock_holder import LockHolder
from tests.support.no_timers import UNREPORTED, take_timers_away

pytestmark = pytest.mark.anyio

PATIENCE_S = 20.0


@pytest.fixture(autouse=True)
def only_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what would find a lock free without having been told."""
    take_timers_away(monkeypatch)


class Waiter:
    """A task that waits for one pack of another process."""

    def __init__(self, pack: Path) -> None:
        self._lock = PackLock.open(pack)
        self.scope = anyio.CancelScope()
        self.got = anyio.Event()

    async def run(self) -> None:
        """Wait, and say that it was not in vain."""
        with self.scope, await self._lock.acquire_async(UNREPORTED):
            self.got.set()


@pytest.mark.invariant("L2")
@pytest.mark.invariant("L7")
async def test_when_the_reader_gives_up_another_reads(tmp_path: Path) -> None:
    with LockHolder("pack", tmp_path / "a") as a, LockHolder("pack", tmp_path / "b") as b:
        assert [a.ask("take"), b.ask("take")] == ["held", "held"]
        reader, other = Waiter(tmp_path / "a"), Waiter(tmp_path / "b")
        async with anyio.create_task_group() as group:
            for one in (reader, other):
                group.start_soon(one.run)
                await anyio.wait_all_tasks_blocked()
            reader.scope.cancel()
            await anyio.wait_all_tasks_blocked()
            assert b.ask("release") == "ok"
            with anyio.fail_after(PATIENCE_S):
                await other.got.wait()


@pytest.mark.invariant("L7")
async def test_the_end_of_one_wait_takes_no_event_from_another(tmp_path: Path) -> None:
    """Both waits sleep. In one turn of the loop the pack of the reader comes free and the other one is cancelled.

    The task that ends empties the instance, and with it what the reader would have been woken by.
    """
    with LockHolder("pack", tmp_path / "a") as a, LockHolder("pack", tmp_path / "b") as b:
        for number in range(20):  # a loop of trio chooses the order of its tasks at random
            assert [a.ask("take"), b.ask("take")] == ["held", "held"]
            reader, other = Waiter(tmp_path / "a"), Waiter(tmp_path / "b")

            async def release(turns: int) -> None:
                for _ in range(turns):
                    await anyio.lowlevel.checkpoint()
                assert a.ask("release") == "ok"

            async with anyio.create_task_group() as group:
                for one in (reader, other):
                    group.start_soon(one.run)
                    await anyio.wait_all_tasks_blocked()
                group.start_soon(release, number % 3)
                other.scope.cancel()
                with anyio.fail_after(PATIENCE_S):
                    await reader.got.wait()
            assert b.ask("release") == "ok"


@pytest.mark.invariant("L7")
async def test_an_event_that_comes_while_the_reader_changes_is_told(tmp_path: Path) -> None:
    """Two waits end in one turn, the reader's first, and between them the pack of a third one comes free."""
    async with anyio.create_task_group() as group:
        files = [tmp_path / name for name in "abc"]
        for file in files:
            file.touch()
        instance = inotify.Inotify.here()
        woken: list[str] = []
        watches = {}
        kept = [file.open("rb") for file in files]  # the end of one would be an event
        for file, opened in zip(files, kept, strict=True):

            def wake(name: str = file.name) -> None:
                woken.append(name)

            watches[file.name] = instance.watch(opened.fileno(), wake)
        assert watches["a"].fd is not None
        assert [watches[name].fd for name in "bc"] == [None, None]
        watches["a"].close()
        files[2].touch()
        watches["b"].close()
        assert "c" in woken
        watches["c"].close()
        for opened in kept:
            opened.close()
        group.cancel_scope.cancel()


@pytest.mark.invariant("L7")
async def test_when_the_reader_and_its_heir_are_cancelled_together_a_third_reads(tmp_path: Path) -> None:
    """The reader ends and wakes the second, which is cancelled before it ran: it never was the reader."""
    with (
        LockHolder("pack", tmp_path / "a") as a,
        LockHolder("pack", tmp_path / "b") as b,
        LockHolder("pack", tmp_path / "c") as c,
    ):
        for _ in range(10):  # a loop of trio chooses the order of its tasks at random
            assert [a.ask("take"), b.ask("take"), c.ask("take")] == ["held"] * 3
            reader, heir, third = (Waiter(tmp_path / name) for name in "abc")
            async with anyio.create_task_group() as group:
                for one in (reader, heir, third):
                    group.start_soon(one.run)
                    await anyio.wait_all_tasks_blocked()
                reader.scope.cancel()
                heir.scope.cancel()
                await anyio.wait_all_tasks_blocked()
                assert c.ask("release") == "ok"
                with anyio.fail_after(PATIENCE_S):
                    await third.got.wait()
            assert [a.ask("release"), b.ask("release")] == ["ok", "ok"]


@pytest.mark.invariant("L8")
async def test_a_newcomer_does_not_read_beside_a_reader_that_was_told_and_has_not_run_yet(tmp_path: Path) -> None:
    """In one turn the reader's pack comes free, the only other one is cancelled, and a third begins to wait."""
    with (
        LockHolder("pack", tmp_path / "a") as a,
        LockHolder("pack", tmp_path / "b") as b,
        LockHolder("pack", tmp_path / "c") as c,
    ):
        for _ in range(10):  # a loop of trio chooses the order of its tasks at random
            assert [a.ask("take"), b.ask("take"), c.ask("take")] == ["held"] * 3
            reader, other, newcomer = (Waiter(tmp_path / name) for name in "abc")
            async with anyio.create_task_group() as group:
                for one in (reader, other):
                    group.start_soon(one.run)
                    await anyio.wait_all_tasks_blocked()
                other.scope.cancel()
                group.start_soon(newcomer.run)
                assert a.ask("release") == "ok"
                with anyio.fail_after(PATIENCE_S):
                    await reader.got.wait()
                await anyio.wait_all_tasks_blocked()
                assert c.ask("release") == "ok"
                with anyio.fail_after(PATIENCE_S):
                    await newcomer.got.wait()
            assert b.ask("release") == "ok"
