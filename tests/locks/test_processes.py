"""How a process is named to people: its program and its verb, and nothing that could be secret or act on a terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from grex.locks import processes


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["/usr/bin/grex", "sync"], "grex sync"),
        (["/v/bin/python3.11", "/v/bin/grex", "--quiet", "sync", "robots"], "grex sync"),
        (["/v/bin/python", "-X", "dev", "-I", "-m", "grex", "--workspace", "ws", "add", "https://a:b@c"], "grex add"),
        (["grex", "--lock-timeout=3", "ls"], "grex ls"),
        (["grex", "--workspace"], "grex"),
        (["grex", "https://user:secret@host.example/x"], "grex"),
        (["git", "-C", "secret", "-c", "http.extraHeader=secret", "fetch", "https://a:b@c"], "git fetch"),
        (["flock", "/tmp/secret", "true"], "flock"),
        (["sh", "-c", "echo secret"], "sh"),
        (["python3", "-c", "secret"], "python3"),
        (["python3", "-"], "python3"),
        (["python3"], "python3"),
        (["ev\x1b[31mil\u202e\nname"], "evil name"),
        (["x" * 500], "x" * 39 + "…"),
    ],
)
def test_a_command_line_is_told_by_its_program_and_its_verb(
    words: list[str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = tmp_path / "cmdline"
    line.write_bytes(b"".join(os.fsencode(word) + b"\0" for word in words))
    monkeypatch.setattr(processes, "open", lambda *_: line.open("rb"), raising=False)
    assert processes.command_summary(1) == expected


def test_a_real_process_is_named_by_what_it_runs() -> None:
    code = "import sys; print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert processes.command_summary(process.pid) == Path(sys.executable).name
    assert processes.command_summary(process.pid) == ""


def test_a_process_without_a_command_line_is_named_by_the_kernel() -> None:
    """A process that has ended and was not reaped has a name and no command line."""
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    try:
        assert Path(f"/proc/{process.pid}/cmdline").read_bytes() == b""
        assert processes.command_summary(process.pid) == "true"
    finally:
        process.wait()
