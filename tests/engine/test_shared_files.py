"""A file that packs of several workspaces write to: nobody's change is lost, and a dead process keeps nobody out."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import anyio
import pytest

from grex.builtin.pack_types.declarative import Declarative
from grex.engine import RunContext
from grex.engine.exclusive import exclusive
from grex.errors import LockBusyError
from grex.progress import Event, LockWait, Sink, null_sink
from tests.support.env_writer import env_pack
from tests.support.loops import trio_among_the_slow  # noqa: F401 - a fixture
from tests.support.place import Place

pytestmark = pytest.mark.anyio

TOP = Path(__file__).parents[2]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.defaults = place.settings(environ=dict(place.defaults.environ) | {"SHELL": "/bin/bash"})
    return place


@pytest.fixture
def other(tmp_path: Path, place: Place) -> Generator[subprocess.Popen[str]]:
    """A process that works for another workspace and stands between reading the file and replacing it."""
    (place.home / ".bashrc").write_text("mine\n")
    (tmp_path / "other").mkdir()
    where = (tmp_path / "other", place.home, place.defaults.state_dir)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.env_writer", *map(str, where), "OTHER"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=TOP,
        env=dict(os.environ) | {"PYTHONPATH": str(TOP)},
    )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "inside\n"
            yield process
        finally:
            process.kill()


async def install(place: Place, sink: Sink = null_sink, *, no_wait: bool = False) -> None:
    session = place.session(no_wait=no_wait, sink=sink)
    async with exclusive(session):
        await Declarative().install(RunContext(session), env_pack(place.root, "OURS"))


def exported(place: Place) -> list[str]:
    return [line for line in (place.home / ".bashrc").read_text().splitlines() if line.startswith("export")]


class Waits:
    """A sink that lets a test wait for the report of a wait."""

    def __init__(self) -> None:
        self._reported = anyio.Event()
        self._report: LockWait | None = None

    def __call__(self, event: Event, /) -> None:
        """Keep the first report."""
        if isinstance(event, LockWait) and self._report is None:
            self._report = event
            self._reported.set()

    async def first(self) -> LockWait:
        """The first report, once there is one."""
        with anyio.fail_after(60):
            await self._reported.wait()
        assert self._report is not None
        return self._report


@pytest.mark.parametrize("how", ["goes on", "is killed"])
async def test_two_workspaces_come_one_after_the_other(how: str, place: Place, other: subprocess.Popen[str]) -> None:
    waits = Waits()
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(install, place, waits)
            report = await waits.first()
            assert (report.tier, report.path) == ("FILE", str(place.home / ".bashrc"))
            assert exported(place) == []
            if how == "goes on":
                assert other.stdin is not None
                other.stdin.write("\n")
                other.stdin.flush()
            else:
                other.kill()
    expected = ["export OTHER='set'"] if how == "goes on" else []
    assert exported(place) == [*expected, "export OURS='set'"]


async def test_a_run_that_must_not_wait_fails_and_says_for_which_file(
    place: Place, other: subprocess.Popen[str]
) -> None:
    with pytest.raises(LockBusyError, match=rf"file {place.home}/\.bashrc"):
        await install(place, no_wait=True)
    assert (place.home / ".bashrc").read_text() == "mine\n"


async def test_a_run_that_waits_for_the_file_can_be_cancelled(place: Place, other: subprocess.Popen[str]) -> None:
    waits = Waits()
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(install, place, waits)
            await waits.first()
            scope.cancel()
    assert scope.cancelled_caught
    other.kill()
    other.wait()
    await install(place)
    assert exported(place) == ["export OURS='set'"]


async def test_nothing_is_left_beside_the_file(place: Place) -> None:
    await install(place)
    assert [path.name for path in place.home.iterdir()] == [".bashrc"]
    (lock,) = (place.defaults.state_dir / "files").iterdir()
    assert lock.read_bytes().strip() == b""
