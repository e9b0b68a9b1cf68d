"""A sync that nobody forced changes nothing of the user's, whatever tree is declared and however it has changed.

Each workspace is made from a number: repositories that own each other (a graph without circles), at paths of every
shape (plain, with slashes, with capitals and dots, inside the directory of another pack, from the workspace's root),
with overrides. After a first sync a user works in it: files beside packs, directories that are named like packs
elsewhere, edits and new files inside checkouts. Then the declarations change, in the root and upstream: packs move to
another parent or another path, appear and vanish, overrides come and go. Three syncs follow.

* Every byte that no pack brought is where it was, with its mode and time, after each of them; so is the whole work tree
  of a checkout that nobody declares any more.
* The second and the third find nothing to do that they can do: they clone and move nothing.
* Nothing half-done is left.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.support.place import Place
from tests.support.sandbox import Snapshot, snapshot
from tests.support.workspace import pack_yaml

_PATHS = ("{name}", "libs/{name}", "deep/er/{name}", "Cap_{name}.X", "docs", "/top/{name}", "libs/docs", "ünï/{name}")
_BRANCHES = ("main", "next")


@dataclass
class Upstream:
    """Bare repositories, each branch of which is written anew with all that it has to hold."""

    root: Path
    marks: dict[str, int] = field(default_factory=dict)

    def url(self, name: str) -> str:
        """Its file URL."""
        return (self.root / f"{name}.git").as_uri()

    def write(self, name: str, branch: str, files: dict[str, str]) -> None:
        """One commit more on a branch, with exactly these files; one git process."""
        bare = self.root / f"{name}.git"
        if not bare.exists():
            subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", bare], check=True)
        number = self.marks[name] = self.marks.get(name, 0) + 1
        stream = f"commit refs/heads/{branch}\ncommitter T <t@example.invalid> {1_700_000_000 + number} +0000\n"
        stream += f"data 1\n{number % 10}\n"
        known = subprocess.run(
            ["git", "-C", bare, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}"],
            check=False,
            capture_output=True,
        )
        if known.returncode == 0:
            stream += f"from refs/heads/{branch}^0\n"
        stream += "deleteall\n"
        for path, text in files.items():
            data = text.encode()
            stream += f"M 100644 inline {path}\ndata {len(data)}\n{text}\n"
        subprocess.run(["git", "-C", bare, "fast-import", "--quiet"], input=stream.encode(), check=True)


class Tree:
    """What is declared where, and how it changes; everything from one source of chance."""

    def __init__(self, upstream: Upstream, chance: random.Random) -> None:
        self.upstream = upstream
        self.chance = chance
        self.names = [f"p{number}" for number in range(chance.randint(2, 6))]
        self.children: dict[str, list[dict[str, Any]]] = {owner: self._owned(owner) for owner in ("", *self.names)}
        if not self.children[""]:
            self.children[""] = [self._child(self.names[0])]
        self.overrides: list[dict[str, Any]] = []

    def _owned(self, owner: str) -> list[dict[str, Any]]:
        first = 0 if owner == "" else self.names.index(owner) + 1
        below = self.names[first:]
        chosen = self.chance.sample(below, self.chance.randint(0, min(3, len(below))))
        return self._apart([self._child(name) for name in chosen])

    def _child(self, name: str) -> dict[str, Any]:
        child: dict[str, Any] = {"url": self.upstream.url(name), "path": self._path(name)}
        if self.chance.random() < 0.3:
            child["ref"] = self.chance.choice(_BRANCHES)
        return child

    def _path(self, name: str) -> str:
        return self.chance.choice(_PATHS).format(name=name)

    @staticmethod
    def _apart(children: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """No two of one file at one path: that file would be refused, and the rest of the tree with it."""
        return list({child["path"].removeprefix("/").casefold(): child for child in children}.values())

    def publish(self, place: Place) -> None:
        """Write every repository and the root."""
        for name in self.names:
            files = {f"{name}.txt": f"{name} {self.chance.random()}\n", "docs/read.me": f"{self.chance.random()}\n"}
            if self.chance.random() < 0.5:
                files["docs/old.txt" if self.chance.random() < 0.5 else "new/er.txt"] = "x\n"
            if self.children[name] or self.chance.random() < 0.5:
                files[".grex/pack.yaml"] = pack_yaml(name, "meta", children=self.children[name])
            for branch in _BRANCHES:
                self.upstream.write(name, branch, files | {"branch": branch})
        place.declare(*self.children[""], **({"overrides": self.overrides} if self.overrides else {}))

    def change(self) -> None:
        """Move, rename, add, drop and override."""
        chance = self.chance
        for owner in [owner for owner in self.children if self.children[owner]]:
            child = chance.choice(self.children[owner])
            name = Path(child["url"]).stem
            what = chance.choice(["rename", "move", "drop", "ref", "keep", "keep"])
            if what == "rename":
                child["path"] = self._path(name)
            elif what == "ref":
                child["ref"] = chance.choice(_BRANCHES)
            elif what in ("move", "drop"):
                self.children[owner].remove(child)
                above = ["", *self.names[: self.names.index(name)]]
                if what == "move":
                    self.children[chance.choice(above)].append(child)
        for owner, found in self.children.items():
            self.children[owner] = self._apart(found)
        if chance.random() < 0.5:
            path = self._path(chance.choice(self.names)).removeprefix("/")
            self.overrides = [{"path": path, "ref": chance.choice(_BRANCHES)}]
        else:
            self.overrides = []


def checkouts(place: Place) -> list[str]:
    """Every checkout, by its path."""
    return sorted(str(found.parent.relative_to(place.root)) for found in place.root.rglob(".git"))


def work(place: Place, chance: random.Random) -> set[str]:
    """What a user does in a workspace: gives the paths of what is theirs now."""
    mine: set[str] = set()

    def write(path: str, text: str, *, anew: bool = True) -> None:
        target = place / path
        if anew and os.path.lexists(target):
            return
        if any(above.is_symlink() or (above.exists() and not above.is_dir()) for above in target.parents):
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        os.utime(target, ns=(10**18, 10**18 + len(mine)))
        target.chmod(chance.choice([0o644, 0o600, 0o755]))
        mine.add(path)

    write("notes.txt", "mine\n")
    for name in ("docs", "libs", "p1", "Cap_p2.X", "deep/er/p3", "top/p0", "elsewhere/p1"):
        if chance.random() < 0.5:
            write(f"{name}/mine.txt", f"{chance.random()}\n")
    for path in checkouts(place):
        if chance.random() < 0.6:
            write(f"{path}/untracked-{chance.randint(0, 9)}", "new\n")
        if chance.random() < 0.3:
            write(f"{path}/docs/mine.md", "new\n")
        if chance.random() < 0.3 and (place / path / "docs/read.me").is_file():
            write(f"{path}/docs/read.me", f"edited {chance.random()}\n", anew=False)
    return mine


def files_of(place: Place, mine: set[str]) -> Snapshot:
    """What the user has written."""
    return {path: entry for path in mine for _, entry in snapshot_of(place / path).items()}


def snapshot_of(file: Path) -> Snapshot:
    """One file, as `snapshot` gives it."""
    if not os.path.lexists(file):
        return {file.name: ("nothing",)}
    status = file.lstat()
    return {file.name: ("file", status.st_mode & 0o7777, status.st_mtime_ns, file.read_bytes())}


def work_trees(place: Place) -> dict[str, Snapshot]:
    """The work tree of every checkout, without those that lie in it."""
    paths = checkouts(place)
    found: dict[str, Snapshot] = {}
    for pack in paths:
        inner = tuple(f"{Path(other).relative_to(pack)}/" for other in paths if other.startswith(f"{pack}/"))
        found[pack] = {
            name: entry
            for name, entry in snapshot(place / pack).items()
            if entry[0] != "directory"
            and not name.startswith((".git/", *inner))
            and not name.endswith((".grex-lock", ".grex-backend.lock"))
        }
    return found


def live(base: Path, seed: int) -> None:
    """One workspace through its life."""
    chance = random.Random(seed)  # noqa: S311 - chance that can be had again
    (base / "up").mkdir(parents=True)
    tree = Tree(Upstream(base / "up"), chance)
    place = Place(base)

    def sync() -> Any:
        report = anyio.run(place.sync)
        assert report.exit_code in (0, 4), report
        return report

    tree.publish(place)
    sync()
    mine = work(place, chance)
    tree.change()
    tree.publish(place)
    before = files_of(place, mine)
    for number in range(3):
        trees = work_trees(place)
        report = sync()
        assert files_of(place, mine) == before, f"seed {seed}, sync {number + 1}"
        declared = {pack.path for pack in report.packs}
        after = work_trees(place)
        for pack in set(trees) - declared:
            assert after.get(pack) == trees[pack], f"seed {seed}, sync {number + 1}: {pack}"
        if number:
            done = [pack.path for pack in report.packs if pack.status in ("cloned", "moved")]
            assert not done, f"seed {seed}, sync {number + 1}: {done}"
        assert place.leftovers() == []
    for pack in checkouts(place):
        told = subprocess.run(["git", "-C", place / pack, "fsck", "--no-progress"], capture_output=True, check=False)
        assert told.returncode == 0, (seed, pack, told.stderr)
    for line in (place / "grex.jsonl").read_text().splitlines():
        json.loads(line)


@pytest.mark.parametrize("seed", range(4))
def test_three_syncs_change_nothing_of_the_users(tmp_path: Path, seed: int) -> None:
    live(tmp_path, seed)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(4, 44, 10))
def test_three_syncs_change_nothing_of_the_users_in_many_workspaces(tmp_path: Path, first: int) -> None:
    for seed in range(first, first + 10):
        live(tmp_path / str(seed), seed)


@pytest.mark.exhaustive
@pytest.mark.parametrize("first", range(44, 544, 50))
def test_three_syncs_change_nothing_of_the_users_in_five_hundred_workspaces(tmp_path: Path, first: int) -> None:
    for seed in range(first, first + 50):
        live(tmp_path / str(seed), seed)
