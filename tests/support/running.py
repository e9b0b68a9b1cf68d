"""A `grex` that runs while the test looks on, and a gate that holds a hook until the test opens it.

Waiting is for events of the other process (a file, a line, its end), always with a deadline.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.grex_nursery import start
from tests.support.workspace import Run, Workspace

__all__ = ["Gate", "Running", "error_of", "eventually", "together"]

DEADLINE_S = 40.0


def eventually(what: str, is_so: Callable[[], bool], *, deadline_s: float = DEADLINE_S) -> None:
    """Wait until something that another process does is so; fails the test at the deadline."""
    end = time.monotonic() + deadline_s
    while not is_so():
        assert time.monotonic() < end, f"{what}: not within {deadline_s:g} s"
        time.sleep(0.005)


class Running:
    """One `grex` in a second process, started and not waited for; its output goes to files, so it never blocks."""

    def __init__(self, workspace: Workspace, *arguments: str | Path, **environ: str) -> None:
        self._log = workspace.home / f"run-{time.monotonic_ns()}"
        self._log.mkdir()
        with (
            open(os.devnull, "rb") as nothing,  # noqa: PTH123 - a descriptor is wanted
            (self._log / "out").open("wb") as out,
            (self._log / "err").open("wb") as err,
        ):
            self._process = start(
                list(map(str, arguments)),
                cwd=workspace.root,
                env=workspace.environ | environ,
                streams=(nothing.fileno(), out.fileno(), err.fileno()),
            )

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    @property
    def stdout(self) -> str:
        """What it printed so far."""
        return (self._log / "out").read_text()

    @property
    def stderr(self) -> str:
        """What it said on standard error so far."""
        return (self._log / "err").read_text()

    @property
    def has_ended(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def wait_for(self, text: str, *, deadline_s: float = DEADLINE_S) -> None:
        """Wait until it has said this on standard error."""
        eventually(
            f"{text!r} on standard error", lambda: text in self.stderr or self._gone(text), deadline_s=deadline_s
        )

    def _gone(self, text: str) -> bool:
        if not self.has_ended or text in self.stderr:
            return False
        raise AssertionError(f"it ended with {self._process.poll()} before it said {text!r}:\n{self.stderr}")

    def finish(self, *, expect: int | None = 0, deadline_s: float = DEADLINE_S) -> Run:
        """Wait for its end; an exit code other than the expected one fails the test with all that it said."""
        code = self._process.wait(timeout=deadline_s)
        told = f"exit {code}\n{self.stdout}\n{self.stderr}"
        assert "Traceback (most recent call last)" not in self.stderr, told
        assert expect is None or code == expect, told
        return Run(code, self.stdout, self.stderr)

    def kill_with_children(self) -> None:
        """SIGKILL for it and for every session that it started, as when the machine goes down."""
        children = [int(stat.parent.name) for stat in Path("/proc").glob("[0-9]*/stat") if _parent(stat) == self.pid]
        self._process.kill()
        self._process.wait()
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)

    def __enter__(self) -> Self:
        """The running process."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave no process behind, also when the test failed: it ends its own children when it is told to stop."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def _parent(stat: Path) -> int:
    try:
        return int(stat.read_bytes().rpartition(b")")[2].split()[1])
    except OSError:
        return 0  # it has ended meanwhile


def together(workspace: Workspace, count: int, *arguments: str | Path, **environ: str) -> list[Run]:
    """Start several equal calls at once and wait for all of them; every one has to end with 0."""
    started = [Running(workspace, *arguments, **environ) for _ in range(count)]
    try:
        return [run.finish() for run in started]
    finally:
        for run in started:
            run.__exit__(None, None, None)


class Gate:
    """A place where a hook stops until the test lets it go on."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.entered = directory / "entered"
        self._fifo = directory / "gate"
        os.mkfifo(self._fifo)

    def script(self, *before: str) -> str:
        """A hook that does `before`, says that it is here, and waits."""
        lines = ["#!/bin/sh", *before, f": > {_quoted(self.entered)}", f"read -r _ < {_quoted(self._fifo)} || :"]
        return "\n".join(lines) + "\n"

    def wait_entered(self) -> None:
        """Wait until the hook is here."""
        eventually("a hook at the gate", self.entered.exists)

    def open(self) -> None:
        """Let the hook go on, now or as soon as it comes."""
        end = time.monotonic() + DEADLINE_S
        while True:
            try:
                fd = os.open(self._fifo, os.O_WRONLY | os.O_NONBLOCK)
            except OSError:  # nobody reads yet: the hook is between its sign and its wait
                assert time.monotonic() < end, "nobody came to the gate"
                time.sleep(0.005)
                continue
            os.write(fd, b"go\n")
            os.close(fd)
            return


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def error_of(run: Run) -> dict[str, Any]:
    """The error document of a call with `--json`."""
    found = json.loads(run.stderr or run.stdout)["error"]
    assert isinstance(found, dict)
    return found
