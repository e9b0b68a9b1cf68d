"""Who owns whom, as the declarations change and contradict each other.

Every refusal names its places, and the packs that have nothing to do with it get done in the same run.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.git_server import GitServer, git
from tests.support.workspace import Workspace, pack_yaml

pytestmark = pytest.mark.slow  # whole runs of the program; what they show in small is shown below


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace; nothing is declared in it yet."""
    return Workspace(tmp_path)


def _meta(server: GitServer, name: str, *children: dict[str, str]) -> None:
    server.create(name, {".grex/pack.yaml": pack_yaml(name, children=list(children))})


def test_a_child_that_is_no_longer_declared_is_reported_and_left(server: GitServer, workspace: Workspace) -> None:
    server.create("a", {"f": "1\n"})
    server.create("b", {"f": "1\n"})
    workspace.declare({"url": server.url("a")}, {"url": server.url("b")})
    workspace.sync()
    (workspace / "b/mine").write_text("mine\n")
    before = workspace.snapshot(git=True)
    workspace.declare({"url": server.url("a")})
    for _ in range(2):
        run = workspace.sync()
        assert run.document["undeclared"] == ["b"]
        assert [pack["path"] for pack in run.document["packs"]] == ["a"]
    after = workspace.snapshot(git=True)
    assert {path: after.get(path) for path in before if path.startswith("ws/b")} == {
        path: facts for path, facts in before.items() if path.startswith("ws/b")
    }
    assert list(workspace.locked()) == ["a"]
    assert "b: no pack declares it; it was left there" in workspace.grex("sync").stdout


def test_a_child_that_moved_is_cloned_there_and_the_old_checkout_is_left(
    server: GitServer, workspace: Workspace
) -> None:
    server.create("a", {"f": "1\n"})
    workspace.declare({"url": server.url("a")})
    workspace.sync()
    git(workspace / "a", "commit", "--quiet", "--allow-empty", "-m", "mine")
    mine = git(workspace / "a", "rev-parse", "HEAD")
    workspace.declare({"url": server.url("a"), "path": "libs/a"})
    run = workspace.sync()
    assert run.packs["libs/a"]["status"] == "cloned"
    assert run.document["undeclared"] == ["a"]
    assert git(workspace / "a", "rev-parse", "HEAD") == mine
    assert list(workspace.locked()) == ["libs/a"]


def test_a_pack_may_lie_in_the_checkout_of_another(server: GitServer, workspace: Workspace) -> None:
    """Its parent there neither shows it nor loses it when it moves."""
    server.create("inner", {"f": "1\n"})
    _meta(server, "outer", {"url": server.url("inner"), "path": "vendor/inner"})
    workspace.declare({"url": server.url("outer")})
    workspace.sync()
    inner = workspace / "outer/vendor/inner"
    (inner / "mine").write_text("mine\n")
    assert git(workspace / "outer", "status", "--porcelain", "--untracked-files=all") == ""
    git(workspace / "outer", "clean", "--quiet", "-fd")  # leaves a repository alone that is not its own
    server.commit("outer", {"g": "1\n"})
    server.commit("inner", {"f": "2\n"})
    run = workspace.sync()
    assert [run.packs[path]["status"] for path in ("outer", "outer/vendor/inner")] == ["moved", "moved"]
    assert (inner / "mine").read_text() == "mine\n"
    assert (inner / "f").read_text() == "2\n"


def test_two_packs_one_in_the_other_may_be_declared_side_by_side(server: GitServer, workspace: Workspace) -> None:
    """The inner one is not put first into a directory that the outer one is yet to be cloned into."""
    server.create("inner", {"f": "1\n"})
    server.create("outer", {"f": "1\n"})
    workspace.declare({"url": server.url("inner"), "path": "outer/inner"}, {"url": server.url("outer")})
    run = workspace.sync()
    assert [run.packs[path]["status"] for path in ("outer", "outer/inner")] == ["cloned", "cloned"]
    assert workspace.sync("--jobs", "1").packs["outer/inner"]["status"] == "unchanged"


def test_a_pack_in_the_directory_of_one_that_failed_is_not_put_in_its_way(
    server: GitServer, workspace: Workspace
) -> None:
    server.create("inner", {"f": "1\n"})
    workspace.declare({"url": server.url("inner"), "path": "outer/inner"}, {"url": server.url("outer")})
    run = workspace.sync(expect=4)
    assert [run.packs[path]["status"] for path in ("outer", "outer/inner")] == ["failed", "not-reached"]
    assert run.packs["outer/inner"]["text"] == "outer, in whose directory it lies, is not there"
    assert not (workspace / "outer").exists()
    server.create("outer", {"f": "1\n"})
    planned = workspace.sync("--dry-run")
    assert [planned.packs[path]["status"] for path in ("outer", "outer/inner")] == ["planned", "planned"]
    run = workspace.sync("outer/inner")
    assert [run.packs[path]["status"] for path in ("outer", "outer/inner")] == ["cloned", "cloned"]
    server.root.rename(server.root.with_name("cut off"))
    run = workspace.sync(expect=4)
    assert [run.packs[path]["status"] for path in ("outer", "outer/inner")] == ["failed", "failed"]


