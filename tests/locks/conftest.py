"""Fixtures of the lock tests: a fresh environment, and proof that no test leaves anything behind."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from grex.locks import hold as hold_module
from grex.locks import tiers
from grex.locks.environment import forget_environment
from grex.locks.path_mutex import PATH_MUTEXES
from grex.locks.trace import close_trace


@pytest.fixture(autouse=True)
def nothing_left(quiet_environment: Path) -> Generator[None]:
    """Read the environment anew, and find nothing held or waited for when the test is over."""
    del quiet_environment  # asked for so that this fixture begins after it
    forget_environment()
    close_trace()
    yield
    close_trace()
    forget_environment()
    held = [grant.frame.describe() for grant in hold_module._live.values()]
    for grant in list(hold_module._live.values()):
        grant.release()
    assert held == []
    assert len(PATH_MUTEXES) == 0
    assert tiers.active_frames() == ()


@pytest.fixture
def resources() -> Callable[[], tuple[int, int, int]]:
    """Count descriptors, new threads and path mutexes.

    Threads that are there when the test begins do not count: trio keeps idle workers of earlier tests for ten seconds.
    """
    earlier = set(threading.enumerate())

    def count() -> tuple[int, int, int]:
        gc.collect()  # what earlier tests left in cycles must not go between two counts
        return (
            sum(1 for _ in Path("/proc/self/fd").iterdir()),
            len(set(threading.enumerate()) - earlier),
            len(PATH_MUTEXES),
        )

    return count


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """An empty workspace directory."""
    root = tmp_path / "workspace"
    root.mkdir()
    return root
