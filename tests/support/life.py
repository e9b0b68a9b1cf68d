"""The home of a user who changes things, and a workspace whose root pack changes as well.

The root's own actions need no git, so a run takes some ten milliseconds, and a kill a fork (`tests.support.dying`).
What the user makes has a mark each: a content of its own, by which it is known again wherever it was moved.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import anyio

from grex.engine import Step
from grex.errors import GrexError
from grex.manifest import fold
from grex.verbs.sync import SyncRequest, sync
from grex.verbs.teardown import TeardownRequest, teardown
from grex.verbs.update import UpdateRequest, update
from tests.support.place import Place

__all__ = ["FIRST_CHANGE", "Kind", "Life", "Mark", "Verb"]

Verb: TypeAlias = Literal["sync", "update", "force", "teardown"]
Kind: TypeAlias = Literal["file", "directory", "link"]

FIRST_CHANGE = "grex.engine.acting:HoldState.run"
"""From where on the changes of a run are its actions' own, and those of their log."""

_T0 = 1_500_000_000_987_654_321


@dataclass(frozen=True)
class Mark:
    """Something of the user's: where it was made, and how it is known again."""

    name: str
    facts: tuple[object, ...]


class Life:
    """A workspace below `base`, with two files for its root pack, and the home beside it.

    `marks` is the model: what the user has made and not taken away.
    """

    def __init__(self, base: Path) -> None:
        self.place = Place(base)
        self.home, self.root = self.place.home, self.place.root
        self.place.defaults = self.place.settings(
            environ={"PATH": os.environ["PATH"], "HOME": str(self.home), "SHELL": "/bin/bash"}
        )
        for name in ("one", "two"):
            (self.root / "files").mkdir(exist_ok=True)
            (self.root / "files" / name).write_text(f"the pack's {name}\n")
        (self.root / ".grex").mkdir()
        self.marks: list[Mark] = []
        self._made = 0

    def declare(self, text: str) -> None:
        """The author of the pack changes its pack.yaml."""
        (self.root / ".grex/pack.yaml").write_text(text)

    def put(self, name: str, kind: Kind, mode: int = 0o644) -> None:
        """The user makes something of their own at a name, in the place of whatever is there."""
        self.take_away(name)
        self._made += 1
        path, text = self.home / name, f"the user's {self._made}\n"
        if kind == "link":
            path.symlink_to(text)
        else:
            file = path
            if kind == "directory":
                path.mkdir()
                file = path / "inside"
            file.write_text(text)
            os.utime(file, ns=(_T0, _T0))
            path.chmod(mode | (0o100 if kind == "directory" else 0))
        self.marks.append(Mark(name, _facts(path)))

    def take_away(self, name: str) -> None:
        """The user takes away what is at a name."""
        path = self.home / name
        if not os.path.lexists(path):
            return
        self.marks = [mark for mark in self.marks if mark != Mark(name, _facts(path))]
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()

    def check_marks(self) -> None:
        """Insist that everything of the user's is there once, under its name or that of a backup beside it."""
        for mark in self.marks:
            place = self.home / mark.name
            siblings = list(place.parent.iterdir()) if place.parent.is_dir() else []
            beside = [path for path in siblings if path.name.split(".grex-bak.")[0] == place.name]
            found = [path for path in beside if _facts(path) == mark.facts]
            assert len(found) == 1, (mark, found, sorted(self.home.rglob("*")))

    def run(self, verb: Verb) -> list[GrexError]:
        """One run of a verb, by a user who trusts the pack; gives what failed."""
        return anyio.run(self._run, verb)

    async def _run(self, verb: Verb) -> list[GrexError]:
        async def trusts(steps: Sequence[Step]) -> list[str]:
            del steps
            return ["."]

        settings = self.place.settings()
        if verb == "teardown":
            torn = await teardown(TeardownRequest(self.root, ask_trust=trusts), settings)
            return [pack.error for pack in torn.packs if pack.error is not None]
        if verb == "sync":
            report = await sync(SyncRequest(self.root, ask_trust=trusts), settings)
        else:
            request = UpdateRequest(SyncRequest(self.root, ask_trust=trusts), force=verb == "force")
            report = (await update(request, settings)).sync
        return [error for pack in report.packs for error in pack.failures]

    def open_brackets(self) -> list[str]:
        """The actions that were begun and have no end, as the log tells; oldest first."""
        return [bracket.action for pack in fold(self.place.log()).packs.values() for bracket in pack.open_brackets]


def _facts(path: Path) -> tuple[object, ...]:
    """What is at a path: of a directory, with the file inside that the user has made."""
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return ("link", str(path.readlink()))
    if stat.S_ISDIR(status.st_mode):
        inside = path / "inside"
        return ("directory", stat.S_IMODE(status.st_mode), _facts(inside) if os.path.lexists(inside) else ())
    return ("file", stat.S_IMODE(status.st_mode), status.st_mtime_ns, path.read_bytes())
