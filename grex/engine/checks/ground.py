"""What the checks look at: declarations, log and lockfile as far as they can be read, and who else is at work.

It is read once for many checks, and again after something was mended. Nothing of it raises because a file is refused:
what is wrong with a file is what the checks are there to say.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field

from grex.engine.graph import ROOT, Node
from grex.engine.session import Session
from grex.engine.survey import Survey, known_paths, survey, undeclared
from grex.errors import GrexError, LockUnavailableError
from grex.git import CheckoutState, GitDirs, find_git_dirs
from grex.locks import Tier, inspect_locks
from grex.manifest import Folded, LockLine, fold
from grex.manifest.scan import LockfileScan, LogScan, scan_lockfile, scan_log

__all__ = ["Ground", "read_ground"]


class Ground(Struct, kw_only=True):
    """A workspace as it was found.

    Attributes:
        session: the workspace, open.
        found: what is declared; None where the root's pack.yaml or what belongs to it is refused.
        refused: why.
        log: the log, line by line.
        folded: what the log amounts to; None where not all of it can be read.
        lockfile: the lockfile, line by line.
        undeclared: the checkouts that the log knows and nobody declares.
        busy: the processes of another run that holds the workspace: what is half-done may be their work.
        objects: whether the objects of each repository are to be looked for.
    """

    session: Session
    found: Survey | None
    refused: GrexError | None
    log: LogScan
    folded: Folded | None
    lockfile: LockfileScan
    undeclared: Mapping[str, CheckoutState] = field(default_factory=dict)
    busy: tuple[int, ...] = ()
    objects: bool = False

    @property
    def root(self) -> Path:
        """The workspace."""
        return self.session.layout.root

    @property
    def lines(self) -> Mapping[str, LockLine]:
        """The lines of the lockfile that can be read."""
        return self.lockfile.lines

    @property
    def is_whole(self) -> bool:
        """Whether it is known of every pack what it declares: else nothing may be called undeclared or unused."""
        if self.found is None or self.found.errors:
            return False
        states = self.found.states
        return all(node.path in states and states[node.path].kind == "checkout" for node in self.found.graph.active())

    def known(self) -> set[str]:
        """The packs that are declared, or may be by inactive ones."""
        return set() if self.found is None else known_paths(self.found.graph, self.lines)

    def checkouts(self) -> list[tuple[Node, CheckoutState]]:
        """The declared packs that are there and active, sorted by path."""
        if self.found is None:
            return []
        states = self.found.states
        return [
            (node, states[node.path])
            for node in self.found.graph.active()
            if node.path in states and states[node.path].kind == "checkout"
        ]

    def all_checkouts(self) -> list[tuple[str, CheckoutState]]:
        """Every checkout that is declared, or that the log knows, by path."""
        found = {node.path: state for node, state in self.checkouts()}
        return sorted({**self.undeclared, **found}.items())

    def shown(self, path: Path) -> str:
        """A path from the workspace root, where it lies there."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)

    def own_dirs(self) -> GitDirs | None:
        """The git directories of the workspace's own repository; None where the workspace is none, or lies in one."""
        return find_git_dirs(self.root)


async def read_ground(session: Session, *, objects: bool = False) -> Ground:
    """Look at a workspace. Tier: MANIFEST, shared and briefly, where that can be had.

    Raises:
        LockError: the manifest is being written for longer than this run waits.
    """

    def read() -> Ground:
        return _read(session, objects=objects)

    try:
        return await session.read_manifest(read)
    except LockUnavailableError:
        return read()  # its file cannot be used, which is a finding of its own


def _read(session: Session, *, objects: bool) -> Ground:
    layout = session.layout
    found: Survey | None = None
    refused: GrexError | None = None
    try:
        found = survey(layout, session.settings.platform, check_type=session.check_type, is_lenient=True)
    except GrexError as error:
        refused = error
    log, lockfile = scan_log(layout.log), scan_lockfile(layout.lockfile)
    folded = fold(log.events) if log.is_whole else None
    ground = Ground(
        session=session,
        found=found,
        refused=refused,
        log=log,
        folded=folded,
        lockfile=lockfile,
        busy=_others_at_work(layout.workspace_lock),
        objects=objects,
    )
    if folded is not None:
        session.folded = folded  # for what works on a session; its lines are those that can be read
    session.lines = lockfile.lines
    if found is not None and folded is not None:
        recorded = [path for path in folded.packs if path != ROOT and _is_a_place(path)]
        ground.undeclared = undeclared(layout, recorded, ground.known())
    return ground


def _is_a_place(path: str) -> bool:
    """Whether a path of the log can be looked at; the log may have been edited."""
    return not path.startswith("/") and {"", ".", ".."}.isdisjoint(path.split("/")) and "\0" not in path


def _others_at_work(workspace_lock: Path) -> tuple[int, ...]:
    (info,) = inspect_locks([(Tier.WORKSPACE, workspace_lock)])
    return tuple(pid for pid in info.pids if pid != os.getpid()) if info.held else ()
