"""A lock file that is renamed, deleted, replaced or swept away while it is held and others wait for it.

Whatever happens to the name: never two holders, nobody waits for ever, everybody is served. A pack with a git directory
keeps its inode by a link in there; for every other lock file the kernel knows the name that was taken besides.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from grex.errors import LockBusyError
from grex.locks import ManifestLock, WaitPolicy, attempt
from grex.locks.guard import take_guard
from tests.support.killing import eventually
from tests.support.lock_holder import Kind, LockHolder, lock_file
from tests.support.lock_queue import WaiterFleet, seen_tickets

pytestmark = [pytest.mark.invariant("L1"), pytest.mark.timeout(180)]

LOCKS: dict[str, Kind] = {
    "pack with a git directory": "pack",
    "plain pack": "pack",
    "workspace": "workspace",
    "backend": "backend",
    "manifest": "writer",
}


def rename(file: Path) -> None:
    file.rename(file.with_name("moved-away"))


def delete(file: Path) -> None:
    file.unlink()


def replace(file: Path) -> None:
    stranger = file.with_name("stranger")
    stranger.touch()
    stranger.rename(file)


def sweep(file: Path) -> None:
    subprocess.run(["git", "-C", str(file.parent), "clean", "-fdxq"], check=True)


def remove(directory: Path) -> bool:
    """Remove a directory as well as one can at once: a waiter may put a lock file there before it is gone."""
    shutil.rmtree(directory, ignore_errors=True)
    return not directory.exists()


LOSSES = [rename, delete, replace, sweep]


@contextmanager
def one_lock(what: str, tmp_path: Path) -> Generator[WaiterFleet]:
    """Processes for one lock in a work tree that `git clean` can sweep."""
    place = tmp_path / "tree" / "place"
    place.mkdir(parents=True)
    for repository in {tmp_path / "tree", *([] if what == "plain pack" else [place])}:
        subprocess.run(["git", "init", "--quiet", str(repository)], check=True)
    if what == "plain pack":  # a directory of the work tree above, which a sweep leaves where it is
        (place / "tracked").touch()
        subprocess.run(["git", "-C", str(place), "add", "tracked"], check=True)
    with WaiterFleet(LOCKS[what], place, tmp_path / "served") as fleet:
        yield fleet


def wait_for_served(fleet: WaiterFleet, count: int) -> None:
    eventually(lambda: len(fleet.served) >= count, f"holder number {count}")


@pytest.fixture(params=LOCKS)
def fleet(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[WaiterFleet]:
    """Processes for one lock of each kind."""
    with one_lock(request.param, tmp_path) as made:
        yield made


@pytest.mark.parametrize("lose", [rename, delete, *(pytest.param(lose, marks=pytest.mark.slow) for lose in LOSSES[2:])])
def test_a_lost_lock_file_lets_nobody_in_beside_the_holder_and_everybody_after_it(
    fleet: WaiterFleet, lose: Callable[[Path], None]
) -> None:
    """Told as steps.

    - A process holds the lock and five wait. The file is lost; then two more ask, who find another file or none.
    - One that must not wait is refused: somebody holds the lock, whatever the name leads to.
    - The holder ends. All seven are served, never two at a time.
    """
    holder, late_one, late_two, asker = fleet.start(4)
    assert holder.ask("take holder") == "held holder"
    waiters = fleet.line_up(5)
    lose(fleet.lock_file)
    assert asker.ask("try") == "busy"
    late = {"late-1": late_one, "late-2": late_two}
    for name, process in late.items():
        assert process.ask(f"pass-aloud {name}") == f"waits {name}"
    assert asker.ask("try") == "busy"
    fleet.assert_nobody_else("holder", for_s=0.5)
    assert holder.ask("release holder") == "ok holder"
    fleet.all_pass(waiters)
    fleet.all_pass(late)
    assert sorted(fleet.served) == sorted(["holder", *waiters, *late])
    assert asker.ask("try") == "held"


@pytest.mark.parametrize("lose", [delete, replace])
def test_a_lock_file_that_is_lost_at_every_turn_never_has_two_holders(
    fleet: WaiterFleet, lose: Callable[[Path], None]
) -> None:
    """Five holders in turn, and each of them loses the file while the rest waits."""
    waiters = {str(number): waiter for number, waiter in enumerate(fleet.start(5))}
    holder, name = fleet.start_one(), "holder"
    assert holder.ask(f"take {name}") == f"held {name}"
    for number, waiter in waiters.items():
        assert waiter.ask(f"take-aloud {number}") == f"waits {number}"
    for count in range(len(waiters)):
        lose(fleet.lock_file)
        assert holder.ask(f"release {name}") == f"ok {name}"
        wait_for_served(fleet, count + 2)
        name = fleet.served[-1]
        holder = waiters[name]
        assert holder.answer() == f"held {name}"
    assert sorted(fleet.served) == sorted(["holder", *waiters])


@pytest.mark.parametrize("lose", LOSSES)
@pytest.mark.invariant("L6")
def test_the_death_of_one_who_holds_a_lost_file_frees_the_lock(
    fleet: WaiterFleet, lose: Callable[[Path], None]
) -> None:
    """What keeps a second holder out must not outlive the first."""
    holder, late, asker = fleet.start(3)
    assert holder.ask("take holder") == "held holder"
    waiters = fleet.line_up(2)
    lose(fleet.lock_file)
    assert late.ask("pass-aloud late") == "waits late"
    holder.kill()
    fleet.all_pass(waiters)
    assert late.answer() == "passed late"
    assert asker.ask("try") == "held"


@pytest.mark.parametrize("lose", [rename, delete])
def test_a_waiter_for_a_lost_file_can_be_cancelled_and_leaves_no_ticket(
    fleet: WaiterFleet, lose: Callable[[Path], None]
) -> None:
    holder, waiter = fleet.start(2)
    assert holder.ask("take holder") == "held holder"
    fleet.queue(waiter, "waiter")
    lose(fleet.lock_file)
    assert waiter.ask("cancel waiter") == "cancelled waiter"
    assert seen_tickets(waiter.pid) == []
    assert holder.ask("release holder") == "ok holder"
    assert waiter.ask("pass again") == "passed again"


@pytest.mark.parametrize("lose", LOSSES)
def test_readers_stay_out_while_a_writer_holds_a_lost_file(tmp_path: Path, lose: Callable[[Path], None]) -> None:
    with one_lock("manifest", tmp_path) as fleet:
        writer = fleet.start_one("writer")
        early, late, asker = fleet.start(3, "reader")
        assert writer.ask("take writer") == "held writer"
        fleet.queue(early, "early", "take")
        lose(fleet.lock_file)
        assert late.ask("take-aloud late") == "waits late"
        assert asker.ask("try") == "busy"
        assert writer.ask("release writer") == "ok writer"
        assert [early.answer(), late.answer()] == ["held early", "held late"]
        assert sorted(fleet.served) == ["early", "late", "writer"]


@pytest.mark.anyio
async def test_a_file_that_is_lost_just_before_the_guard_is_taken_does_not_let_a_writer_in_beside_a_reader(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader looks for the guard of a writer, and finds none yet."""
    file = lock_file("writer", workspace)
    with LockHolder("reader", workspace) as reader:

        def take_late(*arguments: Any, **keywords: Any) -> bool:
            monkeypatch.undo()
            file.unlink()
            assert reader.ask("take") == "held"
            return take_guard(*arguments, **keywords)

        monkeypatch.setattr(attempt, "take_guard", take_late)
        with pytest.raises(LockBusyError):
            await ManifestLock(workspace).acquire_exclusive(WaitPolicy(no_wait=True))
        assert reader.ask("release") == "ok"
    (await ManifestLock(workspace).acquire_exclusive(WaitPolicy(no_wait=True))).release()


