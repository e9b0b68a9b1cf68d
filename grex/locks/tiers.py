"""The order of all locks, checked at run time: along any chain of tasks the active tiers strictly increase.

The stack of a task is a `ContextVar` that holds an immutable tuple of *shared mutable* frames:

- A child task starts with the tuple of its parent, so it sees what its ancestors hold; what it adds stays its own.
- Release flips `Frame.active`; every task that inherited the frame sees that at once. The variable is never `reset`
  with a token: a token made in one task raises in another, and a hold may be released by whoever has it.
- Inactive frames are ignored, and dropped the next time the owner of the tuple adds one.

A fork starts over: frames remember the generation in which they were made, and the child is the next generation.

Limits. A plain `threading.Thread` starts with an empty context, so neither order nor re-entry is checked across it
(`anyio.to_thread` carries the context). What a parent takes *after* it started a child is not in the child's tuple.
An acquire that is wrapped in a task of its own (`asyncio.wait_for` before Python 3.12) leaves its frame in that task.

Rejected: a thread-local stack (two tasks of one loop would share it), a stack per task object (children would not
see their parents), `assert` (gone under `python -O`).
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Generator
from contextvars import ContextVar
from enum import IntEnum

from grex.errors import LockBusyError, TierOrderError

__all__ = [
    "Frame",
    "LockKey",
    "Place",
    "Tier",
    "active_frames",
    "caller_place",
    "enter_tier",
    "held_tiers",
    "leave_tier",
    "start_generation",
    "tier_scope",
    "with_tier",
]


class Tier(IntEnum):
    """A lock's place in the order; a task takes them upwards only."""

    WORKSPACE = 0
    PERMIT = 1
    PACK = 2
    BACKEND = 3
    MANIFEST = 4


LockKey = tuple[int, int]
"""`(st_dev, st_ino)` of an opened lock file: the same for every spelling of its path."""

Place = tuple[str, int]
"""File and line; kept as a pair because most are never rendered."""

# Code whose frames are skipped when the place of an acquire is looked for: this room, and what enters it for a `with`.
_NOT_A_PLACE = (os.path.dirname(__file__) + os.sep, contextlib.__file__)  # noqa: PTH120 - compared with plain strings

_generation = 0


class Frame:
    """One active tier of a task; shared with the tasks that it starts."""

    __slots__ = ("_active", "_generation", "key", "owner", "path", "place", "tier", "workspace")

    def __init__(self, tier: Tier, path: str, key: LockKey | None, place: Place, workspace: str | None) -> None:
        self.workspace = workspace
        self.tier = tier
        self.path = path
        self.key = key
        self.place = place
        self.owner: str | None = None  # the task's name in the trace, if there is one
        self._active = True
        self._generation = _generation

    @property
    def active(self) -> bool:
        """Whether the tier is held; false in a forked child, which holds nothing."""
        return self._active and self._generation == _generation

    def deactivate(self) -> None:
        """End the frame, for every task that sees it."""
        self._active = False

    def describe(self) -> str:
        """Tier, path and place, for messages."""
        file, line = self.place
        return f"{self.tier.name}{f' ({self.path})' if self.path else ''} taken at {file}:{line}"


_STACK: ContextVar[tuple[Frame, ...]] = ContextVar("grex_tiers", default=())


def start_generation() -> None:
    """Forget every frame of this process: what a forked child does first."""
    global _generation  # noqa: PLW0603 - a process has one generation
    _generation += 1


def caller_place() -> Place:
    """Where the code outside of this room is that asked for the lock."""
    frame = sys._getframe(1)  # noqa: SLF001 - `inspect.stack` reads source files; this costs a microsecond
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_NOT_A_PLACE):
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


def active_frames() -> tuple[Frame, ...]:
    """What this task and its ancestors hold, outermost first."""
    return tuple(frame for frame in _STACK.get() if frame.active)


def held_tiers() -> tuple[Tier, ...]:
    """The tiers that this task and its ancestors hold, outermost first."""
    return tuple(frame.tier for frame in active_frames())


def enter_tier(tier: Tier, path: str, key: LockKey | None = None, *, workspace: str | None = None) -> Frame:
    """Add a frame to this task's stack.

    Raises:
        LockBusyError: this task or an ancestor holds this very lock (`reentrant`).
        TierOrderError: a tier is held that is not below this one.
    """
    stack = active_frames()
    place = caller_place()
    for outer in stack:
        if key is not None and outer.key == key:
            raise LockBusyError(
                f"{tier.name} {path} is held already by this task or by one that started it: {outer.describe()}.",
                reentrant=True,
                hint="Pass the hold on instead of taking the lock again.",
                details={"tier": tier.name, "path": path, "taken_at": "{}:{}".format(*outer.place)},
            )
    for outer in stack:
        if outer.tier >= tier:
            raise TierOrderError(
                f"{tier.name}{f' ({path})' if path else ''} was asked for at {place[0]}:{place[1]} inside of"
                f" {outer.describe()}, and tiers are taken upwards only.",
                hint="Take " + " < ".join(t.name for t in Tier) + ", each at most once, and release before going down.",
                details={
                    "tier": tier.name,
                    "path": path,
                    "outer_tier": outer.tier.name,
                    "outer_path": outer.path,
                    "taken_at": "{}:{}".format(*outer.place),
                },
            )
    frame = Frame(tier, path, key, place, workspace)
    _STACK.set((*stack, frame))
    return frame


def leave_tier(frame: Frame) -> TierOrderError | None:
    """End a frame, and answer with the error to raise if a frame inside of it is still active.

    The error is an answer and not raised here because the lock itself has to be given up all the same.
    """
    stack = _STACK.get()
    frame.deactivate()
    if frame not in stack:
        return None  # released by a task that never saw it taken: allowed, its own stack is not concerned
    inner = [other for other in stack[stack.index(frame) + 1 :] if other.active]
    _STACK.set(tuple(other for other in stack if other.active))
    if not inner:
        return None
    return TierOrderError(
        f"{frame.describe()} was released before {inner[-1].describe()}, which lies inside of it.",
        hint="Release the innermost lock first; `async with` does.",
        details={
            "tier": frame.tier.name,
            "path": frame.path,
            "inner_tier": inner[-1].tier.name,
            "inner_path": inner[-1].path,
        },
    )


@contextlib.contextmanager
def with_tier(tier: Tier) -> Generator[None]:
    """Count as holding `tier` for the time of the block, for plugins that bring a lock of their own.

    Raises:
        TierOrderError: a tier is held that is not below this one, or one taken in the block is still held at its end.
    """
    frame = enter_tier(tier, "")
    try:
        yield
    finally:
        error = leave_tier(frame)
        if error is not None:
            raise error


@contextlib.contextmanager
def tier_scope() -> Generator[None]:
    """A fresh stack for one request of a server.

    Raises:
        TierOrderError: a tier is held where the scope begins, or one taken in the scope is still held at its end.
    """
    outer = active_frames()
    if outer:
        raise TierOrderError(
            f"A fresh stack was asked for inside of {outer[-1].describe()}, which it would hide.",
            hint="Begin a scope where nothing is held: one for each request of a server.",
        )
    _STACK.set(())
    try:
        yield
    finally:
        left = active_frames()
        _STACK.set(())
        if left:
            raise TierOrderError(
                f"{left[-1].describe()} is still held where its scope ends.",
                hint="Release every lock before the request is over.",
            )