def test_a_pack_where_the_one_around_it_tracks_something_is_refused(server: GitServer, workspace: Workspace) -> None:
    server.create("inner", {"f": "1\n"})
    server.create("other", {"f": "1\n"})
    child = {"url": server.url("inner"), "path": "vendor/inner"}
    server.create(
        "outer", {".grex/pack.yaml": pack_yaml("outer", children=[child]), "vendor/inner/f": "tracked by outer\n"}
    )
    workspace.declare({"url": server.url("outer")}, {"url": server.url("other")})
    run = workspace.sync(expect=4)
    message = run.packs["outer/vendor/inner"]["error"]["message"]
    assert message == "outer/vendor/inner cannot be put there: the pack outer tracks vendor/inner/f"
    assert (workspace / "outer/vendor/inner/f").read_text() == "tracked by outer\n"
    assert run.packs["other"]["status"] == "cloned"


def test_a_pack_that_two_others_own_alike_is_one_checkout(server: GitServer, workspace: Workspace) -> None:
    server.create("common", {"f": "1\n"})
    shared = {"url": server.url("common"), "path": "/libs/common"}
    _meta(server, "one", shared)
    _meta(server, "two", shared | {"url": str(server.path("common"))})  # the same in another spelling
    workspace.declare({"url": server.url("one")}, {"url": server.url("two")})
    run = workspace.sync()
    assert sorted(run.packs) == ["libs/common", "one", "two"]
    assert workspace.locked()["libs/common"]["parents"] == ["one", "two"]


def test_a_path_declared_twice_differently_names_both_places_until_an_override_settles_it(
    server: GitServer, workspace: Workspace
) -> None:
    server.create("common", {"f": "1\n"})
    tagged = server.tag("common", "v1")
    tip = server.commit("common", {"f": "2\n"})
    shared = {"url": server.url("common"), "path": "/libs/common"}
    _meta(server, "one", shared | {"ref": "main"})
    _meta(server, "two", shared | {"ref": "v1"})
    server.create("other", {"f": "1\n"})
    packs = [{"url": server.url(name)} for name in ("one", "two", "other")]
    workspace.declare(*packs)
    run = workspace.sync(expect=4)
    error = run.packs["libs/common"]["error"]
    assert error["details"]["places"] == ["one/.grex/pack.yaml:5:5", "two/.grex/pack.yaml:5:5"]
    assert "one/.grex/pack.yaml:5:5 wants" in error["message"]
    assert "two/.grex/pack.yaml:5:5 wants" in error["message"]
    assert "override for libs/common" in error["hint"]
    assert run.packs["other"]["status"] == "cloned"
    assert "libs/common" not in workspace.locked()
    workspace.declare(*packs, overrides=[{"path": "libs/common", "ref": "v1"}])
    assert workspace.sync().packs["libs/common"]["new"] == tagged
    (workspace / ".grex/local.yaml").write_text("overrides:\n  - path: libs/common\n    ref: main\n")
    assert workspace.sync().packs["libs/common"]["new"] == tip


def _spellings(server: GitServer) -> dict[str, str]:
    (server.root / "link.git").symlink_to(server.path("a"))
    return {
        "the same URL": server.url("a"),
        "a path": str(server.path("a")),
        "without its suffix": server.url("a").removesuffix(".git"),
        "a symlink": (server.root / "link.git").as_uri(),
        "dots": f"{server.root}/../{server.root.name}/a.git",
    }


@pytest.mark.parametrize("spelling", ["the same URL", "a path", "without its suffix", "a symlink", "dots"])
def test_packs_that_own_each_other_print_the_chain(spelling: str, server: GitServer, workspace: Workspace) -> None:
    server.create("a", {"f": "1\n"})
    server.create("other", {"f": "1\n"})
    _meta(server, "b", {"url": _spellings(server)[spelling], "path": "again"})
    server.commit("a", {".grex/pack.yaml": pack_yaml("a", children=[{"url": server.url("b")}])})
    workspace.declare({"url": server.url("a")}, {"url": server.url("other")})
    for _ in range(2):
        run = workspace.sync(expect=4)
        error = run.packs["a/b/again"]["error"]
        assert error["code"] == "pack.cycle"
        assert error["details"]["chain"] == ["a", "a/b", "a/b/again"]
        assert "a -> a/b -> a/b/again" in error["message"]
        assert "a/b/.grex/pack.yaml:5:5" in error["message"]
        assert not (workspace / "a/b/again").exists()
        assert sorted(run.packs) == ["a", "a/b", "a/b/again", "other"]


