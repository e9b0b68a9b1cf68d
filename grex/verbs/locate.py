"""Finds the workspace of a call: the one place that joins discovery with what log and lockfile record."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from grex.errors import GrexError
from grex.manifest import Log, fold, read_lockfile
from grex.pack import current_platform, read_declared_paths
from grex.workspace import Layout, find_workspace

__all__ = ["locate"]


def locate(start: Path, explicit: Path | None) -> Path:
    """The workspace that `start` lies in, or the one that was named.

    Raises:
        NotAWorkspaceError: there is none.
    """
    return find_workspace(start, explicit=explicit, recorded=_recorded, declared=_declared)


def _declared(root: Path, pack: str) -> Collection[str]:
    return read_declared_paths(root, pack, platform=current_platform())


def _recorded(root: Path) -> Collection[str]:
    """The packs that a workspace's lockfile and log know; a damaged one is for the verb to complain about."""
    layout = Layout(root)
    found: set[str] = set()
    try:
        found.update(read_lockfile(layout.lockfile))
    except (GrexError, OSError):
        found.clear()
    try:
        found.update(fold(Log(layout.log, layout.trash_dir).read().events).packs)
    except (GrexError, OSError):
        return found
    return found
