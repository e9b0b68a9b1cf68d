"""Ten thousand packs, one after the other: nothing of them stays."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from grex.locks import PackLock
from grex.locks.path_mutex import PATH_MUTEXES
from tests.support.lock_census import Counter, resident_bytes

MEMORY_BYTES = 2 << 20


@pytest.mark.anyio
@pytest.mark.invariant("L2")
@pytest.mark.parametrize("number", [1_000, pytest.param(10_000, marks=pytest.mark.slow)])
async def test_packs_that_were_opened_and_released_leave_nothing(tmp_path: Path, number: int) -> None:
    """Half of them are held one by one, the others by a crowd of tasks."""
    count = Counter()

    async def hold(name: str) -> None:
        async with await PackLock.open(tmp_path / name).acquire_async():
            await anyio.lowlevel.checkpoint()

    async def hold_all(names: list[str]) -> None:
        for name in names[::2]:
            PackLock.open(tmp_path / name).try_acquire().release()
        for first in range(1, len(names), 200):
            async with anyio.create_task_group() as group:
                for name in names[first : first + 200 : 2]:
                    group.start_soon(hold, name)

    await hold_all([f"warm-up {n}" for n in range(400)])
    before, memory = count(), resident_bytes()
    await hold_all([str(n) for n in range(number)])
    assert len(PATH_MUTEXES) == 0
    assert count() == before
    assert resident_bytes() - memory <= MEMORY_BYTES
