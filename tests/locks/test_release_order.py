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
