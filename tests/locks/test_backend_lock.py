"""The backend lock: beside the checkout, and inherited by git."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from grex.errors import LockBusyError
from grex.locks import BackendLock, Tier, backend_lock_path, inspect_locks
from tests.support.lock_holder import LockHolder


def test_the_file_lies_beside_the_checkout_also_when_that_is_a_symlink(tmp_path: Path) -> None:
    (tmp_path / "real" / "checkout").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real/checkout")
    assert backend_lock_path(tmp_path / "link") == tmp_path / "real" / ".checkout.grex-backend.lock"
    with BackendLock.for_checkout(tmp_path / "link").try_acquire() as hold:
        assert hold.path == tmp_path / "real" / "checkout"
        assert list((tmp_path / "real" / "checkout").iterdir()) == []


def test_children_have_the_descriptor_only_if_it_is_passed(tmp_path: Path) -> None:
    code = "import os, sys; os.fstat(int(sys.argv[1]))"
    with BackendLock.for_checkout(tmp_path / "checkout").try_acquire() as hold:
        command = [sys.executable, "-c", code, str(hold.fd)]
        assert subprocess.run(command, pass_fds=[hold.fd], check=False).returncode == 0
        assert subprocess.run(command, close_fds=False, check=False, stderr=subprocess.DEVNULL).returncode != 0
        assert not os.get_inheritable(hold.fd)


def test_the_descriptor_of_a_released_hold_is_not_given_out(tmp_path: Path) -> None:
    hold = BackendLock.for_checkout(tmp_path / "checkout").try_acquire()
    hold.release()
    with pytest.raises(RuntimeError, match="after its release"):
        _ = hold.fd


_LEAVE_A_CHILD_BEHIND = """
import os, signal, subprocess, sys
from grex.locks import BackendLock
hold = BackendLock.for_checkout(sys.argv[1]).try_acquire()
nothing = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], pass_fds=[hold.fd], **nothing)
with open(sys.argv[2], "w") as file:
    file.write(str(child.pid))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.invariant("L6")
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_a_child_keeps_the_lock_also_if_this_process_began_without_a_standard_stream(
    tmp_path: Path, closed: str
) -> None:
    lock = BackendLock.for_checkout(tmp_path / "checkout")
    command = ["sh", "-c", f'exec "$0" -c "$@" {closed}', sys.executable, _LEAVE_A_CHILD_BEHIND]
    subprocess.run([*command, str(tmp_path / "checkout"), str(tmp_path / "pid")], check=False)
    child = int((tmp_path / "pid").read_text())
    try:
        with pytest.raises(LockBusyError, match=str(child)):
            lock.try_acquire()
    finally:
        os.kill(child, signal.SIGKILL)


@pytest.mark.invariant("L6")
@pytest.mark.invariant("L10")
def test_the_lock_of_a_killed_grex_lives_on_in_its_child_and_is_said_to(tmp_path: Path) -> None:
    lock = BackendLock.for_checkout(tmp_path / "checkout")
    path = backend_lock_path(tmp_path / "checkout")
    with LockHolder("backend", tmp_path / "checkout") as holder:
        assert holder.ask("take") == "held"
        child = int(holder.ask("child"))
        holder.kill()
        try:
            with LockHolder("flock", path) as waiter:
                assert waiter.ask("try") == "busy"  # it keeps the file open, as those who wait do
                with pytest.raises(LockBusyError) as caught:
                    lock.try_acquire()
                (info,) = inspect_locks([(Tier.BACKEND, path)])
        finally:
            os.kill(child, signal.SIGKILL)
    assert f"pid {holder.pid}" in caught.value.message
    assert f"that process has ended, and its lock lives on in sleep (pid {child})" in caught.value.message
    assert info.held
    assert info.outlived
    assert info.describe().count("lives on") == 1
    assert "outlived" not in info.describe()  # it would be the same once more
    assert info.holder is not None
    assert info.holder.kept_by == (f"sleep (pid {child})",)
