"""Sparse directories, submodules and remotes: they are done as declared, and nobody's work is lost, kills included."""

from __future__ import annotations

import os
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from grex.engine.planner import Leave, SubmoduleFound, submodule_step
from grex.git.records import MoveNote, write_note
from grex.verbs.sync import PackReport
from tests.support.dying import run_until
from tests.support.git_server import GitServer, git
from tests.support.place import Place, by_path

pytestmark = pytest.mark.usefixtures("plain_git")
TREE = {"top": "t", "a/x": "ax", "b/y": "by", "b/c/z": "bcz"}


@pytest.fixture
def plain_git(monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration of the machine, and a name for commits."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Test")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "test@example.invalid")


@pytest.fixture
def server(tmp_path: Path) -> GitServer:
    return GitServer(tmp_path / "server")


@pytest.fixture
def place(tmp_path: Path, plain_git: None) -> Place:
    return Place(tmp_path / "here")


def sync(place: Place, **request: Any) -> dict[str, PackReport]:
    return by_path(anyio.run(partial(place.sync, **request)))


def files(root: Path) -> list[str]:
    return sorted(
        str(path.relative_to(root))
        for path in root.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(root).parts and not path.name.startswith(".g")
    )


def add_submodule(server: GitServer, outer: str, inner: str, path: str, *, url: str | None = None) -> None:
    work = server.work(outer)
    git(work, "-c", "protocol.file.allow=always", "submodule", "add", "--quiet", server.url(inner), path)
    if url is not None:
        git(work, "config", "--file", ".gitmodules", f"submodule.{path}.url", url)
    git(work, "commit", "--quiet", "-am", f"submodule {path}")
    server.push(outer, "main")


def bump(server: GitServer, outer: str, path: str) -> None:
    """Let the outer repository name the newest commit of its submodule."""
    git(server.work(outer) / path, "pull", "--quiet", "origin", "main")
    git(server.work(outer), "commit", "--quiet", "-am", "bump")
    server.push(outer, "main")


@pytest.fixture
def nested(server: GitServer) -> GitServer:
    """`app` has the submodule `libs/sub`, which has the submodule `deep`."""
    server.create("deep", {"d": "1"})
    server.create("sub", {"s": "1"})
    add_submodule(server, "sub", "deep", "deep")
    server.create("app", {"f": "1"})
    add_submodule(server, "app", "sub", "libs/sub")
    return server


# -- sparse -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ref", [None, "v1", "commit"])
def test_only_the_sparse_directories_are_checked_out(server: GitServer, place: Place, ref: str | None) -> None:
    server.create("lib", TREE)
    sha = server.tag("lib", "v1")
    declared = {"url": server.url("lib"), "sparse": ["/b/c/", "a"]}
    place.declare(declared if ref is None else {**declared, "ref": sha if ref == "commit" else ref})
    assert sync(place)["lib"].status == "cloned"
    assert files(place / "lib") == ["a/x", "b/c/z", "b/y", "top"]  # cone mode: files beside the way come too
    again = sync(place)["lib"]
    assert (again.status, again.notes) == ("unchanged", ())
    assert git(place / "lib", "status", "--porcelain") == ""


def test_a_changed_cone_is_applied_and_one_taken_back_brings_everything(server: GitServer, place: Place) -> None:
    server.create("lib", TREE)
    place.declare({"url": server.url("lib")})
    sync(place)
    place.declare({"url": server.url("lib"), "sparse": ["a"]})
    assert sync(place, dry_run=True)["lib"].notes == ("would check out only a",)
    assert files(place / "lib") == ["a/x", "b/c/z", "b/y", "top"]
    assert sync(place)["lib"].notes == ("checked out only a",)
    assert files(place / "lib") == ["a/x", "top"]
    place.declare({"url": server.url("lib")})
    assert sync(place)["lib"].notes == ("checked out the whole tree",)
    assert files(place / "lib") == ["a/x", "b/c/z", "b/y", "top"]


