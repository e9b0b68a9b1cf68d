"""Eight packs whose hook sleeps half a second, cold: `--jobs 4` against `--jobs 1`. The bar is 2.5 times."""

from __future__ import annotations

import shutil
from pathlib import Path

from bench.measure import Case, command, measure, table
from tests.support.git_server import GitServer
from tests.support.workspace import Workspace, pack_yaml

__all__ = ["run"]

PACKS = 8


def run(base: Path, rounds: int) -> None:
    """Measure and print."""
    server = GitServer(base / "server")
    children = []
    for number in range(PACKS):
        name = f"pack-{number}"
        hook = {".grex/hooks/setup.sh": "sleep 0.5\n"}
        server.create(name, {".grex/pack.yaml": pack_yaml(name, "scripted"), **hook})
        children.append({"url": server.url(name)})
    cases = [_case(base, server, children, jobs) for jobs in (1, 4)]
    measure(cases, min(rounds, 5))
    serial, parallel = cases
    rows = [["", "wall s", "CPU s"]]
    rows += [[case.name, f"{case.wall_s:.2f}", f"{case.cpu_s:.2f}"] for case in cases]
    table(f"Eight hooks that sleep 0.5 s, cold (medians of {len(serial.walls)})", rows)
    print(f"  --jobs 4 is {serial.wall_s / parallel.wall_s:.2f} times as fast as --jobs 1 (bar 2.5)")


def _case(base: Path, server: GitServer, children: list[dict[str, str]], jobs: int) -> Case:
    workspace = Workspace(base, f"jobs-{jobs}")
    workspace.environ["GREX_TRUST"] = server.root.as_uri()

    def prepare() -> None:
        shutil.rmtree(workspace.root)
        workspace.root.mkdir()
        workspace.declare(*children)

    argv = workspace.command("sync", "--quiet", "--jobs", str(jobs))
    return Case(f"--jobs {jobs}", command(argv, cwd=workspace.root, environ=workspace.environ), prepare)
