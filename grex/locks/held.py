"""Nested commands: what the processes above this one hold, and the refusal of waits that could never end.

A hook or an `exec` that runs grex inside of a hold would wait for a lock that its own ancestor keeps until it ends.
Two checks refuse that at once:

- Children of grex carry `GREX_HELD`: workspace, tier and key of every hold above them. A lock of the same workspace
  whose tier is not above all of these is refused even if it happens to be free, for otherwise it would depend on luck
  whether the nested command hangs. The same lock file is refused whatever the workspace.
- Where the variable was lost (`env -i`, `sudo`, a container entry point) the recorded holder is looked for among the
  ancestors of this process, verified by its start time.

A permit is of one run and cannot be held by another process, so none is refused because of what is held above
(`permits`). The permits *above* are entries like any others: whoever takes WORKSPACE inside of one goes against the
order.

An entry names the process that holds; once that has ended the entry counts for nothing, so a daemon that a hook left
behind is not refused for ever. With the variable set, every wait that was given no time limit ends after 60 s: it
covers what neither check can see, such as a hold of the parent that was taken after the child was started.
"""

from __future__ import annotations

import json
import os

from msgspec import Struct
from msgspec.structs import asdict

from grex.errors import LockDeadlockError
from grex.locks import processes
from grex.locks.environment import HELD_VARIABLE, lock_environment
from grex.locks.holder import HolderRecord
from grex.locks.run_context import current_verb, current_workspace
from grex.locks.tiers import LockKey, Tier, active_frames

__all__ = [
    "NESTED_TIMEOUT_S",
    "HeldEntry",
    "check_ancestor",
    "check_key",
    "check_tier",
    "child_environment",
    "held_above",
    "held_here",
    "is_anything_else_held",
    "is_nested",
    "parse_held",
    "render_held",
]

NESTED_TIMEOUT_S = 60.0
_MAX_ENTRIES = 256
_CLOCK_SLACK_S = 2.0  # a record says since when in whole seconds of a clock that may be set
_HINT = "Run it after the outer command has ended, or leave the nested part to the outer command."


class HeldEntry(Struct, frozen=True):
    """One hold of a process above."""

    workspace: str | None
    tier: int
    key: str
    path: str
    pid: int
    pid_start: int | None
    verb: str

    @property
    def lock_key(self) -> LockKey | None:
        """The key of the lock file; None for what has no file."""
        device, _, inode = self.key.partition(":")
        try:
            return int(device), int(inode)
        except ValueError:
            return None

    @property
    def counts(self) -> bool:
        """Whether the process that holds is still there."""
        return self.pid_start is None or processes.start_time(self.pid) == self.pid_start

    def describe(self) -> str:
        """For messages and chains."""
        path = f" {self.path}" if self.path else ""
        return f"pid {self.pid}{f' (grex {self.verb})' if self.verb else ''} holds {Tier(self.tier).name}{path}"


def render_held(entries: tuple[HeldEntry, ...]) -> str:
    """The value of the variable."""
    return json.dumps([asdict(entry) for entry in entries], separators=(",", ":"))


def parse_held(text: str) -> tuple[HeldEntry, ...]:
    """The entries in the variable, outermost first; what cannot be read is left out, it only guards against hangs."""
    try:
        items = json.loads(text)
    except (ValueError, RecursionError):
        return ()
    entries: list[HeldEntry] = []
    for item in items[:_MAX_ENTRIES] if isinstance(items, list) else ():
        try:
            entry = HeldEntry(**item)
            Tier(entry.tier)
        except (TypeError, ValueError):
            continue
        texts = (entry.key, entry.path, entry.verb, entry.workspace or "")
        numbers = (entry.pid, entry.pid_start or 0)
        if all(isinstance(value, str) for value in texts) and all(isinstance(value, int) for value in numbers):
            entries.append(entry)
    return tuple(entries)


_parsed: tuple[str, tuple[HeldEntry, ...]] = ("", ())


def _inherited() -> tuple[HeldEntry, ...]:
    global _parsed  # noqa: PLW0603 - a cache of the one variable
    text = lock_environment().held
    if text is None:
        return ()
    if _parsed[0] != text:
        _parsed = (text, parse_held(text))
    return _parsed[1]


