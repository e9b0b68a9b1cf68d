"""A hundred packs against west, vcs2l and `xargs git`: cold, nothing to do (branches, pinned), and status.

The peers are measured where they are installed (`make peers`); `xargs git` stands for what a shell does without a tool.
Each has a workspace of its own with the same repositories.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.ground import small_upstream
from bench.measure import Case, command, measure, table
from tests.support.git_server import GitServer, git
from tests.support.workspace import Workspace

__all__ = ["run"]

PACKS = 100
NAMES = [f"p{number:03}" for number in range(PACKS)]


@dataclass
class Peer:
    """A tool with a directory of its own: how it is set up for a ref, and its commands."""

    name: str
    root: Path
    set_up: Callable[[str], None]
    sync: Callable[[], None]
    status: Callable[[], None]

    def clear(self, ref: str) -> None:
        """An empty directory with the tool's own declarations."""
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir(parents=True)
        self.set_up(ref)


def run(base: Path, rounds: int) -> None:
    """Measure and print."""
    server = small_upstream(base)
    peers = [_grex(base, server), *_xargs(base, server), *_west(base, server), *_vcs(base, server)]
    rounds = min(rounds, 5)
    heads = ["", *(f"{peer.name} wall / CPU s" for peer in peers)]
    rows = [heads]

    def compare(title: str, cases: list[Case]) -> None:
        measure(cases, rounds)
        ours = cases[0]
        cells = [f"{case.wall_s:.2f} / {case.cpu_s:.2f} ({ours.cpu_s / case.cpu_s:.2f})" for case in cases]
        rows.append([title, *cells])

    def cold(peer: Peer) -> Case:
        return Case(peer.name, peer.sync, lambda: peer.clear("main"))

    compare("cold", [cold(peer) for peer in peers])
    compare("nothing to do, branches", [Case(peer.name, peer.sync) for peer in peers])
    compare("status", [Case(peer.name, peer.status) for peer in peers])
    for peer in peers:
        peer.clear("v1")
        peer.sync()
    compare("nothing to do, pinned", [Case(peer.name, peer.sync) for peer in peers])
    table(f"{PACKS} packs (medians of {rounds}; in parentheses grex's CPU as a share of it)", rows)
    missing = {"west", "vcs2l"} - {peer.name for peer in peers}
    if missing:
        print(f"  not installed: {', '.join(sorted(missing))}; `make peers` installs them")


def _program(name: str) -> Path | None:
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    return Path(found) if found else None


def _grex(base: Path, server: GitServer) -> Peer:
    workspace = Workspace(base, "grex")
    workspace.environ.pop("PYTHONWARNINGS", None)

    def set_up(ref: str) -> None:
        workspace.declare(*({"url": server.url("small"), "path": name, "ref": ref} for name in NAMES))

    def grex(*arguments: str) -> Callable[[], None]:
        return command(workspace.command(*arguments), cwd=workspace.root, environ=workspace.environ)

    return Peer("grex", workspace.root, set_up, grex("sync", "--quiet"), grex("status"))


def _xargs(base: Path, server: GitServer) -> list[Peer]:
    """Clone what is not there, pull (a branch) or compare with the pin (a tag) what is."""
    root = base / "xargs"
    url = server.url("small")
    each = (
        f'test -d "$1" || exec git clone -q -b "$(cat ref)" {url} "$1"; cd "$1" && '
        "if git symbolic-ref -q HEAD >/dev/null; then exec git pull -q --ff-only; fi; exec git rev-parse -q HEAD"
    )

    def set_up(ref: str) -> None:
        (root / "names").write_text("\n".join(NAMES) + "\n")
        (root / "ref").write_text(f"{ref}\n")

    def over(script: str) -> Callable[[], None]:
        return command(["xargs", "-a", "names", "-P8", "-I{}", "sh", "-c", script, "sh", "{}"], cwd=root)

    return [Peer("xargs git", root, set_up, over(each), over('exec git -C "$1" status --porcelain=v2'))]


def _west(base: Path, server: GitServer) -> list[Peer]:
    program = _program("west")
    if program is None:
        return []
    root = base / "west"

    def set_up(ref: str) -> None:
        manifest = root / "manifest"
        manifest.mkdir()
        projects = "".join(f"    - name: {name}\n      url: {server.url('small')}\n" for name in NAMES)
        text = f"manifest:\n  defaults:\n    revision: {ref}\n  projects:\n{projects}"
        (manifest / "west.yml").write_text(text)
        git(manifest, "init", "-q")
        command([program, "init", "-l", "manifest"], cwd=root)()

    def west(*arguments: str) -> Callable[[], None]:
        return command([program, *arguments], cwd=root)

    return [Peer("west", root, set_up, west("-q", "update"), west("status", "-s"))]


def _vcs(base: Path, server: GitServer) -> list[Peer]:
    program = _program("vcs")
    if program is None:
        return []
    root = base / "vcs"

    def set_up(ref: str) -> None:
        entries = "".join(f"  {n}:\n    type: git\n    url: {server.url('small')}\n    version: {ref}\n" for n in NAMES)
        (root / "all.repos").write_text(f"repositories:\n{entries}")

    def vcs(*arguments: str) -> Callable[[], None]:
        return command([program, *arguments], cwd=root)

    return [Peer("vcs2l", root, set_up, vcs("import", "--input", "all.repos"), vcs("status", "-s"))]
