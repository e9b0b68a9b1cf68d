"""Clones with a `depth` or a `filter`, later: a moved branch, another ref, a commit beyond the depth, no network."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from grex.verbs.sync import PackReport
from tests.support.git_server import GitServer, git
from tests.support.place import Place, by_path


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GitServer:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Test")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "test@example.invalid")
    server = GitServer(tmp_path / "server")
    server.create("lib", {"f": "1"})
    for number in range(2, 7):
        server.commit("lib", {"f": f"{number}"})
    git(server.path("lib"), "config", "uploadpack.allowFilter", "true")
    git(server.path("lib"), "config", "uploadpack.allowAnySHA1InWant", "true")
    return server


@pytest.fixture
def place(tmp_path: Path, server: GitServer) -> Place:
    return Place(tmp_path / "here")


def sync(place: Place, **request: Any) -> PackReport:
    return by_path(anyio.run(partial(place.sync, **request)))["lib"]


def count(place: Place, what: str = "HEAD") -> int:
    return int(git(place / "lib", "rev-list", "--count", what))


def test_a_moved_branch_is_followed_and_only_what_is_new_comes(server: GitServer, place: Place) -> None:
    place.declare({"url": server.url("lib"), "depth": 1})
    sync(place)
    assert count(place) == 1
    server.commit("lib", {"f": "7"})
    assert (sync(place).status, count(place)) == ("moved", 2)


def test_a_rewritten_branch_is_followed(server: GitServer, place: Place) -> None:
    place.declare({"url": server.url("lib"), "depth": 1})
    sync(place)
    server.commit("lib", {"f": "other"}, amend=True)
    assert sync(place).status == "moved"
    assert (place / "lib/f").read_text() == "other"


def test_another_branch_comes_with_the_depth_and_is_one_that_git_can_pull(server: GitServer, place: Place) -> None:
    first = git(server.path("lib"), "rev-parse", "main~4")
    git(server.work("lib"), "branch", "old", first)
    server.commit("lib", {"g": "old"}, branch="old")
    server.commit("lib", {"g": "older"}, branch="old")
    place.declare({"url": server.url("lib"), "depth": 1})
    sync(place)
    place.declare({"url": server.url("lib"), "depth": 1, "ref": "old"})
    assert sync(place).error is None
    assert count(place) == 1
    assert git(place / "lib", "rev-parse", "--abbrev-ref", "@{upstream}") == "origin/old"
    tip = server.commit("lib", {"g": "new"}, branch="old")
    git(place / "lib", "pull", "--quiet", "--ff-only")
    assert git(place / "lib", "rev-parse", "HEAD") == tip


@pytest.mark.parametrize("kind", ["commit", "tag"])
def test_a_pin_outside_of_the_depth_comes_with_the_depth(server: GitServer, place: Place, kind: str) -> None:
    sha = server.tag("lib", "old", at="main~3")
    place.declare({"url": server.url("lib"), "depth": 1})
    sync(place)
    place.declare({"url": server.url("lib"), "depth": 1, "ref": sha if kind == "commit" else "old"})
    assert sync(place).status == "moved"
    assert (git(place / "lib", "rev-parse", "HEAD"), count(place)) == (sha, 1)
    place.declare({"url": server.url("lib"), "depth": 1, "ref": "main"})
    assert sync(place).status == "moved"
    assert (place / "lib/f").read_text() == "6"


def test_a_partial_clone_without_network_says_what_it_lacks_before_it_touches_a_file(
    server: GitServer, place: Place
) -> None:
    place.declare({"url": server.url("lib"), "filter": "blob:none"})
    sync(place)
    server.commit("lib", {"f": "7", "g": "new"})
    old = git(place / "lib", "rev-parse", "HEAD")
    git(place / "lib", "fetch", "--quiet", "--filter=blob:none", "origin")
    report = sync(place, offline=True)
    assert report.status == "failed"
    assert "--offline forbids" in report.text
    assert (git(place / "lib", "rev-parse", "HEAD"), (place / "lib/f").read_text()) == (old, "6")
    assert not (place / "lib/.git/grex/note.json").exists()
    assert sync(place).status == "moved"
    assert (place / "lib/g").read_text() == "new"
    assert sync(place, offline=True).status == "unchanged"
