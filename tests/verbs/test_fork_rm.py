"""`grex fork ls` and `grex fork rm`: what is in a fork is told, and nothing of it is lost."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import anyio
import pytest

from grex.engine.trash import Trash
from grex.errors import PackError, UsageError
from grex.verbs.doctor import DoctorReport
from grex.workspace import Layout
from tests.support.dying import changes_of, die_before, run_until
from tests.support.forks import Forks
from tests.support.git_server import git


@pytest.fixture
def forks(tmp_path: Path) -> Forks:
    return Forks(tmp_path)


def edit(directory: Path) -> None:
    (directory / "a/file").write_text("edited\n")


def untracked(directory: Path) -> None:
    (directory / "a/in/new").write_text("new\n")


def beside(directory: Path) -> None:
    (directory / "note.txt").write_text("new\n")


def rebase(directory: Path) -> None:
    git(directory / "b", "commit", "--quiet", "--allow-empty", "-m", "empty")
    git(directory / "b", "branch", "kept")
    git(directory / "b", "rebase", "--quiet", "-x", "false", "HEAD~1", check=False)


def test_work_in_a_fork_is_refused_pack_by_pack_and_a_clean_one_goes_without_a_trace(forks: Forks) -> None:
    """Edited, untracked, beside the packs, in the middle of a rebase, and commits that nothing else has; then merged.

    What is ignored, and another lockfile, is no work.
    """
    directory = forks.made("x")
    works: dict[str, Callable[[Path], None]] = {"a": edit, "a/in": untracked, ".": beside, "b": rebase}
    for work in works.values():
        work(directory)
    mine = forks.commit(directory / "a/in", "mine")
    (directory / ".git").read_text()
    refused = forks.remove("x")
    found = {work.path: (work.edited, work.untracked, work.unmerged, work.operation) for work in refused.packs}
    assert found == {
        ".": (0, 1, 0, None),
        "a": (1, 0, 0, None),
        "a/in": (0, 1, 1, None),
        "b": (0, 0, 0, "rebase"),
    }
    assert (refused.exit_code, refused.is_removed) == (4, False)
    way = "Commit and merge it, or keep it and remove the fork all the same with --force."
    assert (refused.to_json()["text"], refused.to_json()["hint"]) == ("it has work", way)
    (listed,) = forks.list().forks
    assert (listed.shown_state, {work.path: work.ahead for work in listed.packs}["a/in"]) == ("ok", 1)
    git(directory / "a", "restore", "file")
    (directory / "a/in/new").unlink()
    (directory / "note.txt").unlink()
    git(directory / "b", "rebase", "--abort")
    assert [work.path for work in forks.remove("x").packs] == ["a/in"]
    git(forks.root / "a/in", "merge", "--quiet", "--ff-only", "grex/x")
    (directory / "a/.gitignore").write_text("*.o\n.gitignore\n")
    (directory / "a/x.o").write_text("object\n")
    (directory / "grex.lock.jsonl").write_text("")
    report = forks.remove("x")
    assert (report.exit_code, report.is_removed, report.packs) == (0, True, ())
    assert not directory.exists()
    assert forks.branches("a") == forks.branches("a/in") == {"main"}
    assert git(forks.root / "a/in", "rev-parse", "HEAD") == mine
    assert report.removal.trash is not None
    assert report.removal.trash.name == "grex.lock.jsonl"
    (kept,) = forks.doctor(trash=True).trash or ()
    assert (kept.trashed.record.why, kept.trashed.is_there) == (f"it was the lockfile of the fork {directory}", True)
    (no,) = forks.doctor(restore=(kept.trashed.record.stamp,)).restored
    assert str(no.error).startswith(f"grex.lock.jsonl was in the fork {directory}, which went, so it has no place")
    assert forks.states() == {}
    for pack in (".", "a", "a/in", "b"):
        assert git(forks.root / pack, "worktree", "list").count("\n") == 0
    with pytest.raises(UsageError, match="is no fork"):
        forks.remove("x")


def test_a_fork_goes_also_where_git_takes_no_repository_that_it_only_finds(
    forks: Forks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "strict.gitconfig"
    config.write_text("[safe]\n    bareRepository = explicit\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    directory = forks.made("x")
    mine = forks.commit(directory / "a", "mine")
    assert forks.remove("x").exit_code == 4
    removed = forks.remove("x", force=True)
    assert (removed.exit_code, removed.is_removed, directory.exists()) == (0, True, False)
    assert git(forks.root / "a", "branch", "--format=%(objectname)", "--list", "grex/x") == mine
    assert git(forks.root / "b", "branch", "--list", "grex/x") == ""


def with_submodule(forks: Forks, directory: Path) -> Path:
    """A submodule in the pack `b` of a fork, recorded and pushed, at a detached HEAD as git leaves it."""
    url = forks.server.url("b")
    git(directory / "b", "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", url, "sub")
    git(directory / "b", "commit", "--quiet", "-m", "sub")
    git(directory / "b", "push", "--quiet", "origin", "HEAD:main")
    git(directory / "b/sub", "checkout", "--quiet", "--detach")
    return directory / "b/sub"


@pytest.mark.parametrize("is_there", [True, False])
def test_commits_in_a_submodule_of_a_fork_are_not_forgotten_with_its_work_tree(forks: Forks, is_there: bool) -> None:
    """Git keeps that repository among its own files of the work tree, not in the directory nor with the pack's."""
    directory = forks.made("x")
    sub = with_submodule(forks, directory)
    git(sub, "switch", "--quiet", "--create", "own")
    mine = forks.commit(sub, "mine")
    git(sub, "checkout", "--quiet", "--detach", "HEAD~1")
    repository = git(sub, "rev-parse", "--absolute-git-dir")
    if not is_there:
        git(directory / "b", "submodule", "--quiet", "deinit", "--force", "sub")
    assert git(directory / "b", "status", "--porcelain") == ""
    for force in (False, True):
        refused = forks.remove("x", force=force)
        assert (refused.exit_code, refused.is_removed) == (4, False)
        (work,) = refused.packs
        assert (work.path, work.is_refused) == ("b", True)
        assert refused.hint == "See to b first, then remove the fork."
        assert "its submodule sub has commits that are not pushed, on own" in work.text
    git(directory, "--git-dir", repository, "-c", "core.worktree=", "push", "--quiet", "origin", "own")
    assert forks.remove("x").is_removed
    assert git(forks.base / "up/b.git", "rev-parse", "own") == mine