def held_above() -> tuple[HeldEntry, ...]:
    """What the processes above this one hold, outermost first, without those that have ended."""
    return tuple(entry for entry in _inherited() if entry.counts)


def is_nested() -> bool:
    """Whether this process was started inside of a hold."""
    return lock_environment().held is not None


def is_anything_else_held() -> bool:
    """Whether a task that waits holds something besides, or it is held above; if not, its wait closes no circle."""
    return is_nested() or len(active_frames()) > 1


def _render_key(key: LockKey | None) -> str:
    return "" if key is None else f"{key[0]}:{key[1]}"


def _workspace_of_task() -> str | None:
    said = current_workspace()
    if said is not None:
        return said
    return next((frame.workspace for frame in active_frames() if frame.workspace is not None), None)


def held_here() -> tuple[HeldEntry, ...]:
    """What this task and its ancestors in this process hold, outermost first."""
    workspace = _workspace_of_task()
    pid, started, verb = os.getpid(), processes.own_start_time(), current_verb()
    return tuple(
        HeldEntry(frame.workspace or workspace, int(frame.tier), _render_key(frame.key), frame.path, pid, started, verb)
        for frame in active_frames()
    )


def child_environment() -> dict[str, str]:
    """What to add to the environment of a child of this task: all that is held here and above."""
    entries = (*held_above(), *held_here())
    return {HELD_VARIABLE: render_held(entries)} if entries else {}


def _is_same_workspace(entry: HeldEntry, workspace: str | None, path: str) -> bool:
    if entry.workspace is None:
        return False
    if workspace is not None:
        return workspace == entry.workspace
    return path == entry.workspace or path.startswith(entry.workspace.rstrip(os.sep) + os.sep)


def _deadlock(tier: Tier, path: str, chain: list[str], outer: str) -> LockDeadlockError:
    return LockDeadlockError(
        f"{tier.name} {path} was not waited for: {outer}, and this command was started by it.",
        chain=[*chain, f"pid {os.getpid()} wants {tier.name} {path}"],
        hint=_HINT,
    )


def check_tier(tier: Tier, path: str, workspace: str | None) -> None:
    """Refuse a lock that is not above all that is held above this process on the same workspace.

    Raises:
        LockDeadlockError: it is not, whether or not it is free.
    """
    inherited = _inherited()
    if not inherited:
        return
    workspace = workspace or _workspace_of_task()
    for entry in inherited:
        if entry.tier >= tier and _is_same_workspace(entry, workspace, path) and entry.counts:
            raise _deadlock(tier, path, [other.describe() for other in inherited], entry.describe())


def check_key(tier: Tier, path: str, key: LockKey) -> None:
    """Refuse the very lock file that is held above this process.

    Raises:
        LockDeadlockError: it is held there.
    """
    inherited = _inherited()
    if not inherited:
        return
    wanted = _render_key(key)
    for entry in inherited:
        if entry.key == wanted and entry.counts:
            raise _deadlock(tier, path, [other.describe() for other in inherited], entry.describe())


def check_ancestor(tier: Tier, path: str, holder: HolderRecord) -> None:
    """Refuse to wait for a holder that is an ancestor of this process.

    Raises:
        LockDeadlockError: it is one.
    """
    if not holder.is_local or holder.is_stale or holder.pid_start is None:
        return
    parents = processes.ancestors(os.getpid())
    if holder.pid not in parents or processes.start_time(holder.pid) != holder.pid_start:
        return
    below = (os.getpid(), *parents)[parents.index(holder.pid)]
    age_s, held_for_s = processes.age_s(below), holder.held_for_s
    if age_s is not None and held_for_s is not None and age_s > held_for_s + _CLOCK_SLACK_S:
        return  # it was started before the lock was taken: its end is not what the holder waits for inside of the hold
    between = reversed(parents[: parents.index(holder.pid)])
    chain = [
        f"pid {holder.pid} holds {tier.name} {path}",
        *(f"pid {pid} ({processes.command_name(pid)}) was started by it" for pid in between),
    ]
    raise _deadlock(tier, path, chain, f"{holder.describe()} holds it")
