"""What the options of a sync promise: the lockfile's word, a plan that writes nothing, a part of the packs.

And what needs no option: the same lockfile on every machine, and a sync that leaves no trace where nothing is to do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.git_server import GitServer, git
from tests.support.workspace import Workspace, pack_yaml


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace; nothing is declared in it yet."""
    return Workspace(tmp_path)


def _everything(*roots: Path, locks: bool = True) -> dict[str, tuple[int, ...]]:
    """Every name below these directories, git directories included, with what changes when somebody writes."""
    found: dict[str, tuple[int, ...]] = {}
    for root in roots:
        for path in [root, *root.rglob("*")]:
            status = path.lstat()
            if locks or not (path.name.endswith(("grex-lock", ".lock"))):
                found[str(path)] = (status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns, status.st_nlink)
    return found


def _statuses(document: dict[str, Any]) -> dict[str, str]:
    return {pack["path"]: pack["status"] for pack in document["packs"]}


def _nested(server: GitServer) -> None:
    """`top` owns `leaf` and `pinned`; `solo` stands alone."""
    server.create("leaf", {"f": "1\n"})
    server.create("pinned", {"f": "1\n"})
    server.tag("pinned", "v1")
    children = [{"url": server.url("leaf")}, {"url": server.url("pinned"), "ref": "v1"}]
    server.create("top", {".grex/pack.yaml": pack_yaml("top", children=children)})
    server.create("solo", {"f": "1\n"})


# -- no option --------------------------------------------------------------------------------------------------------


def test_a_sync_that_has_nothing_to_do_leaves_no_trace(server: GitServer, workspace: Workspace) -> None:
    """Neither in the workspace, nor in git directories, nor in the user's home; lock files apart."""
    _nested(server)
    actions = [{"mkdir": {"path": "made"}}, {"exec": {"cmd": ["/bin/sh", "-c", "echo ran >> made/log"]}}]
    server.create("active", {".grex/pack.yaml": pack_yaml("active", "declarative", actions=actions)})
    workspace.declare(*({"url": server.url(name)} for name in ("top", "solo", "active")))
    workspace.grex("trust", server.root.as_uri())
    workspace.sync()
    (workspace / "solo/f").write_text("edited\n")
    workspace.sync()
    before = _everything(workspace.root, workspace.home, locks=False)
    run = workspace.sync()
    assert set(_statuses(run.document).values()) == {"unchanged"}
    assert run.document["lockfile_changed"] is False
    assert _everything(workspace.root, workspace.home, locks=False) == before


def test_the_lockfile_is_the_same_to_the_byte_on_two_machines(
    server: GitServer, workspace: Workspace, tmp_path: Path
) -> None:
    _nested(server)
    child = [{"url": server.url("top")}, {"url": server.url("solo"), "path": "deep/solo"}]
    workspace.declare(*child)
    workspace.sync("--jobs", "1")
    other = Workspace(tmp_path / "another" / "machine", "with another name")
    other.declare(*reversed(child))
    other.sync("--jobs", "4")
    assert other.lockfile.read_bytes() == workspace.lockfile.read_bytes()
    assert [line["path"] for line in other.locked().values()] == ["deep/solo", "top", "top/leaf", "top/pinned"]
    assert str(other.root) not in other.lockfile.read_text()


def test_the_lockfile_has_the_resolved_commit_and_not_the_local_one(server: GitServer, workspace: Workspace) -> None:
    _nested(server)
    workspace.declare({"url": server.url("solo")})
    workspace.sync()
    locked = workspace.lockfile.read_bytes()
    git(workspace / "solo", "commit", "--quiet", "--allow-empty", "-m", "mine")
    workspace.sync()
    assert workspace.lockfile.read_bytes() == locked


# -- --locked ---------------------------------------------------------------------------------------------------------


