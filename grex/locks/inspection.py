"""What can be known about locks from outside: nothing is taken, written or created here.

Three sources, of which none needs the help of a holder or a waiter:

- the kernel's list (`kernel_table`): who took each lock, and the tickets of those who wait (`queue_view`);
- the record in the lock file (`holder`): host, verb and since when; a hint, stale where its process has ended;
- `/proc/<pid>/fdinfo`: a lock whose taker is dead lives on in a process that inherited the descriptor, for instance git
  after its grex was killed (of one's own processes; root sees all).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from msgspec import Struct

from grex.locks import processes
from grex.locks.holder import HolderRecord, read_record
from grex.locks.kernel_table import LockFinder, LockPlace, LockTable, has_lock_open, read_lock_table
from grex.locks.lock_file_check import find_problem
from grex.locks.lock_paths import standing_path
from grex.locks.queue_view import LockProcess, QueuedWaiter, lock_process, queue_before
from grex.locks.tiers import LockKey, Tier

__all__ = ["LockInfo", "find_holder", "inspect_locks"]

_MAX_SURVIVORS = 8


class LockInfo(Struct, frozen=True):
    """One lock file as seen from outside.

    Attributes:
        tier: The tier of the lock.
        path: The lock file, by the name that people know.
        exists: Whether the file is there.
        held: Whether the lock is held; None where the system does not tell.
        shared: Whether it is held for reading.
        pids: Who took it, as the kernel says.
        holder: What is known of the holder: its record, or else what the kernel says; on a free lock a record that
            was left behind.
        outlived: Whether all who took it have ended, and the lock lives on in a process that inherited it.
        holders: The processes of `pids`.
        queue: Who waits in the line, first come first.
        blocked: Who sleeps in the kernel for it, as other programs do, and is in no line.
        problem: Why the lock cannot be taken, whoever asks; None if nothing speaks against it.
    """

    tier: Tier
    path: Path
    exists: bool
    held: bool | None
    shared: bool
    pids: tuple[int, ...]
    holder: HolderRecord | None
    outlived: bool
    holders: tuple[LockProcess, ...] = ()
    queue: tuple[QueuedWaiter, ...] = ()
    blocked: tuple[LockProcess, ...] = ()
    problem: str | None = None

    @property
    def is_noteworthy(self) -> bool:
        """Whether there is more to say of it than that it is free."""
        return bool(self.held or self.queue or self.blocked or self.holder is not None or self.problem)

    def describe(self) -> str:
        """One line for people."""
        if self.problem is not None:
            return (
                f"{self._describe_hold()}, and unusable: {self.problem}" if self.held else f"unusable: {self.problem}"
            )
        return self._describe_hold()

    def _describe_hold(self) -> str:
        if not self.exists:
            return "free (never taken)"
        note = None if self.holder is None or self.held else self.holder.describe(is_over=self.held is False)
        if self.held is None:
            return f"unknown; last note: {note}" if note else "unknown"
        if not self.held:
            return f"free; nothing needs doing (its last holder left a record: {note})" if note else "free"
        is_told = self.holder is not None and self.holder.kept_by
        how = "shared" if self.shared else "held"
        return f"{how} by {self._who()}" + ("; outlived by its child" if self.outlived and not is_told else "")

    def _who(self) -> str:
        if self.holder is None or len(self.holders) > 1:
            return ", ".join(process.describe() for process in self.holders)
        return self.holder.describe()

    def describe_queue(self) -> list[str]:
        """Who waits, a line each, in the order in which they are served."""
        return [
            *(waiter.describe() for waiter in self.queue),
            *(f"-  {process.describe()} (asleep in the kernel, in no line)" for process in self.blocked),
        ]

    def to_json(self) -> dict[str, Any]:
        """For `grex locks --json`."""
        return {
            "tier": self.tier.name,
            "path": str(self.path),
            "exists": self.exists,
            "held": self.held,
            "shared": self.shared,
            "pids": list(self.pids),
            "holder": None if self.holder is None else self.holder.to_json(),
            "outlived": self.outlived,
            "held_for_s": self.holder.held_for_s if self.holder is not None and self.held else None,
            "holders": [process.to_json() for process in self.holders],
            "queue": [waiter.to_json() for waiter in self.queue],
            "blocked": [process.to_json() for process in self.blocked],
            "problem": self.problem,
        }


def _survivors(place: LockPlace, key: LockKey) -> list[int]:
    """The processes, other than this one, that have the lock by a descriptor that they inherited, as far as is visible.

    Those that merely have the file open, as everybody has who waits for it, are none of them.
    """
    found: list[int] = []
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc"):  # noqa: PTH208 - names are all that is wanted
            if name.isdigit() and int(name) != os.getpid() and has_lock_open(int(name), place, key):
                found.append(int(name))
            if len(found) >= _MAX_SURVIVORS:
                break
    return found


def _unrecorded(pid: int) -> HolderRecord:
    """What the kernel alone knows: the pid; the program stands in for the verb."""
    return HolderRecord(
        pid=pid,
        boot_id=processes.boot_id(),
        pid_start=processes.start_time(pid),
        host=processes.host_name(),
        tier=None,
        verb="",
        acquired_at=None,
        program=processes.command_summary(pid),
    )


def _with_survivors(record: HolderRecord, place: LockPlace, key: LockKey) -> HolderRecord:
    if not record.is_stale:
        return record
    names = [f"{processes.command_name(pid) or 'a process'} (pid {pid})" for pid in _survivors(place, key)]
    return record.kept_alive_by(tuple(names))


def find_holder(file: str | int) -> HolderRecord | None:
    """Who holds the lock that somebody waits for: its record, or else what the kernel knows.

    Args:
        file: The lock file: a descriptor of it, or its path.
    """
    if isinstance(file, str):
        file = standing_path(file)
    record = read_record(file)
    if record is not None and not record.is_stale:
        return record
    found = LockFinder().find(file)
    if found is None:
        return record
    place, key = found
    takers = (read_lock_table() or LockTable()).holders_of(place)
    if not takers:
        return record
    if record is None or record.pid not in {taker.pid for taker in takers}:
        # Nobody wrote a record, or it is that of somebody long gone: the kernel knows better.
        record = _unrecorded(takers[0].pid)
    return _with_survivors(record, place, key)


def inspect_locks(paths: Iterable[tuple[Tier, Path]]) -> list[LockInfo]:
    """What `grex locks` shows: for each lock file who holds it, who waits for it, and whether its note is stale.

    The kernel's list is read once for all of them, so what is said of one lock fits what is said of another.
    """
    table = read_lock_table()
    finder = LockFinder()
    return [_inspect(tier, path, table, finder) for tier, path in paths]


def _inspect(tier: Tier, path: Path, table: LockTable | None, finder: LockFinder) -> LockInfo:
    file = standing_path(str(path))
    problem = find_problem(str(path)) or (find_problem(file) if file != str(path) else None)
    found = finder.find(file)
    if found is None or table is None:
        return LockInfo(
            tier=tier,
            path=path,
            exists=found is not None,
            held=None if table is None else False,
            shared=False,
            pids=(),
            holder=None if found is None else read_record(file),
            outlived=False,
            problem=problem,
        )
    place, key = found
    record = read_record(file)
    takers = table.holders_of(place)
    pids = tuple(taker.pid for taker in takers)
    holders = tuple(lock_process(taker) for taker in takers)
    if pids:
        if record is None or record.pid not in pids:
            record = _unrecorded(pids[0])
        record = _with_survivors(record, place, key)
    elif record is not None and record.is_local and not record.is_stale:
        record = None  # it was written after the list was read: whoever it is, the lock was free in that picture
    return LockInfo(
        tier=tier,
        path=path,
        exists=True,
        held=bool(pids),
        shared=any(taker.shared for taker in takers),
        pids=pids,
        holder=record,
        outlived=bool(holders) and all(process.ended for process in holders),
        holders=holders,
        queue=queue_before(table, place),
        blocked=tuple(lock_process(entry) for entry in table.blocked_on(place)),
        problem=problem,
    )
