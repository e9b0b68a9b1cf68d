"""A lock file that cannot be opened or locked is a typed error with path and errno: never "busy", never a soft lock."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.support.lock_holder import Kind, LockHolder, lock_file
from tests.support.lock_queue import WaiterFleet, seen_tickets
from tests.support.namespaces import as_nobody, with_read_only

pytestmark = pytest.mark.invariant("L2")

EXCLUSIVE: list[Kind] = ["pack", "workspace", "backend", "writer"]
KINDS: list[Kind] = [*EXCLUSIVE, "reader"]


@pytest.mark.parametrize("command", ["take", "try"])
@pytest.mark.parametrize("there", [True, False], ids=["there", "missing"])
@pytest.mark.parametrize("kind", EXCLUSIVE)
def test_a_lock_on_a_read_only_file_system_is_an_error_that_says_so(
    tmp_path: Path, kind: Kind, there: bool, command: str
) -> None:
    media = tmp_path / "media"
    (media / "place").mkdir(parents=True)
    file = lock_file(kind, media / "place")
    if there:
        file.touch()
    with LockHolder(kind, media / "place", within=with_read_only(media)) as refused:
        answer = refused.ask(command)
        assert answer == f"lock.unavailable EROFS {file}"
        assert "read-only" in refused.ask("why").lower()
    assert file.exists() == there


def test_a_reader_of_a_workspace_on_read_only_media_needs_to_write_nothing(tmp_path: Path) -> None:
    media = tmp_path / "media"
    media.mkdir()
    lock_file("reader", media).touch()
    within = with_read_only(media)
    with LockHolder("reader", media, within=within) as one, LockHolder("reader", media, within=within) as two:
        assert [one.ask("take"), two.ask("take")] == ["held", "held"]
        with LockHolder("writer", media) as writer:
            assert writer.ask("try") == "busy"


@pytest.fixture
def shut() -> Generator[Path]:
    """A directory that everybody may look into and nobody may write to."""
    # Not below pytest's own directory, which only its owner may enter.
    outer = Path(tempfile.mkdtemp(prefix="grex-test-"))
    outer.chmod(0o755)
    (outer / "place").mkdir(mode=0o755)
    yield outer / "place"
    for directory in (outer, outer / "place"):
        directory.chmod(0o755)
    shutil.rmtree(outer)


@pytest.mark.parametrize("command", ["take", pytest.param("try", marks=pytest.mark.slow)])
@pytest.mark.parametrize("there", [True, False], ids=["there", "missing"])
@pytest.mark.parametrize("kind", EXCLUSIVE)
def test_a_lock_file_that_may_not_be_written_is_an_error_that_says_so(
    shut: Path, kind: Kind, there: bool, command: str
) -> None:
    file = lock_file(kind, shut)
    if there:
        file.touch()
        file.chmod(0o444)
    for directory in (shut, shut.parent):
        directory.chmod(0o555)
    with LockHolder(kind, shut, within=as_nobody()) as refused:
        assert refused.ask(command) == f"lock.unavailable EACCES {file}"
    assert file.exists() == there


@pytest.mark.parametrize("command", ["take", "try"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_kernel_that_has_no_locks_left_is_an_error_and_not_busy(tmp_path: Path, kind: Kind, command: str) -> None:
    place = tmp_path / "place"
    place.mkdir()
    (tmp_path / "now").touch()
    with LockHolder(kind, place, fault=f"enolck {tmp_path / 'now'}") as refused:
        assert refused.ask(command) == f"lock.unavailable ENOLCK {lock_file(kind, place)}"
        assert seen_tickets(refused.pid) == []
        (tmp_path / "now").unlink()
        assert refused.ask("try again") == "held again"


@pytest.mark.parametrize("kind", KINDS)
def test_a_kernel_that_runs_out_of_locks_during_a_wait_ends_that_wait_and_no_other(tmp_path: Path, kind: Kind) -> None:
    place = tmp_path / "place"
    place.mkdir()
    with WaiterFleet(kind, place, tmp_path / "served") as fleet:
        holder = fleet.start_one("writer" if kind == "reader" else kind)
        assert holder.ask("take holder") == "held holder"
        refused = fleet.start_one(fault=f"enolck {tmp_path / 'now'}")
        fleet.queue(refused, "refused")
        waiters = fleet.line_up(2)
        (tmp_path / "now").touch()
        assert holder.ask("release holder") == "ok holder"
        assert refused.answer() == f"lock.unavailable ENOLCK {fleet.lock_file} refused"
        fleet.all_pass(waiters)
        assert seen_tickets(refused.pid) == []
        assert sorted(fleet.served) == sorted(["holder", *waiters])
