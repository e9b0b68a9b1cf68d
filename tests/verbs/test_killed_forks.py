"""`fork` and `fork rm` that are killed before each change to the disk: the same again goes on, and nothing is harmed.

Between two changes of ours lies at most one git, so that it is killed before and after each git as well; what a git
that dies in the middle leaves is put there by hand.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from grex.errors import ManifestError
from grex.git import linked_work_trees
from tests.support.dying import run_until
from tests.support.forks import Forks
from tests.support.git_server import git

FORK = "grex.verbs.fork:missing_directories"
REMOVE = "grex.verbs.fork_rm:fork_state"


def left_of(forks: Forks, name: str) -> list[str]:
    """What is there of a fork that should be gone."""
    found = [str(path) for path in forks.base.iterdir() if path.name == name or path.name.startswith(".grex-tmp-")]
    for pack in (".", "a", "a/in", "b"):
        if (forks.root / pack / ".git").exists():
            found += [str(place) for _, place in linked_work_trees(forks.root / pack / ".git")]
            found += [branch for branch in forks.branches(pack) if branch == f"grex/{name}"]
    return found


def check_whole(forks: Forks, directory: Path) -> None:
    assert forks.status(directory).is_clean, forks.status(directory).packs
    for pack in ("a", "a/in", "b"):
        assert git(directory / pack, "symbolic-ref", "HEAD") == f"refs/heads/grex/{directory.name}"
        assert git(directory / pack, "status", "--porcelain") == ""
    assert not list(directory.rglob(".grex-tmp-*"))
    assert not (directory / ".grex/trash").exists()
    forks.check_untouched()


def each_kill(forks: Forks, points: list[int] | None) -> None:
    """Kill a fork before its nth change, go on with it or take it away in turn; kill the removal as well.

    - the fork is told as half-made, if there is anything of it;
    - the same command makes it whole, or `fork rm` leaves nothing;
    - a removal that was killed is told, and the next one leaves nothing.
    """
    numbers = iter(points if points is not None else range(1, 1000))
    for number in numbers:
        name = f"f{number}"
        was_killed = run_until(lambda name=name: forks.made(name), number, since=FORK)  # type: ignore[misc]  # of this round
        state = forks.states().get(name)
        assert state in (None, "half-made", "ok"), (number, state)
        assert forks.status().is_clean
        if was_killed and state is not None and number % 2:
            assert forks.remove(name).exit_code == 0, (number, forks.remove(name).packs)
            assert left_of(forks, name) == [], number
        if forks.states().get(name) != "ok":
            forks.made(name)
        check_whole(forks, forks.base / name)
        died = run_until(lambda name=name: forks.remove(name), number, since=REMOVE)  # type: ignore[misc]  # as above
        if died:
            assert forks.states().get(name) in ("ok", "half-removed", "gone"), number
            assert forks.remove(name).exit_code == 0, number
        assert left_of(forks, name) == [], number
        assert forks.states() == {}
        forks.check_untouched()
        if not was_killed and not died:
            return
    assert points is not None, "it never came to its end"


def test_a_fork_that_is_killed_at_some_steps_is_gone_on_with_or_taken_away(tmp_path: Path) -> None:
    each_kill(Forks(tmp_path), [4, 9])


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("has_root", [True, pytest.param(False, marks=pytest.mark.exhaustive)])
def test_a_fork_that_is_killed_at_any_step_is_gone_on_with_or_taken_away(tmp_path: Path, has_root: bool) -> None:
    each_kill(Forks(tmp_path, has_root=has_root), None)


def half_made(forks: Forks, name: str) -> Path:
    """A fork that was killed while git made the work tree of `b`, and before the one of `a/in` was begun."""
    directory = forks.made(name)
    mark = directory / ".grex/state/fork.json"
    mark.write_text(mark.read_text().replace('"stage":"whole"', '"stage":"making"'))
    own = forks.root / "b/.git/worktrees/b"
    (own / "locked").write_text("initializing\n")
    (own / "index").rename(own / "index.lock")
    (directory / "b/file").unlink()
    shutil.rmtree(own / "grex")
    shutil.rmtree(directory / "a/in")
    shutil.rmtree(forks.root / "a/in/.git/worktrees")
    return directory


def test_what_a_killed_git_left_of_a_work_tree_is_made_anew(tmp_path: Path) -> None:
    forks = Forks(tmp_path)
    directory = half_made(forks, "x")
    assert forks.states() == {"x": "half-made"}
    (directory / "b/somebodys").write_text("who knows")
    with pytest.raises(ManifestError, match="making it was interrupted"):
        forks.sync(directory)
    report = forks.fork("x")
    assert (report.exit_code, report.is_resumed) == (0, True), report.packs
    assert (directory / "b/file").read_text() == "b\n"
    (kept,) = (directory / ".grex/trash").rglob("somebodys")
    assert kept.read_text() == "who knows"
    assert forks.status(directory).is_clean
    trash = forks.remove("x").removal.trash
    assert trash is not None
    assert [path.read_text() for path in trash.rglob("somebodys")] == ["who knows"]


def test_a_half_made_fork_is_taken_away_and_is_no_work(tmp_path: Path) -> None:
    forks = Forks(tmp_path)
    half_made(forks, "x")
    assert forks.remove("x").exit_code == 0
    assert left_of(forks, "x") == []
    forks.check_untouched()