def test_the_repositories_of_submodules_of_a_fork_that_is_gone_are_in_the_trash(forks: Forks) -> None:
    directory = forks.made("x")
    sub = with_submodule(forks, directory)
    mine = forks.commit(sub, "mine")
    shutil.rmtree(directory)
    removed = forks.remove("x")
    assert removed.is_removed
    assert removed.removal.trash is not None
    kept = removed.removal.trash / "sub"
    git(
        forks.base, "config", "--file", str(kept / "config"), "--unset", "core.worktree"
    )  # it names the directory that is gone
    git(kept, "--git-dir=.", "cat-file", "-e", mine)


def test_a_repository_that_git_ignores_is_no_more_lost_than_other_work(forks: Forks) -> None:
    directory = forks.made("x")
    with (forks.root / "b/.git/info/exclude").open("a") as exclude:
        exclude.write("/tmp\n")
    git(directory / "b", "init", "--quiet", "tmp/own")
    mine = forks.commit(directory / "b/tmp/own")
    (work,) = forks.remove("x").packs
    assert (work.path, work.text) == ("b", "it holds another repository, tmp/own, that no pack declares")
    removed = forks.remove("x", force=True)
    assert removed.is_removed
    assert removed.removal.trash is not None
    assert git(removed.removal.trash / "b/tmp/own", "rev-parse", "HEAD") == mine


