"""Moves of packs, and pulls of the workspace's own repository, killed before each change that they make to the disk.

After every single kill everything of the user's is there exactly once and whole, and a sync, or the same command again,
ends with declarations, log, lockfile and disk in agreement: a moved pack is at its old place or at its new one, and
the workspace's repository at its old commit or at its new one.
"""

from __future__ import annotations

import os
import shutil
from functools import partial
from pathlib import Path

import pytest

from grex.git.records import MoveNote, write_note
from grex.verbs.locate import locate
from grex.verbs.set_pack import SetRequest, set_pack
from grex.workspace import read_config
from tests.support.git_server import git
from tests.support.removal import Nest
from tests.verbs.test_killed_removals import check_marks, each_kill, mark, must, run

OLD, NEW = "libs/tool", "apps/deep/tool"


@pytest.fixture(autouse=True)
def no_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda fd: None)


def places(nest: Nest) -> set[str]:
    return {path for path in (OLD, NEW) if (nest / path / ".git").is_dir()}


def check_agreement(nest: Nest) -> None:
    (tool,) = places(nest)
    inner = f"{tool}/deps/inner"
    assert (nest / inner / ".git").is_dir()
    assert nest.declared() == nest.logged() == set(nest.place.locked()) == {"other", tool, inner}
    assert nest.place.leftovers() == []
    assert not (nest / ".grex/state/relocation.json").exists()
    gone = (nest / "libs", nest / "apps")
    assert sum(place.exists() for place in gone) == 1
    for lock in nest.place.root.rglob("*.grex-backend.lock"):
        assert (lock.parent / lock.name[1:].removesuffix(".grex-backend.lock")).is_dir(), lock
    # A linked work tree knows its repository wherever that is now.
    assert git(nest.base / "tree", "rev-parse", "--abbrev-ref", "HEAD") == "mine"


@pytest.mark.slow
@pytest.mark.parametrize("then", ["sync", "again"])
def test_a_move_killed_at_any_change_ends_in_one_of_the_two_places_with_everything(then: str, nest: Nest) -> None:
    local = nest / ".grex/local.yaml"

    def prepare() -> None:
        nest.begin()
        mark(nest)
        local.write_text(f"overrides:\n  - path: {OLD}\n    ref: main\n")
        run(nest.sync)
        git(nest / OLD, "worktree", "add", "--quiet", str(nest.base / "tree"), "-b", "mine")

    async def move() -> None:
        await must(set_pack(SetRequest(root=nest.place.root, pack="tool", path=NEW), nest.place.settings()))

    def check() -> None:
        check_marks(nest)
        assert len(places(nest)) == 1
        if then == "again":
            run(move)
            assert places(nest) == {NEW}
        run(nest.sync)
        check_marks(nest)
        check_agreement(nest)
        # What this machine says of the pack follows it.
        assert f"path: {next(iter(places(nest)))}" in local.read_text()

    assert each_kill(prepare, move, "grex.verbs.set_pack:_Setting._carry_out", check) > 15


@pytest.mark.slow
def test_making_room_for_another_repository_killed_at_any_change_loses_nothing(nest: Nest) -> None:
    def prepare() -> None:
        nest.begin()
        mark(nest)
        if not nest.server.path("foreign").exists():
            nest.server.create("foreign", {"f": "1\n"})

    async def replace() -> None:
        url = nest.server.url("foreign")
        await must(set_pack(SetRequest(root=nest.place.root, pack="tool", url=url), nest.place.settings()))

    def check() -> None:
        check_marks(nest)
        run(nest.sync)
        check_marks(nest)
        # The old repository or the new one: in both cases what is there is what is declared and known.
        is_new = (nest / OLD / "f").exists()
        assert ("foreign" in nest.yaml.read_text()) is is_new
        assert nest.declared() == nest.logged() == set(nest.place.locked()) == nest.there()
        assert nest.there() == {"other", OLD} | (set() if is_new else {f"{OLD}/deps/inner"})
        assert nest.place.leftovers() == []

    assert each_kill(prepare, replace, "grex.verbs.set_pack:_Setting._carry_out", check) > 15


