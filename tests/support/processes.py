"""Looking at processes and descriptors from tests."""

from __future__ import annotations

import os
from pathlib import Path

import anyio

__all__ = ["alive", "open_fds", "wait_for_file", "wait_until_dead"]


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat[stat.rfind(b")") + 2 :][:1] not in (b"Z", b"X")


def open_fds() -> int:
    """How many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd")) - 1  # noqa: PTH208 - minus the one that lists


async def wait_for_file(path: Path, *, timeout_s: float = 20) -> None:
    """Wait until somebody has made this file."""
    with anyio.fail_after(timeout_s):
        while not path.exists():  # noqa: ASYNC110 - the event is another process's
            await anyio.sleep(0.005)


async def wait_until_dead(pid: int, *, timeout_s: float = 20) -> None:
    """Wait until a process that is not our child is gone."""
    with anyio.fail_after(timeout_s):
        while alive(pid):  # noqa: ASYNC110 - the event is another process's
            await anyio.sleep(0.005)