@pytest.mark.parametrize("kept_by", ["branch", "tag"])
def test_commits_of_a_pack_that_was_cloned_into_a_fork_go_to_the_trash_by_force(forks: Forks, kept_by: str) -> None:
    directory = forks.made("x")
    git(forks.server.root, "clone", "--quiet", "--bare", forks.server.url("b"), "new.git")
    pack_yaml = directory / ".grex/pack.yaml"
    pack_yaml.write_text(f"{pack_yaml.read_text()}  - {{url: {forks.server.url('new')}}}\n")
    assert forks.sync(directory).exit_code == 0
    git(directory, "commit", "--quiet", "-am", "new")
    git(directory, "push", "--quiet", str(forks.root), "HEAD:refs/heads/merged")
    if kept_by == "tag":
        git(directory / "new", "checkout", "--quiet", "--detach")
    mine = forks.commit(directory / "new")
    if kept_by == "tag":
        git(directory / "new", "tag", "own")
        git(directory / "new", "checkout", "--quiet", "main")
    assert [work.path for work in forks.remove("x").packs] == ["new"]
    removed = forks.remove("x", force=True)
    assert removed.is_removed
    assert removed.removal.trash is not None
    git(removed.removal.trash / "new", "cat-file", "-e", mine)


def test_by_force_the_directory_goes_to_the_trash_and_commits_stay_reachable(forks: Forks) -> None:
    """What is edited, what is staged only, untracked files, a branch with commits, commits on a detached HEAD."""
    directory = forks.made("x")
    (directory / "a/file").write_text("staged\n")
    git(directory / "a", "add", "file")
    (directory / "a/file").write_text("edited\n")
    untracked(directory)
    on_branch = forks.commit(directory / "b")
    git(directory / "b", "switch", "--quiet", "--detach")
    detached = forks.commit(directory / "b", "more")
    report = forks.remove("x", force=True)
    assert (report.exit_code, report.removal.kept_branches) == (0, {"b": "grex/x"})
    assert not directory.exists()
    trash = report.removal.trash
    assert trash is not None
    assert trash.is_relative_to(forks.root / ".grex/trash")
    assert (trash / "a/file").read_text() == "edited\n"
    assert (trash / "a/in/new").read_text() == "new\n"
    (kept,) = report.removal.rescues["a"]
    assert git(forks.root / "a", "show", f"{kept}^2:file") == "staged"
    (head,) = report.removal.rescues["b"]
    assert git(forks.root / "b", "rev-parse", head) == detached
    assert git(forks.root / "b", "rev-parse", "grex/x") == on_branch
    assert forks.branches("a") == {"main"}
    forks.check_untouched()


def test_a_fork_in_the_trash_is_listed_and_comes_back_as_it_was(forks: Forks) -> None:
    """Edits, untracked files and commits; what was merged has its branch again; it is a fork like before."""
    directory = forks.made("x")
    (directory / "a/file").write_text("edited\n")
    untracked(directory)
    merged = forks.commit(directory / "a/in", "merged")
    git(forks.root / "a/in", "merge", "--quiet", "--ff-only", "grex/x")
    mine = forks.commit(directory / "b")
    before = {pack.path: (pack.states, pack.branch, pack.sha) for pack in forks.status(directory).packs}
    assert forks.remove("x", force=True).exit_code == 0
    (one,) = forks.doctor(trash=True).trash or ()
    assert (one.trashed.record.kind, one.trashed.record.path) == ("fork", "forks/x")
    assert str(directory) in one.trashed.record.why
    directory.mkdir()
    (refused,) = forks.doctor(restore=(one.trashed.record.stamp,)).restored
    assert "something is at its place" in str(refused.error)
    directory.rmdir()
    (restored,) = forks.doctor(restore=(one.trashed.record.stamp,)).restored
    assert (restored.error, restored.restored and restored.restored.notes) == (None, ())
    assert {pack.path: (pack.states, pack.branch, pack.sha) for pack in forks.status(directory).packs} == before
    assert (directory / "a/file").read_text() == "edited\n"
    assert git(directory / "a", "diff", "--name-only", "HEAD") == "file"
    assert (git(directory / "b", "rev-parse", "HEAD"), git(directory / "a/in", "rev-parse", "grex/x")) == (mine, merged)
    assert forks.states() == {"x": "ok"}
    assert not list((forks.root / ".grex/trash").iterdir())
    assert forks.sync(directory).exit_code == 0
    assert forks.remove("x").exit_code == 4
    assert forks.remove("x", force=True).exit_code == 0


