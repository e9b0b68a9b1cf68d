"""Everything that is compared, each behind the same two calls.

All of them open their file anew for each acquire and close it with the release, as grex does, and all have their
defaults, with one exception: portalocker gives up after five seconds unless it is told otherwise.

Libraries are imported where a contender is made: one that is not installed is only missed by its own row.
"""

from __future__ import annotations

import ctypes
import fcntl
import importlib
import importlib.util
import os
import select
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import anyio.to_thread

from grex.locks import (
    MANIFEST_LOCK_FILE_NAME,
    PACK_LOCK_FILE_NAME,
    WORKSPACE_LOCK_FILE_NAME,
    BackendLock,
    ManifestLock,
    PackLock,
    WorkspaceLock,
    backend_lock_path,
)
from grex.locks.hold import Hold

__all__ = ["CONTENDERS", "Contender", "TaskContender", "TaskLock", "ThreadContender", "ThreadLock", "missing"]

Queue = Literal["kernel", "tickets", "nowhere"]
"""Where the waiting ones can be counted: blocked in the kernel, by their tickets, or nowhere (they poll)."""

_PEER_FILE = "peer.lock"
_CHECKOUT = "checkout"
_FOR_EVER_S = 1e6


class TaskLock(Protocol):
    """A lock for tasks."""

    async def acquire(self) -> None:
        """Wait and hold it."""

    async def release(self) -> None:
        """Give it up."""


class ThreadLock(Protocol):
    """A lock that stops the thread."""

    def acquire(self) -> None:
        """Wait and hold it."""

    def release(self) -> None:
        """Give it up."""


@dataclass(frozen=True)
class _Named:
    name: str
    file: str
    queue: Queue

    def lock_file(self, directory: Path) -> Path:
        """The file that is locked if the lock is made for this directory."""
        return directory / self.file


@dataclass(frozen=True)
class TaskContender(_Named):
    """A lock that tasks wait for, in one kind of event loop."""

    backend: Literal["asyncio", "trio"]
    make: Callable[[Path], TaskLock]


@dataclass(frozen=True)
class ThreadContender(_Named):
    """A lock that threads wait for."""

    make: Callable[[Path], ThreadLock]


Contender = TaskContender | ThreadContender


class _GrexInTask:
    def __init__(self, take: Callable[[], Awaitable[Hold]]) -> None:
        self._take = take
        self._hold: Hold | None = None

    async def acquire(self) -> None:
        self._hold = await self._take()

    async def release(self) -> None:
        assert self._hold is not None
        self._hold.release()


class _GrexInThread:
    def __init__(self, directory: Path) -> None:
        self._lock = _pack(directory)
        self._hold: Hold | None = None

    def acquire(self) -> None:
        self._hold = self._lock.acquire()

    def release(self) -> None:
        assert self._hold is not None
        self._hold.release()


def _pack(directory: Path, *, git: bool = True) -> PackLock:
    if git:
        (directory / ".git").mkdir(parents=True, exist_ok=True)
    return PackLock.open(directory)


def _pack_in_task(directory: Path) -> TaskLock:
    return _GrexInTask(_pack(directory).acquire_async)


def _plain_pack(directory: Path) -> TaskLock:
    return _GrexInTask(_pack(directory, git=False).acquire_async)


def _workspace(directory: Path) -> TaskLock:
    return _GrexInTask(WorkspaceLock(directory).acquire_async)


def _backend(directory: Path) -> TaskLock:
    checkout = directory / _CHECKOUT
    checkout.mkdir(exist_ok=True)
    return _GrexInTask(BackendLock.for_checkout(checkout).acquire_async)


def _reader(directory: Path) -> TaskLock:
    return _GrexInTask(ManifestLock(directory).acquire_shared)


def _writer(directory: Path) -> TaskLock:
    return _GrexInTask(ManifestLock(directory).acquire_exclusive)


class _AsyncFileLock:
    def __init__(self, directory: Path) -> None:
        from filelock import AsyncFileLock  # noqa: PLC0415 - only where it is measured

        self._lock = AsyncFileLock(directory / _PEER_FILE)

    async def acquire(self) -> None:
        await self._lock.acquire()

    async def release(self) -> None:
        await self._lock.release()


class _FlockInThreadOfLoop:
    """What an async program does that has only flock: a worker thread that is blocked in it."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / _PEER_FILE
        self._fd = -1

    async def acquire(self) -> None:
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        await anyio.to_thread.run_sync(fcntl.flock, fd, fcntl.LOCK_EX)
        self._fd = fd

    async def release(self) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_UN)
        os.close(self._fd)


class _Flock:
    """The floor: a plain thread blocked in flock."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / _PEER_FILE
        self._fd = -1

    def acquire(self) -> None:
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def release(self) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_UN)
        os.close(self._fd)


