"""What a sync follows, what it keeps, and that it says so: branches, tags and commits, as upstream goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.git_server import GitServer, git
from tests.support.workspace import Workspace

pytestmark = pytest.mark.slow  # whole runs of the program; what they show in small is shown below


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace; nothing is declared in it yet."""
    return Workspace(tmp_path)


def _head(pack: Path) -> tuple[str, str]:
    """The branch that HEAD is on, empty when detached, and its commit."""
    branch = git(pack, "symbolic-ref", "--quiet", "HEAD", check=False)
    return branch.removeprefix("refs/heads/"), git(pack, "rev-parse", "HEAD")


def _assert_clean(pack: Path) -> None:
    """The files are those of the commit, and nothing else is there."""
    assert git(pack, "status", "--porcelain", "--untracked-files=all") == ""


def test_a_branch_that_moved_is_followed_with_all_that_changed(server: GitServer, workspace: Workspace) -> None:
    server.create("a", {"kept": "1\n", "changed": "1\n", "gone": "1\n", "deep/er/gone": "1\n", "file": "1\n"})
    workspace.declare({"url": server.url("a")})
    workspace.sync()
    old = git(workspace / "a", "rev-parse", "HEAD")
    news = {"changed": "2\n", "gone": None, "deep/er/gone": None, "file": None, "file/is/a/directory": "1\n"}
    new = server.commit("a", news)
    pack = workspace.sync().packs["a"]
    assert (pack["status"], pack["branch"], pack["old"], pack["new"]) == ("moved", "main", old, new)
    assert _head(workspace / "a") == ("main", new)
    assert git(workspace / "a", "rev-parse", "--abbrev-ref", "main@{upstream}") == "origin/main"
    assert not (workspace / "a/deep").exists()
    assert (workspace / "a/file/is/a/directory").read_text() == "1\n"
    _assert_clean(workspace / "a")
    assert workspace.locked()["a"]["sha"] == new


def test_a_rewritten_branch_is_followed_and_its_old_tip_is_kept(server: GitServer, workspace: Workspace) -> None:
    server.create("a", {"f": "1\n", "quiet": "1\n"})
    old = server.commit("a", {"f": "2\n"})
    workspace.declare({"url": server.url("a")})
    workspace.sync()
    (workspace / "a/quiet").write_text("edited\n")
    new = server.commit("a", {"f": "3\n"}, amend=True)
    pack = workspace.sync().packs["a"]
    assert (pack["status"], pack["new"]) == ("moved", new)
    assert "main was rewritten upstream and followed" in pack["notes"]
    rescue = git(workspace / "a", "for-each-ref", "--format=%(refname) %(objectname)", "refs/grex/rescue").split()
    assert rescue[1:] == [old]
    assert any(rescue[0] in note for note in pack["notes"])
    assert _head(workspace / "a") == ("main", new)
    assert (workspace / "a/quiet").read_text() == "edited\n"
    again = workspace.sync().packs["a"]
    assert (again["status"], again["notes"]) == ("unchanged", ["1 edited file left as it is: quiet"])
    assert len(git(workspace / "a", "for-each-ref", "refs/grex/rescue").splitlines()) == 1


def test_a_rewritten_branch_with_local_commits_has_diverged(server: GitServer, workspace: Workspace) -> None:
    server.create("a", {"f": "1\n"})
    server.commit("a", {"f": "2\n"})
    workspace.declare({"url": server.url("a")})
    workspace.sync()
    git(workspace / "a", "commit", "--quiet", "--allow-empty", "-m", "mine")
    mine = _head(workspace / "a")
    server.commit("a", {"f": "3\n"}, amend=True)
    for _ in range(2):  # the second one has fetched the new branch already, and must not take it for the old one
        pack = workspace.sync(expect=4).packs["a"]
        assert (pack["status"], pack["code"]) == ("left", "diverged")
        assert _head(workspace / "a") == mine


