"""The real `grex import`, `export` and `freeze`: what is printed where, and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import TypeAdapter

from grex.verbs.documents import DOCUMENTS
from tests.support.git_server import GitServer, git
from tests.support.workspace import Workspace


def test_a_manifest_is_imported_exported_and_frozen(server: GitServer, workspace: Workspace, tmp_path: Path) -> None:
    """Out of a .repos file, into a west.yml and a frozen pack.yaml, which alone stand on standard output."""
    server.create("a", {"f": "1\n"})
    sha = git(server.work("a"), "rev-parse", "HEAD")
    workspace.declare()
    (tmp_path / "x.repos").write_text(
        f"repositories:\n  Lib/a.b: {{type: git, url: '{server.url('a')}', version: main}}\n"
    )
    told = workspace.grex("import", tmp_path / "x.repos", "--json").stdout
    TypeAdapter(DOCUMENTS["import"]).validate_json(told)
    assert [pack["path"] for pack in json.loads(told)["sync"]["packs"]] == ["Lib/a.b"]
    again = workspace.grex("import", tmp_path / "x.repos", "-g", "g", "--no-sync")
    assert "1 changed" in again.stdout
    assert "change  Lib/a.b  groups" in again.stdout
    (tmp_path / "bad.repos").write_text("repositories:\n  a: {type: hg, url: https://h/a}\n  b: {}\n")
    refused = workspace.grex("import", tmp_path / "bad.repos", expect=3)
    assert f"{tmp_path}/bad.repos:2:3: 'a' is a repository of type 'hg' (and 1 more problem)." in refused.stderr
    assert f"{tmp_path}/bad.repos:3:3: 'b' has no 'type'" in refused.stderr
    exported = workspace.grex("export", "--format", "vcs")
    assert exported.stdout.startswith("repositories:\n  Lib/a.b:\n    type: git\n")
    assert exported.stderr == "grex: note: Lib/a.b: groups cannot be said in a .repos file\n"
    frozen = workspace.grex("freeze")
    assert f'ref: "{sha}"' in frozen.stdout or f"ref: {sha}" in frozen.stdout
    assert frozen.stderr == ""
    for verb, *options in (("export", "--format", "west"), ("freeze",)):
        TypeAdapter(DOCUMENTS[verb]).validate_json(workspace.grex(verb, *options, "--json").stdout)


def test_what_a_scan_leaves_out_is_said(workspace: Workspace) -> None:
    workspace.declare()
    git(workspace.root, "init", "--quiet", "alone")
    git(workspace / "alone", "commit", "--quiet", "--allow-empty", "-m", "x")
    assert "skipped  alone: it has no remote.\n" in workspace.grex("import", "--scan").stdout
