"""Plain `flock(1)` and grex exclude each other on `.grex-lock`, whoever comes first, trying or waiting."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from grex.locks import PackLock
from tests.support.killing import eventually
from tests.support.lock_holder import LockHolder, lock_file
from tests.support.lock_queue import flock_waiters, wait_for_ticket

pytestmark = [
    pytest.mark.invariant("L1"),
    pytest.mark.skipif(shutil.which("flock") is None, reason="flock(1) of util-linux is not installed"),
]


@pytest.fixture(params=["plain", "git"])
def pack(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A pack whose lock file is there, without and with a git directory that keeps its inode."""
    path = tmp_path / "pack"
    if request.param == "git":
        subprocess.run(["git", "init", "--quiet", str(path)], check=True)
    PackLock.open(path).try_acquire().release()
    return path


@contextmanager
def flock(file: Path) -> Generator[subprocess.Popen[str]]:
    """`flock FILE` around a shell that says `in` and waits for a line; it waits for the lock as long as it takes."""
    command = ["flock", str(file), "sh", "-c", "echo in; read -r _ || :"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            if process.stdin is not None:
                process.stdin.close()


def is_in(process: subprocess.Popen[str]) -> bool:
    """Wait until it has the lock."""
    assert process.stdout is not None
    return process.stdout.readline() == "in\n"


def leave(process: subprocess.Popen[str]) -> None:
    """Let it go, and wait for its end."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.wait(timeout=60) == 0


def can_have(file: Path) -> bool:
    """Whether `flock --nonblock` gets the lock."""
    return subprocess.run(["flock", "--nonblock", str(file), "true"], check=False).returncode == 0


def test_neither_gets_what_the_other_has(pack: Path) -> None:
    file = lock_file("pack", pack)
    with LockHolder("pack", pack) as grex:
        assert grex.ask("try") == "held"
        assert not can_have(file)
        assert grex.ask("release") == "ok"
        assert can_have(file)
        with flock(file) as other:
            assert is_in(other)
            assert grex.ask("try") == "busy"
            leave(other)
        assert grex.ask("try") == "held"


def test_a_shared_flock_keeps_grex_out_as_well(pack: Path) -> None:
    with LockHolder("pack", pack) as grex:
        command = ["flock", "--shared", str(lock_file("pack", pack)), "sh", "-c", "echo in; read -r _ || :"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            assert is_in(other)
            assert grex.ask("try") == "busy"
            leave(other)
        assert grex.ask("try") == "held"


def test_a_flock_that_waits_for_grex_has_it_after_the_release(pack: Path) -> None:
    file = lock_file("pack", pack)
    with LockHolder("pack", pack) as grex:
        assert grex.ask("take") == "held"
        with flock(file) as other:
            eventually(lambda: other.pid in flock_waiters(file.stat().st_ino), "flock(1) in its wait")
            assert grex.ask("release") == "ok"
            assert is_in(other)
            assert grex.ask("try") == "busy"
            leave(other)


@pytest.mark.invariant("L6")
def test_a_flock_that_waits_for_grex_has_it_after_its_death(pack: Path) -> None:
    file = lock_file("pack", pack)
    with LockHolder("pack", pack) as grex:
        assert grex.ask("take") == "held"
        with flock(file) as waiting:
            eventually(lambda: waiting.pid in flock_waiters(file.stat().st_ino), "flock(1) in its wait")
            grex.kill()
            assert is_in(waiting)
            leave(waiting)


@pytest.mark.parametrize("ending", ["ends", "is killed"])
def test_a_grex_that_waits_for_flock_has_it_afterwards(pack: Path, ending: str) -> None:
    file = lock_file("pack", pack)
    with LockHolder("pack", pack) as grex, LockHolder("pack", pack) as behind, flock(file) as other:
        assert is_in(other)
        for waiter in (grex, behind):
            waiter.send("take")
            wait_for_ticket(waiter.pid)
        if ending == "ends":
            leave(other)
        else:
            other.kill()
            assert other.stdin is not None
            other.stdin.close()  # the shell that it started has the lock too, until it ends
        assert grex.answer() == "held"
        assert not can_have(file)
        assert grex.ask("release") == "ok"
        assert behind.answer() == "held"


def test_flock_and_grex_that_wait_together_are_never_in_together(pack: Path) -> None:
    """Which of them is first is for the kernel to say; neither is left out."""
    file = lock_file("pack", pack)
    with LockHolder("pack", pack) as holder, LockHolder("pack", pack) as grex:
        assert holder.ask("take") == "held"
        grex.send("pass")
        wait_for_ticket(grex.pid)
        with flock(file) as other:
            eventually(lambda: other.pid in flock_waiters(file.stat().st_ino), "flock(1) in its wait")
            assert holder.ask("release") == "ok"
            assert is_in(other)
            assert holder.ask("try") == "busy"
            leave(other)
        assert grex.answer() == "passed"
