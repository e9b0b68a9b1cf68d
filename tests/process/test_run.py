"""Children: what comes back from one that ends, and what is left of one that does not."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest

from grex.process import Finished, ProcessTimeoutError, run_process
from tests.support.processes import alive, open_fds, wait_for_file, wait_until_dead

pytestmark = pytest.mark.anyio

SH = "/bin/sh"


async def run(script: str, cwd: Path, *, timeout_s: float | None = 20, **options: object) -> Finished:
    return await run_process([SH, "-c", script], cwd=cwd, env=dict(os.environ), timeout_s=timeout_s, **options)  # type: ignore[arg-type]  # test shorthand


async def test_a_child_that_ends_gives_its_code_and_output(tmp_path: Path) -> None:
    done = await run("echo out; echo err >&2; pwd; exit 3", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (3, f"out\n{tmp_path}\n".encode(), b"err\n")
    assert not done.stdout_truncated
    assert done.describe_end() == "exited with code 3"
    assert done.duration_s > 0


async def test_a_child_that_dies_by_a_signal_says_so(tmp_path: Path) -> None:
    assert (await run("kill -KILL $$", tmp_path)).describe_end() == "was ended by SIGKILL"


async def test_a_dead_child_that_cannot_be_reaped_at_once_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As under `strace -f`, which sees the end of every child before its parent may."""
    monkeypatch.setattr(subprocess.Popen, "poll", lambda child: child.returncode)
    assert (await run("exit 3", tmp_path)).returncode == 3


async def test_standard_input_is_empty_or_what_was_given(tmp_path: Path) -> None:
    assert (await run("cat", tmp_path)).stdout == b""
    data = os.urandom(1 << 20)  # more than a pipe holds, so that both directions have to be served at once
    assert (await run("cat", tmp_path, stdin_data=data)).stdout == data
    assert (await run("cat", tmp_path, stdin_data=b"")).stdout == b""


async def test_a_child_that_does_not_read_its_input_is_no_error(tmp_path: Path) -> None:
    assert (await run("exit 0", tmp_path, stdin_data=b"x" * (1 << 20))).returncode == 0


async def test_the_environment_is_exactly_the_given_one(tmp_path: Path) -> None:
    done = await run_process(["/usr/bin/env"], cwd=tmp_path, env={"ONLY": "this"}, timeout_s=20)
    assert done.stdout == b"ONLY=this\n"


async def test_no_terminal_can_be_opened(tmp_path: Path) -> None:
    script = "if (: </dev/tty) 2>/dev/null; then echo terminal; else echo none; fi"
    assert (await run(script, tmp_path)).stdout == b"none\n"


async def test_only_the_descriptors_that_were_passed_are_inherited(tmp_path: Path) -> None:
    kept, other = os.open(tmp_path, os.O_RDONLY), os.open(tmp_path, os.O_RDONLY)
    try:
        os.set_inheritable(other, True)
        done = await run("for f in /proc/self/fd/*; do readlink $f; done", tmp_path, pass_fds=(kept,))
        assert done.stdout.decode().split().count(str(tmp_path)) == 1
        assert not os.get_inheritable(kept)
    finally:
        os.close(kept)
        os.close(other)


async def test_output_over_the_limit_keeps_its_end_or_its_beginning(tmp_path: Path) -> None:
    script = "i=0; while [ $i -lt 20000 ]; do echo line-$i; i=$((i+1)); done"
    tail = await run(script, tmp_path, stdout_limit_bytes=1000)
    assert tail.stdout_truncated
    assert len(tail.stdout) == 1000
    assert tail.stdout.endswith(b"line-19998\nline-19999\n")
    head = await run(script, tmp_path, stdout_limit_bytes=1000, keep_tail=False)
    assert head.stdout_truncated
    assert len(head.stdout) == 1000
    assert head.stdout.startswith(b"line-0\nline-1\n")


async def test_output_exactly_at_the_limit_is_not_truncated(tmp_path: Path) -> None:
    for keep_tail in (True, False):
        done = await run("printf 12345", tmp_path, stdout_limit_bytes=5, keep_tail=keep_tail)
        assert (done.stdout, done.stdout_truncated) == (b"12345", False)


async def test_standard_error_keeps_its_last_64_kib(tmp_path: Path) -> None:
    done = await run("head -c 300000 /dev/zero >&2; printf end >&2", tmp_path)
    assert len(done.stderr) == 64 << 10
    assert done.stderr.endswith(b"\x00end")


async def test_standard_error_is_told_as_it_comes(tmp_path: Path) -> None:
    go = tmp_path / "go"
    pieces: list[bytes] = []

    def hear(piece: bytes) -> None:
        pieces.append(piece)
        go.touch()  # the child waits for it: nothing would ever be heard if it were told at the end only

    done = await run(f"echo first >&2; until [ -e {go} ]; do sleep 0.01; done; echo last >&2", tmp_path, on_stderr=hear)
    assert b"".join(pieces) == done.stderr == b"first\nlast\n"


