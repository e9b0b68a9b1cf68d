"""What each key of a pack.yaml does, seen from outside: real repositories, the real command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.git_server import GitServer, git
from tests.support.workspace import Workspace, pack_yaml


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


@pytest.fixture
def deep(server: GitServer) -> GitServer:
    """A server with a repository `lib` of three commits, its branch `devel` one ahead."""
    server.create("lib", {"f": "1\n"})
    server.commit("lib", {"f": "2\n"})
    server.commit("lib", {"f": "3\n"})
    return server


def commits(checkout: Path) -> int:
    return int(git(checkout, "rev-list", "--count", "HEAD"))


def test_a_child_lies_at_its_path_and_by_default_under_the_last_segment_of_its_url(
    deep: GitServer, workspace: Workspace
) -> None:
    workspace.declare({"url": deep.url("lib")}, {"url": deep.url("lib"), "path": "libs/other"})
    workspace.sync()
    assert (workspace / "lib/f").read_text() == (workspace / "libs/other/f").read_text() == "3\n"


def test_a_ref_says_what_is_checked_out(deep: GitServer, workspace: Workspace) -> None:
    workspace.declare({"url": deep.url("lib")})
    workspace.sync()
    first = git(workspace / "lib", "rev-parse", "HEAD~2")
    workspace.declare({"url": deep.url("lib"), "ref": first})
    workspace.sync()
    assert (workspace / "lib/f").read_text() == "1\n"


@pytest.mark.parametrize("where", ["child", "defaults"])
def test_a_depth_is_how_much_history_comes(deep: GitServer, workspace: Workspace, where: str) -> None:
    url = deep.url("lib")
    if where == "child":
        workspace.declare({"url": url, "depth": 1}, {"url": url, "path": "whole"})
    else:
        workspace.declare({"url": url}, {"url": url, "path": "two", "depth": 2}, defaults={"depth": 1})
    workspace.sync()
    assert commits(workspace / "lib") == 1
    assert commits(workspace / ("whole" if where == "child" else "two")) == (3 if where == "child" else 2)


@pytest.mark.parametrize("where", ["child", "defaults"])
def test_a_filter_leaves_blobs_at_the_remote(deep: GitServer, workspace: Workspace, where: str) -> None:
    url = deep.url("lib")
    git(Path(deep.url("lib").removeprefix("file://")), "config", "uploadpack.allowFilter", "true")
    if where == "child":
        workspace.declare({"url": url, "filter": "blob:none"})
    else:
        workspace.declare({"url": url}, defaults={"filter": "blob:none"})
    workspace.sync()
    assert git(workspace / "lib", "config", "remote.origin.partialclonefilter") == "blob:none"
    absent = git(workspace / "lib", "rev-list", "--objects", "--all", "--missing=print")
    assert sum(line.startswith("?") for line in absent.splitlines()) == 2  # the two older versions of `f`


def test_the_base_is_where_relative_urls_start(deep: GitServer, workspace: Workspace) -> None:
    base, _, name = deep.url("lib").rpartition("/")
    workspace.declare({"url": name}, defaults={"base": f"{base}/"})
    workspace.sync()
    assert (workspace / "lib/f").read_text() == "3\n"


def test_a_default_ref_is_for_children_without_one(deep: GitServer, workspace: Workspace) -> None:
    workspace.declare({"url": deep.url("lib")})
    workspace.sync()
    first = git(workspace / "lib", "rev-parse", "HEAD~2")
    workspace.declare(
        {"url": deep.url("lib")}, {"url": deep.url("lib"), "path": "newest", "ref": "main"}, defaults={"ref": first}
    )
    workspace.sync()
    assert ((workspace / "lib/f").read_text(), (workspace / "newest/f").read_text()) == ("1\n", "3\n")


@pytest.mark.parametrize("key", ["ref", "url"])
def test_an_override_wins_over_what_another_pack_declares(deep: GitServer, workspace: Workspace, key: str) -> None:
    deep.create("fork", {"f": "fork\n"})
    deep.create("mid", {".grex/pack.yaml": pack_yaml("mid", children=[{"url": deep.url("lib")}])})
    workspace.declare({"url": deep.url("mid")})
    workspace.sync()
    first = git(workspace / "mid/lib", "rev-parse", "HEAD~2")
    override = {"path": "mid/lib", "ref": first} if key == "ref" else {"path": "mid/lib", "url": deep.url("fork")}
    if key == "url":
        git(workspace / "mid/lib", "remote", "set-url", "origin", deep.url("fork"))
    workspace.declare({"url": deep.url("mid")}, overrides=[override])
    run = workspace.sync(expect=None)
    if key == "ref":
        assert (workspace / "mid/lib/f").read_text() == "1\n"
    else:
        assert run.packs["mid/lib"]["url"] == deep.url("fork")


def test_groups_are_kept_when_a_pack_is_added(deep: GitServer, workspace: Workspace) -> None:
    workspace.declare(**{"x-team": {"owner": "platform"}, "version": "2024.1"})
    before = (workspace / ".grex/pack.yaml").read_text()
    workspace.grex("add", deep.url("lib"), "--group", "dev", "--group", "ci")
    after = (workspace / ".grex/pack.yaml").read_text()
    assert "groups: [dev, ci]" in after or all(f"- {group}" in after for group in ("dev", "ci"))
    # What grex does not read stays as it is, to the byte.
    kept = [line for line in before.splitlines() if line.startswith(("x-team", "version"))]
    assert len(kept) == 2
    assert all(line in after.splitlines() for line in kept)
    workspace.sync()


@pytest.mark.parametrize(
    ("keys", "wrong"),
    [
        ({"schema_version": 1}, "schema version"),
        ({"name": "Not-A-Name"}, "name"),
        ({"type": "no-such-type"}, "no-such-type"),
    ],
)
def test_what_a_pack_says_of_itself_is_checked(
    deep: GitServer, workspace: Workspace, keys: dict[str, object], wrong: str
) -> None:
    text = json.dumps({"schema_version": "1", "name": "lib", "type": "declarative", **keys})
    deep.commit("lib", {".grex/pack.yaml": text})
    workspace.declare({"url": deep.url("lib")})
    run = workspace.sync("--trust", deep.url("lib"), expect=None)
    assert run.code in (4, 8)
    assert wrong in run.stdout


def test_a_name_is_what_a_pack_is_called_by(deep: GitServer, workspace: Workspace) -> None:
    deep.commit("lib", {".grex/pack.yaml": pack_yaml("common", "plain")})
    workspace.declare({"url": deep.url("lib")})
    workspace.sync()
    assert [pack["path"] for pack in workspace.sync("common").document["packs"]] == ["lib"]


def declarative(server: GitServer, workspace: Workspace, **keys: object) -> None:
    server.commit("lib", {".grex/pack.yaml": pack_yaml("lib", "declarative", **keys)})
    workspace.declare({"url": server.url("lib")})
    workspace.sync("--trust", server.url("lib"))


def test_actions_are_run(deep: GitServer, workspace: Workspace) -> None:
    declarative(deep, workspace, actions=[{"mkdir": {"path": "~/made"}}])
    assert (workspace.home / "made").is_dir()


@pytest.mark.parametrize("replace", [True, False])
def test_a_target_adds_to_the_actions_or_replaces_them(deep: GitServer, workspace: Workspace, replace: bool) -> None:
    over = {"actions": [{"mkdir": {"path": "~/linux"}}], **({"actions_replace": True} if replace else {})}
    deep.commit("lib", {".grex/targets/linux.yaml": json.dumps(over), ".grex/targets/macos.yaml": json.dumps(over)})
    declarative(deep, workspace, actions=[{"mkdir": {"path": "~/base"}}])
    assert (workspace.home / "linux").is_dir()
    assert (workspace.home / "base").is_dir() is not replace


def test_what_a_pack_depends_on_is_installed_first(deep: GitServer, workspace: Workspace) -> None:
    """The first in the alphabet depends on the last, and needs what that one makes."""
    made = {"path": "~/made-by-zlib"}
    deep.create("zlib", {".grex/pack.yaml": pack_yaml("zlib", "declarative", actions=[{"mkdir": made}])})
    needs = [{"require": {"all_of": [{"path_exists": "~/made-by-zlib"}]}}, {"mkdir": {"path": "~/made-by-app"}}]
    text = pack_yaml("app", "declarative", depends_on=["zlib"], actions=needs)
    deep.create("app", {".grex/pack.yaml": text})
    workspace.declare({"url": deep.url("app")}, {"url": deep.url("zlib")})
    workspace.sync("--trust", deep.url("app"), "--trust", deep.url("zlib"))
    assert (workspace.home / "made-by-app").is_dir()


YES = {"os": "linux"}
NO = {"os": "windows"}
CONDITIONS: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    # predicate: one that holds here, one that does not
    "path_exists": ({"path_exists": "f"}, {"path_exists": "~/nowhere"}),
    "cmd_available": ({"cmd_available": "git"}, {"cmd_available": "no-such-command"}),
    "os": ({"os": ["linux", "macos"]}, {"os": "windows"}),
    "env_set": ({"env_set": "PATH"}, {"env_set": "NO_SUCH_VARIABLE"}),
    "symlink_ok": (
        {"symlink_ok": {"src": "f", "dst": "~/link"}},
        {"symlink_ok": {"src": "f", "dst": "~/elsewhere"}},
    ),
    "all_of": ({"all_of": [YES, YES]}, {"all_of": [YES, NO]}),
    "any_of": ({"any_of": [NO, YES]}, {"any_of": [NO, NO]}),
    "none_of": ({"none_of": [NO, NO]}, {"none_of": [YES, NO]}),
}


def test_each_predicate_is_asked_of_this_machine(deep: GitServer, workspace: Workspace) -> None:
    actions: list[object] = [{"symlink": {"src": "f", "dst": "~/link"}}]
    for name, (holds, fails) in CONDITIONS.items():
        for answer, condition in (("yes", holds), ("no", fails)):
            made = {"mkdir": {"path": f"~/answers/{name}-{answer}"}}
            actions.append({"when": {"all_of": [condition], "actions": [made]}})
    declarative(deep, workspace, actions=actions)
    answers = {path.name for path in (workspace.home / "answers").iterdir()}
    assert answers == {f"{name}-yes" for name in CONDITIONS}
