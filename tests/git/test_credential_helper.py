"""Credential helpers work as configured, and one that leaves a daemon behind does not keep the BACKEND lock."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from grex.git import GitError, GitRunner
from tests.support.backend import PlainHold, is_free
from tests.support.git_server import git
from tests.support.processes import alive, wait_for_file

pytestmark = pytest.mark.anyio

QUESTION = b"protocol=https\nhost=example.invalid\npath=team/repo.git\n\n"


def helper(tmp_path: Path, name: str, body: str) -> Path:
    """A credential helper; `$1` is the operation, and what git says to it goes to `<name>.heard`."""
    script = tmp_path / name
    script.write_text(f"#!/bin/sh\necho $1 >> {script}.heard\ncat >> {script}.heard\n{body}\n")
    script.chmod(0o755)
    return script


def runner_with(tmp_path: Path, **settings: object) -> GitRunner:
    """A runner whose user has these settings; `__` in a name stands for a dot."""
    for name, value in settings.items():
        git(tmp_path, "config", "--file", "gitconfig", "--add", name.replace("__", "."), str(value))
    return GitRunner({**os.environ, "GIT_CONFIG_GLOBAL": str(tmp_path / "gitconfig")})


def daemon(tmp_path: Path) -> str:
    """Shell code that leaves a process behind, which keeps everything but the pipes."""
    pid_file = shlex.quote(str(tmp_path / "daemon.pid"))
    return f"sleep 600 </dev/null >/dev/null 2>&1 &\necho $! > {pid_file}\necho username=u\necho password=p"


async def test_a_helper_that_leaves_a_daemon_does_not_keep_the_lock(tmp_path: Path, backend: PlainHold) -> None:
    runner = runner_with(tmp_path, credential__helper=helper(tmp_path, "daemon", daemon(tmp_path)))
    answer = await runner.run(["credential", "fill"], cwd=tmp_path, write=backend, stdin_data=QUESTION)
    assert b"username=u\npassword=p\n" in answer.stdout
    await wait_for_file(tmp_path / "daemon.pid")
    pid = int((tmp_path / "daemon.pid").read_text())
    try:
        assert alive(pid)  # it is the user's, and goes on serving
        backend.die()
        assert is_free(backend.path)
    finally:
        os.kill(pid, signal.SIGKILL)


async def test_without_the_wrapper_the_daemon_would_keep_the_lock(tmp_path: Path, backend: PlainHold) -> None:
    runner_with(tmp_path, credential__helper=helper(tmp_path, "daemon", daemon(tmp_path)))
    subprocess.run(  # noqa: ASYNC221 - a few milliseconds
        ["git", "credential", "fill"],
        input=QUESTION,
        env={**os.environ, "GIT_CONFIG_GLOBAL": str(tmp_path / "gitconfig")},
        pass_fds=[backend.fd],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    pid = int((tmp_path / "daemon.pid").read_text())
    backend.die()
    assert not is_free(backend.path)
    os.kill(pid, signal.SIGKILL)


async def test_helpers_are_told_of_success_and_failure(tmp_path: Path, backend: PlainHold) -> None:
    script = helper(tmp_path, "plain", "")
    runner = runner_with(tmp_path, credential__helper=script)
    known = QUESTION.rstrip(b"\n") + b"\nusername=u\npassword=p\n\n"
    await runner.run(["credential", "approve"], cwd=tmp_path, write=backend, stdin_data=known)
    await runner.run(["credential", "reject"], cwd=tmp_path, write=backend, stdin_data=known)
    heard = Path(f"{script}.heard").read_text().split("\n")
    assert [line for line in heard if line in ("store", "erase")] == ["store", "erase"]
    assert heard.count("password=p") == 2


async def test_a_helper_for_one_path_only_is_chosen_by_the_path(tmp_path: Path, backend: PlainHold) -> None:
    team = helper(tmp_path, "team", "echo username=team\necho password=p")
    other = helper(tmp_path, "other", "echo username=other\necho password=p")
    runner = runner_with(
        tmp_path,
        **{
            "credential__https://example.invalid/else__helper": other,
            "credential__https://example.invalid/team__helper": team,
        },
    )
    answer = await runner.run(["credential", "fill"], cwd=tmp_path, write=backend, stdin_data=QUESTION)
    assert b"username=team\n" in answer.stdout
    assert not Path(f"{other}.heard").exists()
    assert "path=" not in Path(f"{team}.heard").read_text()  # the user has not asked for useHttpPath


async def test_where_no_helper_knows_askpass_is_asked_once(tmp_path: Path, backend: PlainHold) -> None:
    askpass = tmp_path / "askpass"
    askpass.write_text(f"#!/bin/sh\necho x >> {tmp_path}/asked\necho answer\n")
    askpass.chmod(0o755)
    runner_with(tmp_path, credential__helper=helper(tmp_path, "knows-nothing", ""))
    environ = {**os.environ, "GIT_CONFIG_GLOBAL": str(tmp_path / "gitconfig"), "GIT_ASKPASS": str(askpass)}
    answer = await GitRunner(environ).run(["credential", "fill"], cwd=tmp_path, write=backend, stdin_data=QUESTION)
    assert b"username=answer\npassword=answer\n" in answer.stdout
    assert (tmp_path / "asked").read_text() == "x\nx\n"  # for the name, and for the password


async def test_where_nobody_knows_git_fails_at_once_with_a_hint(tmp_path: Path, backend: PlainHold) -> None:
    runner = runner_with(tmp_path, credential__helper=helper(tmp_path, "knows-nothing", ""))
    with pytest.raises(GitError, match="terminal prompts disabled") as raised:
        await runner.run(["credential", "fill"], cwd=tmp_path, write=backend, stdin_data=QUESTION)
    assert "credential helper" in str(raised.value.hint)
