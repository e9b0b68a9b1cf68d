"""A workspace with a repository of its own, nested packs, and forks of it, all in this process."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import anyio

from grex.verbs.doctor import DoctorReport, DoctorRequest, doctor
from grex.verbs.fork import ForkReport, ForkRequest, fork
from grex.verbs.fork_ls import ForkListReport, ForkListRequest, fork_ls
from grex.verbs.fork_rm import ForkRemovalReport, ForkRemovalRequest, fork_rm
from grex.verbs.status import StatusReport, StatusRequest, status
from grex.verbs.sync import SyncReport, SyncRequest, sync
from tests.support.git_server import GitServer, git
from tests.support.place import Place
from tests.support.workspace import pack_yaml

__all__ = ["Forks"]


def _upstream(beside: Path) -> Path:
    """The repositories to begin with, made once for all tests whose directories lie side by side."""
    made = beside / "upstream-of-forks"
    if not made.exists():
        server = GitServer(Path(tempfile.mkdtemp(prefix="upstream-", dir=beside)))  # a test may be stopped meanwhile
        server.create("in", {"file": "in\n"})
        server.create("a", {"file": "a\n", ".grex/pack.yaml": pack_yaml("a", children=[{"url": "../up/in.git"}])})
        server.create("b", {"file": "b\n"})
        server.root.rename(made)
    return made


class Forks:
    """`ws` below `base` with the packs `a`, `a/in` (which `a` declares) and `b`; `has_root` gives it a repository."""

    def __init__(self, base: Path, *, has_root: bool = True) -> None:
        self.base = base
        self.place = Place(base)
        self.root = self.place.root
        shutil.copytree(_upstream(base.parent), base / "up")
        self.server = GitServer(base / "up")
        self.place.declare({"url": "../up/a.git"}, {"url": self.server.url("b"), "ref": "main"})
        if has_root:
            git(self.root, "init", "--quiet", "--initial-branch=main")
        assert self.sync().exit_code == 0
        if has_root:
            git(self.root, "add", ".grex/pack.yaml", "grex.lock.jsonl")
            git(self.root, "commit", "--quiet", "-m", "workspace")

    def fork(self, name: str, *packs: str, root: Path | None = None, **how: Any) -> ForkReport:
        request = ForkRequest(root or self.root, self.base / name, packs, **how)
        return anyio.run(fork, request, self.place.settings())

    def made(self, name: str, *packs: str, **how: Any) -> Path:
        """A fork that was made without a failure."""
        report = self.fork(name, *packs, **how)
        assert report.exit_code == 0, report.packs
        return self.base / name

    def remove(self, name: str, *, force: bool = False, root: Path | None = None) -> ForkRemovalReport:
        request = ForkRemovalRequest(root or self.root, self.base / name, force=force)
        return anyio.run(fork_rm, request, self.place.settings())

    def list(self, root: Path | None = None) -> ForkListReport:
        return anyio.run(fork_ls, ForkListRequest(root or self.root), self.place.settings())

    def doctor(self, **how: Any) -> DoctorReport:
        return anyio.run(doctor, DoctorRequest(root=self.root, **how), self.place.settings())

    def states(self) -> dict[str, str]:
        """The state of each fork, by the name of its directory."""
        return {Path(found.record.directory).name: found.shown_state for found in self.list().forks}

    def status(self, root: Path | None = None) -> StatusReport:
        return anyio.run(status, StatusRequest(root or self.root), self.place.settings())

    def sync(self, root: Path | None = None, *packs: str, **how: Any) -> SyncReport:
        return anyio.run(sync, SyncRequest(root or self.root, packs, **how), self.place.settings())

    def commit(self, checkout: Path, file: str = "mine", text: str = "mine\n") -> str:
        """A commit of the user's; gives its id."""
        (checkout / file).write_text(text)
        git(checkout, "add", file)
        git(checkout, "commit", "--quiet", "-m", "mine")
        return git(checkout, "rev-parse", "HEAD")

    def branches(self, pack: str) -> set[str]:
        """The local branches of a pack's repository."""
        return set(git(self.root / pack, "for-each-ref", "--format=%(refname:short)", "refs/heads").split())

    def check_untouched(self) -> None:
        """Insist that the workspace itself is as a sync left it, and its repositories are whole."""
        assert self.status().is_clean, self.status().packs
        for pack in (".", "a", "a/in", "b"):
            if (self.root / pack / ".git").exists():
                assert git(self.root / pack, "status", "--porcelain") == ""
                assert git(self.root / pack, "symbolic-ref", "HEAD") == "refs/heads/main"
                git(self.root / pack, "fsck", "--no-dangling", "--connectivity-only")
