"""Where the torture of the locks happens: workspaces, packs of three kinds, their lock files, and what was found.

- `kept` packs have a git directory, so their lock file may be swept away at any time.
- `plain` packs have none; whether their file may be swept depends on the engine.
- `steady` packs have none either, and nothing happens to their file: where a plain flock is a match for grex.

Only modules of the standard library: the programs that inherit a lock start with it.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["LOCK_FILES", "Ground", "Place", "findings_in", "report_finding"]

WORKSPACES = 2
LOCK_FILES = {
    "workspace": ".grex.sync.lock",
    "pack": ".grex-lock",
    "backend": ".grex-backend.lock",
    "manifest": ".grex.jsonl.lock",
}
_PACKS = ("kept", "plain", "steady")


@dataclass(frozen=True)
class Place:
    """One lock: its number for the witness, its kind, what is locked, and its file."""

    number: int
    kind: str
    root: Path
    file: Path

    @property
    def kept(self) -> Path:
        """The link that keeps a pack's inode, if it has a git directory."""
        return self.root / ".git" / "grex-lock"

    @property
    def has_children(self) -> bool:
        """Whether its holders start programs that inherit the lock."""
        return self.kind == "backend" and self.root.name != "plain"

    @property
    def name(self) -> str:
        """The lock, as findings call it."""
        return (
            f"{self.kind} {self.root.name}" if self.kind != "pack" else f"pack {self.root.parent.name}/{self.root.name}"
        )


class Ground:
    """A directory with everything that one run needs; `places` are in the order in which one task may take them."""

    def __init__(self, base: Path) -> None:
        self.base = base.resolve()
        self.witness = self.base / "witness"
        self.attic = self.base / "attic"
        self.traces = self.base / "traces"
        self.reports = self.base / "reports"
        self.workspaces = [self.base / f"ws{number}" for number in range(WORKSPACES)]
        self.places: list[Place] = []
        for root in self.workspaces:
            self._add("workspace", root, root / LOCK_FILES["workspace"])
            for name in _PACKS:
                pack = root / name
                self._add("pack", pack, pack / LOCK_FILES["pack"])
                self._add("backend", pack, root / f".{name}{LOCK_FILES['backend']}")
            self._add("manifest", root, root / LOCK_FILES["manifest"])

    def _add(self, kind: str, root: Path, file: Path) -> None:
        self.places.append(Place(len(self.places), kind, root, file))

    def find(self, kind: str, root: Path) -> Place:
        """The lock of one kind on one directory."""
        return next(place for place in self.places if (place.kind, place.root) == (kind, root))

    def packs(self, *names: str) -> list[Place]:
        """The locks of all packs of these kinds."""
        return [place for place in self.places if place.kind == "pack" and place.root.name in names]

    def make(self) -> None:
        """Make the directories; `git init` is the caller's."""
        for directory in (self.attic, self.traces, self.reports):
            directory.mkdir(parents=True)
        for place in self.places:
            place.root.mkdir(parents=True, exist_ok=True)


def report_finding(base: Path, text: str) -> None:
    """Add a line to the findings of a run, in one write, from any process."""
    fd = os.open(base / "findings", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        os.write(fd, json.dumps(text).encode("ascii") + b"\n")
    finally:
        os.close(fd)


def findings_in(base: Path) -> list[str]:
    """What was found so far; a line that a kill cut short counts as it stands."""
    try:
        lines = (base / "findings").read_text("ascii").splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        try:
            found.append(str(json.loads(line)))
        except ValueError:
            found.append(line)
    return found