def test_edits_and_untracked_files_outside_of_a_new_cone_stay_until_they_are_gone(
    server: GitServer, place: Place
) -> None:
    server.create("lib", TREE)
    place.declare({"url": server.url("lib")})
    sync(place)
    (place / "lib/b/y").write_text("mine")
    (place / "lib/b/new").write_text("mine too")
    place.declare({"url": server.url("lib"), "sparse": ["a"]})
    (said,) = (note for note in sync(place)["lib"].notes if note.startswith("checked out only a"))
    assert "kept because they are edited or untracked" in said
    assert "b/y" in said
    assert ((place / "lib/b/y").read_text(), (place / "lib/b/new").read_text()) == ("mine", "mine too")
    git(place / "lib", "checkout", "--ignore-skip-worktree-bits", "--", "b/y")
    (place / "lib/b/new").unlink()
    sync(place)
    assert files(place / "lib") == ["a/x", "top"]


def test_a_sparse_pack_follows_its_branch_and_its_index_is_read_without_git(server: GitServer, place: Place) -> None:
    server.create("lib", TREE)
    place.declare({"url": server.url("lib"), "sparse": ["a"]})
    sync(place)
    server.commit("lib", {"a/x": "2", "b/y": "2"})
    assert sync(place)["lib"].status == "moved"
    assert (files(place / "lib"), (place / "lib/a/x").read_text()) == (["a/x", "top"], "2")
    place.declare({"url": server.url("lib"), "sparse": ["a"], "ref": git(place / "lib", "rev-parse", "HEAD")})
    sync(place)
    place.seen.events.clear()
    assert sync(place)["lib"].notes == ()
    assert [event for event in place.seen.events if getattr(event, "category", "") == "git"] == []
    git(place / "lib", "sparse-checkout", "set", "--cone", "--sparse-index", "a")  # the index has directories now
    assert sync(place)["lib"].notes == ()
    (place / "lib/a/x").write_text("mine")
    assert sync(place)["lib"].notes == ("1 edited file left as it is: a/x",)


def test_a_change_of_the_cone_that_is_killed_at_each_step_is_finished(server: GitServer, place: Place) -> None:
    server.create("lib", TREE)
    for nth in range(1, 40):
        shutil.rmtree(place / "lib", ignore_errors=True)
        place.declare({"url": server.url("lib"), "sparse": ["a"]})
        sync(place)
        (place / "lib/a/x").write_text("mine")
        place.declare({"url": server.url("lib"), "sparse": ["b"]})
        was_killed = run_until(lambda: sync(place), nth, since="grex.engine.fitting:set_cone")
        (place / "lib/a/x").write_text("mine")
        sync(place)
        assert (place / "lib/a/x").read_text() == "mine"
        assert files(place / "lib") == ["a/x", "b/c/z", "b/y", "top"]
        if not was_killed:
            break
    else:
        raise AssertionError("it never got through")


def test_a_file_that_a_killed_git_has_half_written_into_the_new_cone_is_kept_and_put_right(
    server: GitServer, place: Place
) -> None:
    server.create("lib", TREE)
    place.declare({"url": server.url("lib"), "sparse": ["a"]})
    sync(place)
    write_note(place / "lib/.git", MoveNote(op="sparse", pack="lib", cone=("b",), cone_before=("a",)))
    (place / "lib/b").mkdir()
    (place / "lib/b/y").write_text("b")  # of `by`
    (place / "lib/.git/index.lock").write_text("")
    place.declare({"url": server.url("lib"), "sparse": ["b"]})
    notes = sync(place)["lib"].notes
    assert files(place / "lib") == ["b/c/z", "b/y", "top"]
    assert (place / "lib/b/y").read_text() == "by"
    (rescue,) = git(place / "lib", "for-each-ref", "--format=%(refname)", "refs/grex/rescue").splitlines()
    assert git(place / "lib", "show", f"{rescue}:b/y") == "b"
    assert any(rescue in note for note in notes)
    assert git(place / "lib", "status", "--porcelain") == ""


# -- remotes ----------------------------------------------------------------------------------------------------------


