"""The real command in a workspace on a read-only file system, in which grex never ran."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.namespaces import with_read_only
from tests.support.workspace import Workspace


@pytest.mark.parametrize("verb", ["status", "ls"])
def test_a_workspace_that_nobody_can_write_is_looked_at(tmp_path: Path, verb: str) -> None:
    workspace = Workspace(tmp_path)
    workspace.declare({"url": "https://host.example/a"})
    done = subprocess.run(
        [*with_read_only(workspace.root), *workspace.command(verb, "--json", "--workspace", workspace.root)],
        env=workspace.environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert [pack["path"] for pack in document["packs"]] == ["a"]
    assert document["notes"] == [
        "the workspace was read without its lock, which cannot be made here (Read-only file system)"
    ]
