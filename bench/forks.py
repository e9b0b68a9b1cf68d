"""Forks of a workspace of fifty packs against syncs of the same workspace into empty directories: time and disk.

The repositories have some 4 MiB of history and half a MiB of files. Both are made on one machine: a fork from the
workspace, a sync from local remotes over git's protocol, as a network would be used.
"""

from __future__ import annotations

import base64
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

from bench.measure import Case, command, measure, table
from tests.support.git_server import GitServer, git
from tests.support.workspace import Workspace

__all__ = ["run"]

PACKS = 50
COPIES = 10
_REPOSITORIES = 5
_FILES, _FILE_BYTES = 60, 6 << 10
_COMMITS, _TOUCHED = 40, 16


def run(base: Path, rounds: int) -> None:
    """Measure and print; ten of each, whatever `rounds` says, if it is less."""
    server = GitServer(base / "server")
    for number in range(_REPOSITORIES):
        _history(server, f"r{number}")
    workspace = Workspace(base)
    workspace.environ.pop("PYTHONWARNINGS", None)
    packs = [{"url": server.url(f"r{number % _REPOSITORIES}"), "path": f"p{number:02}"} for number in range(PACKS)]
    workspace.declare(*packs)
    workspace.grex("sync", "--quiet")
    before = _bytes_in(workspace.root)
    made: dict[str, list[Path]] = {"fork": [], "sync": []}

    def fork() -> None:
        made["fork"].append(base / f"fork-{len(made['fork'])}")
        _grex(workspace, "fork", "--quiet", str(made["fork"][-1]))()

    def prepare() -> None:
        place = base / f"clone-{len(made['sync'])}"
        made["sync"].append(place)
        shutil.copytree(workspace.root / ".grex", place / ".grex", ignore=shutil.ignore_patterns("state"))

    def sync() -> None:
        _grex(workspace, "sync", "--quiet", "--workspace", str(made["sync"][-1]))()

    forks, syncs = Case("fork", fork), Case("sync", sync, prepare)
    measure([forks, syncs], max(rounds, COPIES))
    fork_bytes = sum(map(_bytes_in, made["fork"])) + _bytes_in(workspace.root) - before
    sync_bytes = sum(map(_bytes_in, made["sync"]))
    rows = [
        ["", "grex fork", "grex sync", "ratio"],
        ["wall s, median", f"{forks.wall_s:.2f}", f"{syncs.wall_s:.2f}", f"{forks.wall_s / syncs.wall_s:.3f}"],
        ["CPU s, median", f"{forks.cpu_s:.2f}", f"{syncs.cpu_s:.2f}", f"{forks.cpu_s / syncs.cpu_s:.3f}"],
        [
            "MiB, each",
            f"{fork_bytes / len(made['fork']) / 2**20:.1f}",
            f"{sync_bytes / len(made['sync']) / 2**20:.1f}",
            f"{fork_bytes / len(made['fork']) / (sync_bytes / len(made['sync'])):.3f}",
        ],
    ]
    table(f"{PACKS} packs, {len(made['fork'])} of each", rows)
    for place in made["fork"]:
        assert workspace.grex("status", cwd=place).stdout.startswith("Clean")


def _grex(workspace: Workspace, *arguments: str) -> Callable[[], None]:
    return command(workspace.command(*arguments), cwd=workspace.root, environ=workspace.environ)


def _history(server: GitServer, name: str) -> None:
    """A repository whose files were changed again and again, packed as a server has it."""
    numbers = random.Random(name)  # noqa: S311 - contents of files
    server.create(name, {f"d{n % 7}/f{n}": _text(numbers) for n in range(_FILES)})
    for _ in range(_COMMITS):
        touched = numbers.sample(range(_FILES), _TOUCHED)
        server.commit(name, {f"d{n % 7}/f{n}": _text(numbers) for n in touched})
    git(server.path(name), "gc", "--quiet")


def _text(numbers: random.Random) -> str:
    return base64.encodebytes(numbers.randbytes(_FILE_BYTES)).decode("ascii")


def _bytes_in(directory: Path) -> int:
    """What a directory takes on the disk."""
    found = 0
    for above, names, files in os.walk(directory):
        found += sum(os.lstat(os.path.join(above, name)).st_blocks * 512 for name in (*names, *files))  # noqa: PTH118 - many
    return found