def test_locked_checks_out_exactly_what_the_lockfile_says(
    server: GitServer, workspace: Workspace, tmp_path: Path
) -> None:
    _nested(server)
    workspace.declare({"url": server.url("top")}, {"url": server.url("solo")})
    workspace.sync()
    locked = workspace.lockfile.read_bytes()
    shas = {path: line["sha"] for path, line in workspace.locked().items()}
    for name in ("leaf", "solo"):
        server.commit(name, {"f": "2\n"})
    other = Workspace(tmp_path, "other")
    other.declare({"url": server.url("top")}, {"url": server.url("solo")})
    other.lockfile.write_bytes(locked)
    workspace.sync()
    newer = workspace.lockfile.read_bytes()
    assert newer != locked
    workspace.lockfile.write_bytes(locked)
    for place in (workspace, other):
        for _ in range(2):
            place.sync("--locked")
            assert {path: git(place / path, "rev-parse", "HEAD") for path in shas} == shas
            assert place.lockfile.read_bytes() == locked
        assert git(place / "solo", "symbolic-ref", "HEAD") == "refs/heads/main"
    server.root.rename(server.root.with_name("cut off"))
    assert set(_statuses(workspace.sync("--locked").document).values()) == {"unchanged"}


def test_locked_takes_back_nothing_of_the_users(server: GitServer, workspace: Workspace) -> None:
    _nested(server)
    server.create("free", {"f": "1\n"})
    workspace.declare({"url": server.url("solo")}, {"url": server.url("free")})
    workspace.sync()
    git(workspace / "solo", "commit", "--quiet", "--allow-empty", "-m", "mine")
    git(workspace / "free", "switch", "--quiet", "-c", "feature")
    git(workspace / "free", "commit", "--quiet", "--allow-empty", "-m", "mine")
    mine = [git(workspace / name, "rev-parse", "HEAD") for name in ("solo", "free")]
    run = workspace.sync("--locked", expect=4)
    assert [run.packs[name]["code"] for name in ("solo", "free")] == ["diverged", "other-branch"]
    assert [git(workspace / name, "rev-parse", "HEAD") for name in ("solo", "free")] == mine


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        ({"path": "new"}, "new is not in the lockfile"),
        ({"ref": "v1"}, "pinned is declared at v1, and locked at its HEAD"),
        ({"url": "moved"}, "pinned is declared with {moved}, and locked with {pinned}"),
    ],
)
def test_locked_refuses_what_the_lockfile_does_not_cover(
    declared: dict[str, str], problem: str, server: GitServer, workspace: Workspace
) -> None:
    server.create("pinned", {"f": "1\n"})
    server.tag("pinned", "v1")
    server.create("moved", {"f": "1\n"})
    workspace.declare({"url": server.url("pinned")})
    workspace.sync()
    new = {"url": server.url(declared.get("url", "pinned")), "path": "pinned"} | {
        key: value for key, value in declared.items() if key != "url"
    }
    workspace.declare(*([{"url": server.url("pinned")}] if "path" in declared else []), new)
    before = workspace.snapshot(git=True)
    run = workspace.sync("--locked", expect=3)
    assert run.error["code"] == "manifest.lockfile"
    assert problem.format(moved=server.url("moved"), pinned=server.url("pinned")) in run.error["message"]
    assert "without --locked" in run.error["hint"]
    assert workspace.snapshot(git=True) == before


def test_locked_names_an_uncovered_child_of_a_pack_and_does_not_clone_it(
    server: GitServer, workspace: Workspace
) -> None:
    _nested(server)
    workspace.declare({"url": server.url("top")}, {"url": server.url("solo")})
    workspace.sync()
    lines = workspace.lockfile.read_text().splitlines(keepends=True)
    workspace.lockfile.write_text("".join(line for line in lines if "top/leaf" not in line))
    for path in ("top/leaf", "solo"):
        (workspace / path).rename(workspace.root.parent / path.replace("/", "-"))
    run = workspace.sync("--locked", expect=3)
    assert run.packs["top/leaf"]["error"]["code"] == "manifest.lockfile"
    assert not (workspace / "top/leaf").exists()
    assert run.packs["solo"]["status"] == "cloned"


# -- --dry-run --------------------------------------------------------------------------------------------------------