def test_a_pack_that_owns_the_workspace_itself_through_a_symlink_is_refused(
    server: GitServer, workspace: Workspace
) -> None:
    server.create("a", {"f": "1\n"})
    workspace.declare({"url": server.url("a")})
    (workspace / "a").symlink_to(".")
    run = workspace.sync(expect=4)
    assert "holds the workspace itself" in run.packs["a"]["error"]["message"]
    assert not (workspace / ".git").exists()


# -- depends_on -------------------------------------------------------------------------------------------------------


def _installed(workspace: Workspace, run_of: dict[str, dict[str, object]]) -> dict[str, object]:
    return {path: json.loads(json.dumps(pack["install"]))["status"] for path, pack in run_of.items() if pack["install"]}


def _declarative(server: GitServer, name: str, command: str, *needs: str) -> None:
    actions = [{"exec": {"cmd": ["/bin/sh", "-c", command]}}]
    server.create(name, {".grex/pack.yaml": pack_yaml(name, "declarative", depends_on=list(needs), actions=actions)})


def test_dependencies_are_installed_first_whatever_their_names(server: GitServer, workspace: Workspace) -> None:
    order = workspace.root / "order"
    _declarative(server, "a", f"echo a >> {order}", "b", server.url("c"))
    _declarative(server, "b", f"echo b >> {order}", "c")
    _declarative(server, "c", f"echo c >> {order}")
    workspace.declare(*({"url": server.url(name)} for name in "abc"))
    workspace.sync("--trust", server.root.as_uri())
    assert order.read_text().split() == ["c", "b", "a"]


def test_a_dependency_that_is_nowhere_fails_only_who_needs_it(server: GitServer, workspace: Workspace) -> None:
    _declarative(server, "a", "true", "nowhere")
    _declarative(server, "b", "true", "a")
    _declarative(server, "c", "true")
    workspace.declare(*({"url": server.url(name)} for name in "abc"))
    run = workspace.sync("--trust", server.root.as_uri(), expect=4)
    assert _installed(workspace, run.packs) == {"a": "failed", "b": "not-reached", "c": "installed"}
    error = run.packs["a"]["install"]["error"]
    assert "a/.grex/pack.yaml:5:5: a depends on" in error["message"]
    assert "'nowhere', which is not in this workspace" in error["message"]
    assert [pack["status"] for pack in run.packs.values()] == ["cloned"] * 3


def test_a_circle_of_dependencies_prints_its_chain(server: GitServer, workspace: Workspace) -> None:
    _declarative(server, "a", "true", "b")
    _declarative(server, "b", "true", server.url("c"))
    _declarative(server, "c", "true", "a")
    _declarative(server, "d", "true")
    workspace.declare(*({"url": server.url(name)} for name in "abcd"))
    run = workspace.sync("--trust", server.root.as_uri(), expect=4)
    assert _installed(workspace, run.packs) == {"a": "failed", "b": "failed", "c": "failed", "d": "installed"}
    for name in "abc":
        error = run.packs[name]["install"]["error"]
        assert error["code"] == "pack.cycle"
        assert "a -> b -> c -> a" in error["message"]


def test_what_depends_on_a_failure_is_not_reached(server: GitServer, workspace: Workspace) -> None:
    """A failed install, and a checkout that could not be brought."""
    ran = workspace.root / "ran"
    _declarative(server, "a", "false")
    _declarative(server, "b", f"echo b >> {ran}", "a")
    _declarative(server, "c", f"echo c >> {ran}", "b")
    _declarative(server, "d", f"echo d >> {ran}", "e")
    _declarative(server, "e", f"echo e >> {ran}")
    _declarative(server, "f", f"echo f >> {ran}")
    (workspace / "e").mkdir()
    (workspace / "e/mine").write_text("mine\n")
    workspace.declare(*({"url": server.url(name)} for name in "abcdef"))
    run = workspace.sync("--trust", server.root.as_uri(), expect=4)
    assert ran.read_text() == "f\n"
    told = _installed(workspace, run.packs)
    assert {name: told[name] for name in "abcf"} == {
        "a": "failed",
        "b": "not-reached",
        "c": "not-reached",
        "f": "installed",
    }
    assert told["d"] in ("failed", "not-reached")
    assert run.packs["e"]["code"] == "directory-in-the-way"
