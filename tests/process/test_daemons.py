"""Children that do not want to end: with a command that is cancelled or out of time, all that it started ends."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Generator
from pathlib import Path

import anyio
import pytest

from grex.process import ProcessTimeoutError, run_process
from grex.process.session import COMMAND_VARIABLE
from tests.support.loops import trio_among_the_slow  # noqa: F401 - a fixture
from tests.support.processes import alive, wait_for_file, wait_until_dead

pytestmark = pytest.mark.anyio

WITHIN_S = 1.0

# Each is run by Python, says its pid in `pids/NAME`, and ignores TERM, so that only KILL helps.
STUBBORN = """
import os, signal, sys, time
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
def say(name):
    with open(f"{name}.new", "w") as file:
        file.write(str(os.getpid()))
    os.rename(f"{name}.new", f"pids/{name}")
def stay(name):
    say(name)
    while True:
        time.sleep(600)
"""
WAYS = {
    "ignores-term": "stay('1')",
    "forks": "os.fork() and stay('1')\nstay('2')",
    "own-group": "if os.fork() == 0:\n    os.setpgid(0, 0)\n    stay('1')\nstay('2')",
    "own-session": "if os.fork() == 0:\n    os.setsid()\n    stay('1')\nstay('2')",
    "daemon": "if os.fork() == 0:\n    os.setsid()\n    os.fork() and os._exit(0)\n    stay('1')\nos.wait()\nstay('2')",
    "silent-daemon": (
        "if os.fork() == 0:\n    os.setsid()\n    os.fork() and os._exit(0)\n"
        "    null = os.open('/dev/null', os.O_RDWR)\n    [os.dup2(null, fd) for fd in range(3)]\n    stay('1')\n"
        "os.wait()\nstay('2')"
    ),
    "daemon-of-a-daemon": (
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        os.setsid()\n        stay('1')\n"
        "    stay('2')\nstay('3')"
    ),
    "without-environment": (
        "if os.fork() == 0:\n    os.setsid()\n    os.execve(sys.executable, [sys.executable, 'bare.py'], {})\nstay('2')"
    ),
    "orphaned-by-term": (
        "if os.fork() == 0:\n    os.setsid()\n    os.execve(sys.executable, [sys.executable, 'bare.py'], {})\n"
        "signal.signal(signal.SIGTERM, signal.SIG_DFL)\nstay('2')"
    ),
    "stopped": "if os.fork() == 0:\n    stay('1')\nwhile not os.path.exists('pids/1'): time.sleep(0.001)\n"
    "say('2')\nos.kill(int(open('pids/1').read()), signal.SIGSTOP)\n"
    "os.kill(os.getpid(), signal.SIGSTOP)",
}
MEMBERS = {"ignores-term": 1, "daemon-of-a-daemon": 3}


@pytest.fixture
def started(tmp_path: Path) -> Generator[Path]:
    """Where the pids stand; whoever is still there in the end is killed."""
    pids = tmp_path / "pids"
    pids.mkdir()
    yield pids
    for file in pids.iterdir():
        pid = int(file.read_text() or 0)
        if pid and alive(pid):
            os.kill(pid, signal.SIGKILL)


def write(directory: Path, way: str) -> list[str]:
    (directory / "bare.py").write_text(f"{STUBBORN}\nstay('1')\n")
    (directory / "command.py").write_text(f"{STUBBORN}\n{way}\n")
    return [sys.executable, str(directory / "command.py")]


async def all_there(pids: Path, way: str) -> list[int]:
    for number in range(MEMBERS.get(way, 2)):
        await wait_for_file(pids / str(number + 1))
    return [int(file.read_text()) for file in pids.iterdir()]


@pytest.mark.parametrize("way", WAYS)
async def test_nothing_is_left_of_a_cancelled_command(way: str, tmp_path: Path, started: Path) -> None:
    argv = write(tmp_path, WAYS[way])
    began = 0.0
    members: list[int] = []

    async def command() -> None:
        await run_process(argv, cwd=tmp_path, env=dict(os.environ), timeout_s=None, ends_daemons=True)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(command)
        members = await all_there(started, way)
        began = time.monotonic()
        tasks.cancel_scope.cancel()
    assert time.monotonic() - began < WITHIN_S
    assert [pid for pid in members if alive(pid)] == []


@pytest.mark.parametrize("way", ["ignores-term", "silent-daemon", "stopped"])
async def test_nothing_is_left_of_a_command_that_took_too_long(way: str, tmp_path: Path, started: Path) -> None:
    argv = write(tmp_path, WAYS[way])
    members: list[int] = []
    timeout_s = 0.5
    while len(members) < MEMBERS.get(way, 2):  # until it had the time to start all that is to be ended
        timeout_s *= 2
        assert timeout_s < 60
        for file in started.iterdir():
            file.unlink()
        with pytest.raises(ProcessTimeoutError):
            await run_process(argv, cwd=tmp_path, env=dict(os.environ), timeout_s=timeout_s, ends_daemons=True)
        members = [int(file.read_text()) for file in started.iterdir()]
        assert [pid for pid in members if alive(pid)] == []


async def test_a_daemon_of_one_command_is_not_ended_with_another(tmp_path: Path, started: Path) -> None:
    """Two commands at the same time, each with a daemon; one of them is cancelled."""
    kept, ended = tmp_path / "kept", tmp_path / "ended"
    for place in (kept, ended):
        (place / "pids").mkdir(parents=True)
    scopes = {place: anyio.CancelScope() for place in (kept, ended)}

    async def command(place: Path) -> None:
        with scopes[place]:
            await run_process(
                write(place, WAYS["daemon"]), cwd=place, env=dict(os.environ), timeout_s=None, ends_daemons=True
            )

    async with anyio.create_task_group() as tasks:
        for place in (kept, ended):
            tasks.start_soon(command, place)
        members = {place: await all_there(place / "pids", "daemon") for place in (kept, ended)}
        scopes[ended].cancel()
        for pid in members[ended]:
            await wait_until_dead(pid)
        assert all(map(alive, members[kept]))
        scopes[kept].cancel()
    assert not any(map(alive, members[kept]))


async def test_a_command_inside_of_another_carries_both_marks(tmp_path: Path) -> None:
    done = await run_process(
        ["/usr/bin/env"], cwd=tmp_path, env={COMMAND_VARIABLE: "outer"}, timeout_s=20, ends_daemons=True
    )
    name, _, marks = done.stdout.decode().strip().partition("=")
    assert name == COMMAND_VARIABLE
    assert marks.startswith("outer:")
    assert len(marks) == len("outer:") + 16


async def test_a_daemon_is_left_alone_when_its_command_ends_by_itself(tmp_path: Path, started: Path) -> None:
    argv = write(tmp_path, "if os.fork() == 0:\n    os.setsid()\n    stay('1')\n")
    script = f'"{argv[0]}" "{argv[1]}"; until [ -e pids/1 ]; do sleep 0.01; done'
    done = await run_process(
        ["/bin/sh", "-c", script], cwd=tmp_path, env=dict(os.environ), timeout_s=30, ends_daemons=True
    )
    assert done.returncode == 0
    assert alive(int((started / "1").read_text()))


async def test_a_stopped_command_that_would_end_is_given_the_chance(tmp_path: Path) -> None:
    script = "trap 'touch cleaned; exit' TERM; touch ready; kill -STOP $$; while :; do sleep 0.01; done"
    async with anyio.create_task_group() as tasks:

        async def command() -> None:
            await run_process(["/bin/sh", "-c", script], cwd=tmp_path, env=dict(os.environ), timeout_s=None)

        tasks.start_soon(command)
        await wait_for_file(tmp_path / "ready")
        tasks.cancel_scope.cancel()
    assert (tmp_path / "cleaned").exists()


async def test_an_orphan_daemon_that_threw_its_environment_away_is_the_limit(tmp_path: Path, started: Path) -> None:
    """The one kind of process that is not found; if this fails, a limit is gone and the documents have to say so."""
    way = (
        "if os.fork() == 0:\n    os.setsid()\n    os.fork() and os._exit(0)\n"
        "    os.execve(sys.executable, [sys.executable, 'bare.py'], {})\nos.wait()\nstay('2')"
    )
    argv = write(tmp_path, way)
    async with anyio.create_task_group() as tasks:

        async def command() -> None:
            await run_process(argv, cwd=tmp_path, env=dict(os.environ), timeout_s=None, ends_daemons=True)

        tasks.start_soon(command)
        await all_there(started, "limit")
        tasks.cancel_scope.cancel()
    assert alive(int((started / "1").read_text()))
    assert not alive(int((started / "2").read_text()))
