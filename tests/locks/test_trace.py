"""The lock trace: what a run writes, and that it changes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from grex.errors import LockBusyError, LockTimeoutError, TierOrderError
from grex.locks import BackendLock, ManifestLock, PackLock, PermitPool, WaitPolicy, WorkspaceLock
from grex.locks.environment import TRACE_VARIABLE, forget_environment
from grex.locks.kernel import EXCLUSIVE
from tests.support.lock_holder import LockHolder
from tests.support.lock_trace_checker import check_file


@pytest.fixture
def trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that this process and its children trace into."""
    path = tmp_path / "locks.jsonl"
    monkeypatch.setenv(TRACE_VARIABLE, str(path))
    forget_environment()
    return path


def lines(trace: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in trace.read_text().splitlines()]


async def work(workspace: Path, pool: PermitPool, name: str) -> None:
    for _ in range(3):
        async with pool.hold("host"), await PackLock.open(workspace / name).acquire_async():
            async with await BackendLock.for_checkout(workspace / name).acquire_async():
                await anyio.lowlevel.checkpoint()
            async with await ManifestLock(workspace).acquire_exclusive():
                await anyio.lowlevel.checkpoint()


@pytest.mark.anyio
async def test_a_whole_run_is_traced_and_judged_good(workspace: Path, trace: Path) -> None:
    pool = PermitPool("disk", 2, per_key=2)
    async with await WorkspaceLock(workspace).acquire_async(verb="sync"), anyio.create_task_group() as group:
        for name in ("a", "b", "a", "c"):
            group.start_soon(work, workspace, pool, name)
    verdict = check_file(trace)
    assert verdict.findings == []
    assert {tier: statistics.holds for tier, statistics in verdict.statistics.items()} == {
        0: 1,
        1: 12,
        2: 12,
        3: 12,
        4: 12,
    }
    seen = lines(trace)
    assert [line["seq"] for line in seen] == list(range(1, len(seen) + 1))
    (root,) = {line["task"] for line in seen if line["tier"] == 0}
    assert {line.get("parent") for line in seen if line["tier"] != 0} == {root}
    assert {line["limit"] for line in seen if line["tier"] == 1} == {2}
    assert {line["path"] for line in seen if line["tier"] == 1} == {"permits:disk"}
    assert {line["path"] for line in seen if line["tier"] == 2} == {str(workspace / name) for name in "abc"}


@pytest.mark.anyio
async def test_every_way_to_end_without_a_hold_has_its_event(workspace: Path, trace: Path) -> None:
    lock = PackLock.open(workspace / "a")
    with LockHolder("flock", workspace / "a" / ".grex-lock") as holder:
        assert holder.ask("take") == "held"
        with pytest.raises(LockBusyError):
            await lock.acquire_async(WaitPolicy(no_wait=True))
        with pytest.raises(LockTimeoutError):
            await lock.acquire_async(WaitPolicy(timeout_s=0.01))
        with anyio.move_on_after(0.01):
            await lock.acquire_async()
        assert holder.ask("release") == "ok"
    async with await lock.acquire_async():
        with pytest.raises(LockBusyError):
            await lock.acquire_async()
        with pytest.raises(TierOrderError):
            await WorkspaceLock(workspace).acquire_async()
    events = [line["ev"] for line in lines(trace)]
    assert events == [
        *("wait", "fail"),
        *("wait", "timeout"),
        *("wait", "cancel"),
        *("wait", "acquire"),
        *("wait", "fail"),
        *("wait", "fail"),
        "release",
    ]
    assert check_file(trace).findings == []


def test_a_process_says_that_it_ended_and_one_that_is_killed_does_not(tmp_path: Path, trace: Path) -> None:
    with LockHolder("pack", tmp_path / "pack") as orderly, LockHolder("pack", tmp_path / "pack") as killed:
        assert orderly.ask("take") == "held"
        assert orderly.ask("release") == "ok"
        assert killed.ask("take") == "held"
        killed.kill()
        assert orderly.ask("take") == "held"
        assert orderly.ask("release") == "ok"
        orderly.send("quit")
    exits = [line for line in lines(trace) if line["ev"] == "exit"]
    assert [set(line) for line in exits] == [{"v", "ev", "pid", "seq", "ns"}]
    assert exits[0]["pid"] == orderly.pid
    assert check_file(trace).findings == []  # the killed holder's lock ended with it: no overlap


def test_what_is_held_at_the_end_of_a_process_is_found(tmp_path: Path, trace: Path) -> None:
    code = "import sys; from grex.locks import PackLock; hold = PackLock.open(sys.argv[1]).try_acquire(); import os"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "pack")], check=True, stderr=subprocess.DEVNULL)
    assert check_file(trace).codes == ["R3"]


@pytest.mark.parametrize("path", ["/dev/full", "/nowhere/at/all", "/"])
def test_a_trace_that_cannot_be_written_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setenv(TRACE_VARIABLE, path)
    forget_environment()
    with PackLock.open(tmp_path / "pack").try_acquire() as hold:
        assert hold.active


def test_a_line_is_never_too_long(tmp_path: Path, trace: Path) -> None:
    deep = tmp_path.joinpath(*["\u00e9" * 100] * 15)
    deep.parent.mkdir(parents=True)
    assert len(os.fsencode(deep)) > 2000
    with PackLock.open(deep).try_acquire():
        pass
    assert max(len(line) for line in trace.read_bytes().splitlines(keepends=True)) <= 4096
    assert check_file(trace).findings == []


def test_a_path_that_is_no_text_is_traced(tmp_path: Path, trace: Path) -> None:
    PackLock.open(Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))).try_acquire().release()
    assert check_file(trace).findings == []


def test_recorded_intervals_lie_inside_the_true_ones(
    tmp_path: Path, trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, str]] = []
    try_lock, unlock = EXCLUSIVE.try_lock, EXCLUSIVE.unlock

    def noted_try(fd: int) -> bool:
        granted = try_lock(fd)
        seen.append(("locked", lines(trace)[-1]["ev"]))
        return granted

    def noted_unlock(fd: int) -> None:
        seen.append(("unlocking", lines(trace)[-1]["ev"]))
        unlock(fd)

    monkeypatch.setattr(EXCLUSIVE, "try_lock", noted_try)
    monkeypatch.setattr(EXCLUSIVE, "unlock", noted_unlock)
    with PackLock.open(tmp_path / "pack").try_acquire():
        assert lines(trace)[-1]["ev"] == "acquire"
    assert seen == [("locked", "wait"), ("unlocking", "release")]


def test_without_the_variable_no_file_is_made(tmp_path: Path) -> None:
    with PackLock.open(tmp_path / "pack").try_acquire():
        assert [path.name for path in tmp_path.iterdir()] == ["pack"]