def test_a_branch_rewritten_under_edits_that_it_touches_is_left(server: GitServer, workspace: Workspace) -> None:
    """Two syncs refuse; once the edit is out of the way, the third follows although it fetched nothing."""
    server.create("a", {"f": "1\n"})
    server.commit("a", {"f": "2\n"})
    workspace.declare({"url": server.url("a")})
    workspace.sync()
    (workspace / "a/f").write_text("edited\n")
    new = server.commit("a", {"f": "3\n"}, amend=True)
    for _ in range(2):
        assert workspace.sync(expect=4).packs["a"]["code"] == "edits-in-the-way"
        assert (workspace / "a/f").read_text() == "edited\n"
    git(workspace / "a", "checkout", "--quiet", "f")
    assert workspace.sync().packs["a"]["status"] == "moved"
    assert _head(workspace / "a") == ("main", new)


def test_a_branch_that_is_gone_upstream_fails_and_stays_here(server: GitServer, workspace: Workspace) -> None:
    server.create("a", {"f": "1\n"})
    topic = server.commit("a", {"f": "2\n"}, branch="topic")
    server.create("b", {"f": "1\n"})
    workspace.declare({"url": server.url("a"), "ref": "topic"}, {"url": server.url("b")})
    workspace.sync()
    git(server.path("a"), "branch", "-D", "topic")
    news = server.commit("b", {"f": "2\n"})
    run = workspace.sync(expect=4)
    assert run.packs["a"]["status"] == "failed"
    assert "has no branch or tag 'topic'" in run.packs["a"]["error"]["message"]
    assert run.packs["a"]["error"]["hint"]
    assert _head(workspace / "a") == ("topic", topic)
    assert run.packs["b"]["new"] == news
    assert workspace.locked()["a"]["sha"] == topic


def test_a_renamed_default_branch_is_followed_under_its_new_name(server: GitServer, workspace: Workspace) -> None:
    server.create("a", {"f": "1\n"})
    workspace.declare({"url": server.url("a")})
    workspace.sync()
    git(workspace / "a", "branch", "mine")
    git(server.path("a"), "branch", "--move", "main", "trunk")
    git(server.path("a"), "symbolic-ref", "HEAD", "refs/heads/trunk")
    git(server.work("a"), "branch", "--move", "main", "trunk")
    new = server.commit("a", {"f": "2\n"}, branch="trunk")
    pack = workspace.sync().packs["a"]
    assert (pack["status"], pack["branch"]) == ("moved", "trunk")
    assert _head(workspace / "a") == ("trunk", new)
    assert git(workspace / "a", "branch", "--format=%(refname:short)").split() == ["main", "mine", "trunk"]
    assert git(workspace / "a", "rev-parse", "--abbrev-ref", "trunk@{upstream}") == "origin/trunk"
    assert workspace.locked()["a"]["branch"] == "trunk"


@pytest.mark.slow
def test_a_declared_ref_may_change_from_branch_to_tag_to_commit_to_branch(
    server: GitServer, workspace: Workspace
) -> None:
    server.create("a", {"f": "1\n"})
    first = server.tag("a", "v1", annotated=True)
    second = server.commit("a", {"f": "2\n"})
    third = server.commit("a", {"f": "3\n"}, branch="topic")
    steps = [
        (None, ("main", second), "main"),
        ("v1", ("", first), None),
        (third, ("", third), None),
        ("main", ("main", second), "main"),
        ("topic", ("topic", third), "topic"),
        ("refs/tags/v1", ("", first), None),
        ("refs/heads/main", ("main", second), "main"),
    ]
    for ref, head, branch in steps:
        workspace.declare({"url": server.url("a")} | ({"ref": ref} if ref else {}))
        pack = workspace.sync().packs["a"]
        assert pack["new"] == head[1], ref
        assert _head(workspace / "a") == head, ref
        line = workspace.locked()["a"]
        assert (line["ref"], line["branch"], line["sha"]) == (ref, branch, head[1])
        _assert_clean(workspace / "a")
        assert workspace.sync().packs["a"]["status"] == "unchanged", ref


