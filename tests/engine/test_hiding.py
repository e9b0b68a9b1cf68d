"""The managed block: grex's files and packs are out of git's sight, and whatever else is there stays."""

from __future__ import annotations

import fcntl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from grex.engine import Hiding, Holds
from grex.errors import LockBusyError
from grex.exclude import ensure_block, read_block
from grex.locks import SharedFileHold
from tests.support.git_server import git
from tests.support.place import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    git(place.root, "init", "--quiet")
    return place


def hiding_of(place: Place) -> Hiding:
    session = place.session()
    return Hiding(session.layout, session.holds)


def seen(place: Place) -> list[str]:
    return git(place.root, "status", "--porcelain", "-uall").splitlines()


def put(place: Place, *paths: str) -> None:
    for path in paths:
        (place.root / path).parent.mkdir(parents=True, exist_ok=True)
        (place.root / path).write_text("x")


@pytest.mark.anyio
async def test_packs_and_files_of_grex_are_hidden_and_the_users_are_not(place: Place) -> None:
    await hiding_of(place).hide(["libs/a", "b"])
    put(place, "libs/a/x", "b/x", "libs/mine", "grex.jsonl", ".grex.sync.lock", ".grex.jsonl.lock", ".grex/local.yaml")
    assert seen(place) == ["?? libs/mine"]


@pytest.mark.anyio
async def test_while_a_run_goes_on_lines_are_only_added_and_settling_drops_the_rest(place: Place) -> None:
    hiding = hiding_of(place)
    put(place, "a/x", "b/x")
    await hiding.hide(["a"])
    await hiding.hide(["b"])
    assert seen(place) == []
    await hiding.settle(["b"])
    assert seen(place) == ["?? a/x"]


@pytest.mark.anyio
async def test_the_users_own_lines_stay_and_a_no_op_writes_nothing(place: Place) -> None:
    exclude = place / ".git/info/exclude"
    exclude.parent.mkdir(exist_ok=True)
    exclude.write_text("# mine\n*.o\n")
    hiding = hiding_of(place)
    await hiding.hide(["a"])
    assert exclude.read_text().startswith("# mine\n*.o\n")
    before = exclude.stat()
    await hiding.hide(["a"])
    await hiding.settle(["a"])
    assert exclude.stat() == before


@pytest.mark.anyio
async def test_without_a_repository_around_it_nothing_is_written(tmp_path: Path) -> None:
    place = Place(tmp_path)
    await hiding_of(place).hide(["a"])
    assert list(place.root.iterdir()) == []


@pytest.mark.parametrize(
    ("pack", "tracked"), [("a", "a/x"), ("a/x", "a/x"), ("a/deep", None), ("b", None), ("a-b", None)]
)
def test_a_pack_where_the_repository_tracks_something_is_refused(place: Place, pack: str, tracked: str | None) -> None:
    put(place, "a/x", "a.b/x")
    git(place.root, "add", "--all")
    found = hiding_of(place).refuse_tracked(pack)
    if tracked is None:
        assert found is None
    else:
        assert found is not None
        assert found.message == f"{pack} cannot be put there: the workspace's own repository tracks {tracked}"
        assert found.details["tracked"] == tracked
        assert found.hint is not None
        assert f"`git -C {place.root} rm -r --cached {pack}`" in found.hint  # a plain one deletes what is in there


@pytest.mark.anyio
async def test_of_a_repository_with_several_work_trees_no_line_is_dropped_until_it_has_one_again(
    place: Place, tmp_path: Path
) -> None:
    git(place.root, "commit", "--quiet", "--allow-empty", "-m", "x")
    git(place.root, "worktree", "add", "--quiet", str(tmp_path / "fork"))
    hiding = hiding_of(place)
    await hiding.hide(["a", "b"])
    put(place, "a/x", "b/x")
    await hiding.settle(["b"])
    assert seen(place) == []
    git(place.root, "worktree", "remove", str(tmp_path / "fork"))
    await hiding.settle(["b"])
    assert seen(place) == ["?? a/x"]


@pytest.mark.anyio
async def test_of_a_repository_around_two_workspaces_each_drops_its_own_lines_only(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    one, two = Place(tmp_path / "one"), Place(tmp_path / "two")
    for place in (one, two):
        await hiding_of(place).hide(["a", "b"])
    await hiding_of(one).settle(["b"])
    block = (tmp_path / ".git/info/exclude").read_text()
    assert "/two/ws/a\n" in block
    assert "/two/ws/b\n" in block
    assert "/one/ws/b\n" in block
    assert "/one/ws/a\n" not in block


@pytest.mark.anyio
async def test_a_line_that_another_workspace_writes_meanwhile_is_not_lost(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was written between the look that found something missing and the lock."""
    exclude = place / ".git/info/exclude"
    real = Holds.exclude_file

    @asynccontextmanager
    async def later(self: Holds, path: Path) -> AsyncGenerator[SharedFileHold]:
        ensure_block(path, ["/theirs"])
        async with real(self, path) as hold:
            yield hold

    monkeypatch.setattr(Holds, "exclude_file", later)
    await hiding_of(place).hide(["a"])
    assert {"/a", "/theirs"} <= set(read_block(exclude))


@pytest.mark.anyio
async def test_two_workspaces_that_share_a_repository_do_not_write_its_block_at_once(place: Place) -> None:
    await hiding_of(place).hide(["a"])
    with (place / ".git/grex/exclude-lock").open() as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        session = place.session(no_wait=True)
        hiding = Hiding(session.layout, session.holds)
        await hiding.hide(["a"])
        with pytest.raises(LockBusyError):
            await hiding.hide(["b"])
    await hiding.hide(["b"])
    assert "/b" in read_block(place / ".git/info/exclude")


def test_a_block_that_says_all_that_it_should_is_not_locked(place: Place) -> None:
    async def hide_twice() -> None:
        await hiding_of(place).hide(["a"])
        (place / ".git/grex/exclude-lock").unlink()
        await hiding_of(place).hide(["a"])

    anyio.run(hide_twice)
    assert not (place / ".git/grex/exclude-lock").exists()
