"""The real `grex exec`: where its output goes, what a Ctrl-C ends, and a grex inside of it that would wait for ever."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.git_server import git
from tests.support.killing import start
from tests.support.processes import alive
from tests.support.running import eventually
from tests.support.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Two checkouts that are declared, which is all that exec asks for."""
    workspace = Workspace(tmp_path)
    for name in ("a", "b"):
        git(workspace.root, "init", "--quiet", name)
    workspace.declare({"url": "https://host.example/a"}, {"url": "https://host.example/b"})
    return workspace


def test_what_commands_say_goes_to_the_stream_that_they_said_it_to(workspace: Workspace) -> None:
    script = 'printf "out of $GREX_PACK_NAME"; echo err >&2; [ "$GREX_PACK_NAME" != b ]'
    run = workspace.grex("exec", "--", "sh", "-c", script, expect=4)
    said, _, report = run.stdout.partition("failed ")
    assert said == "==> a <==\nout of a\n==> b <==\nout of b\n"
    assert "b: sh -c printf" in report
    assert "exited with code 1" in report
    assert run.stderr == "==> a <==\nerr\n==> b <==\nerr\n"
    quiet = workspace.grex("exec", "-q", "a", "--shell", "--", "printf 'as it is'; true --", "")
    assert (quiet.stdout, quiet.stderr) == ("as it is", "")
    document = workspace.grex("exec", "--json", "--", "sh", "-c", script, expect=4)
    assert {path: (pack["stdout"], pack["stderr"]) for path, pack in document.packs.items()} == {
        "a": ("out of a", "err\n"),
        "b": ("out of b", "err\n"),
    }


def test_a_command_without_an_end_ends_when_nobody_reads_on(workspace: Workspace) -> None:
    """Nothing of it would ever be told if that had to wait until it is done."""
    command = workspace.command("exec", "--", "yes", "said")
    running = subprocess.Popen(
        command, cwd=workspace.root, env=workspace.environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert running.stdout is not None
    assert [running.stdout.readline() for _ in range(3)] == [b"==> a <==\n", b"said\n", b"said\n"]
    running.stdout.close()
    assert running.wait(timeout=30) == 141


def test_what_is_told_in_parts_is_what_was_said(workspace: Workspace) -> None:
    script = "seq 200000; printf end; echo err >&2"
    run = workspace.grex("exec", "-q", "a", "--", "sh", "-c", script)
    assert run.stdout == "".join(f"{number}\n" for number in range(1, 200001)) + "end"
    told = workspace.grex("exec", "a", "--", "sh", "-c", script).stdout
    assert (told.count("==>"), told.count("200000\nend\n"), told.startswith("==> a <==\n1\n2\n")) == (1, 1, True)


def test_what_stands_before_the_dashes_are_packs_and_options_behind_them_are_the_commands(
    workspace: Workspace,
) -> None:
    assert workspace.grex("exec", "-q", "b", "--", "echo", "--json", "-q", "--", "x").stdout == "--json -q -- x\n"
    error = workspace.grex("exec", "--json", "git", "status", expect=2).error
    assert error["message"] == "the command to run stands behind `--`"
    assert "[PACK]... -- CMD..." in workspace.grex("exec", "--help").stdout


@pytest.mark.parametrize("how", [[], ["--no-lock"]], ids=["held", "no-lock"])
def test_a_sync_of_the_same_workspace_inside_of_it_is_refused_at_once(workspace: Workspace, how: list[str]) -> None:
    """It would wait for what its own ancestor keeps until it ends; and says so, where it would otherwise go on."""
    inner = f"timeout 20 {shlex.quote(sys.executable)} -m grex sync --offline"
    pack = workspace.grex("exec", "--json", *how, "a", "--", "sh", "-c", inner, expect=4).packs["a"]
    assert pack["returncode"] == 5
    assert "was not waited for" in pack["stderr"]


def test_a_ctrl_c_ends_the_commands_with_all_that_they_started(workspace: Workspace, tmp_path: Path) -> None:
    script = f"trap '' TERM; (trap '' TERM; echo $$ > {tmp_path}/$GREX_PACK_NAME; while :; do sleep 1; done) & wait"
    with start(workspace, "exec", "-j2", "--", "sh", "-c", script) as grex:
        marks = [tmp_path / name for name in ("a", "b")]
        eventually("both began", lambda: all(mark.exists() and mark.read_text().strip() for mark in marks))
        pids = [int(mark.read_text()) for mark in marks]
        grex.process.send_signal(signal.SIGINT)
        assert grex.process.wait(20) == 130
    assert [pid for pid in pids if alive(pid)] == []


def test_a_reader_who_goes_ends_it_as_any_program(workspace: Workspace) -> None:
    command = " ".join(map(shlex.quote, workspace.command("exec", "--", "sh", "-c", "yes | head -c 300000")))
    done = subprocess.run(
        ["bash", "-c", f"{command} | head -c 20; echo ${{PIPESTATUS[0]}}"],
        cwd=workspace.root,
        env=workspace.environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.startswith("==> a <==\n")
    assert done.stdout.endswith("141\n")
    assert "Traceback" not in done.stderr
