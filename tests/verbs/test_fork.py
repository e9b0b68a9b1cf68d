"""`grex fork`: a fork is a whole workspace, it shares the repositories, and nothing in it is in another one's way."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import anyio
import pytest

from grex.engine.fork_provider import WorkTrees
from grex.errors import ManifestError, UsageError
from grex.git import find_git_dirs, observe
from grex.manifest import Log, fold, read_fork_mark
from grex.verbs.fork import ForkRequest, fork
from tests.support.forks import Forks
from tests.support.git_server import git
from tests.support.workspace import pack_yaml


@pytest.fixture
def forks(tmp_path: Path) -> Forks:
    return Forks(tmp_path)


def test_a_fork_is_a_whole_clean_workspace_that_shares_the_repositories(forks: Forks) -> None:
    """The workspace has a repository; `a` has a relative URL and declares a pack inside of itself."""
    directory = forks.made("x")
    assert forks.status(directory).is_clean, forks.status(directory).packs
    assert [pack.path for pack in forks.status(directory).packs] == ["a", "a/in", "b"]
    for pack in (".", "a", "a/in", "b"):
        dirs = find_git_dirs(directory / pack)
        assert dirs is not None
        assert dirs.common == forks.root / pack / ".git" or dirs.common == (forks.root / ".git")
        assert git(directory / pack, "symbolic-ref", "HEAD") == "refs/heads/grex/x"
        assert git(directory / pack, "status", "--porcelain") == ""
    assert not list(directory.rglob(".grex-tmp-*"))
    record = observe(directory / "a").record
    assert record is not None
    assert record == observe(forks.root / "a").record
    known = fold(Log(directory / "grex.jsonl", directory / ".grex/trash").read().events).packs
    assert {path: pack.owned for path, pack in known.items()} == {"a": True, "a/in": True, "b": True}
    sha = forks.commit(directory / "b")
    assert git(forks.root / "b", "rev-parse", "grex/x") == sha
    forks.check_untouched()


@pytest.mark.parametrize(("jobs", "at_once"), [(None, 4), (1, 1), (3, 3)])
def test_two_packs_for_each_core_are_worked_on_at_once_unless_jobs_says_how_many(
    jobs: int | None, at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forks = Forks(tmp_path, has_root=False)
    forks.place.declare(*({"url": forks.server.url("b"), "path": f"p{number}"} for number in range(6)))
    assert forks.sync().exit_code == 0
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    running, most = 0, 0
    make = WorkTrees.make

    async def counted(*args: Any, **options: Any) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if most == at_once:
            reached.set()
        with anyio.fail_after(20):
            await reached.wait()
        await make(*args, **options)
        running -= 1

    reached = anyio.Event()
    monkeypatch.setattr(WorkTrees, "make", counted)
    report = anyio.run(fork, ForkRequest(forks.root, tmp_path / "fork"), forks.place.settings(jobs=jobs))
    assert (report.exit_code, most) == (0, at_once)


def test_a_workspace_without_a_repository_has_its_files_copied(tmp_path: Path) -> None:
    forks = Forks(tmp_path, has_root=False)
    (forks.root / ".grex/local.yaml").write_text("overrides: []\n")
    (forks.root / ".grex/config.toml").write_text("[sync]\njobs = 1\n")
    (forks.root / ".grex/hooks").mkdir()
    (forks.root / ".grex/hooks/x.sh").write_text("true\n")
    (forks.root / ".grex/hooks/y.sh").symlink_to("x.sh")
    directory = forks.made("x")
    for name in ("local.yaml", "config.toml", "pack.yaml", "hooks/x.sh"):
        assert (directory / ".grex" / name).read_bytes() == (forks.root / ".grex" / name).read_bytes()
    assert (directory / ".grex/hooks/y.sh").readlink() == Path("x.sh")
    assert (directory / "grex.lock.jsonl").read_bytes() == (forks.root / "grex.lock.jsonl").read_bytes()
    assert forks.status(directory).is_clean
    assert not (directory / ".git").exists()
    assert forks.remove("x").exit_code == 0
    assert not directory.exists()
    forks.check_untouched()


def test_a_repository_without_a_commit_is_left_out_and_that_is_said(tmp_path: Path) -> None:
    forks = Forks(tmp_path, has_root=False)
    git(forks.root, "init", "--quiet")
    report = forks.fork("x")
    (root,) = (pack for pack in report.packs if pack.path == ".")
    assert (report.exit_code, root.status) == (0, "left-out")
    assert root.text.startswith("it has no commit yet")
    assert not (forks.base / "x/.git").exists()
    assert forks.status(forks.base / "x").is_clean
    assert forks.remove("x").exit_code == 0
    assert forks.states() == {}


def test_it_begins_at_commits_and_says_what_is_in_none(forks: Forks) -> None:
    """An edit, an untracked file, and a pack that only an edited pack.yaml declares."""
    (forks.root / "a/file").write_text("edited\n")
    (forks.root / "b/new").write_text("new\n")
    forks.server.create("late", {"file": "late\n"})
    b = {"url": forks.server.url("b"), "ref": "main"}
    forks.place.declare({"url": "../up/a.git"}, b, {"url": "../up/late.git"})
    assert forks.sync().exit_code == 0
    report = forks.fork("x")
    packs = {pack.path: pack for pack in report.packs}
    assert (packs["a"].edited, packs["a"].untracked) == (1, 0)
    assert (packs["b"].edited, packs["b"].untracked) == (0, 1)
    assert packs["."].edited == 2  # pack.yaml and the lockfile
    assert packs["late"].status == "left-out"
    assert "not committed" in packs["late"].text
    directory = report.directory
    assert (directory / "a/file").read_text() == "a\n"
    assert not (directory / "b/new").exists()
    assert not (directory / "late").exists()
    assert forks.status(directory).is_clean


def test_named_packs_bring_those_above_and_below_and_the_others_are_no_drift(forks: Forks) -> None:
    """A sync of the fork brings nothing else and keeps the lockfile; the name of one that was left out brings it."""
    directory = forks.made("x", "in")
    assert [pack.path for pack in forks.status(directory).packs] == ["a", "a/in"]
    before = (directory / "grex.lock.jsonl").read_bytes()
    assert forks.sync(directory).exit_code == 0
    assert forks.status(directory).is_clean
    assert not (directory / "b").exists()
    assert (directory / "grex.lock.jsonl").read_bytes() == before
    assert forks.sync(directory, "b").exit_code == 0
    assert (directory / "b/.git").is_dir()
    assert [pack.path for pack in forks.status(directory).packs] == ["a", "a/in", "b"]


def test_a_branch_of_ones_own_may_be_named_and_one_that_is_taken_is_refused(forks: Forks) -> None:
    git(forks.root / "b", "branch", "grex/x")
    with pytest.raises(UsageError, match="grex/x, or one in its way, is there already in b") as refused:
        forks.fork("x")
    assert refused.value.details["packs"] == ["b"]
    assert not (forks.base / "x").exists()
    git(forks.root / "b", "branch", "mine")
    with pytest.raises(UsageError, match="one in its way"):
        forks.fork("x", branch="mine/deeper")
    directory = forks.made("x", branch="topic/one")
    assert git(directory / "a/in", "symbolic-ref", "HEAD") == "refs/heads/topic/one"
    with pytest.raises(UsageError, match="no name of a branch"):
        forks.fork("y", branch="a..b")
    with pytest.raises(UsageError, match="no provider 'fuse'"):
        forks.fork("y", provider="fuse")
    assert forks.fork("y", provider="worktree").provider == "worktree"
    assert sorted(forks.states()) == ["x", "y"]


def test_a_place_that_is_not_free_is_refused_and_nothing_is_made(forks: Forks) -> None:
    (forks.base / "full").mkdir()
    (forks.base / "full/file").write_text("x")
    (forks.base / "a-file").write_text("x")
    (forks.base / "link").symlink_to("full")
    forks.made("is-one")
    for name, said in (
        ("full", "not empty"),
        ("a-file", "not a directory"),
        ("link", "cannot be made"),
        ("ws/inside", "lies in the workspace"),
        ("ws/b/inside", "lies in the workspace"),
        ("is-one", "is a fork already"),
    ):
        with pytest.raises(UsageError, match=said):
            forks.fork(name, branch=f"free/{name}")
    assert [path.name for path in (forks.base / "full").iterdir()] == ["file"]
    assert forks.branches("b") == {"main", "grex/is-one"}
    (forks.base / "empty").mkdir()
    forks.made("empty")
    other = Forks(forks.base / "other")
    with pytest.raises(UsageError, match="is a fork of"):
        other.fork("../empty")
    forks.check_untouched()


def test_a_sync_leaves_the_branch_of_a_fork_and_one_that_another_work_tree_is_on(forks: Forks) -> None:
    """Upstream moves: the fork fetches; neither its branch nor `main`, on which the workspace is, moves under it."""
    directory = forks.made("x")
    mine = forks.commit(directory / "b")
    before = git(forks.root / "b", "rev-parse", "main")
    new = forks.server.commit("b", {"file": "b2\n"})
    report = forks.sync(directory)
    assert report.exit_code == 0, report.packs
    assert {pack.path: (pack.status, pack.notes) for pack in report.packs}["b"] == ("unchanged", ())
    assert git(directory / "b", "rev-parse", "HEAD") == mine
    assert git(directory / "b", "rev-parse", "origin/main") == new
    assert git(forks.root / "b", "rev-parse", "main") == before
    assert observe(directory / "b").record == observe(forks.root / "b").record
    assert [pack.states for pack in forks.status(directory).packs] == [(), (), ()]
    assert forks.sync().exit_code == 0
    assert git(forks.root / "b", "rev-parse", "HEAD") == new
    assert git(directory / "b", "rev-parse", "HEAD") == mine


def test_a_declared_branch_that_no_work_tree_is_on_is_moved_by_either_and_by_both(forks: Forks) -> None:
    directory = forks.made("x")
    git(forks.root / "b", "switch", "--quiet", "-c", "elsewhere")
    new = forks.server.commit("b", {"file": "b2\n"})
    assert forks.sync(directory).exit_code == 0
    assert git(forks.root / "b", "rev-parse", "main") == new
    assert forks.sync().exit_code == 0
    assert git(forks.root / "b", "rev-parse", "elsewhere") != new


def test_the_lockfiles_commit_is_refused_in_a_fork_which_stands_on_its_own_branch(forks: Forks) -> None:
    directory = forks.made("x")
    report = forks.sync(directory, locked=True)
    assert {pack.code for pack in report.packs} == {"other-branch"}
    assert report.exit_code == 4


def test_a_pinned_pack_is_as_declared_on_the_branch_of_a_fork(forks: Forks) -> None:
    forks.server.tag("b", "v1")
    forks.place.declare({"url": "../up/a.git"}, {"url": forks.server.url("b"), "ref": "v1"})
    assert forks.sync().exit_code == 0
    git(forks.root, "commit", "--quiet", "-am", "pin")
    assert git(forks.root / "b", "rev-parse", "--abbrev-ref", "HEAD") == "HEAD"
    directory = forks.made("x")
    assert forks.status(directory).is_clean
    forks.commit(directory / "b")
    report = forks.sync(directory)
    assert (report.exit_code, {pack.path: pack.notes for pack in report.packs}["b"]) == (0, ())
    assert forks.status(directory).is_clean


def test_installs_do_not_go_along_unless_they_are_asked_for(tmp_path: Path) -> None:
    forks = Forks(tmp_path)
    link = [{"symlink": {"src": "file", "dst": "~/link"}}]
    forks.server.commit("b", {".grex/pack.yaml": pack_yaml("b", "declarative", actions=link)})
    trust = forks.place.settings(trust=(forks.server.url("b"),))
    forks.place.defaults = trust
    assert forks.sync().exit_code == 0
    home = forks.place.home / "link"
    assert home.readlink() == forks.root / "b/file"
    directory = forks.made("x")
    assert forks.status(directory).is_clean
    assert forks.sync(directory).exit_code == 0
    assert home.readlink() == forks.root / "b/file"
    home.unlink()
    assert forks.sync(directory, install=True).exit_code == 0
    assert home.readlink() == directory / "b/file"
    with pytest.raises(UsageError, match="exclude each other"):
        forks.sync(directory, install=True, no_install=True)


def test_a_fork_of_a_fork_belongs_to_the_same_repositories_and_outlives_it(forks: Forks) -> None:
    first = forks.made("x")
    mine = forks.commit(first / "b")
    second = forks.made("y", root=first)
    assert git(second / "b", "rev-parse", "HEAD") == mine
    assert forks.status(second).is_clean
    mark = read_fork_mark(second / ".grex/state")
    assert mark is not None
    assert (mark.home, mark.source, mark.base) == (str(forks.root), str(first), str(forks.root))
    for root in (forks.root, first, second):
        assert [Path(found.record.directory).name for found in forks.list(root).forks] == ["x", "y"]
    assert forks.remove("x", root=second).exit_code == 0  # its commit is on the branch of the other
    assert forks.branches("b") == {"main", "grex/y"}
    assert forks.status(second).is_clean
    assert forks.sync(second).exit_code == 0


def test_a_pack_that_was_added_to_a_fork_is_not_removed_under_a_fork_of_that(forks: Forks) -> None:
    first = forks.made("x")
    forks.server.create("late", {"file": "late\n"})
    text = (first / ".grex/pack.yaml").read_text()
    (first / ".grex/pack.yaml").write_text(f'{text}  - {{"url": "../up/late.git"}}\n')
    assert forks.sync(first).exit_code == 0
    git(first, "commit", "--quiet", "-am", "late")
    forks.made("y", root=first)
    assert (forks.base / "y/late/.git").is_file()
    refused = forks.remove("x", force=True)
    assert [(work.path, work.is_refused) for work in refused.packs] == [("late", True)]
    assert forks.status(first).is_clean
    assert forks.remove("y").exit_code == 0
    report = forks.remove("x")
    assert [(work.path, work.unmerged) for work in report.packs] == [(".", 1)]
    report = forks.remove("x", force=True)
    assert (report.exit_code, report.removal.kept_branches) == (0, {".": "grex/x"})


def test_a_damaged_mark_is_an_error_and_no_ordinary_workspace(forks: Forks) -> None:
    directory = forks.made("x")
    (directory / ".grex/state/fork.json").write_text(json.dumps({"v": 1, "id": "no"}))
    with pytest.raises(ManifestError, match="fork"):
        forks.sync(directory)
    assert forks.states() == {"x": "damaged"}
    assert forks.remove("x").exit_code == 4
    assert (directory / "b/file").exists()
