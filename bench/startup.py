"""What a start costs: CPU of the whole process, against `python -c pass` and `git status`.

In an empty workspace a verb has next to nothing to do: what it costs there is what every call costs.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bench.ground import many, small_upstream
from bench.measure import Case, command, measure, table
from tests.support.workspace import Workspace

__all__ = ["run"]

PACKS = 10
BARS = {"grex --version": 3, "grex --help": 10, "grex status, empty": 18, "grex status, 10 packs": 20}


def run(base: Path, rounds: int) -> None:
    """Measure and print."""
    workspace = many(base, "start", small_upstream(base), PACKS, ref="v1")

    empty = Workspace(base, "empty")
    empty.environ.pop("PYTHONWARNINGS", None)
    empty.grex("init")
    git = ["git", "-C", empty.root, "status"]
    command(["git", "init", "--quiet", empty.root], cwd=base)()

    def grex(name: str, *arguments: str, where: Workspace = workspace) -> Case:
        argv = where.command(*arguments)
        return Case(name, command(argv, cwd=where.root, environ=where.environ))

    nothing = Case(
        "python -c pass", command([sys.executable, "-c", "pass"], cwd=workspace.root, environ=workspace.environ)
    )
    cases = [
        nothing,
        Case("git status, empty", command(git, cwd=empty.root, environ=empty.environ)),
        grex("grex --version", "--version"),
        grex("grex --help", "--help"),
        grex("grex locks, empty", "locks", where=empty),
        grex("grex ls, empty", "ls", where=empty),
        grex("grex status, empty", "status", where=empty),
        grex("grex ls, 10 packs", "ls"),
        grex("grex status, 10 packs", "status"),
        grex("grex sync, 10 pinned packs, nothing to do", "sync", "--quiet"),
    ]
    measure(cases, rounds * 2)
    rows = [["", "CPU ms", "wall ms", "times python -c pass"]]
    for case in cases:
        bar = f" (bar {BARS[case.name]})" if case.name in BARS else ""
        ratio = f"{case.cpu_s / nothing.cpu_s:.1f}{bar}"
        rows.append([case.name, f"{case.cpu_s * 1000:.0f}", f"{case.wall_s * 1000:.0f}", ratio])
    table(f"Start-up (medians of {rounds * 2})", rows)
