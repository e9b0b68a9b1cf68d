"""A process that takes and releases locks as it is told: JSON arrays on standard input, one a line, answered likewise.

    use KEY DIRECTORY   begin a session with one contender                  -> ready
    take                acquire                                             -> waiting, then held NS (or cancelled)
    pass                acquire, and release at once                        -> waiting, then passed NS NS (or cancelled)
    release             release                                             -> released NS
    cancel              cancel the acquire that waits (tasks only)
    end                 end the session                                     -> ended

Times are CLOCK_MONOTONIC: just after the acquire, and just before (`release`) or after (`pass`) the release. A session
in an event loop goes on obeying while it waits. Whatever a contender needs is made before `ready`, and nothing is torn
down before `end`, so that none of it is measured. Each session has an event loop or a thread of its own, and nothing of
it is left when it has ended: what a lock keeps for each of them (an inotify instance, of which a user may have few)
would otherwise add up in a way that it does not in real programs.
"""

from __future__ import annotations

import gc
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import anyio

from bench.locks.contenders import CONTENDERS, TaskContender, TaskLock, ThreadContender

__all__ = ["main"]

_INPUT, _OUTPUT = 0, 1


class _Commands:
    """What was read from standard input and not yet obeyed."""

    def __init__(self) -> None:
        self._buffer = b""

    def _next(self) -> list[str] | None:
        line, newline, rest = self._buffer.partition(b"\n")
        if not newline:
            return None
        self._buffer = rest
        words: list[str] = json.loads(line)
        return words

    def _read(self) -> None:
        data = os.read(_INPUT, 65536)
        if not data:
            os._exit(0)  # whoever started us is gone: end at once, whatever thread is blocked, and free what is held
        self._buffer += data

    def read(self) -> list[str]:
        while (words := self._next()) is None:
            self._read()
        return words

    async def read_in_loop(self) -> list[str]:
        while (words := self._next()) is None:
            await anyio.wait_readable(_INPUT)
            self._read()
        return words


def _answer(*words: Any) -> None:
    os.write(_OUTPUT, json.dumps(words).encode() + b"\n")


def _serve_in_thread(contender: ThreadContender, directory: Path, commands: _Commands) -> None:
    lock = contender.make(directory)
    _answer("ready")
    while (command := commands.read()[0]) != "end":
        if command == "release":
            began = time.monotonic_ns()
            lock.release()
            _answer("released", began)
            continue
        _answer("waiting")
        lock.acquire()
        held = time.monotonic_ns()
        if command == "pass":
            lock.release()
            _answer("passed", held, time.monotonic_ns())
        else:
            _answer("held", held)


async def _take(lock: TaskLock, command: str, scope: anyio.CancelScope) -> None:
    _answer("waiting")
    with scope:
        await lock.acquire()
        held = time.monotonic_ns()
        if command == "pass":
            await lock.release()
            _answer("passed", held, time.monotonic_ns())
        else:
            _answer("held", held)
    if scope.cancelled_caught:
        _answer("cancelled")


async def _serve_in_loop(contender: TaskContender, directory: Path, commands: _Commands) -> None:
    lock = contender.make(directory)
    scope = anyio.CancelScope()
    _answer("ready")
    async with anyio.create_task_group() as group:
        while (command := (await commands.read_in_loop())[0]) != "end":
            if command == "release":
                began = time.monotonic_ns()
                await lock.release()
                _answer("released", began)
            elif command == "cancel":
                scope.cancel()
            else:
                scope = anyio.CancelScope()
                group.start_soon(_take, lock, command, scope)


def main() -> None:
    """Obey until standard input ends."""
    commands = _Commands()
    while True:
        _use, key, directory = commands.read()
        contender = CONTENDERS[key]
        if isinstance(contender, TaskContender):
            anyio.run(_serve_in_loop, contender, Path(directory), commands, backend=contender.backend)
        else:
            session = threading.Thread(target=_serve_in_thread, args=(contender, Path(directory), commands))
            session.start()
            session.join()
        gc.collect()
        _answer("ended")


if __name__ == "__main__":
    main()