def test_a_dry_run_writes_nothing_and_says_what_the_run_then_does(
    server: GitServer, workspace: Workspace, tmp_path: Path
) -> None:
    _nested(server)
    actions = [{"mkdir": {"path": "made"}}]
    for name in ("ahead", "news", "rewritten", "switched", "fresh"):
        server.create(name, {"f": "1\n"})
    server.create("active", {".grex/pack.yaml": pack_yaml("active", "declarative", actions=actions)})
    server.commit("rewritten", {"f": "2\n"})
    packs = [{"url": server.url(name)} for name in ("top", "solo", "ahead", "news", "rewritten", "switched")]
    workspace.declare(*packs)
    workspace.sync()
    git(workspace / "ahead", "commit", "--quiet", "--allow-empty", "-m", "mine")
    server.commit("news", {"f": "2\n"})
    server.commit("rewritten", {"f": "3\n"}, amend=True)
    git(workspace / "switched", "checkout", "--quiet", "--detach")
    (workspace / "blocked").mkdir()
    (workspace / "blocked/mine").write_text("mine\n")
    packs += [{"url": server.url("solo"), "path": "blocked"}, {"url": server.url("fresh")}]
    workspace.declare(*packs, {"url": server.url("active")})
    before = _everything(workspace.root, workspace.home, server.root)
    planned = workspace.sync("--dry-run", expect=4)
    text = workspace.grex("sync", "--dry-run", expect=4).stdout
    assert _everything(workspace.root, workspace.home, server.root) == before
    assert planned.document["dry_run"] is True
    assert _statuses(planned.document) == {
        "active": "planned",
        "ahead": "unchanged",
        "blocked": "left",
        "fresh": "planned",
        "news": "planned",
        "rewritten": "planned",
        "solo": "unchanged",
        "switched": "planned",
        "top": "unchanged",
        "top/leaf": "unchanged",
        "top/pinned": "unchanged",
    }
    assert "children not known yet" in text
    done = workspace.sync(expect=4)
    became = {"clone": "cloned", "fetch": "moved", "attach": "unchanged", "fast-forward": "moved"}
    assert _statuses(done.document) == {
        path: became[pack["code"]] if pack["status"] == "planned" else pack["status"]
        for path, pack in planned.packs.items()
    }
    assert (workspace / "active/made").is_dir()


def test_a_dry_run_in_a_new_workspace_makes_no_file(server: GitServer, workspace: Workspace) -> None:
    _nested(server)
    workspace.declare({"url": server.url("top")})
    before = _everything(workspace.root, workspace.home, server.root)
    assert _statuses(workspace.sync("--dry-run").document) == {"top": "planned"}
    assert _everything(workspace.root, workspace.home, server.root) == before


def test_a_dry_run_plans_what_the_log_says_is_not_installed(server: GitServer, workspace: Workspace) -> None:
    actions = [{"mkdir": {"path": "made"}}]
    server.create("active", {".grex/pack.yaml": pack_yaml("active", "declarative", actions=actions)})
    workspace.declare({"url": server.url("active")})
    workspace.sync("--no-install")
    planned = workspace.sync("--dry-run")
    assert planned.packs["active"]["install"]["status"] == "planned"
    assert not (workspace / "active/made").exists()
    workspace.sync()
    assert workspace.sync("--dry-run").packs["active"]["install"] is None


# -- PACK arguments ---------------------------------------------------------------------------------------------------


def test_a_named_pack_is_done_with_what_is_below_it_and_the_rest_keeps_its_lines(
    server: GitServer, workspace: Workspace
) -> None:
    _nested(server)
    workspace.declare({"url": server.url("top")}, {"url": server.url("solo")})
    workspace.sync()
    before = workspace.locked()
    for name in ("leaf", "solo"):
        server.commit(name, {"f": "2\n"})
    run = workspace.sync("top")
    assert _statuses(run.document) == {"top": "unchanged", "top/leaf": "moved", "top/pinned": "unchanged"}
    after = workspace.locked()
    assert after["solo"] == before["solo"]
    assert after["top/leaf"]["sha"] == run.packs["top/leaf"]["new"]
    server.commit("leaf", {"f": "3\n"})
    assert _statuses(workspace.sync("leaf").document) == {"top/leaf": "moved"}
    assert _statuses(workspace.sync("./top/leaf/", "solo").document) == {"top/leaf": "unchanged", "solo": "moved"}


def test_a_pack_below_an_absent_one_brings_that_one_too(
    server: GitServer, workspace: Workspace, tmp_path: Path
) -> None:
    _nested(server)
    workspace.declare({"url": server.url("top")}, {"url": server.url("solo")})
    workspace.sync()
    other = Workspace(tmp_path, "other")
    other.declare({"url": server.url("top")}, {"url": server.url("solo")})
    other.lockfile.write_bytes(workspace.lockfile.read_bytes())
    other.sync("top/leaf")
    assert (other / "top/leaf/f").is_file()
    assert not (other / "solo").exists()
    assert other.lockfile.read_bytes() == workspace.lockfile.read_bytes()


