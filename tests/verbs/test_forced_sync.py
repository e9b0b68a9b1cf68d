"""`grex sync --force`: a pack that would be left alone is moved, and what was in the way is kept, whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from grex.verbs.sync import PackReport
from tests.support.git_server import git
from tests.support.place import by_path
from tests.support.removal import Nest, facts

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The loop makes no difference here; locks have their own tests on both."""
    return "asyncio"


async def other(nest: Nest, **request: bool) -> PackReport:
    return by_path(await nest.place.sync(settings=None, **request))["other"]


def rescued(pack: Path) -> list[str]:
    return git(pack, "for-each-ref", "--format=%(objectname)", "refs/grex/rescue").splitlines()


def kept_file(nest: Nest, path: str) -> Path:
    (found,) = (nest / ".grex/trash").glob(f"*/other/{path}")
    return found


def edit(nest: Nest) -> None:
    (nest / "other/o").write_text("mine")
    (nest / "other/o").chmod(0o640)


def stage(nest: Nest) -> None:
    edit(nest)
    git(nest / "other", "add", "o")


def untracked(nest: Nest) -> None:
    (nest / "other/new").write_text("mine")


def untracked_directory(nest: Nest) -> None:
    (nest / "other/new").mkdir()
    (nest / "other/new/mine").write_text("mine")


WAYS: dict[str, tuple[Callable[[Nest], None], str]] = {
    "an edit": (edit, "o"),
    "a staged edit": (stage, "o"),
    "an untracked file": (untracked, "new"),
    "an untracked directory": (untracked_directory, "new/mine"),
}


@pytest.mark.parametrize("way", WAYS)
async def test_files_in_the_way_go_to_the_trash_and_can_be_restored(way: str, nest: Nest) -> None:
    make, path = WAYS[way]
    make(nest)
    nest.server.commit("other", {"o": "2\n", "new": "theirs\n"})
    before = facts(nest / "other" / path)["."]
    left = await other(nest)
    assert (left.status, left.code) == ("left", "edits-in-the-way")
    pack = await other(nest, force=True)
    assert (pack.status, pack.error) == ("moved", None)
    assert git(nest / "other", "status", "--porcelain") == ""
    assert (nest / "other/o").read_text() == "2\n"
    assert facts(kept_file(nest, path))["."] == before
    (stamp,) = nest.in_trash()
    assert any(stamp in note for note in pack.notes)
    assert (await nest.doctor(stamp)).exit_code == 4  # its place is taken
    (nest / "other" / path.partition("/")[0]).unlink()
    assert (await nest.doctor(stamp)).exit_code == 0
    assert facts(nest / "other" / path)["."] == before
    assert nest.in_trash() == []


async def test_what_was_staged_and_edited_again_is_kept_both_times(nest: Nest) -> None:
    stage(nest)
    (nest / "other/o").write_text("mine, again")
    untracked(nest)
    nest.server.commit("other", {"o": "2\n", "new": "theirs\n"})
    assert (await other(nest, force=True)).status == "moved"
    assert kept_file(nest, "o").read_text() == "mine, again"
    assert kept_file(nest, "new").read_text() == "mine"
    (commit,) = rescued(nest / "other")
    assert git(nest / "other", "show", f"{commit}^2:o") == "mine"  # the index, as in a stash


async def test_edits_that_are_not_in_the_way_stay_where_they_are(nest: Nest) -> None:
    edit(nest)
    nest.server.commit("other", {"elsewhere": "2\n"})
    assert (await other(nest, force=True)).status == "moved"
    assert (nest / "other/o").read_text() == "mine"
    assert nest.in_trash() == []


async def test_own_commits_of_a_branch_that_diverged_are_kept_under_a_rescue_ref(nest: Nest) -> None:
    git(nest / "other", "commit", "--quiet", "--allow-empty", "-m", "mine")
    mine = git(nest / "other", "rev-parse", "HEAD")
    tip = nest.server.commit("other", {"o": "2\n"})
    assert (await other(nest)).code == "diverged"
    pack = await other(nest, force=True)
    assert (pack.status, pack.new_sha) == ("moved", tip)
    assert rescued(nest / "other") == [mine]
    assert any("refs/grex/rescue/" in note for note in pack.notes)