@pytest.mark.parametrize("kind", ["with a git directory", "plain"])
@pytest.mark.parametrize("manner", ["moved", "removed"])
@pytest.mark.invariant("L2")
def test_a_pack_that_goes_away_under_its_waiters_is_gone_for_all_of_them(
    tmp_path: Path, kind: str, manner: str
) -> None:
    """Also while its holder goes on holding; nothing is made where it was."""
    pack = tmp_path / "packs" / "pack"
    pack.mkdir(parents=True)
    if kind == "with a git directory":
        subprocess.run(["git", "init", "--quiet", str(pack)], check=True)
    with WaiterFleet("pack", pack, tmp_path / "served") as fleet:
        holder = fleet.start_one()
        assert holder.ask("take holder") == "held holder"
        waiters = fleet.line_up(5)
        if manner == "moved":
            pack.rename(tmp_path / "trash")
        else:
            eventually(lambda: remove(pack), "the end of the directory")
        answers = {waiter.answer() for waiter in waiters.values()}
        assert {answer.rpartition(" ")[0] for answer in answers} == {f"lock.pack-gone - {pack}"}
        assert list((tmp_path / "packs").iterdir()) == []
        assert holder.ask("release holder") == "ok holder"
        assert list((tmp_path / "packs").iterdir()) == []
        assert seen_tickets(*(waiter.pid for waiter in waiters.values())) == []


@pytest.mark.parametrize("lose", [rename, delete, replace])
def test_one_who_holds_the_pack_moved_aside_does_not_keep_its_successor_out(
    tmp_path: Path, lose: Callable[[Path], None]
) -> None:
    """A directory that was moved away with its lock is another pack: the one made anew in its place is free."""
    pack = tmp_path / "pack"
    with LockHolder("pack", pack) as holder, LockHolder("pack", pack) as other:
        assert holder.ask("take") == "held"
        pack.rename(tmp_path / "trash")
        assert other.ask("try") == "held"
        lose(lock_file("pack", tmp_path / "trash"))
        assert holder.ask("release") == "ok"
        with LockHolder("pack", pack) as third:
            assert third.ask("try") == "busy"
