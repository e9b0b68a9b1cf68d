"""grex on a terminal asks for a user and a password once for each host, however many clones want them."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import termios
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.e2e.test_credentials import SECRET, publish
from tests.e2e.test_credentials import host as host  # noqa: PLC0414 - the fixture
from tests.support.git_server import GitServer
from tests.support.workspace import Workspace

PACKS = ("a", "b", "c", "d")
PATIENCE_S = 60.0


class Terminal:
    """A grex whose standard input, output and error are a terminal of its own."""

    def __init__(self, workspace: Workspace, *arguments: str) -> None:
        command = workspace.command(*arguments)
        self.pid, self._line = pty.fork()
        if self.pid == 0:
            os.chdir(workspace.root)
            environ = workspace.environ | {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
            os.execvpe(command[0], command, environ)  # noqa: S606 - this is the child of a fork
        self.said = ""
        self._seen = 0

    def expect(self, text: str) -> None:
        """Read on until it says this."""
        end = time.monotonic() + PATIENCE_S
        while text not in self.said[self._seen :]:
            assert time.monotonic() < end, self.said
            assert self._read(), f"it ended: {self.said}"
        self._seen = self.said.index(text, self._seen) + len(text)

    def type(self, text: str) -> None:
        os.write(self._line, text.encode())

    def echoes(self) -> bool:
        """Whether what is typed is shown."""
        return bool(termios.tcgetattr(self._line)[3] & termios.ECHO)

    def end(self) -> int:
        """Read to the end, and give the exit code."""
        while self._read():
            pass
        _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        return os.waitstatus_to_exitcode(status)

    def close(self) -> None:
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._line)

    def _read(self) -> bool:
        if not select.select([self._line], [], [], 1.0)[0]:
            return True
        try:
            piece = os.read(self._line, 4096)
        except OSError:
            return False
        self.said += piece.decode(errors="replace")
        return bool(piece)


@pytest.fixture
def workspace(tmp_path: Path, host: tuple[GitServer, str]) -> Workspace:
    server, address = host
    workspace = Workspace(tmp_path, "ws")
    for name in PACKS:
        publish(server.create(name, {"f": name}))
    workspace.declare(*({"url": f"http://{address}/{name}.git", "path": name} for name in PACKS))
    return workspace


@pytest.fixture
def terminal(workspace: Workspace) -> Generator[Terminal]:
    opened = Terminal(workspace, "sync", "--jobs", "4")
    try:
        yield opened
    finally:
        opened.close()


def files_with(workspace: Workspace, text: str) -> list[Path]:
    found = [*workspace.root.rglob("*"), *workspace.home.rglob("*")]
    return [path for path in found if path.is_file() and text.encode() in path.read_bytes()]


def test_many_clones_of_one_host_ask_once_and_nothing_is_written(
    workspace: Workspace, host: tuple[GitServer, str], terminal: Terminal
) -> None:
    origin = f"http://{host[1]}"
    terminal.expect(f"Username for {origin}: ")
    assert terminal.echoes()
    terminal.type("ada\n")
    terminal.expect(f"Password for ada at {origin}: ")
    assert not terminal.echoes()
    terminal.type(f"{SECRET}\n")
    assert terminal.end() == 0
    assert terminal.said.count("Username for") == terminal.said.count("Password for") == 1
    assert SECRET not in terminal.said
    assert [(workspace / f"{name}/f").read_text() for name in PACKS] == list(PACKS)
    assert files_with(workspace, SECRET) == []


def test_wrong_credentials_are_asked_for_once_more(workspace: Workspace, terminal: Terminal) -> None:
    terminal.expect("Username for")
    terminal.type("ada\n")
    terminal.expect("Password for")
    terminal.type("wrong\n")
    terminal.expect("did not accept that")
    terminal.expect("Username for")
    terminal.type("ada\n")
    terminal.expect("Password for")
    terminal.type(f"{SECRET}\n")
    assert terminal.end() == 0
    assert terminal.said.count("Password for") == 2
    assert (workspace / "d/f").read_text() == "d"


@pytest.mark.slow
def test_credentials_that_are_wrong_twice_are_not_asked_for_again(workspace: Workspace, terminal: Terminal) -> None:
    for _ in range(2):
        terminal.expect("Username for")
        terminal.type("ada\n")
        terminal.expect("Password for")
        terminal.type("wrong\n")
    assert terminal.end() == 4
    assert terminal.said.count("Password for") == 2
    assert not (workspace / "a").exists()


def test_an_interrupt_at_the_question_ends_the_run_and_leaves_the_terminal_as_it_was(
    workspace: Workspace, terminal: Terminal
) -> None:
    terminal.expect("Username for")
    terminal.type("ada\n")
    terminal.expect("Password for")
    terminal.type("\x03")
    terminal.expect("SIGINT: stopped")
    assert terminal.echoes()
    assert terminal.end() == 130
    assert not any((workspace / name).exists() for name in PACKS)


def test_without_a_terminal_and_for_programs_nobody_is_asked(workspace: Workspace) -> None:
    assert "Username for" not in workspace.sync(expect=4).stderr
    asked = Terminal(workspace, "sync", "--json")
    try:
        assert asked.end() == 4
        assert "Username for http" not in asked.said.partition('"schema"')[0]
    finally:
        asked.close()