class Shared:
    """A workspace that is a repository of its own, one commit behind the one it was cloned from."""

    def __init__(self, nest: Nest) -> None:
        self.nest = nest
        self.root = nest.place.root
        self.server = nest.server

    def prepare(self) -> None:
        self.nest.begin()
        git(self.root, "init", "--quiet", "--initial-branch=main")
        git(self.root, "add", ".grex/pack.yaml", "grex.lock.jsonl")
        (self.root / "notes").write_text("mine\n")
        git(self.root, "add", "notes")
        git(self.root, "commit", "--quiet", "-m", "first")
        hub = self.nest.base / "hub.git"
        git(self.nest.base, "clone", "--quiet", "--bare", str(self.root), str(hub))
        git(self.root, "remote", "add", "origin", str(hub))
        git(self.root, "fetch", "--quiet")
        git(self.root, "branch", "--quiet", "--set-upstream-to=origin/main")
        work = self.nest.base / "colleague"
        git(self.nest.base, "clone", "--quiet", str(hub), str(work))
        if not self.server.path("late").exists():
            self.server.create("late", {"l": "1\n"})
        text = (work / ".grex/pack.yaml").read_text()
        (work / ".grex/pack.yaml").write_text(text + f"  - url: {self.server.url('late')}\n")
        (work / ".grex/config.toml").write_text("[sync]\njobs = 2\n")
        git(work, "add", "--all")
        git(work, "commit", "--quiet", "-m", "late")
        git(work, "push", "--quiet")
        (self.root / "notes").write_text("edited\n")


@pytest.mark.slow
@pytest.mark.parametrize("then", ["sync", "again"])
def test_a_pull_killed_at_any_change_is_mended_by_the_next_sync(then: str, nest: Nest) -> None:
    shared = Shared(nest)

    async def pull() -> None:
        await must(nest.place.sync(pull=True))

    def check() -> None:
        assert locate(nest.place.root, None) == nest.place.root
        assert (nest / "notes").read_text() == "edited\n"
        if then == "again":
            run(pull)
            assert (nest / "late/l").read_text() == "1\n"
        run(partial(nest.sync))
        assert (nest / "notes").read_text() == "edited\n"
        status = git(nest.place.root, "status", "--porcelain", "--untracked-files=no").splitlines()
        assert [line for line in status if "grex.lock.jsonl" not in line] == [" M notes"]
        late = {"late"} if (nest / "late").exists() else set()
        assert (
            nest.declared() == nest.logged() == set(nest.place.locked()) == {"other", OLD, f"{OLD}/deps/inner"} | late
        )
        assert not (nest / ".grex/state/pulling").exists()
        assert not (nest / ".git/grex/note.json").exists()

    assert each_kill(shared.prepare, pull, "grex.engine.pulling:pull", check) > 8


@pytest.mark.parametrize("missing", ["pack.yaml", "config.toml", "both"])
def test_files_that_git_had_half_written_when_it_was_killed_are_mended_before_they_are_read(
    nest: Nest, missing: str
) -> None:
    """Git takes a file away before it writes the new one; killed in between, there is no workspace to be seen."""
    shared = Shared(nest)
    shared.prepare()
    root = nest.place.root
    git(root, "fetch", "--quiet")
    old, new = git(root, "rev-parse", "HEAD"), git(root, "rev-parse", "origin/main")
    (root / ".grex/state").mkdir(exist_ok=True)
    (root / ".grex/state/pulling").write_text("a pull is under way\n")
    write_note(root / ".git", MoveNote(op="checkout", pack=".", from_sha=old, to_sha=new, branch="main"))
    if missing in ("pack.yaml", "both"):
        (root / ".grex/pack.yaml").unlink()
    if missing in ("config.toml", "both"):
        (root / ".grex/config.toml").write_text("[syn")
    assert locate(root / ".grex", None) == root
    assert read_config(root, None).jobs is None
    report = run(nest.place.sync)
    assert report.exit_code == 0  # type: ignore[attr-defined]
    assert git(root, "rev-parse", "HEAD") == old
    assert nest.declared() == {"other", OLD, f"{OLD}/deps/inner"}
    assert not (root / ".grex/config.toml").exists()
    assert not (root / ".grex/state/pulling").exists()


def test_a_note_that_nobody_here_wrote_moves_nothing(nest: Nest) -> None:
    """A workspace's repository may ship a note: it names a directory by numbers that it cannot know."""
    state = nest / ".grex/state"
    state.mkdir(exist_ok=True)
    note = '{"v":1,"old":"libs/tool","new":"other","device":1,"inode":1,"created_at":"2026-01-01T00:00:00Z"}\n'
    (state / "relocation.json").write_text(note)
    report = run(nest.place.sync)
    assert any("forgot" in line for line in report.recovered)  # type: ignore[attr-defined]
    assert nest.there() == nest.logged() == nest.declared()
    (state / "relocation.json").write_text("[]")
    report = run(nest.place.sync)
    assert any("left there" in line for line in report.recovered)  # type: ignore[attr-defined]
    shutil.rmtree(Path(state))