async def test_own_commits_on_a_detached_head_are_kept_under_a_rescue_ref(nest: Nest) -> None:
    git(nest / "other", "checkout", "--quiet", "--detach")
    git(nest / "other", "commit", "--quiet", "--allow-empty", "-m", "mine")
    mine = git(nest / "other", "rev-parse", "HEAD")
    assert (await other(nest)).code == "detached-with-commits"
    assert (await other(nest, force=True)).status == "moved"
    assert git(nest / "other", "symbolic-ref", "--short", "HEAD") == "main"
    assert rescued(nest / "other") == [mine]


async def test_a_rebase_in_progress_is_left_alone_even_by_force(nest: Nest) -> None:
    (nest / "other/.git/MERGE_HEAD").write_text(git(nest / "other", "rev-parse", "HEAD") + "\n")
    nest.server.commit("other", {"o": "2\n"})
    assert (await other(nest, force=True)).code == "operation-in-progress"


def a_directory(nest: Nest) -> None:
    (nest / "other").mkdir()
    (nest / "other/mine").write_text("mine")


def a_file(nest: Nest) -> None:
    (nest / "other").write_text("mine")


def a_link(nest: Nest) -> None:
    (nest / "other").symlink_to("nowhere/at/all")


def another_repository(nest: Nest) -> None:
    git(nest.place.root, "clone", "--quiet", nest.server.url("inner"), "other")
    (nest / "other/mine").write_text("mine")


PLACES: dict[str, tuple[Callable[[Nest], None], str]] = {
    "a directory": (a_directory, "directory-in-the-way"),
    "a file": (a_file, "file-in-the-way"),
    "a link": (a_link, "file-in-the-way"),
    "another repository": (another_repository, "different-repository"),
}


@pytest.mark.parametrize("place", PLACES)
async def test_what_stands_at_the_place_goes_to_the_trash_whole_and_can_be_restored(place: str, nest: Nest) -> None:
    make, code = PLACES[place]
    await nest.rm("other")
    shelved = nest.in_trash()
    make(nest)
    nest.yaml.write_text(nest.yaml.read_text() + f"  - url: {nest.server.url('other')}\n")
    assert (await other(nest)).code == code
    before = facts(nest / "other")
    planned = await other(nest, force=True, dry_run=True)
    assert (planned.status, planned.code) == ("planned", "put-away")
    assert facts(nest / "other") == before
    pack = await other(nest, force=True)
    assert (pack.status, pack.error) == ("cloned", None)
    (stamp,) = set(nest.in_trash()) - set(shelved)
    assert any(stamp in note for note in pack.notes)
    assert facts(nest / ".grex/trash" / stamp / "other") == before
    assert (await nest.doctor(stamp)).exit_code == 4
    assert (await nest.rm("other")).exit_code == 0
    assert (await nest.doctor(stamp)).exit_code == 0
    assert facts(nest / "other") == before
    assert "other" not in nest.logged()  # it never was a pack


async def test_another_repository_that_holds_a_pack_is_left_alone(nest: Nest) -> None:
    text = nest.yaml.read_text().replace("tool.git", "other.git")
    nest.yaml.write_text(text + "  - {url: ../up/inner.git, path: libs/tool/deps/inner}\n")
    before = facts(nest / "libs/tool/deps/inner")
    report = by_path(await nest.place.sync(force=True))["libs/tool"]
    assert (report.status, report.code) == ("left", "different-repository")
    assert "libs/tool/deps/inner lies in it" in report.text
    assert facts(nest / "libs/tool/deps/inner") == before


async def test_a_link_to_another_repository_makes_room_and_its_target_stays(nest: Nest, tmp_path: Path) -> None:
    await nest.rm("other")
    git(tmp_path, "clone", "--quiet", nest.server.url("inner"), "elsewhere")
    (nest / "other").symlink_to(tmp_path / "elsewhere")
    nest.yaml.write_text(nest.yaml.read_text() + f"  - url: {nest.server.url('other')}\n")
    before = facts(tmp_path / "elsewhere/i")
    assert (await other(nest, force=True)).status == "cloned"
    assert facts(tmp_path / "elsewhere/i") == before
    assert not (nest / "other").is_symlink()


async def test_force_does_nothing_where_nothing_is_in_the_way(nest: Nest) -> None:
    edit(nest)
    pack = await other(nest, force=True)
    assert (pack.status, nest.in_trash()) == ("unchanged", [])
    assert (nest / "other/o").read_text() == "mine"
