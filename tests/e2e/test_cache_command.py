"""The cache and rewritten URLs by the real command line: from the configuration and the environment to the report."""

from __future__ import annotations

from pathlib import Path

from tests.support.git_server import GitServer
from tests.support.workspace import Workspace


def test_a_configured_cache_is_filled_listed_and_collected(tmp_path: Path) -> None:
    server = GitServer(tmp_path / "server")
    server.create("lib", {"f": "1"})
    workspace = Workspace(tmp_path)
    config = workspace.home / "config/grex/config.toml"
    config.parent.mkdir(parents=True)
    # Relative to the file; and what is declared is asked for elsewhere.
    config.write_text(
        f'[cache]\ndir = "objects"\n[url."{server.root.as_uri()}/"]\ninstead_of = ["https://h.invalid/"]\n'
    )
    workspace.declare({"url": "https://h.invalid/lib.git"})
    assert workspace.sync().packs["lib"]["url"] == "https://h.invalid/lib.git"
    (listed,) = workspace.grex("cache", "ls", "--json").document["mirrors"]
    assert Path(listed["path"]).parent == config.parent / "objects/mirrors"
    assert "1 mirror" in workspace.grex("cache", "ls", cwd=tmp_path).stdout
    planned = workspace.grex("cache", "gc", "--keep-days", "0", "--dry-run", "--json").document
    assert [one["fate"] for one in planned["mirrors"]] == ["removed"]
    assert Path(listed["path"]).exists()
    assert "Removed 0 of 1 mirror" in workspace.grex("cache", "gc").stdout  # 30 days by default
    assert "Removed 1 of 1 mirror" in workspace.grex("cache", "gc", "--keep-days", "0").stdout
    assert list((config.parent / "objects/mirrors").iterdir()) == []
    assert workspace.grex("cache", "gc", "--keep-days", "few", expect=2).stdout == ""
    # The environment wins over the file.
    there = workspace.grex("cache", "ls", "--json", GREX_CACHE_DIR="elsewhere").document
    assert there["directory"] == str(workspace.root / "elsewhere")
