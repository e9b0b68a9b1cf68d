"""A coroutine that waits for nothing gets no event loop; one that asks for it goes on from where it stood."""

from __future__ import annotations

import types
from collections.abc import Awaitable, Coroutine, Generator
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.lowlevel
import pytest

from grex.errors import LockBusyError, LockTimeoutError
from grex.locks import ManifestLock, WaitPolicy
from grex.loop import begin, event_loop, has_event_loop
from grex.process import Finished, run_process
from tests.support.lock_holder import LockHolder

T = TypeVar("T")

BACKENDS = ("asyncio", "trio")


class Loop:
    """Goes on in an event loop, and remembers that it was asked to."""

    def __init__(self, backend: str) -> None:
        self._backend = backend
        self.count = 0

    def __call__(self, rest: Awaitable[T]) -> T:
        async def go_on() -> T:
            return await rest

        self.count += 1
        return anyio.run(go_on, backend=self._backend)


@pytest.fixture(params=BACKENDS)
def loop(request: pytest.FixtureRequest) -> Loop:
    return Loop(request.param)


def test_what_waits_for_nothing_ends_without_a_loop(loop: Loop) -> None:
    async def inner() -> int:
        return 7

    async def look() -> int:
        assert not has_event_loop()
        return await inner()

    assert begin(look(), loop) == 7
    assert loop.count == 0


def test_who_asks_for_the_loop_goes_on_in_it_and_does_nothing_twice(loop: Loop) -> None:
    done: list[str] = []

    async def wait() -> None:
        done.append("asked")
        await event_loop()
        assert has_event_loop()
        await anyio.lowlevel.checkpoint()
        await event_loop()  # it is there already
        done.append("waited")

    async def look() -> str:
        done.append("begun")
        await wait()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.lowlevel.checkpoint)
        return "done"

    assert begin(look(), loop) == "done"
    assert (done, loop.count) == (["begun", "asked", "waited"], 1)


def test_an_error_before_and_after_the_loop_reaches_the_caller_and_the_blocks_on_its_way(loop: Loop) -> None:
    closed: list[bool] = []

    async def look(*, is_late: bool) -> None:
        try:
            if is_late:
                await event_loop()
                await anyio.lowlevel.checkpoint()
            raise ValueError("broken")
        finally:
            closed.append(has_event_loop())

    for is_late in (False, True):
        with pytest.raises(ValueError, match="broken"):
            begin(look(is_late=is_late), loop)
    assert closed == [False, True]


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_goes_on_in_the_loop_can_be_cancelled(backend: str) -> None:
    told: list[str] = []

    async def look() -> None:
        await event_loop()
        try:
            await anyio.sleep_forever()
        except BaseException as error:
            told.append(type(error).__name__)
            raise

    def go_on(rest: Awaitable[None]) -> bool:
        async def cancelled() -> bool:
            async with anyio.create_task_group() as tasks:

                async def one() -> None:
                    await rest

                tasks.start_soon(one)
                await anyio.wait_all_tasks_blocked()
                tasks.cancel_scope.cancel()
            return tasks.cancel_scope.cancelled_caught

        return anyio.run(cancelled, backend=backend)

    begin(look(), go_on)
    assert told == [anyio_cancelled(backend)]


def anyio_cancelled(backend: str) -> str:
    return {"asyncio": "CancelledError", "trio": "Cancelled"}[backend]


def test_who_waits_without_asking_is_told_so(loop: Loop) -> None:
    @types.coroutine
    def wait() -> Generator[object, None, None]:
        yield object()

    async def look() -> None:
        await wait()

    with pytest.raises(RuntimeError, match=r"look.* waits without an event loop"):
        begin(look(), loop)
    with pytest.raises(RuntimeError):
        begin(anyio.lowlevel.checkpoint(), loop)


def held_once(tmp_path: Path, policy: WaitPolicy | None) -> Coroutine[Any, Any, bool]:
    async def read() -> bool:
        async with await ManifestLock(tmp_path).acquire_shared(policy):
            return has_event_loop()

    return read()


@pytest.mark.parametrize("policy", [None, WaitPolicy(no_wait=True)])
def test_a_lock_that_is_free_is_had_without_a_loop(tmp_path: Path, loop: Loop, policy: WaitPolicy | None) -> None:
    with LockHolder("writer", tmp_path) as writer:
        assert begin(held_once(tmp_path, policy), loop) is False
        assert writer.ask("try") == "held"  # and given back


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_lock_that_another_process_holds_is_waited_for_in_the_loop(tmp_path: Path, backend: str) -> None:
    def release_once_it_waits(rest: Awaitable[bool]) -> bool:
        async def go_on() -> bool:
            found: list[bool] = []

            async def one() -> None:
                found.append(await rest)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(one)
                await anyio.wait_all_tasks_blocked()
                assert not found
                assert writer.ask("release") == "ok"
            return found[0]

        return anyio.run(go_on, backend=backend)

    loop = Loop(backend)
    with LockHolder("writer", tmp_path) as writer:
        assert writer.ask("take") == "held"
        with pytest.raises(LockBusyError):
            begin(held_once(tmp_path, WaitPolicy(no_wait=True)), loop)
        assert loop.count == 0
        with pytest.raises(LockTimeoutError):
            begin(held_once(tmp_path, WaitPolicy(timeout_s=0.05)), loop)
        assert loop.count == 1
        assert begin(held_once(tmp_path, None), release_once_it_waits) is True
        assert writer.ask("try") == "held"


def test_a_process_is_started_in_the_loop(loop: Loop) -> None:
    def run() -> Coroutine[Any, Any, Finished]:
        return run_process(["sh", "-c", "echo said"], cwd="/", env={"PATH": "/usr/bin:/bin"}, timeout_s=None)

    assert begin(run(), loop).stdout == b"said\n"
    assert loop.count == 1
