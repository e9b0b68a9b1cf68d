"""Nested commands: waits that could never end are refused, others go on."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from grex.errors import LockDeadlockError, LockTimeoutError
from grex.locks import (
    ManifestLock,
    PackLock,
    PermitPool,
    Tier,
    WaitPolicy,
    WorkspaceLock,
    child_environment,
    held,
    set_workspace,
    with_tier,
)
from grex.locks.environment import HELD_VARIABLE, forget_environment
from grex.locks.held import parse_held
from tests.support.lock_holder import LockHolder

Become = Callable[[dict[str, str]], None]


@pytest.fixture
def become_child_of(monkeypatch: pytest.MonkeyPatch) -> Become:
    """Continue as if this process had been started with these variables."""

    def become(variables: dict[str, str]) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        forget_environment()

    return become


@pytest.mark.anyio
async def test_children_are_told_every_hold_above_them(workspace: Path) -> None:
    assert child_environment() == {}
    pool = PermitPool("disk", 1)
    async with (
        await WorkspaceLock(workspace).acquire_async(),
        pool.hold(),
        await PackLock.open(workspace / "a").acquire_async() as hold,
    ):
        entries = parse_held(child_environment()[HELD_VARIABLE])
        key = hold._grant.opened.key
    assert [entry.tier for entry in entries] == [0, 1, 2]
    assert {entry.workspace for entry in entries} == {str(workspace)}
    assert entries[2].key == f"{key[0]}:{key[1]}"
    assert {entry.pid for entry in entries} == {os.getpid()}


@pytest.mark.anyio
async def test_a_grandchild_is_told_the_holds_of_both(workspace: Path, become_child_of: Become) -> None:
    async with await WorkspaceLock(workspace).acquire_async():
        variables = child_environment()
    become_child_of(variables)
    with with_tier(Tier.MANIFEST):
        assert [entry.tier for entry in parse_held(child_environment()[HELD_VARIABLE])] == [0, 4]


@pytest.mark.anyio
async def test_a_lock_that_is_not_above_is_refused_even_if_it_is_free(workspace: Path, become_child_of: Become) -> None:
    async with await PackLock.open(workspace / "a").acquire_async():
        set_workspace(workspace)
        variables = child_environment()
    become_child_of(variables)
    with pytest.raises(LockDeadlockError) as caught:
        await WorkspaceLock(workspace).acquire_async()
    assert caught.value.chain[0].endswith(f"holds PACK {workspace}/a")
    assert caught.value.chain[-1] == f"pid {os.getpid()} wants WORKSPACE {workspace}"
    assert caught.value.hint
    with pytest.raises(LockDeadlockError):
        await PackLock.open(workspace / "b").acquire_async()


@pytest.mark.anyio
async def test_a_permit_of_ones_own_run_is_not_refused_and_what_lies_behind_it_is(
    workspace: Path, become_child_of: Become
) -> None:
    """Nobody above can hold a permit of this process; a pack that is wanted with it is compared as ever."""
    async with (
        await WorkspaceLock(workspace).acquire_async(),
        PermitPool("disk", 1).hold(),
        await PackLock.open(workspace / "a").acquire_async(),
    ):
        set_workspace(workspace)
        variables = child_environment()
    become_child_of(variables)
    async with PermitPool("network", 1).hold() as permit:
        assert permit.active
        with pytest.raises(LockDeadlockError):
            await PackLock.open(workspace / "b").acquire_async()


@pytest.mark.anyio
async def test_a_permit_above_counts_where_the_workspace_is_wanted(workspace: Path, become_child_of: Become) -> None:
    """A task that waits for that very permit may be the one that holds the workspace."""
    set_workspace(workspace)
    async with PermitPool("disk", 1).hold():
        variables = child_environment()
    become_child_of(variables)
    with pytest.raises(LockDeadlockError):
        await WorkspaceLock(workspace).acquire_async()


@pytest.mark.anyio
async def test_reading_the_manifest_works_inside_of_a_hook(workspace: Path, become_child_of: Become) -> None:
    async with (
        await WorkspaceLock(workspace).acquire_async(),
        PermitPool("disk", 1).hold(),
        await PackLock.open(workspace / "a").acquire_async(),
    ):
        variables = child_environment()
    become_child_of(variables)
    async with await ManifestLock(workspace).acquire_shared() as hold:
        assert hold.active


@pytest.mark.anyio
async def test_on_another_workspace_everything_works(workspace: Path, tmp_path: Path, become_child_of: Become) -> None:
    async with await WorkspaceLock(workspace).acquire_async():
        variables = child_environment()
    become_child_of(variables)
    other = tmp_path / "other"
    other.mkdir()
    async with await WorkspaceLock(other).acquire_async(), await PackLock.open(other / "a").acquire_async() as hold:
        assert hold.active


@pytest.mark.anyio
async def test_the_very_same_lock_file_is_refused_whatever_the_workspace(
    workspace: Path, become_child_of: Become
) -> None:
    lock = PackLock.open(workspace / "a")
    async with await lock.acquire_async():
        variables = child_environment()
    entries = json.loads(variables[HELD_VARIABLE])
    assert entries[0]["workspace"] is None  # nobody said
    become_child_of(variables)
    with pytest.raises(LockDeadlockError):
        await lock.acquire_async()
    async with await PackLock.open(workspace / "b").acquire_async() as hold:
        assert hold.active


@pytest.mark.anyio
async def test_a_pack_below_the_held_workspace_counts_as_of_it_if_nobody_says_otherwise(
    workspace: Path, become_child_of: Become
) -> None:
    async with await WorkspaceLock(workspace).acquire_async():
        with with_tier(Tier.BACKEND):
            variables = child_environment()
    become_child_of(variables)
    lock = PackLock.open(workspace / "inner")
    with pytest.raises(LockDeadlockError):
        await lock.acquire_async()
    set_workspace(workspace / "inner")  # a workspace of its own that lies inside
    async with await lock.acquire_async() as hold:
        assert hold.active


@pytest.mark.anyio
async def test_what_a_dead_process_held_counts_for_nothing(workspace: Path, become_child_of: Become) -> None:
    async with await WorkspaceLock(workspace).acquire_async():
        entries = json.loads(child_environment()[HELD_VARIABLE])
    entries[0]["pid_start"] += 1  # another process under the same number
    become_child_of({HELD_VARIABLE: json.dumps(entries)})
    async with await WorkspaceLock(workspace).acquire_async() as hold:
        assert hold.active


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "[1]", '[{"tier":9}]', "[" * 100_000, "null"])
def test_a_variable_that_cannot_be_read_guards_nothing(text: str) -> None:
    assert parse_held(text) == ()


@pytest.mark.anyio
async def test_a_nested_command_gives_up_by_itself_unless_it_was_told_how_long(
    tmp_path: Path, become_child_of: Become, monkeypatch: pytest.MonkeyPatch
) -> None:
    become_child_of({HELD_VARIABLE: "[]"})
    assert held.NESTED_TIMEOUT_S == 60
    monkeypatch.setattr(held, "NESTED_TIMEOUT_S", 0.02)
    lock = PackLock.open(tmp_path / "pack")
    with LockHolder("pack", tmp_path / "pack") as holder:
        assert holder.ask("take") == "held"
        with pytest.raises(LockTimeoutError):
            await lock.acquire_async()
        holder.send("release")
        async with await lock.acquire_async(WaitPolicy(timeout_s=math.inf)) as hold:
            assert hold.active


NESTED = """
import sys
from grex.errors import LockDeadlockError
from grex.locks import PackLock
try:
    PackLock.open(sys.argv[1]).acquire(timeout_s=30)
