"""Fixtures of the lock tests: a fresh environment, and proof that no test leaves anything behind."""

from __future__ import annotations

import contextlib
import gc
import os
import threading
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from grex.locks import hold as hold_module
from grex.locks import tiers
from grex.locks.environment import forget_environment
from grex.locks.file_system import forget_abilities
from grex.locks.path_mutex import PATH_MUTEXES
from grex.locks.trace import close_trace
from tests.support.lock_holder import nursery


@pytest.fixture(scope="session", autouse=True)
def nursery_is_there() -> None:
    """Start the parent of all holders before any test counts descriptors."""
    nursery()


@pytest.fixture(autouse=True)
def nothing_left(quiet_environment: Path) -> Generator[None]:
    """Read the environment anew, and find nothing held or waited for when the test is over."""
    del quiet_environment  # asked for so that this fixture begins after it
    forget_environment()
    forget_abilities()
    close_trace()
    yield
    close_trace()
    forget_environment()
    forget_abilities()
    held = [grant.frame.describe() for grant in hold_module._live.values()]
    for grant in list(hold_module._live.values()):
        grant.release()
    assert held == []
    assert len(PATH_MUTEXES) == 0
    assert tiers.active_frames() == ()


def target_of(descriptor: str) -> str:
    """What a descriptor leads to; empty if it is closed by now, as that of the listing itself is."""
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 - it is a text and no path
    return ""


@pytest.fixture
def resources() -> Callable[[], tuple[int, ...]]:
    """Count descriptors, inotify watches, new threads and path mutexes.

    Threads that are there when the test begins do not count: trio keeps idle workers of earlier tests for ten seconds.
    Of descriptors the one inotify instance of an event loop does not count, which stays until the loop ends.
    """
    earlier = set(threading.enumerate())

    def count() -> tuple[int, ...]:
        gc.collect()  # what earlier tests left in cycles must not go between two counts
        descriptors = [entry.name for entry in Path("/proc/self/fd").iterdir()]
        instances = [name for name in descriptors if target_of(name) == "anon_inode:inotify"]
        watches = sum(Path(f"/proc/self/fdinfo/{name}").read_text().count("inotify wd:") for name in instances)
        return (
            len(descriptors) - len(instances),
            watches,
            len(set(threading.enumerate()) - earlier),
            len(PATH_MUTEXES),
        )

    return count


@pytest.fixture
def quick_collections() -> Generator[None]:
    """Let the garbage collector look only at what the test makes: whoever counts often spends his time there."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """An empty workspace directory."""
    root = tmp_path / "workspace"
    root.mkdir()
    return root
