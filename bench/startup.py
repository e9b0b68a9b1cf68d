"""What a start costs: CPU of the whole process, against `python -c pass`."""

from __future__ import annotations

import sys
from pathlib import Path

from bench.ground import many, small_upstream
from bench.measure import Case, command, measure, table

__all__ = ["run"]

PACKS = 10
BARS = {"grex --version": 3, "grex --help": 18, "grex status, 10 packs": 20}


def run(base: Path, rounds: int) -> None:
    """Measure and print."""
    workspace = many(base, "start", small_upstream(base), PACKS, ref="v1")

    def grex(name: str, *arguments: str) -> Case:
        argv = workspace.command(*arguments)
        return Case(name, command(argv, cwd=workspace.root, environ=workspace.environ))

    nothing = Case(
        "python -c pass", command([sys.executable, "-c", "pass"], cwd=workspace.root, environ=workspace.environ)
    )
    cases = [
        nothing,
        grex("grex --version", "--version"),
        grex("grex --help", "--help"),
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