def test_a_branch_wins_over_a_tag_of_its_name(server: GitServer, workspace: Workspace) -> None:
    server.create("a", {"f": "1\n"})
    server.tag("a", "both")
    branch = server.commit("a", {"f": "2\n"}, branch="both")
    workspace.declare({"url": server.url("a"), "ref": "both"})
    workspace.sync()
    assert _head(workspace / "a") == ("both", branch)


def test_a_tag_that_moved_is_kept_here_and_on_the_next_machine(
    server: GitServer, workspace: Workspace, tmp_path: Path
) -> None:
    server.create("a", {"f": "1\n"})
    old = server.tag("a", "v1")
    workspace.declare({"url": server.url("a"), "ref": "v1"})
    workspace.sync()
    server.commit("a", {"f": "2\n"})
    server.tag("a", "v1", annotated=True)
    assert workspace.sync().packs["a"]["status"] == "unchanged"
    assert _head(workspace / "a") == ("", old)
    other = Workspace(tmp_path, "other")
    other.declare({"url": server.url("a"), "ref": "v1"})
    other.lockfile.write_bytes(workspace.lockfile.read_bytes())
    pack = other.sync().packs["a"]
    assert _head(other / "a") == ("", old)
    assert any("the tag v1 moved upstream" in note for note in pack["notes"]), pack
    assert other.lockfile.read_bytes() == workspace.lockfile.read_bytes()


def test_what_is_pinned_and_present_needs_no_network(server: GitServer, workspace: Workspace) -> None:
    for name in ("pinned", "tagged", "followed"):
        server.create(name, {"f": "1\n"})
    sha = server.commit("pinned", {"f": "2\n"})
    tagged = server.tag("tagged", "v1", annotated=True)
    workspace.declare({"url": server.url("pinned"), "ref": sha}, {"url": server.url("tagged"), "ref": "v1"})
    workspace.sync()
    server.root.rename(server.root.with_name("cut off"))
    run = workspace.sync()
    assert {path: pack["status"] for path, pack in run.packs.items()} == {"pinned": "unchanged", "tagged": "unchanged"}
    assert [_head(workspace / "pinned"), _head(workspace / "tagged")] == [("", sha), ("", tagged)]
    workspace.declare(
        {"url": server.url("pinned"), "ref": sha},
        {"url": server.url("tagged"), "ref": "v1"},
        {"url": server.url("followed")},
    )
    run = workspace.sync(expect=4)
    assert run.packs["pinned"]["status"] == "unchanged"
    assert (run.packs["followed"]["status"], run.packs["followed"]["error"]["code"]) == ("failed", "pack.fetch")
    assert not (workspace / "followed").exists()


def test_what_is_pinned_and_present_needs_no_git_process(
    server: GitServer, workspace: Workspace, tmp_path: Path
) -> None:
    server.create("pinned", {"f": "1\n"})
    server.create("tagged", {"f": "1\n"})
    sha = server.commit("pinned", {"f": "2\n"})
    server.tag("tagged", "v1")
    workspace.declare({"url": server.url("pinned"), "ref": sha}, {"url": server.url("tagged"), "ref": "v1"})
    workspace.sync()
    started = tmp_path / "started"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/git").write_text(f'#!/bin/sh\necho "$@" >> {started}\nexit 1\n')
    (tmp_path / "bin/git").chmod(0o755)
    run = workspace.sync(PATH=f"{tmp_path}/bin:/usr/bin:/bin")
    assert {pack["status"] for pack in run.packs.values()} == {"unchanged"}
    assert not started.exists()


def test_a_pin_that_somebody_moved_by_hand_is_restored_without_network(server: GitServer, workspace: Workspace) -> None:
    server.create("a", {"f": "1\n"})
    first = git(server.path("a"), "rev-parse", "main")
    second = server.commit("a", {"f": "2\n"})
    workspace.declare({"url": server.url("a"), "ref": second})
    workspace.sync()
    git(workspace / "a", "checkout", "--quiet", "--detach", first)
    server.root.rename(server.root.with_name("cut off"))
    assert workspace.sync().packs["a"]["status"] == "moved"
    assert _head(workspace / "a") == ("", second)


