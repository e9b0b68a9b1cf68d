"""`set`, `override`, `sync --pull`, `clone` and `config` as a user types them; all else is tested in process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.git_server import GitServer, git
from tests.support.workspace import Workspace, pack_yaml


@pytest.fixture
def made(server: GitServer, tmp_path: Path) -> Workspace:
    """A workspace that is a repository of its own, with a pack that owns another one."""
    server.create("inner", {"i": "1\n"})
    child = {"url": server.url("inner"), "path": "deps/inner"}
    server.create("tool", {".grex/pack.yaml": pack_yaml("tool", children=[child]), "t": "1\n"})
    workspace = Workspace(tmp_path)
    git(workspace.root, "init", "--quiet", "--initial-branch=main")
    workspace.grex("init")
    workspace.grex("add", server.url("tool"))
    return workspace


def test_declarations_are_set_and_said_over(made: Workspace, server: GitServer) -> None:
    server.commit("tool", {"t": "2\n"}, branch="next", start="main")
    said = made.grex("set", "tool", "--ref", "next", "--path", "apps/tool", "--group", "dev", "--depth", "5").stdout
    assert "set          apps/tool: ref: (none) -> next" in said
    assert "moved        apps/tool: moved from tool, as it was" in said
    assert (made / "apps/tool/t").read_text() == "2\n"
    cleared = made.grex("set", "apps/tool", "--no-ref", "--no-groups", "--no-sync", "--json").document
    assert [one["key"] for one in cleared["changes"]] == ["ref", "groups"]
    assert cleared["sync"] is None
    planned = made.grex("set", "tool", "--url", server.url("inner"), "--dry-run").stdout
    assert "would set    apps/tool: url" in planned
    refused = made.grex("set", "inner", "--ref", "next", expect=4).stderr
    assert "is declared by another pack, at apps/tool/.grex/pack.yaml:" in refused
    assert "grex override apps/tool/deps/inner" in refused
    assert "is in .grex/local.yaml" in made.grex("override", "inner", "--ref", "main", "--local", "--no-sync").stdout
    assert "in force" in made.grex("override").stdout
    assert "goes in .grex/pack.yaml" in made.grex("override", "inner", "--url", server.url("inner"), "--dry-run").stdout
    gone = made.grex("override", "inner", "--remove", "--local", "--dry-run").stdout
    assert "would be taken out of .grex/local.yaml" in gone
    assert made.grex("override", "inner", "--remove", "--local", "--json").document["overrides"] == []


def test_a_colleague_clones_pulls_and_looks_at_the_settings(made: Workspace, server: GitServer, tmp_path: Path) -> None:
    (made / ".grex/config.toml").write_text("[sync]\njobs = 3\n")
    git(made.root, "add", ".grex/pack.yaml", ".grex/config.toml", "grex.lock.jsonl")
    git(made.root, "commit", "--quiet", "-m", "ours")
    git(tmp_path, "clone", "--quiet", "--bare", str(made.root), str(tmp_path / "hub.git"))
    git(made.root, "remote", "add", "origin", str(tmp_path / "hub.git"))
    git(made.root, "push", "--quiet", "--set-upstream", "origin", "main")
    here = tmp_path / "colleague"
    here.mkdir()
    cloned = made.grex("clone", "../hub.git", "theirs", "--locked", "--no-install", "--ref", "main", cwd=here)
    theirs = here / "theirs"
    assert f"It is in {theirs}\n" in cloned.stdout
    assert (theirs / "tool/deps/inner/i").read_text() == "1\n"
    assert "not empty" in made.grex("clone", "../hub.git", "theirs", expect=2, cwd=here).stderr
    deep = made.grex("clone", "../hub.git", "-g", "x", "--depth", "1", "--json", cwd=here).document
    assert deep["workspace"] == str(here / "hub")
    made.grex("set", "tool", "--path", "moved")
    git(made.root, "commit", "--quiet", "-am", "moved")
    git(made.root, "push", "--quiet")
    pulled = made.grex("sync", "--pull", cwd=theirs).stdout
    assert "pulled       .: main " in pulled
    assert (theirs / "moved/t").read_text() == "1\n"
    shown = made.grex("config", "--show-origin", cwd=theirs, GREX_TRUST="https://a").stdout
    assert f"{theirs}/.grex/config.toml:2" in shown
    assert "GREX_TRUST" in shown
    document = made.grex("config", "--json", "--jobs", "2", "--lock-timeout", "5", cwd=theirs).document
    settings = {one["key"]: one for one in document["settings"]}
    assert (settings["sync.jobs"]["value"], settings["sync.jobs"]["origin"]) == (2, "--jobs")
    assert settings["lock.timeout_s"]["value"] == 5
    assert "the current directory" in made.grex("config", "--show-origin", cwd=theirs).stdout
    assert made.grex("config", "--json", cwd=here).document["workspace"] is None
