"""What may happen inside of a hold: children that inherit it, forks, requests that must be refused, hand-overs."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import anyio

from grex.errors import LockBusyError, LockInheritedError, TierOrderError
from grex.locks import BackendHold, WorkspaceLock, held_tiers
from tests.support.lock_torture.ground import Place
from tests.support.lock_torture.plan import Step
from tests.support.lock_torture.scene import Scene, acquire, mode_of

__all__ = ["Tricks", "say_released"]

_FORK_ANSWER_S = 20.0
_ROOT = Path(__file__).resolve().parents[3]


class Tricks:
    """The tricks of one worker, which are drawn with the plan; `reap` is called now and then for their processes."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.children: dict[int, None] = {}

    async def probe(self, name: str, step: Step, hold: Any) -> None:
        """Sometimes ask for what must be refused at once: the same lock again, or one of a lower tier."""
        if not 0.05 < step.trick < 0.1:
            return
        with anyio.CancelScope(shield=True):
            try:
                wrong = await acquire(step, None)
            except LockBusyError as error:
                if not error.reentrant:
                    self._scene.find(f"order: {name} was told that {step.place.name}, which it holds, is busy: {error}")
            except TierOrderError as error:
                # Once the file was swept away its name leads to another inode, and only the tier is still the same.
                if not _is_swept(step.place, hold):
                    self._scene.find(f"order: {name} was not told that it holds {step.place.name}: {error}")
            else:
                wrong.release()
                self._scene.find(f"order: {name} took {step.place.name} twice")
            if step.place.kind == "workspace":
                return
            try:
                wrong = WorkspaceLock(self._scene.ground.workspaces[0]).try_acquire()
            except (TierOrderError, LockBusyError):  # busy: this very one is held further out
                self._scene.counts["refusals"] += 1
            else:
                wrong.release()
                self._scene.find(f"order: {name} took a workspace inside of {step.place.name}")

    async def play(self, step: Step, hold: Any) -> subprocess.Popen[bytes] | None:
        """Do what was drawn; gives a child that lingers, to be told of the release."""
        child = self._start_child(step, hold)
        if child is not None and child.stdin is not None:
            return child
        while child is not None and child.poll() is None:  # noqa: ASYNC110 - the event is another process's
            await anyio.sleep(0.003)
        fork = self._fork(step, hold)
        until = time.monotonic() + _FORK_ANSWER_S
        while fork is not None and not self._has_answered(fork, until):  # noqa: ASYNC110 - as above
            await anyio.sleep(0.003)
        return None

    async def hand_over(self, name: str, step: Step, hold: Any) -> None:
        """Sometimes let somebody else give the hold up: a task that this one starts, or a thread that knows of nothing.

        The lock is free then, and the tier is gone for this task too.
        """
        if not 0.1 < step.trick < 0.15:
            return
        self._scene.counts["hand-overs"] += 1
        if step.trick < 0.125:
            with anyio.CancelScope(shield=True):
                async with anyio.create_task_group() as group:
                    group.start_soon(_release, hold)
        else:
            thread = threading.Thread(target=hold.release)
            thread.start()
            thread.join()  # a release waits for nothing
        if hold.active or hold.tier in held_tiers():
            self._scene.find(f"order: {name} counts as holding {step.place.name}, which was released for it")

    def play_in_thread(self, step: Step, hold: Any) -> subprocess.Popen[bytes] | None:
        """As `play`, in a plain thread."""
        child = self._start_child(step, hold)
        if child is not None and child.stdin is not None:
            return child
        if child is not None:
            child.wait()
        fork = self._fork(step, hold)
        until = time.monotonic() + _FORK_ANSWER_S
        while fork is not None and not self._has_answered(fork, until):
            time.sleep(0.003)
        return None

    def _start_child(self, step: Step, hold: Any) -> subprocess.Popen[bytes] | None:
        """Sometimes start a program that inherits the checkout's lock; one that has a standard input only lingers."""
        if not isinstance(hold, BackendHold) or not step.place.has_children or step.trick > 0.04:
            return None
        lingers = step.trick < 0.013
        self._scene.counts["lingering children" if lingers else "working children"] += 1
        seconds = step.trick * 2
        child = subprocess.Popen(
            [
                *(sys.executable, "-S", "-m", "tests.support.lock_torture.child"),
                *("linger" if lingers else "work", str(self._scene.ground.base)),
                *(str(step.place.number), str(os.getpid()), str(hold.fd), str(seconds)),
            ],
            cwd=_ROOT,
            stdin=subprocess.PIPE if lingers else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[hold.fd],
        )
        self.children[child.pid] = None
        return child

    def _fork(self, step: Step, hold: Any) -> tuple[int, int] | None:
        """Sometimes fork with the hold; gives the child and a pipe through which it says that it looked around."""
        if not 0.04 < step.trick < 0.05:
            return None
        self._scene.counts["forks"] += 1
        key = hold._grant.opened.key
        answer, say = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(answer)
                self._look_around(step, hold, key)
                os.write(say, b".")
                time.sleep((step.trick - 0.04) * 20)  # the parent releases meanwhile
            finally:
                os._exit(0)
        os.close(say)
        os.set_blocking(answer, False)
        self.children[pid] = None
        return pid, answer

    def _look_around(self, step: Step, hold: Any, key: tuple[int, int]) -> None:
        """What a forked child finds: nothing is held, nothing can be released, and no descriptor keeps the lock."""
        if hold.active:
            self._scene.find(f"fork: the child says it holds {step.place.name}")
        try:
            hold.release()
        except LockInheritedError:
            pass
        else:
            self._scene.find(f"fork: the child could release {step.place.name}")
        if mode_of(step) == "x" and _flocks_of(key):
            self._scene.find(f"fork: the child keeps the lock of {step.place.name}")

    def _has_answered(self, fork: tuple[int, int], until: float) -> bool:
        pid, answer = fork
        try:
            os.read(answer, 1)
        except BlockingIOError:
            if time.monotonic() < until:
                return False
            self._scene.find(f"fork: the child {pid} hangs")
            os.kill(pid, signal.SIGKILL)
        os.close(answer)
        return True

    def reap(self) -> None:
        """Collect the children that have ended."""
        for pid in list(self.children):
            with contextlib.suppress(ChildProcessError):  # whoever waited for it was faster
                if os.waitpid(pid, os.WNOHANG) == (0, 0):
                    continue
            del self.children[pid]


async def _release(hold: Any) -> None:
    hold.release()


def say_released(child: subprocess.Popen[bytes] | None) -> None:
    """Tell a child that lingers, if there is one, that the lock it inherited was released."""
    if child is not None and child.stdin is not None:
        with contextlib.suppress(OSError):
            child.stdin.write(b".")
            child.stdin.close()


def _is_swept(place: Place, hold: Any) -> bool:
    """Whether the lock's name leads to another inode than the one that is held; a kept link always leads to that."""
    file = place.kept if place.kind == "pack" and place.kept.exists() else place.file
    try:
        found = file.stat()
    except FileNotFoundError:
        return True
    return bool((found.st_dev, found.st_ino) != hold._grant.opened.key)


def _flocks_of(key: tuple[int, int]) -> bool:
    """Whether a descriptor of this process keeps an flock on this file."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names are all that is wanted
        try:
            found = os.fstat(int(name))
            if (found.st_dev, found.st_ino) == key:
                lines = Path(f"/proc/self/fdinfo/{name}").read_text("ascii").splitlines()
                if any(line.startswith("lock:") and " FLOCK " in line for line in lines):
                    return True
        except OSError as error:
            if error.errno not in {errno.EBADF, errno.ENOENT}:
                raise
    return False
