"""Which packs a sync brings, and in which order, where packs lie inside each other or have several parents."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.git_server import GitServer, git
from tests.support.workspace import Workspace, pack_yaml


@pytest.fixture
def server(tmp_path: Path) -> GitServer:
    return GitServer(tmp_path / "server")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def test_a_pack_inside_another_ones_checkout_is_cloned_after_it(server: GitServer, workspace: Workspace) -> None:
    """Both are declared by the root, the inner one first; the outer one has files beside it."""
    server.create("outer", {"f": "1\n", "libs/other": "2\n"})
    server.create("inner", {"f": "1\n"})
    workspace.declare({"url": server.url("inner"), "path": "a/libs/inner"}, {"url": server.url("outer"), "path": "a"})

    packs = workspace.sync().packs

    assert {path: pack["status"] for path, pack in packs.items()} == {"a": "cloned", "a/libs/inner": "cloned"}
    assert (workspace / "a/libs/other").read_text() == "2\n"
    assert git(workspace / "a", "status", "--porcelain") == ""


def test_a_pack_is_cloned_around_one_that_was_there_before_it(server: GitServer, workspace: Workspace) -> None:
    server.create("outer", {"f": "1\n", "libs/other": "2\n"})
    server.create("inner", {"f": "1\n"})
    inner = {"url": server.url("inner"), "path": "a/libs/inner"}
    workspace.declare(inner)
    workspace.sync()
    (workspace / "a/libs/inner/mine").write_text("mine\n")
    workspace.declare(inner, {"url": server.url("outer"), "path": "a"})

    packs = workspace.sync().packs

    assert {path: pack["status"] for path, pack in packs.items()} == {"a": "cloned", "a/libs/inner": "unchanged"}
    assert (workspace / "a/libs/other").read_text() == "2\n"
    assert (workspace / "a/libs/inner/mine").read_text() == "mine\n"
    assert git(workspace / "a", "status", "--porcelain") == ""


def test_a_file_beside_a_nested_pack_is_in_the_way_of_a_clone(server: GitServer, workspace: Workspace) -> None:
    server.create("outer", {"f": "1\n"})
    server.create("inner", {"f": "1\n"})
    inner = {"url": server.url("inner"), "path": "a/libs/inner"}
    workspace.declare(inner)
    workspace.sync()
    (workspace / "a/libs/mine").write_text("mine\n")
    workspace.declare(inner, {"url": server.url("outer"), "path": "a"})

    assert workspace.sync(expect=4).packs["a"]["code"] == "directory-in-the-way"
    assert (workspace / "a/libs/mine").read_text() == "mine\n"


@pytest.mark.parametrize("chosen", ["api", "web"])
def test_a_diamond_is_brought_with_whichever_of_its_parents_is_chosen(
    server: GitServer, workspace: Workspace, chosen: str
) -> None:
    server.create("common", {"f": "1\n"})
    for name in ("api", "web"):
        children = [{"url": server.url("common"), "path": "/libs/common"}]
        server.create(name, {".grex/pack.yaml": pack_yaml(name, children=children)})
    workspace.declare({"url": server.url("api")}, {"url": server.url("web")})
    workspace.sync()
    news = server.commit("common", {"f": "2\n"})

    packs = workspace.sync(chosen).packs

    assert set(packs) == {chosen, "libs/common"}
    assert packs["libs/common"]["new"] == news


def test_a_child_that_a_chosen_pack_declares_anew_is_brought_although_another_parent_passed_it(
    server: GitServer, workspace: Workspace
) -> None:
    server.create("common", {"f": "1\n"})
    children = [{"url": server.url("common"), "path": "/libs/common"}]
    server.create("api", {".grex/pack.yaml": pack_yaml("api")})
    server.create("web", {".grex/pack.yaml": pack_yaml("web", children=children)})
    workspace.declare({"url": server.url("api")}, {"url": server.url("web")})
    workspace.sync()
    news = server.commit("common", {"f": "2\n"})
    server.commit("api", {".grex/pack.yaml": pack_yaml("api", children=children)})

    packs = workspace.sync("api").packs

    assert set(packs) == {"api", "libs/common"}
    assert packs["libs/common"]["new"] == news
    assert workspace.locked()["libs/common"]["parents"] == ["api", "web"]


def test_a_chosen_pack_may_depend_on_one_that_was_not_chosen(server: GitServer, workspace: Workspace) -> None:
    server.create("base", {".grex/pack.yaml": pack_yaml("base", "plain")})
    actions = [{"mkdir": {"path": "out"}}]
    server.create("app", {".grex/pack.yaml": pack_yaml("app", "declarative", depends_on=["base"], actions=actions)})
    workspace.declare({"url": server.url("base")}, {"url": server.url("app")})
    workspace.sync("--no-install")

    packs = workspace.sync("app").packs

    assert set(packs) == {"app"}
    assert packs["app"]["install"]["status"] == "installed"


def test_a_pack_that_only_the_lockfile_knows_is_no_success(server: GitServer, workspace: Workspace) -> None:
    server.create("p", {"f": "1\n"})
    workspace.declare({"url": server.url("p")})
    workspace.sync()
    workspace.declare()

    document = workspace.sync("p", expect=4).document

    assert "no pack declares it any more" in document["errors"][0]["message"]
    assert workspace.grex("status", "--json", "p").packs["p"]["states"] == ["missing"]


@pytest.mark.parametrize("path", ["x", "deep/er/x"])
def test_an_add_that_fails_leaves_no_directory_behind(workspace: Workspace, path: str) -> None:
    workspace.declare()
    before = workspace.snapshot()

    workspace.grex("add", (workspace.root.parent / "nothing.git").as_uri(), path, expect=4)

    assert workspace.snapshot() == {**before, **_new_files_of_grex(workspace)}


def _new_files_of_grex(workspace: Workspace) -> dict[str, object]:
    """What every run may make: its directory of notes, empty again."""
    state = {path: facts for path, facts in workspace.snapshot().items() if path.endswith(".grex/state")}
    assert not list((workspace / ".grex/state").iterdir())
    return state
