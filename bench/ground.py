"""What the benchmarks run on: small upstream repositories and workspaces of many packs, in a directory of their own."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from tests.support.git_server import GitServer
from tests.support.workspace import Workspace

__all__ = ["many", "prepare_environment", "small_upstream"]

FILES = 10


def prepare_environment(base: Path) -> None:
    """Keep this machine's git configuration out, and let all processes share their compiled modules."""
    os.environ |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    for role in ("AUTHOR", "COMMITTER"):
        os.environ |= {f"GIT_{role}_NAME": "bench", f"GIT_{role}_EMAIL": "bench@example.invalid"}
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(base / "pycache")
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a real file here


def small_upstream(base: Path) -> GitServer:
    """A server with the repository `small`: ten files, a branch `main` and a tag `v1`."""
    server = GitServer(base / "server")
    server.create("small", {f"directory-{n % 3}/file-{n}": f"{n}\n" * 20 for n in range(FILES)})
    server.tag("small", "v1")
    return server


def many(base: Path, name: str, server: GitServer, count: int, **child: Any) -> Workspace:
    """A synced workspace that has the small repository at so many paths."""
    workspace = Workspace(base, name)
    workspace.environ.pop("PYTHONWARNINGS", None)
    workspace.declare(*({"url": server.url("small"), "path": f"p{n:03}", **child} for n in range(count)))
    workspace.grex("sync", "--quiet")
    return workspace
