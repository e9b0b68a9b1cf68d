"""A process that takes locks, waits for them and obeys: what a test needs when the claim is about the kernel's lock.

Run as a module it reads one command a line. NAME tells several attempts of one process apart, each of them a task of
its own; it may be left out, and an answer ends with the name that its command had.

    take [NAME]     wait for the lock and hold it: `held`, `cancelled`, or an error's code, errno and path
    pass [NAME]     take it and release it at once: `passed`
    take-aloud, pass-aloud [NAME]  the same, and `waits` before that, as soon as it has to wait
    try [NAME]      take it if it is free: `held` or `busy`
    release [NAME]  `ok`
    cancel [NAME]   end a wait; the answer is that of the wait
    why [NAME]      the message of the error that it ended with
    when [NAME]     the time of its grant by CLOCK_MONOTONIC, in ns
    churn [NAME]    pass again and again, until it is cancelled
    child [ARG...]  start a process that inherits the backend descriptor and never ends by itself: its pid
    hook            start a process that is given no descriptor: its pid
    fork [NAME]     fork a child that tries to use the hold and lives until the test is over: its pid and `refused`
    quit

With `--served DIRECTORY` whoever holds the lock has a second one in there and stands on the list of those who were
served: `served NAME`, or `overlap NAME` if somebody was inside who must not be.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import fcntl
import functools
import gc
import importlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from tests.support.dialogue import ANSWER_S, Dialogue, start_module
from tests.support.nursery import Nursery, serve

__all__ = ["Kind", "LockHolder", "lock_file", "nursery"]

Kind = Literal["flock", "pack", "workspace", "backend", "reader", "writer", "mirror", "command"]
_IMPORTED_BEFORE = ("anyio._backends._asyncio", "anyio._backends._trio", "grex.locks", "grex.locks.inspection")
_ATTEMPTS = {"take", "pass", "take-aloud", "pass-aloud", "try", "churn"}


def lock_file(kind: Kind, path: Path) -> Path:
    """The lock file of a lock of this kind on `path`."""
    names = {"pack": ".grex-lock", "workspace": ".grex.sync.lock", "command": ".grex.sync.lock", "flock": ""}
    if kind == "backend":
        return path.parent / f".{path.name}.grex-backend.lock"
    if kind == "mirror":
        return path.with_name(f"{path.name}.lock")
    return path / names.get(kind, ".grex.jsonl.lock")


class LockHolder(Dialogue):
    """The process, seen from the test; ended with the block, killed if it must be.

    Args:
        kind: which lock; `command` is WORKSPACE, the PACK `pack` in there and its BACKEND, as a verb has them.
        path: what is locked; the lock file itself for a plain `flock`.
        env: additions to the environment.
        backend: the event loop.
        served: where those who were served are listed.
        fault: what is broken for this process, see `tests.support.lock_faults`.
        within: the command that it is started with, such as `unshare`.
    """

    def __init__(
        self,
        kind: Kind,
        path: Path,
        *,
        env: Mapping[str, str] | None = None,
        backend: str = "asyncio",
        served: Path | None = None,
        fault: str = "",
        within: Sequence[str] = (),
    ) -> None:
        options = ["--backend", backend, "--fault", fault, *(["--served", str(served)] if served else [])]
        arguments = [*options, kind, str(path)]
        environ = {**os.environ, **(env or {})}
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process
        if within or kind == "flock":  # what is not like the nursery, or starts faster without
            errors = self._errors.fileno()
            started = start_module(__name__, *arguments, env=environ, within=within, stderr=errors)
            super().__init__(*started)
        else:
            (theirs, stdin), (stdout, ours) = os.pipe(), os.pipe()
            forked = nursery().start(arguments, env=environ, streams=(theirs, ours, self._errors.fileno()))
            os.close(theirs)
            os.close(ours)
            super().__init__(forked, stdin, stdout)

    @property
    def said(self) -> str:
        """What it wrote on standard error so far."""
        return os.pread(self._errors.fileno(), 1 << 20, 0).decode("utf-8", "replace")

    @property
    def cpu_s(self) -> float:
        """The processor time that it has used, in seconds."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def ask(self, command: str) -> str:
        """Give a command and wait for the answer."""
        self.send(command)
        return self.answer()

    def wait_stopped(self) -> None:
        """SIGSTOP, and wait until the process stands still."""
        self.signal(signal.SIGSTOP)
        until = time.monotonic() + ANSWER_S
        while Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            assert time.monotonic() < until, "it goes on"
            time.sleep(0.001)

    def close(self) -> None:
        """End the process, stopped or not, and pass on what it complained about."""
        super().close()
        if not self._errors.closed:
            sys.stderr.write(self.said)
            self._errors.close()


