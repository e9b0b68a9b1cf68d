"""A started program: its pipes, its session, and its end.

The states of a child: started, exited (a zombie, its pid still ours), its session empty, reaped.

Ending it is TERM for everybody who belongs to it (and CONT, since a stopped process hears nothing), 150 ms of grace,
then KILL for whoever is left; who belongs to it is the business of `grex.process.session`. It happens behind a shield,
because a cancelled caller is about to release the locks that the child relies on; the shield is bounded, so that a
process the kernel will not let go (an NFS server that is away) cannot hang the caller.

Why not `anyio.open_process`: it reaps the leader as soon as it exits, and from then on its number may be given to
somebody else while its group is still to be signalled; on asyncio under Python 3.11 it also costs a thread for each
child. A pidfd is awaited like a pipe, on both event loops, and leaves the moment of reaping to us. Where there is no
pidfd (macOS), the exit is polled for. No `preexec_fn`, because it runs at-fork hooks, and no PR_SET_PDEATHSIG, because
it fires when the *thread* that started the child ends.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import IO, TypeVar

import anyio

from grex.process.session import Family

__all__ = ["Child"]

_TERM_GRACE_S = 0.150
_KILL_BOUND_S = 2.0
_POLL_S = 0.005

_T = TypeVar("_T")


class Child:
    """A started program, its pipes and its session, until it is reaped.

    Args:
        argv: the program and its arguments.
        cwd: where it runs.
        env: its environment.
        pass_fds: descriptors that it inherits.
        with_stdin: whether it is given something to read.
        is_marked: whether its daemons are to be known by a mark in its environment, and ended when it is cancelled.
    """

    def __init__(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        cwd: str | os.PathLike[str],
        env: Mapping[str, str],
        pass_fds: Sequence[int],
        with_stdin: bool,
        is_marked: bool,
    ) -> None:
        self._family = Family()
        self._is_marked = is_marked
        self._process = subprocess.Popen(
            argv,
            bufsize=0,
            stdin=subprocess.PIPE if with_stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=self._family.marked(env) if is_marked else env,
            pass_fds=pass_fds,
            start_new_session=True,
        )
        self.pid = self._process.pid
        self._family.begin(self.pid)
        self._exited = False
        self._pidfd = _open_pidfd(self.pid)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)

    @property
    def stdin(self) -> IO[bytes] | None:
        """What it reads from us, if anything."""
        return self._process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        """Its standard output."""
        return _present(self._process.stdout)

    @property
    def stderr(self) -> IO[bytes]:
        """Its standard error."""
        return _present(self._process.stderr)

    async def wait(self) -> None:
        """Wait until the leader has exited; it stays a zombie, so that its number stays ours."""
        if self._pidfd is not None:
            while not self._exited:
                await anyio.wait_readable(self._pidfd)
                self._exited = True
        delay_s = _POLL_S / 4
        while not self._exited:
            self._exited = self._process.poll() is not None
            if not self._exited:
                await anyio.sleep(delay_s)
                delay_s = min(delay_s * 2, 0.050)

    async def end(self, *, daemons: bool) -> None:
        """End the session: TERM to the group, a grace, KILL to every member; with its daemons, if it is marked.

        Cancellation: shielded, and bounded by the grace and two seconds more.
        """
        daemons = daemons and self._is_marked
        with anyio.CancelScope(shield=True):
            deadline = time.monotonic() + _TERM_GRACE_S
            self._family.ask_to_end(daemons=daemons)
            # The leader is awaited, the others are looked for: they are nobody's children that could be waited on.
            with anyio.move_on_after(_TERM_GRACE_S):
                await self.wait()
            while self._runs(daemons=daemons) and time.monotonic() < deadline:  # noqa: ASYNC110 - nothing tells of their end
                await anyio.sleep(_POLL_S)
            deadline = time.monotonic() + _KILL_BOUND_S
            while self._runs(daemons=daemons) and time.monotonic() < deadline:
                self._family.kill(daemons=daemons)  # again and again: a member may fork while we look
                with anyio.move_on_after(_POLL_S):
                    await self.wait()
                await anyio.sleep(_POLL_S / 5)

    def _runs(self, *, daemons: bool) -> bool:
        return not self._exited or bool(self._family.living(daemons=daemons))

    def returncode(self) -> int:
        """The exit status of the reaped leader."""
        return _present(self._process.poll())

    def close(self) -> None:
        """Reap the leader and close every descriptor of ours."""
        if self._exited:
            # It is dead, and yet a debugger or `strace -f` may keep it from being reaped for a moment.
            self._process.wait()
        else:
            self._process.poll()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None


def _open_pidfd(pid: int) -> int | None:
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:  # an old kernel, or a sandbox that forbids it: the exit is polled for
        return None


def _present(value: _T | None) -> _T:
    if value is None:
        raise RuntimeError("a child process lost a part that it was started with")
    return value
