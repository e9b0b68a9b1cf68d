"""The document of `locks`."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict  # pydantic asks for this one below Python 3.12

from grex.verbs.documents.failure import FailureObject

__all__ = ["HolderObject", "LockObject", "LockProcessObject", "LocksDocument", "QueuedWaiterObject"]


class HolderObject(TypedDict):
    """Who wrote a lock's record; a hint, the kernel lock is the truth."""

    pid: int
    host: str
    tier: str | None
    verb: str
    acquired_at: str | None
    stale: bool
    kept_by: list[str]


class LockProcessObject(TypedDict):
    """A process that the kernel names at a lock."""

    pid: int
    command: str
    shared: bool
    ended: bool
    stopped: bool


class QueuedWaiterObject(TypedDict):
    """One who waits for a lock; the one at place 1 is served next."""

    place: int
    seq: int
    pid: int
    command: str
    shared: bool
    verified: bool
    stopped: bool


class LockObject(TypedDict):
    """One lock: who holds it and who waits for it."""

    tier: str
    path: str
    exists: bool
    held: bool | None
    shared: bool
    pids: list[int]
    holder: HolderObject | None
    outlived: bool
    held_for_s: int | None
    holders: list[LockProcessObject]
    queue: list[QueuedWaiterObject]
    blocked: list[LockProcessObject]
    problem: str | None


class LocksDocument(TypedDict):
    """`grex locks --json`."""

    schema: Literal["grex.locks/1"]
    workspace: str
    exit_code: int
    held: list[LockObject]
    others: list[LockObject]
    errors: list[FailureObject]