def test_remotes_are_made_and_changed_and_the_users_own_stay(server: GitServer, place: Place) -> None:
    server.create("lib", TREE)
    place.declare({"url": server.url("lib")})
    sync(place)
    git(place / "lib", "remote", "add", "mine", "https://mine.invalid/x")
    place.declare({"url": server.url("lib"), "remotes": {"fork": "https://ada:secret@h.invalid/fork"}})
    assert sync(place, dry_run=True)["lib"].notes == ("would set the remote fork",)
    assert sync(place)["lib"].notes == ("set the remote fork",)
    assert git(place / "lib", "remote", "get-url", "fork") == "https://h.invalid/fork"
    assert "secret" not in (place / "lib/.git/config").read_text()
    assert sync(place)["lib"].notes == ()
    place.declare({"url": server.url("lib"), "remotes": {"fork": "https://h.invalid/other"}})
    sync(place)
    assert git(place / "lib", "config", "--get-all", "remote.fork.url") == "https://h.invalid/other"
    assert git(place / "lib", "config", "--get-all", "remote.fork.fetch") == "+refs/heads/*:refs/remotes/fork/*"
    place.declare({"url": server.url("lib")})
    (note,) = sync(place)["lib"].notes
    assert note.startswith("the remote fork is no longer declared; it was left")
    assert git(place / "lib", "remote").split() == ["fork", "mine", "origin"]
    git(place / "lib", "remote", "remove", "fork")
    assert sync(place)["lib"].notes == ()


# -- submodules -------------------------------------------------------------------------------------------------------


def test_submodules_are_brought_with_those_below_them_and_left_alone_by_default(
    nested: GitServer, place: Place
) -> None:
    place.declare(
        {"url": nested.url("app"), "path": "with", "submodules": True, "depth": 1},
        {"url": nested.url("app"), "path": "without"},
    )
    assert sync(place)["with"].notes == ("brought 2 submodules",)
    assert files(place / "with") == ["f", "libs/sub/deep/d", "libs/sub/s"]
    assert files(place / "without") == ["f"]
    assert git(place / "with/libs/sub", "rev-list", "--count", "HEAD") == "1"  # the depth is theirs as well
    again = sync(place)["with"]
    assert (again.status, again.notes) == ("unchanged", ())
    nested.commit("sub", {"s": "2"})
    bump(nested, "app", "libs/sub")
    moved = sync(place)["with"]
    assert (moved.status, moved.notes) == ("moved", ("brought 1 submodule",))
    assert (place / "with/libs/sub/s").read_text() == "2"


def test_a_submodule_with_work_keeps_its_pack_where_it_is(nested: GitServer, place: Place) -> None:
    place.declare({"url": nested.url("app"), "submodules": True})
    sync(place)
    inside = place / "app/libs/sub"
    old = git(place / "app", "rev-parse", "HEAD")
    nested.commit("sub", {"s": "2"})
    bump(nested, "app", "libs/sub")
    git(place / "app", "config", "submodule.libs/sub.ignore", "all")  # what hides it from git does not hide it here

    (inside / "s").write_text("mine")
    edited = sync(place)["app"]
    assert (edited.status, edited.code) == ("left", "submodule-work")
    assert edited.text.endswith("it has edited or untracked files")
    assert (git(place / "app", "rev-parse", "HEAD"), (inside / "s").read_text()) == (old, "mine")
    assert anyio.run(place.state_of, "app").edited

    git(inside, "commit", "--quiet", "-am", "mine")
    committed = sync(place)["app"]
    assert (committed.code, committed.text.rpartition(", and ")[2]) == (
        "submodule-work",
        "it has commits that are not pushed",
    )
    git(inside, "push", "--quiet", "origin", "HEAD:refs/heads/mine")
    assert sync(place)["app"].status == "moved"
    assert (inside / "s").read_text() == "2"

    (inside / "deep/d").write_text("mine")
    nested.commit("sub", {"s": "3"})
    bump(nested, "app", "libs/sub")
    assert sync(place)["app"].text.startswith("the submodule libs/sub")


def test_work_in_a_submodule_that_need_not_move_is_nobodys_trouble(nested: GitServer, place: Place) -> None:
    place.declare({"url": nested.url("app"), "submodules": True})
    sync(place)
    (place / "app/libs/sub/s").write_text("mine")
    nested.commit("app", {"f": "2"})
    assert sync(place)["app"].status == "moved"
    assert (place / "app/libs/sub/s").read_text() == "mine"