def test_a_fork_comes_back_detached_where_its_branch_is_elsewhere_by_now(forks: Forks) -> None:
    directory = forks.made("x")
    mine = forks.commit(directory / "b")
    (directory / "b/new").write_text("new\n")
    forks.remove("x", force=True)
    git(forks.root / "b", "branch", "--force", "grex/x", "main")
    git(forks.root / "b", "branch", "kept", mine)
    (one,) = forks.doctor(trash=True).trash or ()
    (restored,) = forks.doctor(restore=(one.trashed.record.stamp,)).restored
    assert restored.restored is not None
    assert restored.restored.notes == (f"b is detached at {mine[:10]}: grex/x is elsewhere by now",)
    assert git(directory / "b", "rev-parse", "HEAD") == mine
    assert git(directory / "b", "status", "--porcelain") == "?? new"
    assert git(forks.root / "b", "rev-parse", "grex/x") == git(forks.root / "b", "rev-parse", "main")


@pytest.fixture
def elsewhere() -> Generator[Path]:
    """A directory on another file system than that of the tests."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == Path(tempfile.gettempdir()).stat().st_dev:
        pytest.skip("no other file system is at hand")
    with tempfile.TemporaryDirectory(dir=memory) as directory:
        yield Path(directory)


def trashed_stamp(forks: Forks) -> str:
    """Of the fork in the trash, which is the only thing there."""
    (one,) = forks.doctor(trash=True).trash or ()
    assert (one.trashed.record.kind, one.trashed.is_there) == ("fork", True)
    return one.trashed.record.stamp


def edited_fork(forks: Forks, base: Path) -> Path:
    directory = forks.made(str(base / "x"))
    (directory / "a/file").write_text("edited\n")
    (directory / "b/link").symlink_to("file")
    return directory


def check_back(forks: Forks, directory: Path) -> None:
    assert forks.states() == {"x": "ok"}
    assert (directory / "a/file").read_text() == "edited\n"
    assert git(directory / "a", "diff", "--name-only", "HEAD") == "file"
    assert (directory / "b/link").readlink() == Path("file")
    assert not [path for path in directory.parent.iterdir() if path.name.startswith(".grex-tmp-")]


def test_a_fork_on_another_file_system_goes_to_the_trash_and_comes_back(forks: Forks, elsewhere: Path) -> None:
    directory = edited_fork(forks, elsewhere)
    removed = forks.remove(str(directory), force=True)
    assert (removed.exit_code, list(elsewhere.iterdir())) == (0, [])
    stamp = trashed_stamp(forks)
    (restored,) = forks.doctor(restore=(stamp,)).restored
    assert restored.error is None
    check_back(forks, directory)
    assert list((forks.root / ".grex/trash").iterdir()) == []


def test_a_copy_of_a_fork_is_taken_back_where_the_fork_cannot_go(
    forks: Forks, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = edited_fork(forks, elsewhere)
    rename = Path.rename

    def refused(path: Path, target: Path) -> Path:
        if path == directory:
            raise OSError(errno.EXDEV if ".grex/trash" in str(target) else errno.EBUSY, "no")
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refused)
        with pytest.raises(PackError, match="could not be taken away"):
            forks.remove(str(directory), force=True)
    assert list((forks.root / ".grex/trash").iterdir()) == []
    assert (directory / "a/file").read_text() == "edited\n"
    assert forks.remove(str(directory), force=True).exit_code == 0


@pytest.mark.parametrize("days", [89, 91])
def test_a_fork_in_the_trash_stays_for_as_long_as_things_are_kept(forks: Forks, days: int) -> None:
    edited_fork(forks, forks.base)
    forks.remove("x", force=True)
    stamp = trashed_stamp(forks)
    sweep = partial(Trash(Layout(forks.root)).sweep, 90, now=datetime.now(UTC) + timedelta(days=days))
    assert anyio.run(sweep) == ([stamp] if days > 90 else [])
    assert bool(list((forks.root / ".grex/trash").iterdir())) is (days < 90)
    assert forks.states() == {}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("is_elsewhere", [False, True])
@pytest.mark.parametrize(
    "every", [pytest.param(5, marks=pytest.mark.slow), pytest.param(1, marks=pytest.mark.exhaustive)]
)
def test_a_fork_that_is_killed_on_its_way_to_the_trash_gets_there(
    tmp_path: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch, is_elsewhere: bool, every: int
) -> None:
    """Before each change: the fork is whole in one of two places, the same again goes on, and it comes back."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    for nth in range(1, 1000, every):
        base = (elsewhere if is_elsewhere else tmp_path) / f"n{nth}"
        base.mkdir()
        (tmp_path / f"w{nth}").mkdir()
        forks = Forks(tmp_path / f"w{nth}")
        directory = edited_fork(forks, base)
        remove = partial(forks.remove, str(directory), force=True)
        was_killed = run_until(remove, nth, since="grex.engine.unforking:_move_away")
        there = [one for one in forks.doctor(trash=True).trash or () if one.trashed.is_there]
        for place in (directory, *(one.trashed.content for one in there)):
            if place.exists():
                assert (place / "a/file").read_text() == "edited\n", nth
        assert directory.exists() or there, nth
        if forks.states():
            assert remove().exit_code == 0, nth
        assert list(base.iterdir()) == [], nth
        (newest, *_) = forks.doctor(trash=True).trash or ()
        (restored,) = forks.doctor(restore=(newest.trashed.record.stamp,)).restored
        assert restored.error is None, nth
        check_back(forks, directory)
        if not was_killed:
            return
    raise AssertionError("it never got through")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("is_elsewhere", [False, True])
