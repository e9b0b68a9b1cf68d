"""A process that holds a lock and obeys: what a test needs when the claim is about the kernel's lock.

Run as a module it reads one command a line and answers one line: `take`, `try`, `release`, `child` (start a process
that inherits the backend descriptor and answer its pid), `quit`.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

__all__ = ["LockHolder"]

Kind = Literal["flock", "pack", "workspace", "backend", "reader", "writer"]


class LockHolder:
    """The process, seen from the test; ended with the block, killed if it must be."""

    def __init__(self, kind: Kind, path: Path, *, env: Mapping[str, str] | None = None) -> None:
        root = Path(__file__).resolve().parents[2]
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, kind, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=root,
            env={**os.environ, **(env or {})},
        )

    @property
    def pid(self) -> int:
        """The pid of the process."""
        return self._process.pid

    def send(self, command: str) -> None:
        """Give a command without waiting for the answer."""
        if self._process.stdin is None:
            raise RuntimeError("the holder has no standard input")
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()

    def answer(self) -> str:
        """Wait for an answer."""
        if self._process.stdout is None:
            raise RuntimeError("the holder has no standard output")
        return self._process.stdout.readline().rstrip("\n")

    def ask(self, command: str) -> str:
        """Give a command and wait for the answer."""
        self.send(command)
        return self.answer()

    def kill(self) -> None:
        """SIGKILL, and reap."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        """Start, with nothing held."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the process."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.kill()


class _Flock:
    """A plain flock, as another program would take it."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)

    def take(self, *, wait: bool) -> bool:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_UN)


class _Grex:
    """A lock of ours."""

    def __init__(self, kind: str, path: Path) -> None:
        self._kind = kind
        self._path = path
        self.hold: Any = None

    def take(self, *, wait: bool) -> bool:
        import anyio  # noqa: PLC0415 - a holder of a plain flock starts faster without

        from grex.errors import LockBusyError  # noqa: PLC0415 - as above
        from grex.locks import WaitPolicy, set_verb  # noqa: PLC0415 - as above

        set_verb("sync")

        async def acquire() -> Any:
            from grex.locks import BackendLock, ManifestLock, PackLock, WorkspaceLock  # noqa: PLC0415 - as above

            policy = WaitPolicy(no_wait=not wait)
            if self._kind == "pack":
                return await PackLock.open(self._path).acquire_async(policy)
            if self._kind == "workspace":
                return await WorkspaceLock(self._path).acquire_async(policy)
            if self._kind == "backend":
                return await BackendLock.for_checkout(self._path).acquire_async(policy)
            if self._kind == "reader":
                return await ManifestLock(self._path).acquire_shared(policy)
            return await ManifestLock(self._path).acquire_exclusive(policy)

        try:
            self.hold = anyio.run(acquire)
        except LockBusyError:
            return False
        return True

    def release(self) -> None:
        self.hold.release()


def main() -> None:
    """Obey until standard input ends."""
    kind, path = sys.argv[1], Path(sys.argv[2])
    lock = _Flock(path) if kind == "flock" else _Grex(kind, path)
    for line in sys.stdin:
        command = line.strip()
        reply = "ok"
        if command in {"take", "try"}:
            reply = "held" if lock.take(wait=command == "take") else "busy"
        elif command == "release":
            lock.release()
        elif command == "child" and isinstance(lock, _Grex):
            child = subprocess.Popen(["sleep", "60"], pass_fds=[lock.hold.fd], stdin=subprocess.DEVNULL, stdout=2)
            reply = str(child.pid)
        elif command == "quit":
            break
        print(reply, flush=True)


if __name__ == "__main__":
    main()
