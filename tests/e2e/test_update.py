"""`grex update`: follows tags that moved, which a sync keeps, and loses nothing on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.git_server import GitServer, git
from tests.support.workspace import Workspace, pack_yaml

pytestmark = pytest.mark.slow  # whole runs of the program; what they show in small is shown below


@pytest.fixture
def pinned(server: GitServer, tmp_path: Path) -> Workspace:
    """A workspace with the pack `tool` at the tag `v1`, which has moved upstream since."""
    server.create("tool", {"t": "1\n"})
    server.tag("tool", "v1")
    workspace = Workspace(tmp_path)
    workspace.declare({"url": server.url("tool"), "ref": "v1"})
    workspace.sync()
    server.commit("tool", {"t": "2\n"})
    server.tag("tool", "v1", annotated=True)
    return workspace


@pytest.mark.parametrize("knows_it", [False, True])
def test_a_moved_tag_is_kept_by_sync_and_followed_by_update(
    server: GitServer, pinned: Workspace, knows_it: bool
) -> None:
    moved = git(server.work("tool"), "rev-parse", "v1^{commit}")
    first = pinned.locked()["tool"]["sha"]
    if knows_it:
        git(pinned / "tool", "fetch", "--quiet", "origin", "main")
    assert pinned.sync().packs["tool"]["new"] == first
    planned = pinned.grex("update", "--dry-run", "--json").packs["tool"]
    assert (planned["status"], planned["new"]) == ("planned", moved)
    assert pinned.locked()["tool"]["sha"] == first
    run = pinned.grex("update", "--json")
    assert (run.document["schema"], run.document["forced"]) == ("grex.update/1", False)
    assert (run.packs["tool"]["status"], run.packs["tool"]["new"]) == ("moved", moved)
    assert f"the tag v1 moved upstream from {first[:10]} to {moved[:10]}" in run.packs["tool"]["notes"]
    assert pinned.locked()["tool"]["sha"] == moved
    assert (pinned / "tool/t").read_text() == "2\n"
    again = pinned.snapshot(git=True, times=True)
    assert pinned.grex("update", "--json").packs["tool"]["status"] == "unchanged"
    assert pinned.sync().packs["tool"]["new"] == moved
    assert pinned.snapshot(git=True, times=True) == again


def test_without_a_network_a_tag_stays_and_nobody_is_asked(server: GitServer, pinned: Workspace) -> None:
    server.path("tool").rename(server.root / "gone.git")
    assert pinned.grex("update", "--offline", "--json").packs["tool"]["status"] == "unchanged"
    assert pinned.grex("update", "--json", expect=4).packs["tool"]["status"] == "failed"


def test_edits_that_a_moved_tag_touches_keep_the_pack_where_it_is(server: GitServer, pinned: Workspace) -> None:
    first = pinned.locked()["tool"]["sha"]
    (pinned / "tool/t").write_text("mine\n")
    assert pinned.grex("update", "--json", expect=4).packs["tool"]["code"] == "edits-in-the-way"
    assert (pinned / "tool/t").read_text() == "mine\n"
    assert pinned.locked()["tool"]["sha"] == first


def test_a_pack_that_is_not_there_is_cloned_at_where_the_tag_is_now(server: GitServer, pinned: Workspace) -> None:
    moved = git(server.work("tool"), "rev-parse", "v1^{commit}")
    (pinned / "tool").rename(pinned.home / "tool")
    assert pinned.grex("update", "--json").packs["tool"]["new"] == moved


def test_only_the_packs_that_were_named_are_installed_again(server: GitServer, tmp_path: Path) -> None:
    workspace, ran = Workspace(tmp_path), tmp_path / "ran"
    for name in ("a", "b"):
        actions = [{"exec": {"cmd": ["/bin/sh", "-c", f"echo {name} >> {ran}"]}}]
        server.create(name, {".grex/pack.yaml": pack_yaml(name, "declarative", actions=actions)})
    workspace.declare({"url": server.url("a")}, {"url": server.url("b")})
    workspace.grex("trust", server.root.as_uri())
    workspace.sync()
    ran.unlink()
    workspace.grex("update")
    assert not ran.exists()
    report = workspace.grex("update", "--force", "b", "--json")
    assert list(report.packs) == ["b"]
    assert report.packs["b"]["install"]["status"] == "updated"
    assert report.document["forced"] is True
    assert ran.read_text() == "b\n"


def test_installing_again_and_not_at_all_is_refused(pinned: Workspace) -> None:
    error = pinned.grex("update", "--force", "--no-install", "--json", expect=2).error
    assert error["message"] == "--force and --no-install exclude each other"
