"""Who belongs to a child, and signals for them.

A child is started with `setsid`, so its pid names a session and a process group. A signal to the group reaches nearly
everyone; a member that made a group of its own (an interactive shell's jobs, `setpgid`) is still in the session and is
found through `/proc`. The leader must not have been reaped while this module works on its session: as long as it is at
least a zombie, the kernel gives its pid, and with it the ids of session and group, to nobody else.

A process that called `setsid` itself has left the session: a daemon. When a command of a pack is ended before its time,
its daemons are ended as well, and are found in two ways: they descend from a member, or they carry the command's mark,
a variable that is in the environment of each command and is inherited. What has been found once is remembered, since a
process whose parent ends descends from nobody any more. Processes older than the command are not looked at.

The limit: a process that left the session, *and* whose parent has ended, *and* that was started with an environment
without the mark (`env -i`), or has overwritten its own, is not found. A process of another user may not be ended.
Rejected: PR_SET_CHILD_SUBREAPER on grex. It holds for the whole process, so that orphans of commands that run at the
same time come to us without a sign of whose they are, and so do the daemons that git leaves behind on purpose (of a
credential cache, of a shared ssh connection), to be reaped by us for as long as we run. Rejected as well: a subreaper
of its own for each command, which would be exact, and costs the start of another interpreter each time.

Without `/proc` (macOS) only the group is reached.
"""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Iterator, Mapping
from typing import NamedTuple

__all__ = ["COMMAND_VARIABLE", "Family"]

COMMAND_VARIABLE = "GREX_COMMAND"
"""The variable with the marks of a command and of those that it runs in, outermost first."""

_PROC = "/proc"
_DEAD = b"ZXx"
_READ_BYTES = 64 << 10
_MARK_BYTES = 8
_FIELDS = 20  # of /proc/PID/stat from the state on: 0 state, 1 parent, 3 session, 19 start


class Family:
    """The processes of one command."""

    def __init__(self) -> None:
        self._mark = secrets.token_hex(_MARK_BYTES)
        self._leader = 0
        self._began: int | None = None
        self._left: dict[int, int] = {}

    def marked(self, env: Mapping[str, str]) -> dict[str, str]:
        """The environment of the command, with its mark."""
        above = env.get(COMMAND_VARIABLE)
        return {**env, COMMAND_VARIABLE: f"{above}:{self._mark}" if above else self._mark}

    def begin(self, leader: int) -> None:
        """Know the leader, which has just been started. The kernel is asked for nothing: most are never looked for."""
        self._leader = leader

    def living(self, *, daemons: bool) -> list[int]:
        """The pids that still run, zombies not counted: of the session, and of its daemons if they are asked for."""
        return [process.pid for process in self._find(daemons=daemons)]

    def ask_to_end(self, *, daemons: bool) -> None:
        """Send TERM to the group, and to the daemons if they are asked for; and CONT, for whoever is stopped."""
        # Looked for before anybody hears it: who loses its parent is not found any more.
        left = [one for one in self._find(daemons=True) if one.session != self._leader] if daemons else []
        for signum in (signal.SIGTERM, signal.SIGCONT):
            self._signal_group(signum)
            for process in left:
                _signal_process(process, signum)

    def kill(self, *, daemons: bool) -> None:
        """Send KILL to the group and to every other member of the session, and to the daemons if asked for."""
        found = self._find(daemons=daemons)
        self._signal_group(signal.SIGKILL)
        for process in found:
            _signal_process(process, signal.SIGKILL)

    def _signal_group(self, signum: int) -> None:
        # macOS answers EPERM for a group of zombies; where a member has really changed its user, nothing can be done.
        try:
            os.killpg(self._leader, signum)
        except (ProcessLookupError, PermissionError):
            return

    def _find(self, *, daemons: bool) -> list[_Process]:
        running = [process for process in map(_look, _all_pids()) if process is not None and not process.is_dead]
        if not daemons:
            return [process for process in running if process.session == self._leader]
        if self._began is None:
            leader = _look(self._leader)  # not reaped, so that the number is still its own
            self._began = leader.start if leader is not None else 0
        began = self._began
        found = {process.pid: process for process in running if self._belongs(process, began)}
        growing = True
        while growing:
            below = [process for process in running if process.pid not in found and process.parent in found]
            found.update((process.pid, process) for process in below)
            growing = bool(below)
        self._left.update((one.pid, one.start) for one in found.values() if one.session != self._leader)
        return list(found.values())

    def _belongs(self, process: _Process, began: int) -> bool:
        if process.session == self._leader or self._left.get(process.pid) == process.start:
            return True
        return process.start >= began and self._mark.encode() in _environment(process.pid)


class _Process(NamedTuple):
    pid: int
    parent: int
    session: int
    start: int
    """In ticks since the machine was started: tells a process from another one that is given its number."""
    is_dead: bool


def _signal_process(process: _Process, signum: int) -> None:
    """Signal one process, but not a stranger who has been given its number since it was looked at."""
    if not hasattr(os, "pidfd_open"):
        return  # the group signal was all that can be done exactly
    try:
        handle = os.pidfd_open(process.pid)
    except OSError:
        return  # gone, or a kernel without pidfd
    try:
        now = _look(process.pid)
        if now is not None and now.start == process.start:
            signal.pidfd_send_signal(handle, signum)
    except OSError:
        return  # gone in between, or another user's
    finally:
        os.close(handle)


def _all_pids() -> Iterator[int]:
    try:
        names = os.listdir(_PROC)  # noqa: PTH208 - hundreds of names, and no use for paths
    except OSError:
        return
    for name in names:
        if name.isdecimal():
            yield int(name)


def _look(pid: int) -> _Process | None:
    """What the kernel says of a process; None for one that is gone."""
    try:
        fd = os.open(f"{_PROC}/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        line = os.read(fd, 1024)
    except OSError:
        return None
    finally:
        os.close(fd)
    # `pid (name) state ppid pgrp session ...`; the name may hold anything, parentheses included.
    fields = line[line.rfind(b")") + 2 :].split(b" ", _FIELDS)
    if len(fields) < _FIELDS:
        return None
    return _Process(pid, int(fields[1]), int(fields[3]), int(fields[19]), fields[0] in _DEAD)


def _environment(pid: int) -> bytes:
    """What a process was started with; nothing for one that is gone or somebody else's."""
    pieces: list[bytes] = []
    try:
        fd = os.open(f"{_PROC}/{pid}/environ", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        while piece := os.read(fd, _READ_BYTES):
            pieces.append(piece)
    except OSError:
        return b""
    finally:
        os.close(fd)
    return b"".join(pieces)
