"""The real `grex` in a process of its own, forked from one that has imported it already.

Four fifths of what a short call costs is Python's start and the imports, and the tests of the command line make a good
thousand calls. So they are forks of one parent for each worker (`tests.support.nursery`), which go through
`grex.__main__.main` with arguments, environment, directory and streams of their own; their command line and their
signals are as if `python -m grex` had been typed. Where the environment changes how Python itself starts, and where
there is a terminal, it is started. `tests/support/test_grex_nursery.py` holds the two against each other.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import functools
import gc
import importlib
import io
import os
import pkgutil
import re
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from tests.support.die_at import DeathTrap
from tests.support.nursery import Forked, Nursery, serve

__all__ = ["Trap", "run", "start"]

Trap = tuple[str, str, int]

_AT_PYTHONS_START = re.compile(r"PYTHON(?!PYCACHEPREFIX|DONTWRITEBYTECODE)|LC_|LANG|LD_|VIRTUAL_ENV")
_COMMAND_LINE_BYTES = 4096
_IMPORTED_BEFORE = ("anyio._backends._asyncio", "asyncio", "ctypes", "importlib.metadata", "platformdirs.unix")


def start(
    arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str], streams: Sequence[int], trap: Trap | None = None
) -> Forked | subprocess.Popen[bytes]:
    """Start `grex` with these arguments; whoever starts it waits for it.

    Args:
        arguments: without the program.
        cwd: where it is to run.
        env: its whole environment.
        streams: its standard input, output and error.
        trap: where it kills itself, see `tests.support.die_at`.
    """
    words = [] if trap is None else list(map(str, trap))
    if _at_start(env) == _at_start(_environ_of_nursery()):
        return _nursery().start([str(len(words)), *words, *arguments], env=env, streams=streams, cwd=cwd)
    stdin, stdout, stderr = streams
    command = [sys.executable, "-m", "grex" if trap is None else "tests.support.die_at", *words, *arguments]
    return subprocess.Popen(command, cwd=cwd, env=env, stdin=stdin, stdout=stdout, stderr=stderr)


def run(
    arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout_s: float, trap: Trap | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `grex` without input until it has ended and its output is closed.

    Raises:
        subprocess.TimeoutExpired: it took longer, and was killed.
    """
    with open(os.devnull, "rb") as nothing, contextlib.ExitStack() as stack:  # noqa: PTH123 - a descriptor is wanted
        out, out_w = os.pipe()
        err, err_w = os.pipe()
        outputs = {fd: bytearray() for fd in (out, err)}
        for fd in outputs:
            stack.callback(os.close, fd)
        try:
            process = start(arguments, cwd=cwd, env=env, streams=(nothing.fileno(), out_w, err_w), trap=trap)
        finally:
            os.close(out_w)
            os.close(err_w)
        end = time.monotonic() + timeout_s
        try:
            _read(outputs, end)
            code = process.wait(max(0.0, end - time.monotonic()))
        except BaseException:
            process.kill()
            process.wait()
            raise
    said = [io.TextIOWrapper(io.BytesIO(outputs[fd])).read() for fd in (out, err)]
    return subprocess.CompletedProcess(["grex", *arguments], code, *said)


def _read(outputs: Mapping[int, bytearray], end: float) -> None:
    with selectors.DefaultSelector() as selector:
        for fd in outputs:
            selector.register(fd, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, end - time.monotonic()))
            if not ready:
                raise subprocess.TimeoutExpired("grex", 0.0)
            for key, _ in ready:
                data = os.read(key.fd, 1 << 16)
                if not data:
                    selector.unregister(key.fd)
                outputs[key.fd].extend(data)


def _at_start(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if _AT_PYTHONS_START.match(name)}


@functools.cache
def _environ_of_nursery() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("GREX_")} | {
        "PYTHONWARNINGS": "error"  # as `Workspace` has it
    }


@functools.cache
def _nursery() -> Nursery:
    return Nursery(__name__, "x" * _COMMAND_LINE_BYTES, env=_environ_of_nursery())


def _import_all() -> None:
    package = importlib.import_module("grex")
    for module in pkgutil.walk_packages(package.__path__, "grex."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in _IMPORTED_BEFORE:
        importlib.import_module(name)


def _be_typed(arguments: Sequence[str]) -> None:
    """Look as a process in which `python -m grex` was typed: command line, signals, path, streams, time zone."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    begin, end = int(fields[45]), int(fields[46])  # arg_start and arg_end of proc(5)
    words = b"".join(os.fsencode(word) + b"\0" for word in (sys.executable, "-m", "grex", *arguments))
    ctypes.memset(begin, 0, end - begin)
    ctypes.memmove(begin, words[: end - begin - 1], min(len(words), end - begin - 1))
    for signum, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)):
        signal.signal(signum, handler)  # the shell that started the parent had them ignored
    sys.argv = ["grex", *arguments]
    sys.path[0] = os.getcwd()  # noqa: PTH109 - a text
    time.tzset()
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        old = getattr(sys, name)
        raw = open(number, "wb" if number else "rb", closefd=False)  # noqa: SIM115
        new = io.TextIOWrapper(
            raw, old.encoding, old.errors, line_buffering=number == 2, write_through=old.write_through
        )
        setattr(sys, name, new)
        setattr(sys, f"__{name}__", new)


def main() -> None:
    """Be the parent; a child goes on as `grex`."""
    _import_all()
    gc.freeze()
    arguments = serve(int(sys.argv[2]))
    if arguments is not None:
        trap, arguments = arguments[1 : 1 + int(arguments[0])], arguments[1 + int(arguments[0]) :]
        _be_typed(arguments)
        if trap:
            DeathTrap(trap[0], trap[1], int(trap[2])).install()
        try:
            importlib.import_module("grex.__main__").main()
        except SystemExit as end:
            _leave(end.code)
        _leave(0)


def _leave(code: str | int | None) -> NoReturn:
    """End as Python does, but for taking apart every module: half of what a fork costs, as it copies each page.

    Whatever is no number is left to Python itself, as is an exception that nobody caught.
    """
    if code is not None and not isinstance(code, int):
        sys.exit(code)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        code = 120
    os._exit((code or 0) & 0xFF)


if __name__ == "__main__":
    main()