@pytest.mark.parametrize("url", ["ext::sh -c 'touch ran'", "-u./x", "helper::x", "https://h/../x"])
def test_an_url_of_a_submodule_that_could_run_a_program_is_refused(nested: GitServer, place: Place, url: str) -> None:
    git(nested.work("app"), "config", "--file", ".gitmodules", "submodule.libs/sub.url", url)
    git(nested.work("app"), "commit", "--quiet", "-am", "evil")
    nested.push("app", "main")
    place.declare({"url": nested.url("app"), "submodules": True})
    report = sync(place)["app"]
    assert report.status == "failed"
    assert report.error is not None
    assert "the submodule libs/sub of app cannot be fetched" in report.error.message
    assert not (place / "app/libs/sub/s").exists()


def test_an_update_command_is_never_run(nested: GitServer, place: Place, tmp_path: Path) -> None:
    place.declare({"url": nested.url("app"), "submodules": True})
    sync(place)
    ran = tmp_path / "ran"
    git(place / "app", "config", "submodule.libs/sub.update", f"!touch {ran}")
    nested.commit("sub", {"s": "2"})
    bump(nested, "app", "libs/sub")
    assert sync(place)["app"].status == "moved"
    assert (place / "app/libs/sub/s").read_text() == "2"
    assert not ran.exists()


def test_offline_says_that_submodules_are_missing(nested: GitServer, place: Place) -> None:
    place.declare({"url": nested.url("app")})
    sync(place)
    place.declare({"url": nested.url("app"), "submodules": True})
    report = sync(place, offline=True)["app"]
    assert report.status == "failed"
    assert report.text.startswith("the submodules of app are not all there, and --offline forbids fetching them")
    assert files(place / "app") == ["f"]


@pytest.mark.slow
def test_submodules_that_are_killed_at_each_step_are_made_whole(nested: GitServer, place: Place) -> None:
    place.declare({"url": nested.url("app"), "submodules": True})
    for nth in range(1, 120):
        shutil.rmtree(place / "app", ignore_errors=True)
        was_killed = run_until(lambda: sync(place), nth, since="grex.engine.fitting:_Bringing.bring")
        report = sync(place)["app"]
        assert report.error is None, report.error
        assert files(place / "app") == ["f", "libs/sub/deep/d", "libs/sub/s"], nth
        assert git(place / "app", "status", "--porcelain") == ""
        if not was_killed:
            break
    else:
        raise AssertionError("it never got through")


def test_a_half_made_submodule_is_made_anew_and_files_in_its_place_are_kept(nested: GitServer, place: Place) -> None:
    place.declare({"url": nested.url("app")})
    sync(place)
    git_dir = place / "app/.git"
    write_note(git_dir, MoveNote(op="submodules", pack="app", new=("libs/sub",), made=("libs/sub", "../../../top")))
    # As SIGKILL leaves it: a git directory without objects, and a file of which nobody knows whose it is.
    (git_dir / "modules/libs/sub/objects").mkdir(parents=True)
    (git_dir / "modules/libs/sub/HEAD").write_text("ref: refs/heads/main\n")
    (place / "app/libs/sub/.git").write_text("gitdir: ../../.git/modules/libs/sub\n")
    (place / "app/libs/sub/s").write_text("half")
    (place / "top").mkdir()
    place.declare({"url": nested.url("app"), "submodules": True})
    notes = sync(place)["app"].notes
    assert files(place / "app") == ["f", "libs/sub/deep/d", "libs/sub/s"]
    (kept,) = git_dir.glob("grex/kept-*/*/s")
    assert kept.read_text() == "half"
    assert any(str(kept.parent) in note for note in notes)
    assert (place / "top").is_dir()  # a name that leads elsewhere is nobody's submodule


@pytest.mark.parametrize("present", [False, True])
def test_a_submodule_step(present: bool) -> None:
    """The planner's table: what is not there is brought, what is right stays, work is in the way of a move only."""
    head = "b" * 40 if present else None
    right = SubmoduleFound("s", "a" * 40, "a" * 40, is_recorded=True, work="it has edited or untracked files")
    assert submodule_step(right) is False
    assert submodule_step(SubmoduleFound("s", "a" * 40, head, is_recorded=True, work=None)) is True
    moved = submodule_step(SubmoduleFound("s", "a" * 40, head, is_recorded=True, work="it has a stash"))
    assert isinstance(moved, Leave) is present
