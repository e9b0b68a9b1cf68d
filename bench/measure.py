"""Runs things in turns, and keeps the medians of their wall and CPU time.

CPU is that of the whole process tree of a command: what the kernel accounts to children that were waited for, theirs
included. One round runs every case once, in an order that turns by one each round, so that what disturbs the machine
for a while disturbs them all.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Case", "command", "measure", "table"]


@dataclass
class Case:
    """One thing to measure: `prepare` is not timed, `run` is."""

    name: str
    run: Callable[[], None]
    prepare: Callable[[], None] = lambda: None
    walls: list[float] = field(default_factory=list)
    cpus: list[float] = field(default_factory=list)

    @property
    def wall_s(self) -> float:
        """The median wall time."""
        return statistics.median(self.walls)

    @property
    def cpu_s(self) -> float:
        """The median CPU time of the process tree."""
        return statistics.median(self.cpus)


def measure(cases: Sequence[Case], rounds: int) -> None:
    """Run every case `rounds` times, in turns."""
    for number in range(rounds):
        turn = number % len(cases)
        for case in [*cases[turn:], *cases[:turn]]:
            case.prepare()
            cpu, wall = _cpu_s(), time.perf_counter()
            case.run()
            case.walls.append(time.perf_counter() - wall)
            case.cpus.append(_cpu_s() - cpu)


def _cpu_s() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def command(argv: Sequence[str | Path], *, cwd: Path, environ: Mapping[str, str] | None = None) -> Callable[[], None]:
    """A case's `run`: one command, which has to succeed."""

    def run() -> None:
        done = subprocess.run(
            list(argv), cwd=cwd, env=environ, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        if done.returncode:
            told = os.fsdecode(done.stdout + done.stderr)
            raise SystemExit(f"{argv} in {cwd} ended with {done.returncode}:\n{told}")

    return run


def table(title: str, rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns, the first of them as the head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    print(f"\n{title}")
    for number, row in enumerate(rows):
        cells = [
            cell.ljust(width) if not column else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  " + "  ".join(cells).rstrip())
        if not number:
            print("  " + "  ".join("-" * width for width in widths))
