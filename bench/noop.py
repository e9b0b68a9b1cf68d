"""Nothing to do: what 200 pinned packs add over one, against `git rev-parse HEAD` in 199 packs one after the other.

The bar is a third. Besides: how many git processes such a run starts, and how many files it changes; both 0.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from bench.ground import many, small_upstream
from bench.measure import Case, command, measure, table
from tests.support.workspace import Workspace

__all__ = ["run"]

PACKS = 200


def run(base: Path, rounds: int) -> None:
    """Measure and print."""
    server = small_upstream(base)
    all_packs = many(base, "many", server, PACKS, ref="v1")
    one_pack = many(base, "one", server, 1, ref="v1")
    loop = 'for pack in "$@"; do git -C "$pack" rev-parse HEAD || exit; done'
    others = [str(all_packs / f"p{number:03}") for number in range(1, PACKS)]
    ours = Case("grex sync, 200 packs", _sync(all_packs))
    single = Case("grex sync, 1 pack", _sync(one_pack))
    git = Case("git rev-parse HEAD, 199 packs", command(["sh", "-c", loop, "sh", *others], cwd=all_packs.root))
    measure([ours, single, git], rounds)
    added, added_cpu = ours.wall_s - single.wall_s, ours.cpu_s - single.cpu_s
    rows = [["", "wall ms", "CPU ms", "of git's wall"]]
    rows += [[case.name, _ms(case.wall_s), _ms(case.cpu_s), ""] for case in (ours, single, git)]
    rows.append(["199 packs more", _ms(added), _ms(added_cpu), f"{added / git.wall_s:.2f} (bar 0.33)"])
    table(f"Nothing to do, pinned (medians of {rounds})", rows)
    before = _stamps(all_packs)
    trace = base / "noop.trace"
    all_packs.grex("sync", "--trace", trace)
    started = sum(1 for event in json.loads(trace.read_text()) if event.get("cat") == "git")
    changed = len(before.items() ^ _stamps(all_packs).items())
    print(f"  git processes: {started} (bar 0); files and directories changed: {changed} (bar 0)")


def _sync(workspace: Workspace) -> Callable[[], None]:
    return command(workspace.command("sync", "--quiet"), cwd=workspace.root, environ=workspace.environ)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f}"


def _stamps(workspace: Workspace) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for directory, names, files in os.walk(workspace.root):
        for name in (*names, *files):
            if not name.endswith((".lock", "grex-lock")):
                status = Path(directory, name).lstat()
                found[f"{directory}/{name}"] = (status.st_ino, status.st_mtime_ns)
    return found
