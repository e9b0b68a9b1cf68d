"""What a dead run left is finished or taken back, by its notes only; whatever else lies there is somebody's."""

from __future__ import annotations

from pathlib import Path

import pytest

from grex.engine import Recovered, recover_workspace
from grex.engine.exclusive import exclusive
from grex.manifest import CloneNote, timestamp, write_note
from tests.support.git_server import GitServer, git
from tests.support.place import Place

pytestmark = pytest.mark.anyio

TEMP = ".grex-tmp-0123456789ab"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.declare()
    GitServer(tmp_path / "up").create("tool", {"t": "1\n", "dir/u": "2\n"})
    return place


def note(place: Place, *, entries: tuple[str, ...] | None, pack: str = "tool", temp: str = TEMP) -> CloneNote:
    found = CloneNote("0123456789ab", pack, temp, pack, "https://host.example/tool", None, entries, timestamp())
    write_note(place.root / ".grex/state", found)
    return found


def half_cloned(place: Place, *moved: str) -> None:
    git(place.root, "clone", "--quiet", str(place.root.parent / "up/tool.git"), TEMP)
    (place / "tool").mkdir()
    for name in moved:
        (place / TEMP / name).rename(place / "tool" / name)


async def recovered(place: Place) -> Recovered:
    session = place.session()
    async with exclusive(session):
        return await recover_workspace(session)


async def test_nothing_to_recover_is_nothing_said(place: Place) -> None:
    assert await recovered(place) == Recovered()


async def test_a_clone_that_was_killed_before_its_move_is_cleared(place: Place) -> None:
    half_cloned(place)
    note(place, entries=None)
    found = await recovered(place)
    assert found.notes == ["tool: cleared an interrupted clone"]
    assert place.leftovers() == []
    assert not (place / "tool/.git").exists()


@pytest.mark.parametrize("moved", [(), ("dir",), ("dir", "t")])
async def test_a_move_that_was_killed_is_finished(place: Place, moved: tuple[str, ...]) -> None:
    half_cloned(place, *moved)
    note(place, entries=("dir", "t", ".git"))
    found = await recovered(place)
    assert found.notes == ["tool: finished an interrupted clone"]
    assert git(place / "tool", "status", "--porcelain", "--ignored=no", "--", "t", "dir") == ""
    assert place.leftovers() == []


async def test_a_note_whose_clone_was_through_is_only_forgotten(place: Place) -> None:
    half_cloned(place, "dir", "t", ".git")
    note(place, entries=("dir", "t", ".git"))
    assert (await recovered(place)).notes == ["tool: finished an interrupted clone"]
    assert (place / "tool/t").read_text() == "1\n"
    assert place.leftovers() == []


async def test_files_that_appeared_in_the_way_are_left_and_the_clone_is_taken_back(place: Place) -> None:
    half_cloned(place, "dir")
    (place / "tool/t").write_text("mine\n")
    note(place, entries=("dir", "t", ".git"))
    await recovered(place)
    assert (place / "tool/t").read_text() == "mine\n"
    assert not (place / "tool/.git").exists()
    assert place.leftovers() == []


async def test_a_note_whose_directory_is_gone_is_forgotten(place: Place) -> None:
    note(place, entries=None, pack="deep/tool", temp=f"deep/{TEMP}")
    found = await recovered(place)
    assert found.notes == ["deep/tool: forgot an interrupted clone whose directory is gone"]
    assert place.leftovers() == []


async def test_a_damaged_note_is_told_and_left_and_the_others_are_settled(place: Place) -> None:
    half_cloned(place)
    note(place, entries=None)
    (place / ".grex/state/clone-bad.json").write_text("{")
    found = await recovered(place)
    assert [text for text in found.notes if text.startswith("clone-bad.json in .grex/state ")]
    assert "tool: cleared an interrupted clone" in found.notes
    assert place.leftovers() == [".grex/state/clone-bad.json"]


async def test_only_temporary_files_of_grex_are_swept_and_no_directory_without_a_note(place: Place) -> None:
    (place / ".grex-tmp-file").write_text("half")
    (place / ".grex/.grex-tmp-file").write_text("half")
    (place / "notes").write_text("mine")
    (place / ".grex-tmp-dir").mkdir()
    (place / ".grex-tmp-dir/work").write_text("mine")
    (place / ".grex-tmp-link").symlink_to(place / "notes")
    (place / "sub").mkdir()
    (place / "sub/.grex-tmp-file").write_text("not ours to look for")
    await recovered(place)
    assert place.leftovers() == [".grex-tmp-dir", ".grex-tmp-link", "sub/.grex-tmp-file"]
    assert (place / "notes").read_text() == "mine"


async def test_the_next_sync_says_what_was_recovered(place: Place) -> None:
    half_cloned(place)
    note(place, entries=None)
    assert (await place.sync()).recovered == ("tool: cleared an interrupted clone",)