async def test_an_error_of_the_listener_ends_the_child_and_goes_on(tmp_path: Path) -> None:
    def refuse(piece: bytes) -> None:
        raise ValueError(piece.decode())

    with pytest.raises(ValueError, match=r"^\d+\n$") as raised:
        await run("echo $$ >&2; exec sleep 600", tmp_path, on_stderr=refuse)
    assert not alive(int(str(raised.value)))


async def test_a_program_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    before = open_fds()
    with pytest.raises(FileNotFoundError):
        await run_process([str(tmp_path / "none")], cwd=tmp_path, env={}, timeout_s=20)
    assert open_fds() == before


async def test_a_timeout_ends_the_child_and_shows_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(ProcessTimeoutError) as raised:
        await run("echo $$ >&2; exec sleep 600", tmp_path, timeout_s=0.3)
    assert str(raised.value) == "sh did not end within 0.3 seconds and was stopped"
    assert not alive(int(raised.value.stderr))


async def cancel_when_ready(script: str, tmp_path: Path) -> tuple[list[int], float]:
    """Run a script that writes pids to `pids` and then makes `ready`; cancel it; the pids and how long that took."""
    began = 0.0
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run, script, tmp_path)
        await wait_for_file(tmp_path / "ready")
        began = time.monotonic()
        tasks.cancel_scope.cancel()
    took_s = time.monotonic() - began
    return [int(line) for line in (tmp_path / "pids").read_text().split()], took_s


async def test_a_cancelled_child_gets_time_to_clean_up(tmp_path: Path) -> None:
    script = "trap 'touch cleaned; exit 0' TERM; echo $$ > pids; touch ready; while :; do sleep 0.01; done"
    pids, _ = await cancel_when_ready(script, tmp_path)
    assert (tmp_path / "cleaned").exists()
    assert not any(map(alive, pids))


async def test_a_cancelled_child_that_ignores_term_is_killed_with_its_children(tmp_path: Path) -> None:
    script = (
        "trap '' TERM; (trap '' TERM; sh -c 'trap \"\" TERM; echo $$ >> pids; while :; do sleep 600; done') & "
        "echo $! >> pids; echo $$ >> pids; while [ $(wc -l < pids) -lt 3 ]; do sleep 0.01; done; touch ready; "
        "while :; do sleep 600; done"
    )
    pids, took_s = await cancel_when_ready(script, tmp_path)
    assert len(pids) == 3
    assert not any(map(alive, pids))
    assert took_s < 1.0  # 150 ms of grace, and the machine's mood


async def test_a_member_of_the_session_that_left_the_group_is_found(tmp_path: Path) -> None:
    leaver = (
        "import os,time; os.setpgid(0, 0); open('pids','w').write(str(os.getpid())); open('ready','w'); time.sleep(600)"
    )
    (tmp_path / "leaver.py").write_text(leaver)
    pids, _ = await cancel_when_ready(f"{sys.executable} leaver.py & wait", tmp_path)
    assert not any(map(alive, pids))


async def test_a_background_process_that_keeps_the_pipes_does_not_hang_the_run(tmp_path: Path) -> None:
    done = await run("sleep 600 & echo $!", tmp_path)
    assert done.returncode == 0
    await wait_until_dead(int(done.stdout))


async def test_a_background_process_that_closed_the_pipes_is_left_alone(tmp_path: Path) -> None:
    done = await run("sleep 600 </dev/null >/dev/null 2>&1 & echo $!", tmp_path)
    pid = int(done.stdout)
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)


async def test_a_daemon_of_another_session_that_keeps_the_pipes_does_not_hang_the_run(tmp_path: Path) -> None:
    daemon = "import os,time\nos.setsid()\nopen('ready','w')\ntime.sleep(600)"
    (tmp_path / "daemon.py").write_text(daemon)
    done = await run(f"{sys.executable} daemon.py & echo $!; until [ -e ready ]; do sleep 0.01; done", tmp_path)
    assert done.returncode == 0
    assert alive(int(done.stdout))  # it left on purpose, so it is not ended either
    os.kill(int(done.stdout), signal.SIGKILL)


async def test_nothing_leaks_after_many_runs_and_cancels(tmp_path: Path) -> None:
    async def one(argv: Sequence[str]) -> None:
        await run_process(argv, cwd=tmp_path, env={}, timeout_s=20)

    async def cancelled() -> None:
        with anyio.move_on_after(0.01):
            await one(["/bin/sleep", "600"])

    await one(["/bin/true"])
    gc.collect()
    before = open_fds(), threading.active_count()
    for _ in range(40):
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(one, ["/bin/true"])
    for _ in range(10):
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(cancelled)
    gc.collect()
    assert (open_fds(), threading.active_count()) == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)  # noqa: ASYNC222 - does not wait: no zombie of ours may be left


async def test_without_pidfd_the_exit_is_found_by_polling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    assert (await run("exit 5", tmp_path)).returncode == 5
    pids, _ = await cancel_when_ready("echo $$ > pids; touch ready; exec sleep 600", tmp_path)
    assert not any(map(alive, pids))
