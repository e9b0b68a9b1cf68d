"""The real release goes the way that is explored: `protocol.RELEASE`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grex.locks import PackLock
from grex.locks import hold as hold_module
from grex.locks.kernel import OpenedFile
from grex.locks.path_mutex import PathMutexes
from grex.locks.protocol import RELEASE, Step
from tests.support.lock_holder import LockHolder


def record(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, steps: list[Step], step: Step) -> None:
    real: Callable[..., Any] = getattr(owner, name)

    def recorded(*args: Any, **named: Any) -> Any:
        steps.append(step)
        return real(*args, **named)

    monkeypatch.setattr(owner, name, recorded)


@pytest.mark.invariant("L4")
def test_a_release_takes_its_steps_in_the_order_that_is_explored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = PackLock.open(tmp_path / "pack").try_acquire()
    steps: list[Step] = []
    record(monkeypatch, type(hold._grant.target.kernel), "unlock", steps, Step.UNLOCK)
    record(monkeypatch, os, "utime", steps, Step.NUDGE)
    record(monkeypatch, OpenedFile, "close", steps, Step.CLOSE)
    record(monkeypatch, PathMutexes, "leave", steps, Step.LEAVE)
    monkeypatch.setattr(hold_module, "first_in_line", lambda fd: 1)  # as if somebody queued
    hold.release()
    assert tuple(steps) == RELEASE


@pytest.mark.invariant("L4")
def test_who_finds_the_lock_free_does_not_find_its_guard_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks in the moment of the unlock; somebody refused by the guard has no event to wait for."""
    lock = PackLock.open(tmp_path / "pack")
    with LockHolder("pack", tmp_path / "pack") as other, lock.try_acquire() as hold:
        answers: list[str] = []
        kernel = type(hold._grant.target.kernel)
        unlock = kernel.unlock

        def unlock_and_ask(*arguments: Any) -> None:
            unlock(*arguments)
            answers.append(other.ask("try"))

        monkeypatch.setattr(kernel, "unlock", unlock_and_ask)
        hold.release()
        assert answers == ["held"]


@pytest.mark.invariant("L4")
def test_the_guard_of_a_lock_is_free_when_the_lock_is(tmp_path: Path) -> None:
    lock = PackLock.open(tmp_path / "pack")
    for _ in range(2):
        with lock.try_acquire() as hold:
            opened = hold._grant.opened
            guard = opened.guard
            assert guard >= 0  # a pack without a git directory has one
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(guard)
