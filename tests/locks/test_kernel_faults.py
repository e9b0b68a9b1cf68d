"""An error in each system call of an acquire: it succeeds all the same or raises a typed error, and leaves nothing.

The calls are not listed but enumerated: the first one fails, then the second, until a try needs fewer calls than that.
"""

from __future__ import annotations

import errno
import traceback
import warnings
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest

from grex.errors import GrexError, LockFallbackWarning
from grex.locks import (
    MANIFEST_LOCK_FILE_NAME,
    PACK_LOCK_FILE_NAME,
    WORKSPACE_LOCK_FILE_NAME,
    ManifestLock,
    PackLock,
    WorkspaceLock,
)
from grex.locks.hold import Hold
from tests.support.kernel_faults import KernelFaults
from tests.support.lock_census import Counter as Resources
from tests.support.lock_census import tickets_in_line, wait_until
from tests.support.lock_holder import Kind, LockHolder

pytestmark = [pytest.mark.invariant("L2"), pytest.mark.invariant("L4")]

PATIENCE_S = 20.0
MOST_CALLS = 500


def _marks(backend: str, number: int, situation: str) -> list[pytest.MarkDecorator]:
    """Each case takes seconds: every call of every situation is failed once, with two other processes in it."""
    if (backend, number, situation) == ("asyncio", errno.EIO, "free"):
        return []
    # How an error is told apart does not depend on the event loop; that everything is given back is seen with EIO.
    return [pytest.mark.exhaustive] if backend == "trio" and number != errno.EIO else [pytest.mark.slow]


CASES = [
    pytest.param(
        backend, number, kind, situation, id=f"{backend}-{errno.errorcode[number]}-{kind}-{situation}", marks=marks
    )
    for backend in ("asyncio", "trio")
    for number in (errno.EIO, errno.EMFILE, errno.ENOLCK, errno.ENOENT)
    for kind in ("pack", "workspace", "reader")
    for situation in ("free", "held", "behind", "cancelled")
    for marks in [_marks(backend, number, situation)]
]

Acquire = Callable[[], Awaitable[Hold]]
LOCKS: dict[Kind, tuple[str, Callable[[Path], Acquire]]] = {
    "pack": (PACK_LOCK_FILE_NAME, lambda path: PackLock.open(path).acquire_async),
    "workspace": (WORKSPACE_LOCK_FILE_NAME, lambda path: WorkspaceLock(path).acquire_async),
    "reader": (MANIFEST_LOCK_FILE_NAME, lambda path: ManifestLock(path).acquire_shared),
}


def _place(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return " < ".join(
        f"{place.name}:{place.lineno}" for place in reversed(traceback.extract_tb(error.__traceback__)[-4:])
    )


class Scene:
    """One lock, and two other processes that hold it and wait for it as the situation wants."""

    def __init__(self, acquire: Acquire, lock_file: Path, holder: LockHolder, waiter: LockHolder) -> None:
        self._acquire = acquire
        self._lock_file = lock_file
        self._holder = holder
        self._waiter = waiter
        self._begun = False
        self._holds = False
        self._waits = False

    async def free(self) -> None:
        """Nobody has the lock."""
        await self._acquire_and_release()

    async def held(self) -> None:
        """Another process has it, maybe with a third one that waits before us, and they are done when we wait."""
        await self._while_waiting(self._let_others_end)

    async def cancelled(self) -> None:
        """As `held`, but it is us who give up."""
        with anyio.CancelScope() as scope:
            await self._while_waiting(scope.cancel)

    async def _acquire_and_release(self) -> None:
        self._begun = True
        with await self._acquire():
            pass

    async def _while_waiting(self, act: Callable[[], object]) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(self._acquire_and_release)
            while not self._begun:
                await anyio.lowlevel.checkpoint()
            act()

    def prepare(self, situation: str) -> Callable[[], Awaitable[None]]:
        """Bring the other processes to where they have to be; gives our part."""
        self._begun = False
        if situation == "free":
            return self.free
        assert self._holder.ask("take") == "held"
        self._holds = True
        if situation != "held":
            self._waiter.send("take")
            self._waits = True
            pid = self._waiter.pid
            wait_until(lambda: pid in [p for _, p in tickets_in_line(self._lock_file)], "the other one queues")
        return self.cancelled if situation == "cancelled" else self.held

    def _let_others_end(self) -> None:
        if self._holds:
            assert self._holder.ask("release") == "ok"
        if self._waits:
            assert self._waiter.answer() == "held"
            assert self._waiter.ask("release") == "ok"
        self._holds = self._waits = False

    def clear(self) -> bool:
        """Let the others end what they were doing; whether the lock is free for them afterwards."""
        self._let_others_end()
        if self._holder.ask("try") == "busy":
            return False
        assert self._holder.ask("release") == "ok"
        return True


@pytest.mark.usefixtures("quick_collections")
@pytest.mark.parametrize(("backend", "number", "kind", "situation"), CASES)
def test_an_error_in_any_call_is_survived_or_told_and_leaves_nothing(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, backend: str, number: int, kind: Kind, situation: str
) -> None:
    name, make = LOCKS[kind]
    other: Kind = "writer" if kind == "reader" else kind
    outcomes: Counter[str] = Counter()
    failed: list[str] = []
    problems: list[str] = []
    count = Resources()
    with LockHolder(other, workspace) as holder, LockHolder(other, workspace) as waiter:
        scene = Scene(make(workspace), workspace / name, holder, waiter)
        assert scene.clear()
        faults = KernelFaults(monkeypatch)

        def run_once(fails_at: int) -> str | None:
            """One try, in an event loop of its own, for an inotify instance lives as long as its loop."""
            part = scene.prepare(situation)

            async def main() -> None:
                with anyio.fail_after(PATIENCE_S):
                    faults.arm(fails_at, number)
                    await part()

            try:
                anyio.run(main, backend=backend)
                outcomes["had"] += 1
            except BaseException as error:  # noqa: BLE001 - every kind of it is a finding, and all are to be found
                group = error if isinstance(error, BaseExceptionGroup) else BaseExceptionGroup("", [error])
                if (rest := group.split(GrexError)[1]) is not None:
                    problems.append(f"call {fails_at} raised {rest.exceptions[0]!r} at {_place(error)}")
                outcomes["told"] += 1
            call = faults.disarm()
            if not scene.clear():
                problems.append(f"call {fails_at} ({call}) left the lock taken")
            return call

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LockFallbackWarning)
            assert run_once(MOST_CALLS) is None
            assert outcomes["had"] == 1
            before = count()
            while (call := run_once(len(failed) + 1)) is not None:
                failed.append(call)
                if (after := count()) != before:
                    problems.append(f"call {len(failed)} ({call}) left {after} where there was {before}")
                    before = after
    if problems:
        pytest.fail("\n".join(problems))
    assert {"open", "fstat", "fcntl"} <= set(failed)
    assert "flock" in failed or situation == "cancelled"  # behind somebody else it is not tried
    assert outcomes["told"] > 0
