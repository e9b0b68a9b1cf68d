"""`grex doctor` as a user types it, in a hook, and where nothing can be written; the rest is tested in process."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

from tests.support.git_server import GitServer
from tests.support.namespaces import with_read_only
from tests.support.workspace import Workspace, pack_yaml


def test_what_is_broken_is_told_mended_and_gone(server: GitServer, tmp_path: Path) -> None:
    server.create("tool", {"t": "1\n"})
    workspace = Workspace(tmp_path)
    workspace.grex("init")
    workspace.grex("add", server.url("tool"))
    assert workspace.grex("doctor", "--objects").stdout == "Nothing is out of order.\n"
    workspace.log.unlink()
    found = workspace.grex("doctor", expect=3).stdout
    assert "error        grex.jsonl: the log is gone, and 1 checkout of grex's is there.\n" in found
    assert "             fix: `grex doctor --fix` records these checkouts again" in found
    assert found.endswith("Found: 1 error; --fix mends 1 of them.\n")
    planned = workspace.grex("doctor", "--fix", "--dry-run", "--json", expect=3).document
    assert [one["finding"]["code"] for one in planned["mended"]] == ["log-lost"]
    assert not workspace.log.exists()
    mended = workspace.grex("doctor", "--fix", "--compact", "tool").stdout
    assert "mended       grex.jsonl: the log is gone, and 1 checkout of grex's is there: 1 checkout recorded" in mended
    assert "The log stays as it is: all of its 2 lines are needed.\nNothing is out of order.\n" in mended
    assert workspace.grex("doctor", "--dry-run", expect=2).stderr.startswith("grex: --dry-run needs --fix or --compact")


def test_settings_that_are_refused_are_a_finding_and_not_the_end(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.declare()
    (workspace.root / ".grex/config.toml").write_text("[sync\n")
    refused = workspace.grex("status", "--json", expect=2).document["error"]
    assert refused["details"] == {"file": str(workspace.root / ".grex/config.toml"), "line": 1, "column": 6}
    found = workspace.grex("doctor", "--json", expect=2).document["findings"]
    assert [(one["code"], one["subject"]) for one in found] == [("configuration", ".grex/config.toml:1:6")]


def test_a_hook_may_ask_while_its_own_run_goes_on(server: GitServer, tmp_path: Path) -> None:
    """What the run has begun and not ended is no leftover, and no lock is waited for."""
    out = shlex.quote(str(tmp_path / "out"))
    script = f"exec {shlex.quote(sys.executable)} -m grex doctor --json > {out}\n"
    server.create("pack", {".grex/pack.yaml": pack_yaml("pack", "scripted"), ".grex/hooks/setup.sh": script})
    workspace = Workspace(tmp_path)
    workspace.declare({"url": server.url("pack")})
    assert workspace.sync("--trust", server.root.as_uri()).packs["pack"]["install"]["status"] == "installed"
    document = json.loads((tmp_path / "out").read_text())
    # The lockfile is written at the end of a run.
    assert [one["code"] for one in document["findings"]] == ["lockfile-outdated"]
    assert document["exit_code"] == 0


def test_a_workspace_that_nobody_can_write_is_looked_at(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.declare({"url": "https://host.example/a"})
    done = subprocess.run(
        [*with_read_only(workspace.root), *workspace.command("doctor", "--json", "--workspace", workspace.root)],
        env=workspace.environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert [one["code"] for one in document["findings"]] == ["not-cloned", "read-only"]
    assert document["notes"] == [
        "the workspace was read without its lock, which cannot be made here (Read-only file system)"
    ]
