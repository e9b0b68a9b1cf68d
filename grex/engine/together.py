"""Several packs held at once, which nothing needs but a rename that moves all of them.

Whoever waits for a pack must not hold another one, or two of them could wait for each other. So each pack is waited for
alone first, and given back; then all are taken without waiting, and if one has gone to somebody else meanwhile, all are
given back and it begins again. Each is held by a task of its own, as the packs of a sync are; none of these tasks ever
waits for a lock.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.abc

from grex.engine.holds import Holds, Permits
from grex.engine.session import Session
from grex.errors import GrexError, LockBusyError, PackError
from grex.fs import canonical
from grex.git import BackendHold
from grex.locks import WaitPolicy

__all__ = ["while_held"]

_ROUNDS = 5

T = TypeVar("T")


async def while_held(
    session: Session, packs: Mapping[str, Path], act: Callable[[Mapping[str, BackendHold]], Awaitable[T]]
) -> T:
    """Hold PACK and BACKEND of each of these packs, and act.

    Tiers: for each PERMIT, PACK and BACKEND. Cancellation: nothing is held afterwards.

    Args:
        session: the open workspace; WORKSPACE is held, and nothing else.
        packs: their directories, by path.
        act: is given the BACKEND hold of each; it may take MANIFEST.

    Raises:
        LockError: one could not be had under this run's wait policy.
        PackError: others take turns at them without end.
    """
    at_once = Holds(
        session.layout,
        permits=Permits(len(packs) + 1, 1, 1),
        policy=WaitPolicy(no_wait=True),
        sink=session.settings.sink,
    )
    for _ in range(_ROUNDS):
        for path, root in packs.items():
            async with session.holds.pack(path, root, "disk"), session.holds.backend(path, canonical(root)):
                pass
        try:
            return await _all_or_none(at_once, packs, act)
        except _TakenError:
            continue
    raise PackError(
        f"{', '.join(packs)} could not be held all at once, because others work in them by turns",
        hint="Run the command again when they are done.",
    )


class _TakenError(Exception):
    """Somebody has taken one of the packs since it was waited for."""


async def _all_or_none(
    holds: Holds, packs: Mapping[str, Path], act: Callable[[Mapping[str, BackendHold]], Awaitable[T]]
) -> T:
    held: dict[str, BackendHold] = {}
    done = anyio.Event()
    results: list[T] = []
    failures: list[BaseException] = []

    async def hold(path: str, root: Path, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        async with holds.pack(path, root, "disk"), holds.backend(path, canonical(root)) as backend:
            held[path] = backend
            task_status.started()
            await done.wait()

    async with anyio.create_task_group() as tasks:
        try:
            for path, root in packs.items():
                try:
                    await tasks.start(_starter(hold, path, root))
                except LockBusyError as busy:
                    raise _TakenError from busy
            results.append(await act(held))
        except (GrexError, OSError, _TakenError) as failure:
            failures.append(failure)  # outside of the group it is an error again, and not a group of them
        finally:
            done.set()
    if failures:
        raise failures[0]
    return results[0]


def _starter(hold: Callable[..., Awaitable[None]], path: str, root: Path) -> Callable[..., Coroutine[Any, Any, None]]:
    async def start(*, task_status: anyio.abc.TaskStatus[None]) -> None:
        await hold(path, root, task_status=task_status)

    return start
