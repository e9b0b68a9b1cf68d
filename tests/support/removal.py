"""A small nested workspace whose packs are removed and brought back, and the facts that have to come back with them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio

from grex.engine import survey
from grex.manifest import fold
from grex.verbs.doctor import DoctorReport, DoctorRequest, doctor
from grex.verbs.rm import RmReport, RmRequest, rm
from grex.workspace import Layout
from tests.support.again import copy_aside, put_back
from tests.support.git_server import GitServer
from tests.support.place import Place
from tests.support.workspace import pack_yaml

__all__ = ["ENTRY", "Nest", "facts"]

ENTRY = """\
  # what follows is about the tool
  - url: {url}   # the tool
    path: libs/tool
    # and this belongs to it
"""


class Nest:
    """A workspace of `libs/tool`, which owns `libs/tool/deps/inner`, and `other` beside it."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.server = GitServer(base / "up")
        self.server.create("inner", {"i": "1\n"})
        child = {"url": "../up/inner.git", "path": "deps/inner"}
        files = {".grex/pack.yaml": pack_yaml("tool", children=[child]), ".gitignore": "built\n", "t": "1\n"}
        self.server.create("tool", files)
        self.server.create("other", {"o": "1\n"})
        self.place = Place(base)
        self.yaml = self.place / ".grex/pack.yaml"
        self.yaml.parent.mkdir()
        head = f'schema_version: "1"\nname: root\ntype: meta\nchildren:\n  - {{url: {self.server.url("other")}}}\n'
        self.yaml.write_text(head + ENTRY.format(url=self.server.url("tool")))
        self._defaults = self.place.defaults
        anyio.run(self.sync)
        self._synced = copy_aside(base, "synced")

    def begin(self) -> None:
        """Everything as after the first sync, in the same place: a copy costs a tenth of the clones."""
        put_back(self.base, self._synced)
        self.place.defaults = self._defaults

    def declared(self) -> set[str]:
        """The packs that are declared, as far as their checkouts say."""
        return set(survey(Layout(self.place.root), "linux").graph.nodes)

    def check_agreement(self) -> None:
        """Insist that declarations, log, lockfile and disk say the same, and that nothing is left half-way."""
        assert self.declared() == self.there() == self.logged() == set(self.place.locked())
        assert self.place.leftovers() == []
        trash = self / ".grex/trash"
        names = {path.name for path in trash.iterdir()} if trash.is_dir() else set()
        assert names == {name for stamp in self.in_trash() for name in (stamp, f"{stamp}.json")}, names
        for path, removed in fold(self.place.log()).removed.items():
            is_back = path in self.there()
            assert is_back or removed.trash is None or (self / removed.trash).exists() or not names, removed

    def __truediv__(self, path: str) -> Path:
        """A path below the workspace's root."""
        return self.place / path

    async def sync(self, **request: Any) -> None:
        """A sync that must succeed."""
        report = await self.place.sync(**request)
        assert report.exit_code == 0, report

    async def rm(self, *packs: str, **request: Any) -> RmReport:
        """`grex rm`."""
        return await rm(RmRequest(self.place.root, packs, **request), self.place.settings())

    async def doctor(self, *restore: str, **request: Any) -> DoctorReport:
        """`grex doctor`."""
        asked = DoctorRequest(root=self.place.root, restore=restore, **request)
        return await doctor(asked, self.place.settings())

    def in_trash(self) -> list[str]:
        """What the trash holds, as `--restore` wants it; the newest first."""
        names = [path.name for path in (self / ".grex/trash").glob("*") if path.is_dir()]
        return sorted(names, reverse=True)

    def logged(self) -> set[str]:
        """The packs that are there, as the log says."""
        return set(fold(self.place.log()).packs) - {"."}

    def there(self) -> set[str]:
        """The checkouts that are there."""
        paths = ("other", "libs/tool", "libs/tool/deps/inner")
        return {path for path in paths if (self / path / ".git").is_dir()}


def facts(top: Path) -> dict[str, tuple[object, ...]]:
    """Everything below a directory that must come back: kinds, modes, times, bytes; not what locks write."""
    return {os.path.relpath(path, top): _facts(path) for path in _below(top) if not _is_lock(path)}


def _is_lock(path: Path) -> bool:
    return path.name in (".grex-lock", "grex-lock") or path.name.endswith(".lock")


def _below(path: Path) -> Iterator[Path]:
    yield path
    if path.is_dir() and not path.is_symlink():
        for entry in sorted(path.iterdir()):
            yield from _below(entry)


def _facts(path: Path) -> tuple[object, ...]:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return ("link", str(path.readlink()), status.st_mtime_ns)
    if stat.S_ISDIR(status.st_mode):
        return ("directory", status.st_mode, status.st_mtime_ns)
    return ("file", status.st_mode, status.st_mtime_ns, status.st_ino, path.read_bytes())
