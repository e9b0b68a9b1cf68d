"""Processes that carry a mark in their environment: finding them, and ending all of them at once."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex
from typing import Self, TypeVar

from tests.support.processes import alive
from tests.support.workspace import Run, Workspace

__all__ = ["Started", "eventually", "flock_is_free", "start"]

_MARK = "CRASH_TEST_MARK"
_DEADLINE_S = 20.0
_POLL_S = 0.002

T = TypeVar("T")


def eventually(look: Callable[[], T], what: str, *, deadline_s: float = _DEADLINE_S) -> T:
    """Look until there is something to be seen, and give it; a test that waits in vain says for what."""
    until = time.monotonic() + deadline_s
    while not (found := look()):
        assert time.monotonic() < until, f"{what}: did not happen within {deadline_s} s"
        time.sleep(_POLL_S)
    return found


def flock_is_free(path: Path) -> bool:
    """Whether nobody holds a lock file; judged by the kernel, in a process of its own."""
    return subprocess.run(["flock", "--nonblock", "--exclusive", str(path), "true"], check=False).returncode == 0


class Started:
    """A `grex` that runs, in a session of its own, and whatever it has started: all of them carry its mark.

    A process may leave its session and its group; it cannot easily leave the environment that it was started with.
    """

    def __init__(self, command: list[str], workspace: Workspace, environ: dict[str, str]) -> None:
        self.mark = token_hex(8)
        self._needle = f"{_MARK}={self.mark}".encode()
        self.process = subprocess.Popen(
            command,
            cwd=workspace.root,
            env=workspace.environ | environ | {_MARK: self.mark},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )

    def family(self) -> list[int]:
        """The living processes with the mark."""
        found = []
        for name in os.listdir("/proc"):  # noqa: PTH208 - hundreds of names, and no use for paths
            if not name.isdecimal():
                continue
            try:
                environment = Path("/proc", name, "environ").read_bytes()
            except OSError:
                continue  # gone, or somebody else's
            if self._needle in environment.split(b"\0") and alive(int(name)):
                found.append(int(name))
        return found

    def children(self) -> list[int]:
        """The family without grex itself."""
        return [pid for pid in self.family() if pid != self.process.pid]

    def kill_alone(self) -> None:
        """SIGKILL for grex, and for nothing that it has started."""
        self.process.kill()
        self.process.wait()

    def kill_everything(self) -> None:
        """SIGKILL for every process with the mark: first all are stopped, so that none sees another die."""
        stopped: set[int] = set()
        while fresh := set(self.family()) - stopped:
            for pid in fresh:
                _signal(pid, signal.SIGSTOP)
            stopped |= fresh
        for pid in stopped:
            _signal(pid, signal.SIGKILL)
        self.process.wait()
        self.wait_for_family()

    def wait_for_family(self) -> None:
        """Wait until no process with the mark is left."""
        eventually(lambda: not self.family(), "the end of all processes")

    def interrupt(self, signum: signal.Signals, *, whole_group: bool = False) -> None:
        """Send a signal to grex, or to its whole process group as a terminal does."""
        if whole_group:
            os.killpg(self.process.pid, signum)
        else:
            self.process.send_signal(signum)

    def result(self, timeout_s: float = _DEADLINE_S) -> Run:
        """Wait for grex's own end, and give what it said; children that hold its pipes open are not waited for."""
        stdout, stderr = self.process.communicate(timeout=timeout_s)
        return Run(self.process.returncode, stdout, stderr)

    def close(self) -> None:
        """Leave nothing behind, whatever became of the test."""
        if self.process.poll() is None or self.family():
            self.kill_everything()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> Self:
        """The running grex."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.close()


def start(workspace: Workspace, *arguments: str, **environ: str) -> Started:
    """Start `grex` in a workspace."""
    return Started(workspace.command(*arguments), workspace, environ)


def _signal(pid: int, signum: signal.Signals) -> None:
    try:
        os.kill(pid, signum)
    except ProcessLookupError:
        return