class _FlockByInotify:
    """The floor of all that can be cancelled: a plain thread that sleeps on the file's events and tries after each.

    No order, no tiers, no record, no second look at the path, and everybody who waits is woken.
    """

    _ATTRIB, _CLOSE, _ONE_SHOT = 0x4, 0x8 | 0x10, 0x80000000

    def __init__(self, directory: Path) -> None:
        self._path = directory / _PEER_FILE
        self._fd = -1
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._events = self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)

    def acquire(self) -> None:
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        while not self._try(fd):
            mask = self._ATTRIB | self._CLOSE | self._ONE_SHOT
            self._libc.inotify_add_watch(self._events, f"/proc/self/fd/{fd}".encode(), mask)
            if self._try(fd):
                break
            poll = select.poll()
            poll.register(self._events, select.POLLIN)
            poll.poll()
            os.read(self._events, 4096)
        self._fd = fd

    @staticmethod
    def _try(fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_UN)
        os.close(self._fd)


class _FlockCommand:
    """`exec 9>file; flock 9` as a shell script does it: the command locks a descriptor that its caller keeps."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / _PEER_FILE
        self._fd = -1

    def acquire(self) -> None:
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        subprocess.run(["flock", str(self._fd)], pass_fds=[self._fd], check=True)

    def release(self) -> None:
        os.close(self._fd)


class _Peer:
    """A library's lock object that has `acquire` and `release`."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock

    def acquire(self) -> None:
        self._lock.acquire()

    def release(self) -> None:
        self._lock.release()


def _file_lock(directory: Path) -> ThreadLock:
    from filelock import FileLock  # noqa: PLC0415 - only where it is measured

    return _Peer(FileLock(directory / _PEER_FILE))


# Not import statements: the type checker must say the same where these optional peers are installed.


def _portalocker(directory: Path) -> ThreadLock:
    return _Peer(importlib.import_module("portalocker").Lock(directory / _PEER_FILE, timeout=_FOR_EVER_S))


def _fasteners(directory: Path) -> ThreadLock:
    return _Peer(importlib.import_module("fasteners").InterProcessLock(directory / _PEER_FILE))


def _ours(
    name: str,
    make: Callable[[Path], TaskLock],
    file: str = PACK_LOCK_FILE_NAME,
    backend: Literal["asyncio", "trio"] = "asyncio",
) -> TaskContender:
    return TaskContender(name, file, "tickets", backend, make)


CONTENDERS: dict[str, Contender] = {
    "pack": _ours("grex pack, asyncio task", _pack_in_task),
    "pack-trio": _ours("grex pack, trio task", _pack_in_task, backend="trio"),
    "pack-thread": ThreadContender("grex pack, thread", PACK_LOCK_FILE_NAME, "tickets", _GrexInThread),
    "plain-pack": _ours("grex pack without git dir", _plain_pack),
    "workspace": _ours("grex workspace", _workspace, WORKSPACE_LOCK_FILE_NAME),
    "backend": _ours("grex backend", _backend, backend_lock_path(_CHECKOUT).name),
    "reader": _ours("grex manifest, reader", _reader, MANIFEST_LOCK_FILE_NAME),
    "writer": _ours("grex manifest, writer", _writer, MANIFEST_LOCK_FILE_NAME),
    "async-filelock": TaskContender("filelock.AsyncFileLock", _PEER_FILE, "nowhere", "asyncio", _AsyncFileLock),
    "filelock": ThreadContender("filelock.FileLock", _PEER_FILE, "nowhere", _file_lock),
    "portalocker": ThreadContender("portalocker.Lock", _PEER_FILE, "nowhere", _portalocker),
    "fasteners": ThreadContender("fasteners.InterProcessLock", _PEER_FILE, "nowhere", _fasteners),
    "to-thread": TaskContender("flock in to_thread, asyncio", _PEER_FILE, "kernel", "asyncio", _FlockInThreadOfLoop),
    "to-thread-trio": TaskContender("flock in to_thread, trio", _PEER_FILE, "kernel", "trio", _FlockInThreadOfLoop),
    "flock": ThreadContender("flock, plain thread", _PEER_FILE, "kernel", _Flock),
    "inotify": ThreadContender("flock at each inotify event, thread", _PEER_FILE, "nowhere", _FlockByInotify),
    "flock-command": ThreadContender("flock(1)", _PEER_FILE, "kernel", _FlockCommand),
}


def missing() -> dict[str, str]:
    """The contenders that this machine lacks, and how to get them."""
    found: dict[str, str] = {}
    for peer in ("fasteners", "portalocker"):
        if importlib.util.find_spec(peer) is None:
            found[peer] = f"{peer} is not installed; `make peers` installs it"
    if shutil.which("flock") is None:
        found["flock-command"] = "flock(1) is not installed; it comes with util-linux"
    return found
