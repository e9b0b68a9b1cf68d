"""What a start costs: CPU of the whole process, against `python -c pass` of the same interpreter; and `exec` over many.

In an empty workspace a verb has next to nothing to do: what it costs there is what every call costs. The minimum says
what it costs where nothing disturbs, the median what it costs here.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from bench.ground import many, small_upstream
from bench.measure import Case, command, measure, table
from tests.support.workspace import Workspace

__all__ = ["run"]

PACKS = 10
MANY_PACKS = 100
BARS = {"grex --version": 3, "grex --help": 18, "grex status, empty": 18, "grex status, 10 packs": 20}
EXEC_BAR = 0.7
"""Of `west forall`, in wall time."""


def run(base: Path, rounds: int) -> None:
    """Measure and print."""
    _starts(base, rounds * 2)
    _commands(base, rounds)


def _starts(base: Path, rounds: int) -> None:
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
        grex("grex completion bash", "completion", "bash"),
        grex("names for completion, 10 packs", "__complete", "packs", "p"),
        grex("grex locks, empty", "locks", where=empty),
        grex("grex ls, empty", "ls", where=empty),
        grex("grex status, empty", "status", where=empty),
        grex("grex path, 10 packs", "path", "p001"),
        grex("grex ls, 10 packs", "ls"),
        grex("grex status, 10 packs", "status"),
        grex("grex sync, 10 pinned packs, nothing to do", "sync", "--quiet"),
    ]
    measure(cases, rounds)
    rows = [["", "CPU ms, min", "median", "wall ms", "times python -c pass, min", "median"]]
    for case in cases:
        bar = f" (bar {BARS[case.name]})" if case.name in BARS else ""
        least, ratio = min(case.cpus) / min(nothing.cpus), case.cpu_s / nothing.cpu_s
        figures = [_ms(min(case.cpus)), _ms(case.cpu_s), _ms(case.wall_s)]
        rows.append([case.name, *figures, f"{least:.1f}", f"{ratio:.1f}{bar}"])
    table(f"Start-up ({rounds} rounds; wall is the median)", rows)


def _commands(base: Path, rounds: int) -> None:
    """One command in many packs, against `xargs` and, where it is installed, `west`."""
    below = base / "over"
    below.mkdir()
    workspace = many(below, "packs", small_upstream(below), MANY_PACKS, ref="v1")
    names = [f"p{number:03}" for number in range(MANY_PACKS)]
    listed = below / "names"
    listed.write_text("".join(f"{name}\n" for name in names))

    def case(name: str, argv: list[str | Path], cwd: Path = workspace.root) -> Case:
        return Case(name, command(argv, cwd=cwd, environ=workspace.environ))

    ours = case("grex exec -- true", workspace.command("exec", "--quiet", "--", "true"))
    cases = [ours, case("xargs -P2 -n1 true", ["xargs", "-a", listed, "-P2", "-n1", "true"])]
    west = shutil.which("west")
    peer: Case | None = None
    if west is not None:
        place = _west_workspace(below, west, workspace.root, names)
        peer = case("west forall -c true", [west, "--quiet", "forall", "-c", "true"], place)
        cases.append(peer)
    measure(cases, rounds)
    rows = [["", "wall ms, min", "median", "CPU ms", "of west's wall"]]
    for one in cases:
        share = "" if peer is None else f"{one.wall_s / peer.wall_s:.2f}"
        bar = f" (bar {EXEC_BAR})" if one is ours and peer is not None else ""
        rows.append([one.name, _ms(min(one.walls)), _ms(one.wall_s), _ms(one.cpu_s), share + bar])
    table(f"`true` in {MANY_PACKS} packs ({rounds} rounds)", rows)


def _west_workspace(below: Path, west: str, packs: Path, names: list[str]) -> Path:
    """The same checkouts as a west workspace."""
    place = below / "west"
    projects = "".join(f"    - name: {name}\n      url: https://example.invalid/{name}\n" for name in names)
    (place / "manifest").mkdir(parents=True)
    (place / "manifest/west.yml").write_text(f"manifest:\n  projects:\n{projects}")
    command(["git", "init", "--quiet", "manifest"], cwd=place)()
    command([west, "init", "--local", "manifest"], cwd=place)()
    for name in names:
        shutil.copytree(packs / name, place / name, symlinks=True)
    return place


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f}"
