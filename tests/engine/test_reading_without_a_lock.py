"""Reading declarations and records where the lock file is missing and cannot be made.

The hazards: a workspace that may only be read cannot be looked at; or it is read while somebody writes who may, and
what was half written is shown, or taken for damage.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grex.cli import render
from grex.errors import CorruptLogError, LockUnavailableError
from grex.verbs.ls import ListRequest, ls
from grex.workspace import Layout
from tests.support.lock_holder import LockHolder
from tests.support.place import Place

pytestmark = pytest.mark.anyio

NOTE = "the workspace was read without its lock, which cannot be made here (Permission denied)"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A workspace without lock files, in which no file can be made.

    The kernel's answer is given by hand: root may make files in any directory, and `tests/e2e/test_read_only.py` asks
    the kernel itself.
    """
    made = Place(tmp_path)
    made.declare({"url": "https://host.example/a"})
    real = os.open

    def refuse(path: Any, flags: int, *arguments: Any, **keywords: Any) -> int:
        if str(path) == str(lock_file(made)):
            is_missing = not os.path.lexists(path)
            if (is_missing and flags & os.O_CREAT) or (not is_missing and not lock_file(made).stat().st_mode & 0o777):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path, flags, *arguments, **keywords)

    monkeypatch.setattr("grex.locks.kernel.os.open", refuse)
    return made


def lock_file(place: Place) -> Path:
    return Layout(place.root).manifest_lock


def appear(place: Place) -> None:
    """A writer was there: its lock file is now."""
    other = lock_file(place).with_name("made-by-a-writer")
    other.touch()
    other.rename(lock_file(place))


def broken() -> str:
    raise CorruptLogError("a line that somebody was about to write")


async def test_status_and_ls_read_and_say_so_once(place: Place) -> None:
    listed = await ls(ListRequest(place.root), place.settings())
    status = await place.status()
    assert [pack.path for pack in listed.packs] == [pack.path for pack in status.packs] == ["a"]
    for report, text in ((listed, render.ls(listed, tree=False, long=False)), (status, render.status(status))):
        assert report.to_json()["notes"] == [NOTE]
        assert text.splitlines().count(f"note: {NOTE}.") == 1
        assert report.exit_code == 0
    assert not lock_file(place).exists()


async def test_a_lock_file_that_is_there_is_locked_and_nothing_is_said(place: Place) -> None:
    appear(place)
    assert (await place.status()).notes == ()


@pytest.mark.parametrize("first", [lambda: "half written", broken])
async def test_what_was_read_while_a_writer_came_is_read_again_under_the_lock(
    place: Place, first: Callable[[], str]
) -> None:
    readings: list[str] = []

    def read() -> str:
        readings.append("whole")
        if len(readings) > 1:
            return readings[-1]
        appear(place)
        return first()

    assert await place.session().holds.read_manifest(read) == ("whole", None)
    assert len(readings) == 2


async def test_damage_that_nobody_is_about_to_mend_is_damage(place: Place) -> None:
    with pytest.raises(CorruptLogError):
        await place.session().holds.read_manifest(broken)


async def test_nothing_is_read_while_a_writer_holds_a_lock_file_that_was_lost(place: Place) -> None:
    with LockHolder("writer", place.root) as writer:
        assert writer.ask("take") == "held"
        lock_file(place).unlink()
        with pytest.raises(LockUnavailableError):
            await place.session().holds.read_manifest(lambda: pytest.fail("it was read all the same"))


async def test_a_lock_file_that_may_not_be_read_is_no_reason_to_read_without_it(place: Place) -> None:
    appear(place)
    lock_file(place).chmod(0o000)  # as the root of these tests is told by `refuse`
    with pytest.raises(LockUnavailableError):
        await place.session().holds.read_manifest(lambda: pytest.fail("it was read all the same"))
