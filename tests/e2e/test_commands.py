"""Hooks and `exec` through the real command line: what is shown of them, what they see, and that they all end."""

from __future__ import annotations

import re
import shlex
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.git_server import GitServer
from tests.support.killing import start
from tests.support.processes import alive
from tests.support.running import Gate, Running, eventually
from tests.support.workspace import Workspace, pack_yaml

WITHIN_S = 1.0


def hooked(server: GitServer, name: str, script: str) -> dict[str, str]:
    """A scripted pack with that setup hook; its declaration."""
    server.create(name, {".grex/pack.yaml": pack_yaml(name, "scripted"), ".grex/hooks/setup.sh": script})
    return {"url": server.url(name), "path": f"services/{name}"}


def executing(server: GitServer, name: str, *actions: Mapping[str, object]) -> dict[str, str]:
    """A declarative pack with these actions; its declaration."""
    server.create(name, {".grex/pack.yaml": pack_yaml(name, "declarative", actions=[*actions])})
    return {"url": server.url(name), "path": f"services/{name}"}


def shell(line: str, **others: object) -> dict[str, object]:
    return {"exec": {"shell": True, "cmd_shell": line, **others}}


# --- shown while it runs


def test_what_a_hook_says_is_seen_while_it_runs(server: GitServer, workspace: Workspace, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    workspace.declare(hooked(server, "api", gate.script("echo out", "echo err >&2", "printf unended")))
    with Running(workspace, "sync") as grex:
        grex.wait_for("services/api | out")
        grex.wait_for("services/api | err")
        assert not grex.has_ended
        assert "unended" not in grex.stderr
        gate.open()
        run = grex.finish()
    lines = run.stderr.splitlines()
    assert "installing   services/api: hook .grex/hooks/setup.sh" in lines
    assert "services/api | unended" in lines
    assert "services/api |" not in run.stdout


def test_lines_of_packs_that_run_at_the_same_time_stay_whole_and_apart(server: GitServer, workspace: Workspace) -> None:
    names = [f"p{number}" for number in range(4)]
    loop = 'i=0; while [ $i -lt 90 ]; do printf "$GREX_PACK_NAME-"; echo "$i-$GREX_PACK_NAME"; i=$((i+1)); done'
    workspace.declare(*(executing(server, name, shell(loop)) for name in names))
    stderr = workspace.grex("sync", "--jobs", "4").stderr
    for name in names:
        lines = re.findall(rf"^services/{name} \| (.*)$", stderr, re.MULTILINE)
        assert lines == [f"{name}-{number}-{name}" for number in range(90)]
    assert stderr.count(" | ") == 4 * 90


def test_the_undo_of_an_exec_is_seen_as_well(server: GitServer, workspace: Workspace) -> None:
    undone = {"exec": {"cmd": ["true"], "undo": ["echo", "taken back"]}}
    workspace.declare(executing(server, "api", undone, shell("exit 1")))
    assert "services/api | taken back\n" in workspace.grex("sync", expect=4).stderr


@pytest.mark.parametrize("option", ["--quiet", "--json"])
def test_nothing_of_a_command_is_seen_where_nobody_wants_progress(
    option: str, server: GitServer, workspace: Workspace
) -> None:
    workspace.declare(hooked(server, "api", "echo said; echo said >&2\n"))
    run = workspace.grex("sync", option)
    assert run.stderr == ""
    assert "said" not in run.stdout


def test_a_secret_and_an_escape_sequence_are_not_shown(server: GitServer, workspace: Workspace) -> None:
    workspace.declare(hooked(server, "api", "printf '\\033[2Jcloning https://me:hunter2@host/x\\n'\n"))
    stderr = workspace.grex("sync").stderr
    assert "services/api | cloning https://***@host/x\n" in stderr
    assert "hunter2" not in stderr


def test_a_command_that_took_too_long_shows_the_end_of_what_it_said(server: GitServer, workspace: Workspace) -> None:
    workspace.declare(executing(server, "api", shell("echo waiting for it; exec sleep 600", timeout_s=1)))
    (pack,) = workspace.sync(expect=4).document["packs"]
    error = pack["install"]["error"]
    assert "took longer than 1 s" in error["message"]
    assert error["details"]["output"] == "waiting for it"
    assert "`timeout_s`" in error["hint"]


# --- memory


def peak_kib(pid: int) -> int:
    (found,) = re.findall(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found)


@pytest.mark.parametrize(
    "flood",
    [
        pytest.param("yes", marks=pytest.mark.exhaustive),
        pytest.param("yes >&2", marks=pytest.mark.exhaustive),
        pytest.param("tr '\\0' x </dev/zero", marks=pytest.mark.slow),  # one line without an end
        pytest.param("tr '\\0' '\\r' </dev/zero", marks=pytest.mark.exhaustive),
    ],
)
def test_a_child_that_prints_a_gibibyte_costs_next_to_no_memory(
    flood: str, server: GitServer, workspace: Workspace, tmp_path: Path
) -> None:
    before, after = Gate(tmp_path / "before"), Gate(tmp_path / "after")
    hook = before.script() + f"({flood}) 2>&1 | head -c {1 << 30}{' >&2' if '>&2' in flood else ''}\n" + after.script()
    workspace.declare(hooked(server, "big", hook))
    with Running(workspace, "sync") as grex:
        before.wait_entered()
        peak = peak_kib(grex.pid)
        before.open()
        eventually("the end of the flood", after.entered.exists, deadline_s=100)
        grown = peak_kib(grex.pid) - peak
        after.open()
        stderr = grex.finish().stderr
    assert grown < 16 << 10
    assert stderr.count("services/big | ") <= 1100


# --- ending

DAEMON = """
import os, signal, time
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    os.fork() and os._exit(0)
    with open("daemon.new", "w") as file:
        file.write(str(os.getpid()))
    os.rename("daemon.new", os.environ["DAEMON"])
    while True:
        time.sleep(600)
os.wait()
while True:
    time.sleep(600)
"""


@pytest.mark.parametrize("kind", ["hook", "exec"])
def test_ctrl_c_ends_a_daemon_that_a_command_has_forked_away(
    kind: str, server: GitServer, workspace: Workspace, tmp_path: Path
) -> None:
    program = tmp_path / "daemon.py"
    program.write_text(DAEMON)
    pid_file = tmp_path / "pid"
    workspace.environ["DAEMON"] = str(pid_file)
    line = f"{shlex.quote(sys.executable)} {shlex.quote(str(program))}"
    workspace.declare(
        hooked(server, "api", f"{line}\n") if kind == "hook" else executing(server, "api", shell(f"nohup {line}"))
    )
    with start(workspace, "sync") as grex:
        eventually("the daemon", pid_file.exists)
        daemon = int(pid_file.read_text())
        assert alive(daemon)
        before = time.monotonic()
        grex.interrupt(signal.SIGINT, whole_group=True)
        run = grex.result()
        assert time.monotonic() - before < WITHIN_S
        assert grex.family() == []
    assert run.code == 130


def test_a_server_that_a_hook_leaves_behind_on_purpose_stays(
    server: GitServer, workspace: Workspace, tmp_path: Path
) -> None:
    workspace.declare(hooked(server, "api", "nohup sleep 600 </dev/null >/dev/null 2>&1 &\necho $! > server.pid\n"))
    with start(workspace, "sync") as grex:
        assert grex.result().code == 0
        (left,) = grex.children()
        assert left == int((workspace / "services/api/server.pid").read_text())


# --- what it sees


def environment(text: str) -> dict[str, str]:
    return dict(line.partition("=")[::2] for line in text.splitlines() if "=" in line)


@pytest.mark.parametrize("kind", ["hook", "exec"])
def test_a_command_sees_the_environment_that_is_promised_and_nothing_of_git(
    kind: str, server: GitServer, workspace: Workspace
) -> None:
    script = "env > seen; ps -o sid= -p $$ > sid; echo $$ > pid; cat > input; (: </dev/tty) 2>/dev/null && touch tty; :"
    workspace.declare(
        hooked(server, "api", f"{script}\n") if kind == "hook" else executing(server, "api", shell(script))
    )
    given = {
        "GIT_DIR": "/nowhere",
        "GIT_WORK_TREE": "/nowhere",
        "GIT_INDEX_FILE": "/nowhere",
        "GIT_SSH_COMMAND": "ssh -x",
        "GIT_ASKPASS": "ask",
        "OWN": "kept",
    }
    workspace.environ |= given
    workspace.grex("sync")
    pack = workspace / "services/api"
    seen = environment((pack / "seen").read_text())
    assert {name: seen.get(name) for name in ("GREX_PACK_NAME", "GREX_PACK_PATH", "GREX_PACK_OS")} == {
        "GREX_PACK_NAME": "api",
        "GREX_PACK_PATH": str(pack),
        "GREX_PACK_OS": "linux",
    }
    assert (seen["GREX_WORKSPACE"], seen["GREX_DRY_RUN"], seen["OWN"]) == (str(workspace.root), "0", "kept")
    assert {name for name in seen if name.startswith("GIT_")} == {
        "GIT_SSH_COMMAND",
        "GIT_ASKPASS",
        "GIT_TERMINAL_PROMPT",
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_SYSTEM",
        *(f"GIT_{role}_{what}" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")),
    }
    assert "GREX_TRUST" not in seen
    assert (pack / "input").read_bytes() == b""
    assert not (pack / "tty").exists()
    assert (pack / "sid").read_text().strip() == (pack / "pid").read_text().strip()


def test_a_dry_run_runs_no_command(server: GitServer, workspace: Workspace) -> None:
    workspace.declare(hooked(server, "api", "echo said > ran\n"))
    workspace.grex("sync", "--no-install")
    run = workspace.grex("sync", "--dry-run")
    assert "hook .grex/hooks/setup.sh" in run.stdout
    assert not (workspace / "services/api/ran").exists()
    assert " | " not in run.stderr