def test_offline_brings_what_the_last_fetch_knew_and_names_what_it_cannot(
    server: GitServer, workspace: Workspace
) -> None:
    server.create("a", {"f": "1\n"})
    server.create("b", {"f": "1\n"})
    workspace.declare({"url": server.url("a")})
    workspace.sync()
    git(workspace / "a", "checkout", "--quiet", "--detach")
    fetched = server.commit("a", {"f": "2\n"})
    git(workspace / "a", "fetch", "--quiet")
    server.commit("a", {"f": "3\n"})
    workspace.declare({"url": server.url("a")}, {"url": server.url("b")})
    run = workspace.sync("--offline", expect=4)
    assert run.packs["a"]["new"] == fetched
    assert _head(workspace / "a") == ("main", fetched)
    assert "b is not cloned yet, and --offline forbids asking" in run.packs["b"]["error"]["message"]
    assert not (workspace / "b").exists()


def test_submodules_are_left_to_the_user(server: GitServer, workspace: Workspace) -> None:
    allowed = ("-c", "protocol.file.allow=always")  # git's own answer to file URLs of submodules
    server.create("sub", {"f": "1\n"})
    server.create("a", {"f": "1\n"})
    git(server.work("a"), *allowed, "submodule", "add", "--quiet", server.url("sub"), "sub")
    added = (server.work("a") / ".gitmodules").read_text()
    server.commit("a", {"f": "2\n", ".gitmodules": added})
    workspace.declare({"url": server.url("a")})
    workspace.sync()
    assert list((workspace / "a/sub").iterdir()) == []
    assert not (workspace / "a/.git/modules").exists()
    git(workspace / "a", *allowed, "submodule", "--quiet", "update", "--init")
    (workspace / "a/sub/f").write_text("edited in the submodule\n")
    new = server.commit("a", {"f": "3\n"})
    assert workspace.sync().packs["a"]["new"] == new
    assert (workspace / "a/sub/f").read_text() == "edited in the submodule\n"


def test_another_url_is_another_repository_until_origin_says_so(server: GitServer, workspace: Workspace) -> None:
    server.create("a", {"f": "1\n"})
    workspace.declare({"url": server.url("a")})
    workspace.sync()
    git(workspace / "a", "commit", "--quiet", "--allow-empty", "-m", "mine")
    mine = _head(workspace / "a")
    server.rename("a", "moved")
    workspace.declare({"url": server.url("moved"), "path": "a"})
    for _ in range(2):
        pack = workspace.sync(expect=4).packs["a"]
        assert (pack["status"], pack["code"]) == ("left", "different-repository")
        assert f"git remote set-url origin {server.url('moved')}" in pack["hint"]
        assert _head(workspace / "a") == mine
    git(workspace / "a", "remote", "set-url", "origin", server.url("moved"))
    assert workspace.sync().packs["a"]["notes"] == ["main has local commits that are not pushed"]
    git(workspace / "a", "push", "--quiet", "origin", "main")
    git(server.work("moved"), "pull", "--quiet")
    new = server.commit("moved", {"f": "2\n"})
    assert workspace.sync().packs["a"]["new"] == new


def test_a_checkout_made_by_hand_is_adopted_with_the_work_in_it(server: GitServer, workspace: Workspace) -> None:
    server.create("a", {"f": "1\n", "quiet": "1\n"})
    git(workspace.root, "clone", "--quiet", server.url("a"), "a")
    (workspace / "a/quiet").write_text("edited\n")
    new = server.commit("a", {"f": "2\n"})
    workspace.declare({"url": server.url("a")})
    pack = workspace.sync().packs["a"]
    assert (pack["status"], pack["new"]) == ("moved", new)
    assert (workspace / "a/quiet").read_text() == "edited\n"
    assert workspace.sync().packs["a"]["status"] == "unchanged"