@pytest.mark.parametrize(
    "every", [pytest.param(5, marks=pytest.mark.slow), pytest.param(1, marks=pytest.mark.exhaustive)]
)
def test_a_fork_that_is_killed_on_its_way_back_gets_there(
    tmp_path: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch, is_elsewhere: bool, every: int
) -> None:
    """Before each change of the file system; nothing of it is lost, and it is not taken away half."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    number = 0

    def prepare() -> tuple[Forks, Path, Callable[[], DoctorReport]]:
        nonlocal number
        number += 1
        base = (elsewhere if is_elsewhere else tmp_path) / f"n{number}"
        base.mkdir()
        (tmp_path / str(number)).mkdir()
        forks = Forks(tmp_path / str(number))
        directory = edited_fork(forks, base)
        forks.remove(str(directory), force=True)
        return forks, directory, partial(forks.doctor, restore=(trashed_stamp(forks),))

    forks, directory, restore = prepare()
    changes = changes_of(restore, since="grex.engine.restoring:restore_fork")
    assert len(changes) > 10
    for nth in range(1, len(changes) + 1, every):
        forks, directory, restore = prepare()
        die_before(restore, nth, since="grex.engine.restoring:restore_fork")
        stamps = list((forks.root / ".grex/trash").glob("*.json"))
        if directory.exists() and stamps:
            with pytest.raises(PackError, match="was being brought back"):
                forks.remove(str(directory))
        forks.doctor(fix=True)
        if not directory.exists():
            (again,) = restore().restored
            assert again.error is None, (nth, changes[nth - 1])
        check_back(forks, directory)
        assert not list((forks.root / ".grex/trash").glob("*.json")), (nth, changes[nth - 1])


@pytest.mark.parametrize("is_deleted", [False, True])
def test_the_last_branch_that_has_a_commit_from_before_the_fork_stays(forks: Forks, is_deleted: bool) -> None:
    """It was made on a HEAD on no branch, which has gone elsewhere since."""
    git(forks.root, "checkout", "--quiet", "--detach")
    (forks.root / "README").write_text("more\n")
    git(forks.root, "add", "README")
    git(forks.root, "commit", "--quiet", "--message=more")
    more = git(forks.root, "rev-parse", "HEAD")
    for name in ("kept", "gone"):
        directory = forks.made(name)
        assert (directory / "README").read_text() == "more\n"
        if name == "gone":
            assert forks.remove(name).removal.kept_branches == {}  # HEAD has it still
    git(forks.root, "checkout", "--quiet", "main")
    if is_deleted:
        shutil.rmtree(forks.base / "kept")
    removed = forks.remove("kept")
    assert (removed.exit_code, removed.removal.kept_branches) == (0, {".": "grex/kept"})
    assert git(forks.root, "rev-parse", "grex/kept") == more


def test_a_fork_that_was_deleted_by_hand_is_told_and_cleared_and_its_commits_stay(forks: Forks) -> None:
    directory = forks.made("x")
    mine = forks.commit(directory / "b")
    elsewhere = forks.base / "users"
    git(forks.root / "b", "worktree", "add", "--quiet", "-b", "users", str(elsewhere))
    shutil.move(elsewhere, forks.base / "unplugged")  # as on a disk that is not mounted at the moment
    shutil.rmtree(directory)
    assert forks.states() == {"x": "gone"}
    with pytest.raises(UsageError, match="its directory is gone"):
        forks.fork("x")
    report = forks.remove("x")
    assert (report.exit_code, report.removal.kept_branches) == (0, {"b": "grex/x"})
    assert git(forks.root / "b", "rev-parse", "grex/x") == mine
    assert forks.branches("a") == {"main"}
    assert "users" in git(forks.root / "b", "worktree", "list")
    assert "grex/x" not in git(forks.root / "b", "worktree", "list")
    forks.check_untouched()


def test_a_fork_that_was_deleted_by_hand_is_mended_by_the_doctor_and_no_commit_is_lost(forks: Forks) -> None:
    """On its branch, and on a HEAD that was on none; a fork whose disk may be unplugged is left alone."""
    directory = forks.made("x")
    mine = forks.commit(directory / "b")
    git(directory / "a", "switch", "--quiet", "--detach")
    detached = forks.commit(directory / "a")
    (forks.base / "disk").mkdir()
    forks.made("disk/y")
    shutil.move(forks.base / "disk", forks.base / "unplugged")
    shutil.rmtree(directory)
    found = {one.subject: (one.code, one.fix is not None) for one in forks.doctor().findings}
    assert found == {str(directory): ("fork-gone", True), str(forks.base / "disk/y"): ("fork-gone", False)}
    report = forks.doctor(fix=True)
    assert [one.subject for one in report.findings] == [str(forks.base / "disk/y")]
    assert forks.states() == {"y": "gone"}
    assert git(forks.root / "b", "rev-parse", "grex/x") == mine
    (rescue,) = git(forks.root / "a", "for-each-ref", "--format=%(objectname)", "refs/grex").split()
    assert rescue == detached
    assert str(directory) not in git(forks.root / "a", "worktree", "list")


def test_a_pack_that_is_missing_or_another_thing_makes_a_fork_damaged(forks: Forks) -> None:
    directory = forks.made("x")
    shutil.rmtree(directory / "b")
    (listed,) = forks.list().forks
    assert (listed.shown_state, listed.text) == ("damaged", "b is not there")
    git(forks.base, "clone", "--quiet", str(forks.server.path("b")), str(directory / "b"))
    (listed,) = forks.list().forks
    assert listed.shown_state == "damaged"
    assert forks.remove("x").exit_code == 4
    report = forks.remove("x", force=True)
    assert report.removal.trash is not None
    assert (report.removal.trash / "b/.git").is_dir()
    forks.check_untouched()


def test_what_has_come_to_lie_in_the_place_of_a_fork_is_left_alone(forks: Forks) -> None:
    shutil.rmtree(forks.made("x"))
    (forks.base / "x").mkdir()
    (forks.base / "x/mine").write_text("mine")
    assert forks.states() == {"x": "damaged"}
    assert forks.remove("x").exit_code == 4
    report = forks.remove("x", force=True)
    assert (report.exit_code, "was left" in report.text) == (0, True)
    assert (forks.base / "x/mine").read_text() == "mine"
    assert forks.states() == {}


def test_files_beside_the_packs_of_a_fork_without_a_repository_are_work(tmp_path: Path) -> None:
    forks = Forks(tmp_path, has_root=False)
    (forks.root / ".grex/config.toml").write_text("[sync]\njobs = 1\n")
    directory = forks.made("x")
    (directory / "notes").mkdir()
    (directory / "notes/one").write_text("one")
    (directory / ".grex/config.toml").write_text("[sync]\njobs = 2\n")
    (directory / "a/new").write_text("new")
    found = {work.path: (work.edited, work.untracked) for work in forks.remove("x").packs}
    assert found == {".": (1, 1), "a": (0, 1)}
    report = forks.remove("x", force=True)
    assert report.removal.trash is not None
    assert (report.removal.trash / "notes/one").read_text() == "one"