def test_an_argument_that_means_no_pack_or_several_is_refused(server: GitServer, workspace: Workspace) -> None:
    _nested(server)
    workspace.declare({"url": server.url("top")}, {"url": server.url("solo"), "path": "libs/leaf"})
    workspace.sync()
    unknown = workspace.sync("lib/leaf", expect=2)
    assert unknown.error["message"] == "there is no pack 'lib/leaf' in this workspace"
    assert unknown.error["hint"] == "Did you mean 'libs/leaf'?"
    several = workspace.sync("leaf", expect=2)
    assert several.error["message"] == "'leaf' is the name of several packs: libs/leaf, top/leaf"


# -- the rest ---------------------------------------------------------------------------------------------------------


def test_fail_fast_starts_nothing_new(server: GitServer, workspace: Workspace) -> None:
    server.create("b", {"f": "1\n"})
    workspace.declare({"url": server.url("a")}, {"url": server.url("b")})
    run = workspace.sync("--fail-fast", "--jobs", "1", expect=4)
    assert _statuses(run.document) == {"a": "failed", "b": "not-reached"}
    assert "--fail-fast" in run.packs["b"]["text"]
    assert not (workspace / "b").exists()
    assert _statuses(workspace.sync(expect=4).document) == {"a": "failed", "b": "cloned"}


def test_fail_fast_installs_nothing_after_a_failed_checkout(server: GitServer, workspace: Workspace) -> None:
    actions = [{"mkdir": {"path": "made"}}]
    server.create("b", {".grex/pack.yaml": pack_yaml("b", "declarative", actions=actions)})
    workspace.declare({"url": server.url("b")})
    workspace.sync("--no-install")
    workspace.declare({"url": server.url("b")}, {"url": server.url("a")})
    run = workspace.sync("--fail-fast", expect=4)
    assert run.packs["b"]["install"]["status"] == "not-reached"
    assert not (workspace / "b/made").exists()


def test_a_failed_install_is_undone_unless_its_work_is_to_be_kept(server: GitServer, workspace: Workspace) -> None:
    mkdir = {"mkdir": {"path": "made"}}
    broken, mended = ({"exec": {"cmd": ["/bin/sh", "-c", script]}} for script in ("echo broken >&2; exit 3", "true"))
    server.create("a", {".grex/pack.yaml": pack_yaml("a", "declarative", actions=[mkdir, broken])})
    workspace.declare({"url": server.url("a")})
    trusting = ("--trust", server.root.as_uri())
    run = workspace.sync(*trusting, expect=4)
    assert run.packs["a"]["install"]["status"] == "failed"
    assert run.packs["a"]["install"]["error"]["code"] == "pack.action"
    assert not (workspace / "a/made").exists()
    workspace.sync(*trusting, "--keep-partial", expect=4)
    assert (workspace / "a/made").is_dir()
    server.commit("a", {".grex/pack.yaml": pack_yaml("a", "declarative", actions=[mkdir, mended])})
    assert workspace.sync(*trusting).packs["a"]["install"]["status"] == "installed"


def test_a_file_where_a_directory_around_a_pack_should_be_fails_that_pack_alone(
    server: GitServer, workspace: Workspace
) -> None:
    _nested(server)
    (workspace / "libs").write_text("mine\n")
    workspace.declare({"url": server.url("solo"), "path": "libs/deep/solo"}, {"url": server.url("top")})
    runs = [workspace.sync(expect=4), workspace.sync(expect=4)]
    for run in runs:
        assert run.packs["libs/deep/solo"]["status"] == "failed"
        error = run.packs["libs/deep/solo"]["error"]
        assert error["message"] == "libs/deep/solo cannot be put there: libs is in the way, which is not a directory"
        assert error["hint"] == "Move libs elsewhere, or give the child another path."
    assert (workspace / "libs").read_text() == "mine\n"
    assert [run.packs["top"]["status"] for run in runs] == ["cloned", "unchanged"]