except LockDeadlockError as error:
    print(len(error.chain), error.message)
"""


@pytest.mark.parametrize("between", [[], ["sh", "-c", '"$@"; exit $?', "sh"]])
def test_a_holder_among_the_ancestors_is_found_where_the_variable_was_lost(tmp_path: Path, between: list[str]) -> None:
    lock = PackLock.open(tmp_path / "pack")
    with lock.try_acquire():
        done = subprocess.run(
            [*between, sys.executable, "-c", NESTED, str(lock.path)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.stderr == ""
    count, message = done.stdout.split(" ", 1)
    assert int(count) == 2 + (1 if between else 0)
    assert f"pid {os.getpid()}" in message
    assert str(lock.path) in message


OLDER_THAN_THE_HOLD = """
import sys
from grex.locks import PackLock, processes
processes.age_s = lambda pid: 3600.0
try:
    PackLock.open(sys.argv[1]).acquire(timeout_s=0.1)
except Exception as error:
    print(type(error).__name__)
"""


@pytest.mark.invariant("L5")
def test_an_ancestor_that_took_the_lock_after_it_started_this_process_is_waited_for(tmp_path: Path) -> None:
    """A server that starts a program and then, in a task that has nothing to do with it, takes a pack."""
    lock = PackLock.open(tmp_path / "pack")
    with lock.try_acquire():
        done = subprocess.run(
            [sys.executable, "-c", OLDER_THAN_THE_HOLD, str(lock.path)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert (done.stdout, done.stderr) == ("LockTimeoutError\n", "")


def test_a_holder_that_is_no_ancestor_is_waited_for(tmp_path: Path) -> None:
    lock = PackLock.open(tmp_path / "pack")
    with LockHolder("pack", tmp_path / "pack") as holder:
        assert holder.ask("take") == "held"
        with pytest.raises(LockTimeoutError):
            lock.acquire(timeout_s=0.05)
