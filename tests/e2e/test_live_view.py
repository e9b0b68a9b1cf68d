"""The live view of a real run, on a terminal of its own."""

from __future__ import annotations

import os
import re
import signal
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.test_logins import Terminal
from tests.support.git_server import GitServer
from tests.support.workspace import Workspace

HOOK = "#!/bin/sh\nread go < {fifo}\necho prepared\n"


@pytest.fixture
def terminal(server: GitServer, workspace: Workspace, tmp_path: Path) -> Iterator[Terminal]:
    """A sync whose one pack runs a hook that waits for a line in `go`."""
    os.mkfifo(tmp_path / "go")
    hook = HOOK.format(fifo=tmp_path / "go")
    pack = 'schema_version: "1"\nname: a\ntype: scripted\n'
    server.create("a", {".grex/pack.yaml": pack, ".grex/hooks/setup.sh": hook})
    workspace.declare({"url": server.url("a")})
    workspace.environ |= {"TERM": "xterm", "COLUMNS": "80"}
    opened = Terminal(workspace, "sync", "--trust", server.url("a"))
    yield opened
    opened.close()


def lines_of(said: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*[a-zA-Z]", "", said)


def test_a_hook_is_shown_while_it_runs_and_the_run_ends_with_its_lines(terminal: Terminal, tmp_path: Path) -> None:
    terminal.expect("installing: hook .grex/hooks/setup.sh")
    before = len(terminal.said)
    (tmp_path / "go").write_text("go\n")
    assert terminal.end() == 0
    rest = terminal.said[before:]
    last = rest[rest.rindex("\x1b[J") :]  # what stands after the view was taken away
    assert "Synced" in last
    assert "installed" in lines_of(rest)
    assert "a | prepared" in lines_of(rest)
    assert "installing" not in last
    assert "\x1b[?25l" not in terminal.said


def test_ctrl_c_leaves_the_terminal_as_it_was(terminal: Terminal) -> None:
    before = termios.tcgetattr(terminal._line)
    terminal.expect("installing: hook .grex/hooks/setup.sh")
    terminal.type("\x03")
    assert terminal.end() == 128 + signal.SIGINT
    last = terminal.said[terminal.said.rindex("\x1b[J") :]
    assert "grex: SIGINT: stopped" in last
    assert "installing" not in last
    assert termios.tcgetattr(terminal._line)[3] == before[3]
