"""A fork, or its workspace, that was moved by hand and repaired with git: it is known, and no work tree is cleared."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from msgspec.structs import replace

from grex.engine import Session
from grex.manifest import read_fork_mark
from grex.verbs.doctor import DoctorReport, DoctorRequest, doctor
from grex.workspace import Layout
from tests.support.forks import Forks
from tests.support.git_server import git

PACKS = (".", "a", "a/in", "b")


@pytest.fixture
def forks(tmp_path: Path) -> Forks:
    return Forks(tmp_path)


def looked(forks: Forks, root: Path, *, fix: bool = False) -> DoctorReport:
    settings = replace(forks.place.settings(), verb="doctor")
    return anyio.run(doctor, DoctorRequest(root=root, fix=fix), settings)


def codes(report: DoctorReport) -> dict[str, bool]:
    return {one.code: one.fix is not None for one in report.findings if one.code.startswith("fork-")}


def repair(home: Path, fork: Path) -> None:
    for pack in PACKS:
        git(home / pack, "worktree", "repair", str(fork / pack))


def test_a_fork_that_was_moved_and_repaired_is_the_fork_that_it_was(forks: Forks) -> None:
    """Until it is repaired nothing proves it; after that, nothing of it may be cleared as gone."""
    sha = forks.commit(forks.made("x") / "b")
    moved = forks.base / "elsewhere/y"
    moved.parent.mkdir()
    (forks.base / "x").rename(moved)
    assert forks.states() == {"x": "gone"}
    repair(forks.root, moved)
    assert forks.states() == {"y": "ok"}
    assert forks.list(moved).forks[0].record.directory == str(moved)
    assert codes(looked(forks, forks.root)) == {"fork-moved": True}
    looked(forks, forks.root, fix=True)
    assert codes(looked(forks, forks.root)) == {}
    assert forks.states() == {"y": "ok"}
    assert git(moved / "b", "rev-parse", "HEAD") == sha
    assert "grex/x" in forks.branches("b")


def test_a_fork_that_was_moved_is_removed_where_it_is(forks: Forks) -> None:
    forks.made("x")
    (forks.base / "x").rename(forks.base / "y")
    repair(forks.root, forks.base / "y")
    assert forks.remove("y").exit_code == 0
    assert not (forks.base / "y").exists()
    assert forks.states() == {}
    assert forks.branches("b") == {"main"}


def test_another_fork_at_the_place_of_a_work_tree_is_not_taken_for_it(forks: Forks) -> None:
    forks.made("x")
    forks.made("z")
    (forks.base / "x").rename(forks.base / "y")
    assert forks.states() == {"x": "gone", "z": "ok"}


def test_a_workspace_that_was_moved_is_found_by_its_forks(forks: Forks) -> None:
    fork = forks.made("x")
    home = forks.base / "moved"
    forks.root.rename(home)
    assert codes(looked(forks, fork)) == {"fork-home": False}
    repair(home, fork)
    assert [one.record.directory for one in forks.list(fork).forks] == [str(fork)]
    assert codes(looked(forks, fork)) == {"fork-home": True}
    looked(forks, fork, fix=True)
    assert codes(looked(forks, fork)) == {}
    mark = read_fork_mark(Layout(fork).state_dir)
    assert mark is not None
    assert (mark.home, mark.source, mark.base) == (str(home), str(home), str(home))
    assert Session.open(fork, forks.place.settings()).base == home


@pytest.mark.parametrize("pack", ["b", "a/in"])
def test_a_fork_that_lacks_a_pack_is_told_as_damaged(forks: Forks, pack: str) -> None:
    fork = forks.made("x")
    (fork / pack).rename(forks.base / "taken")
    (told,) = [one for one in looked(forks, forks.root).findings if one.code == "fork-damaged"]
    assert (told.subject, told.text) == (str(fork), f"the fork is damaged: {pack} is not there")
