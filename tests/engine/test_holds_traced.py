"""What a trace shows of real locks that others hold: waits, holds, and an arrow from each holder to who waited for it.

The other holder is another process, and the trace is judged by the rules of its format.
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec.structs import replace

from grex.errors import LockBusyError, LockTimeoutError
from grex.progress import ChromeTrace, HolderSeen
from grex.progress.events import Event
from tests.support.lock_holder import Kind, LockHolder
from tests.support.place import Place
from tests.support.trace_format import faults, read_trace

pytestmark = pytest.mark.anyio


class Watched:
    """A trace that lets a test wait for somebody who is blocked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trace = ChromeTrace(path, "grex test")
        self.blocked = anyio.Event()

    def __call__(self, event: Event) -> None:
        self.trace(event)
        if isinstance(event, HolderSeen):
            self.blocked.set()

    def records(self) -> list[dict[str, Any]]:
        """What it says, which is in order."""
        found = read_trace(self.path)
        assert faults(found) == []
        return found


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    (made / "a").mkdir()
    return made


def arrows(records: list[dict[str, Any]]) -> list[tuple[int, int]]:
    """From which process to which, one after the other."""
    pids = {(record["ph"], record["id"]): record["pid"] for record in records if record["ph"] in "sf"}
    return [(pids["s", key], pid) for (phase, key), pid in pids.items() if phase == "f"]


@pytest.mark.parametrize("kind", ["workspace", "pack", "backend", "writer"])
async def test_a_lock_of_another_process_is_a_track_with_an_arrow_to_the_wait(
    place: Place, tmp_path: Path, kind: Kind, anyio_backend_name: str
) -> None:
    trace = Watched(tmp_path / "t.json")
    root = place / "a" if kind in ("pack", "backend") else place.root
    with LockHolder(kind, root, backend=anyio_backend_name) as other:
        assert other.ask("take") == "held"
        holds = place.session(sink=trace).holds
        holds._policy = replace(holds._policy, first_report_s=math.inf)  # it is told at once, not with the first report
        ways = {
            "workspace": holds.workspace,
            "pack": lambda: holds.pack("a", root, "disk"),
            "backend": lambda: holds.backend("a", root),
            "writer": holds.manifest_shared,
        }

        async def take() -> None:
            async with ways[kind]():
                pass

        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(take)
                await trace.blocked.wait()
                other.send("release")
        assert other.answer() == "ok"
        pid = other.pid
    records = trace.records()
    here = next(record["pid"] for record in records)
    assert arrows(records) == [(pid, here)]
    (wait,) = [record for record in records if record["ph"] == "X" and record["cat"] == "wait"]
    assert f"pid {pid}" in wait["args"]["handed_over_by"]
    assert "ended" not in wait["args"]
    (theirs,) = [record for record in records if record["ph"] == "X" and record["pid"] == pid]
    tier = {"writer": "MANIFEST"}.get(kind, kind.upper())
    assert theirs["args"]["tier"] == wait["args"]["tier"] == tier
    assert theirs["args"]["path"] == wait["args"]["path"]
    assert f"pid {pid}" in theirs["args"]["holder"]
    assert theirs["ts"] + theirs["dur"] == pytest.approx(wait["ts"] + wait["dur"])
    assert any(record["ph"] == "i" and f"pid {pid}" in record["name"] for record in records)


async def test_tasks_of_one_run_hand_a_pack_on(place: Place, tmp_path: Path) -> None:
    """Each under a permit of its own: two arrows, in the order in which they had it."""
    trace = ChromeTrace(tmp_path / "t.json")
    holds = place.session(sink=trace, jobs=3).holds
    inside, go_on = anyio.Event(), anyio.Event()

    async def take(name: str, *, is_first: bool) -> None:
        async with holds.pack(name, place / "a", "disk"):
            if is_first:
                inside.set()
                await go_on.wait()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(take, "a", is_first=True))
        await inside.wait()
        for name in ("b", "c"):
            tasks.start_soon(partial(take, name, is_first=False))
        await anyio.wait_all_tasks_blocked()
        await anyio.sleep(0.005)  # what lasts less than a millisecond is no wait
        go_on.set()
    records = read_trace(tmp_path / "t.json")
    assert faults(records) == []
    names = {record["tid"]: record["args"]["name"] for record in records if record["name"] == "thread_name"}
    ends = [(record["ph"], names[record["tid"]]) for record in records if record["ph"] in "sf"]
    assert ends == [("s", "disk 1"), ("f", "disk 2"), ("s", "disk 2"), ("f", "disk 3")]


async def test_a_wait_that_came_to_nothing_says_how_it_ended(place: Place, tmp_path: Path) -> None:
    trace = Watched(tmp_path / "t.json")
    with LockHolder("pack", place / "a") as other:
        assert other.ask("take") == "held"
        with pytest.raises(LockTimeoutError):
            async with place.session(sink=trace, lock_timeout_s=0.05).holds.pack("a", place / "a", "disk"):
                pass
        with pytest.raises(LockBusyError):
            async with place.session(sink=trace, no_wait=True).holds.pack("a", place / "a", "disk"):
                pass
        trace.blocked = anyio.Event()
        async with anyio.create_task_group() as tasks:

            async def take() -> None:
                async with place.session(sink=trace).holds.pack("a", place / "a", "disk"):
                    pass

            tasks.start_soon(take)
            await trace.blocked.wait()
            tasks.cancel_scope.cancel()
        pid = other.pid
    records = trace.records()
    waits = [record["args"]["ended"] for record in records if record["ph"] == "X" and record["cat"] == "wait"]
    assert [ended for ended in waits if ended != "lock.busy"] == ["lock.timeout", "cancelled"]
    assert {start for start, _ in arrows(records)} == {pid}


async def test_a_permit_is_the_lowest_that_is_free(place: Place, tmp_path: Path) -> None:
    trace = ChromeTrace(tmp_path / "t.json")
    holds = place.session(sink=trace, jobs=2).holds
    for name in ("a", "b"):
        async with holds.disk_permit(name):
            pass
    held, done = anyio.Event(), anyio.Event()

    async def hold() -> None:
        async with holds.disk_permit("c"):
            held.set()
            await done.wait()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hold)
        await held.wait()
        async with holds.network_permit("n", None):
            pass
        async with holds.disk_permit("d"):
            pass
        done.set()
    records = read_trace(tmp_path / "t.json")
    assert faults(records) == []
    names = {record["tid"]: record["args"]["name"] for record in records if record["name"] == "thread_name"}
    permits = [(record["name"], names[record["tid"]]) for record in records if record.get("cat") == "permit"]
    assert permits == [
        ("a", "disk 1"),
        ("b", "disk 1"),
        ("n", "network 1"),
        ("d", "disk 2"),
        ("c", "disk 1"),
    ]
