"""The managed block: grex's files and packs are out of git's sight, and whatever else is there stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from grex.engine import Hiding
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
