"""Who belongs to the session of a child, and ending them.

A child is started with `setsid`, so its pid names a session and a process group. A signal to the group reaches nearly
everyone; a member that made a group of its own (an interactive shell's jobs, `setpgid`) is still in the session and is
found through `/proc`. A process that called `setsid` itself has left on purpose - a daemon - and is not ours to end.

The leader must not have been reaped while this module works on its session: as long as it is at least a zombie, the
kernel gives its pid, and with it the ids of session and group, to nobody else.

Without `/proc` (macOS) only the group is reached.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

__all__ = ["kill_session", "live_members", "signal_group"]

_PROC = "/proc"
_DEAD = b"ZXx"


def signal_group(leader: int, signum: int) -> None:
    """Send a signal to the process group of the leader, if any of it is left."""
    # macOS answers EPERM for a group of zombies; where a member has really changed its user, nothing more can be done.
    try:
        os.killpg(leader, signum)
    except (ProcessLookupError, PermissionError):
        return


def live_members(leader: int) -> list[int]:
    """The pids in the leader's session that still run, the leader among them; zombies are not counted."""
    return [pid for pid in _all_pids() if _session_of(pid) == leader]


def kill_session(leader: int) -> None:
    """Send SIGKILL to the leader's group and to every other member of its session."""
    signal_group(leader, signal.SIGKILL)
    for pid in live_members(leader):
        _kill_member(pid, leader)


def _kill_member(pid: int, leader: int) -> None:
    """Kill one process, but not a stranger who has been given its number since it was looked at."""
    if not hasattr(os, "pidfd_open"):
        return  # the group signal was all that can be done exactly
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return  # gone, or a kernel without pidfd
    try:
        if _session_of(pid) == leader:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
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


def _session_of(pid: int) -> int | None:
    """The session of a running process; None for a zombie and for one that is gone."""
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
    fields = line[line.rfind(b")") + 2 :].split(b" ", 4)
    if len(fields) < 4 or fields[0] in _DEAD:  # noqa: PLR2004 - state, ppid, pgrp, session
        return None
    return int(fields[3])