@functools.cache
def nursery() -> Nursery:
    """Where the processes of these tests come from; started at the first call."""
    return Nursery(__name__)


class _Inside:
    """Who is inside, by a flock that has nothing to do with the one under test; open as long as the hold."""

    def __init__(self, directory: Path, name: str, *, shared: bool) -> None:
        self._fd = os.open(directory / "inside", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        word = "served"
        try:
            fcntl.flock(self._fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            word = "overlap"
        served = os.open(directory / "served", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        os.write(served, f"{word} {name}\n".encode())
        os.close(served)

    def close(self) -> None:
        os.close(self._fd)


class _Flock:
    """A plain flock, as another program would take it."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)

    def _take(self, *, wait: bool) -> str:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return "busy"
        return "held"

    def obey(self) -> None:
        for line in sys.stdin:
            command = line.strip()
            if command in {"take", "try"}:
                _say(self._take(wait=command == "take"))
            elif command == "release":
                fcntl.flock(self._fd, fcntl.LOCK_UN)
                _say("ok")
            else:
                break


class _Attempt:
    """One named attempt, from the command that began it to the release."""

    def __init__(self) -> None:
        import anyio  # noqa: PLC0415 - a holder of a plain flock starts faster without

        self.scope = anyio.CancelScope()
        self.released = anyio.Event()
        self.hold: Any = None
        self.inside: _Inside | None = None
        self.granted_ns = 0
        self.error = ""


class _Grex:
    """A lock of ours, and every attempt at it a task of its own."""

    def __init__(self, kind: str, path: Path, served: Path | None) -> None:
        self._kind = kind
        self._path = path
        self._served = served
        self._attempts: dict[str, _Attempt] = {}

    async def obey(self) -> None:
        import anyio  # noqa: PLC0415 - as above

        from grex.locks import set_verb  # noqa: PLC0415 - as above

        set_verb("sync")
        async with anyio.create_task_group() as group:
            async for line in _commands():
                command, _, name = line.partition(" ")
                if command in _ATTEMPTS:
                    self._attempts[name] = _Attempt()
                    group.start_soon(self._attempt, command, name)
                elif command == "release":
                    self._attempts[name].released.set()
                elif command == "cancel":
                    self._attempts[name].scope.cancel()
                elif command == "when":
                    _say(str(self._attempts[name].granted_ns))
                elif command == "why":
                    _say(self._attempts[name].error)
                elif command == "hook":
                    _say(str(_hook()))
                elif command == "child":
                    _say(str(self._child(name.split() or ["sleep", "60"])))
                elif command == "fork":
                    self._fork(name)
                else:
                    break
            group.cancel_scope.cancel()

    async def _attempt(self, command: str, name: str) -> None:
        import anyio  # noqa: PLC0415 - as above

        from grex.errors import GrexError, LockBusyError  # noqa: PLC0415 - as above
        from grex.locks import WaitPolicy  # noqa: PLC0415 - as above

        attempt = self._attempts[name]
        policy = WaitPolicy(no_wait=command == "try")
        if command.endswith("-aloud"):
            policy = WaitPolicy(on_wait=lambda _: _say("waits", name), first_report_s=0, report_every_s=1e6)
        command = command.removesuffix("-aloud")
        with attempt.scope:
            try:
                await self._hold(attempt, command, name, policy)
                while command == "churn":
                    await anyio.lowlevel.checkpoint()  # a lock that is free is taken without one
                    await self._hold(attempt, command, name, policy)
            except LockBusyError as error:
                attempt.error = error.message
                _say("busy", name)
            except GrexError as error:
                attempt.error = error.message
                number = error.details.get("errno")
                _say(f"{error.code} {errno.errorcode[number] if number else '-'} {error.details.get('path')}", name)
        if attempt.scope.cancelled_caught and not attempt.granted_ns:
            _say("cancelled", name)

    async def _hold(self, attempt: _Attempt, command: str, name: str, policy: Any) -> None:
        async with contextlib.AsyncExitStack() as stack:
            for acquire in self._acquires():
                attempt.hold = await stack.enter_async_context(await acquire(policy))
            attempt.granted_ns = time.monotonic_ns()
            with contextlib.ExitStack() as inside:
                if self._served is not None:
                    attempt.inside = _Inside(self._served, name, shared=self._kind == "reader")
                    inside.callback(attempt.inside.close)
                if command not in {"pass", "churn"}:
                    _say("held", name)
                    await attempt.released.wait()
        if command != "churn":
            _say("passed" if command == "pass" else "ok", name)

    def _acquires(self) -> Iterator[Any]:
        from grex.locks import (  # noqa: PLC0415 - as above
            BackendLock,
            ManifestLock,
            MirrorLock,
            PackLock,
            WorkspaceLock,
        )

        if self._kind in {"workspace", "command"}:
            yield WorkspaceLock(self._path).acquire_async
        if self._kind in {"pack", "command"}:
            yield PackLock.open(self._path / "pack" if self._kind == "command" else self._path).acquire_async
        if self._kind in {"backend", "command"}:
            checkout = self._path / "pack" if self._kind == "command" else self._path
            yield BackendLock.for_checkout(checkout).acquire_async
        if self._kind == "reader":
            yield ManifestLock(self._path).acquire_shared
        if self._kind == "writer":
            yield ManifestLock(self._path).acquire_exclusive
        if self._kind == "mirror":
            yield MirrorLock.for_mirror(self._path).acquire_async

    def _child(self, command: list[str]) -> int:
        # Its standard input never ends, for it has the other end as well.
        read, write = os.pipe()
        child = subprocess.Popen(
            command, pass_fds=[self._attempts[""].hold.fd, write], stdin=read, stdout=2, cwd=self._path.parent
        )
        os.close(read)
        os.close(write)
        return child.pid

    def _fork(self, name: str) -> None:
        from grex.errors import LockInheritedError  # noqa: PLC0415 - as above

        attempt = self._attempts[name]
        if os.fork():
            return
        if attempt.inside is not None:
            attempt.inside.close()
        try:
            if attempt.hold is not None:
                attempt.hold.release()
            _say(f"{os.getpid()} {'waits' if attempt.hold is None else 'used it'}")
        except LockInheritedError:
            _say(f"{os.getpid()} refused")
        test_is_over = select.poll()
        test_is_over.register(0, 0)  # nothing but the hangup: the commands are for the parent
        test_is_over.poll()
        os._exit(0)


def _hook() -> int:
    return subprocess.Popen(["sleep", "60"], close_fds=False).pid


async def _commands() -> AsyncIterator[str]:
    import anyio  # noqa: PLC0415 - as above

    unread = b""
    while True:
        await anyio.wait_readable(0)
        data = os.read(0, 4096)
        if not data:
            return
        *lines, unread = (unread + data).split(b"\n")
        for line in lines:
            yield line.decode()


def _say(answer: str, name: str = "") -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(1, f"{answer} {name}".rstrip().encode() + b"\n")


def main() -> None:
    """Obey until standard input ends."""
    arguments: list[str] | None = sys.argv[1:]
    if sys.argv[1] == "nursery":
        for module in _IMPORTED_BEFORE:
            importlib.import_module(module)
        gc.freeze()
        arguments = serve(int(sys.argv[2]))
    if arguments is not None:
        obey(arguments)


def obey(arguments: list[str]) -> None:
    """Be one holder."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--backend", default="asyncio")
    parser.add_argument("--fault", default="")
    parser.add_argument("--served", type=Path)
    parser.add_argument("kind")
    parser.add_argument("path", type=Path)
    given = parser.parse_args(arguments)
    if given.fault:
        from tests.support.lock_faults import install  # noqa: PLC0415 - few processes have one

        install(given.fault)
    if given.kind == "flock":
        _Flock(given.path).obey()
        return
    import anyio  # noqa: PLC0415 - as above

    anyio.run(partial(_Grex(given.kind, given.path, given.served).obey), backend=given.backend)


if __name__ == "__main__":
    main()
