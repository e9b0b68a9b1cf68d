"""A healthy workspace to be broken: a git repository of its own, nested packs, and one that installs into a home."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio

from grex.engine.checks import Finding
from grex.verbs.doctor import DoctorReport, DoctorRequest, doctor
from tests.support.again import copy_aside, put_back
from tests.support.git_server import GitServer, git
from tests.support.place import Place
from tests.support.removal import facts
from tests.support.workspace import pack_yaml

__all__ = ["PACKS", "Clinic"]

PACKS = ("dots", "other", "tool", "tool/deps/inner")


class Clinic:
    """A workspace of `tool`, which owns `tool/deps/inner`, `other` at a tag, and `dots`, which installs."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.server = GitServer(base / "up")
        self.server.create("inner", {"i": "1\n"})
        child = {"url": "../up/inner.git", "path": "deps/inner"}
        self.server.create("tool", {".grex/pack.yaml": pack_yaml("tool", children=[child]), "t": "1\n"})
        self.server.create("other", {"o": "1\n"})
        actions = [
            {"mkdir": {"path": "$HOME/made"}},
            {"symlink": {"src": "files/rc", "dst": "$HOME/.rc"}},
            {"copy": {"src": "files/rc", "dst": "$HOME/copied"}},
            {"env": {"name": "DOTS", "value": "1"}},
        ]
        files = {".grex/pack.yaml": pack_yaml("dots", "declarative", actions=actions), "files/rc": "rc\n"}
        self.server.create("dots", files)
        self.place = Place(base)
        self.place.defaults = self.place.settings(
            environ={**self.place.defaults.environ, "SHELL": "/bin/bash"}, trust=(self.server.url("dots"),)
        )
        self.root, self.home = self.place.root, self.place.home
        self.yaml = self.root / ".grex/pack.yaml"
        self.log, self.lockfile = self.root / "grex.jsonl", self.root / "grex.lock.jsonl"
        self.place.declare(*({"url": self.server.url(name)} for name in ("tool", "other", "dots")))
        git(self.root, "init", "--quiet")
        (self.root / ".git/info/exclude").write_text("# mine\n/scratch\n")
        anyio.run(self.sync)
        git(self.root, "add", ".grex/pack.yaml", "grex.lock.jsonl")
        git(self.root, "commit", "--quiet", "-m", "workspace")
        for pack in PACKS:
            (self.root / pack / "mine").write_text(f"of the user, in {pack}\n")
        (self.root / "tool/t").write_text("edited\n")
        self._defaults = self.place.defaults
        self._healthy = copy_aside(base, "healthy")

    def begin(self) -> None:
        """Everything healthy again, in the same place."""
        put_back(self.base, self._healthy)
        self.place.defaults = self._defaults

    def __truediv__(self, path: str) -> Path:
        """A path below the workspace's root."""
        return self.root / path

    async def sync(self, **request: Any) -> None:
        """A sync that must succeed."""
        report = await self.place.sync(**request)
        assert report.exit_code == 0, [failure for pack in report.packs for failure in pack.failures]

    async def doctor(self, *packs: str, **request: Any) -> DoctorReport:
        """`grex doctor`."""
        return await doctor(DoctorRequest(root=self.root, packs=packs, **request), self.place.settings())

    async def codes(self, *packs: str, **request: Any) -> list[str]:
        """The codes of what it finds."""
        return [one.code for one in (await self.doctor(*packs, **request)).findings]

    async def found(self, code: str, **request: Any) -> Finding:
        """The one finding of a code."""
        (finding,) = [one for one in (await self.doctor(**request)).findings if one.code == code]
        return finding

    def users(self) -> dict[str, Any]:
        """Everything that is the user's: the work trees without git's own, the home, what is declared."""
        found: dict[str, Any] = {"yaml": self.yaml.read_bytes()}
        for top in (self.home, *(self.root / pack for pack in PACKS)):
            for path, what in facts(top).items() if top.is_dir() else ():
                if ".git" not in path.split("/") and what[0] != "directory" and ".grex-tmp-" not in path:
                    found[f"{top}/{path}"] = what
        return found

    def everything(self) -> dict[str, Any]:
        """Every file below the workspace and the home, with times; not what locks write."""
        return {f"{top}/{path}": what for top in (self.root, self.home) for path, what in facts(top).items()}
