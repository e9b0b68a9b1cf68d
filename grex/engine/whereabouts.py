"""Where the paths are that claims name.

Paths are compared by where they are, not by how they are written: every directory on the way is resolved, the last
segment is not. A directory on the way may itself be claimed, as a link, so `Places` gives for each directory on the way
where it is itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

__all__ = ["DIRECTORY", "Kept", "Places", "is_directory", "path_of"]

DIRECTORY = "directory "
"""Before a path: a directory that is only made, and that others may want as well."""


def is_directory(claim: str) -> bool:
    """Whether a claim is one of a directory, which is shared."""
    return claim.startswith(DIRECTORY + "/")


def path_of(claim: str) -> str:
    """The path in a claim; any other name as it stands."""
    what = claim.removeprefix(DIRECTORY) if is_directory(claim) else claim
    # Python keeps two slashes at the beginning, for they may mean something on other systems: `//` has no parent
    # but itself. Here it is the root.
    return f"/{what.lstrip('/')}" if what.startswith("//") else what


class Places:
    """Where paths are; each directory is resolved once."""

    def __init__(self) -> None:
        self._real: dict[str, str] = {}

    def own(self, what: str) -> str:
        """Where a path is itself; any other name as it stands."""
        if not what.startswith("/"):
            return what
        parent, name = os.path.split(what.rstrip("/") or "/")
        if name in ("", ".", ".."):
            return self._resolved(what)
        return os.path.join(self._resolved(parent), name)  # noqa: PTH118 - asked for each directory of each claim

    def on_the_way(self, what: str) -> Iterator[str]:
        """Where the path is itself, then each directory above it."""
        yield self.own(what)
        if what.startswith("/"):
            path = os.path.dirname(what.rstrip("/"))  # noqa: PTH120 - as above
            while path not in ("", "/"):
                yield self.own(path)
                path = os.path.dirname(path)  # noqa: PTH120 - as above

    def _resolved(self, directory: str) -> str:
        if directory not in self._real:
            self._real[directory] = os.path.realpath(directory)
        return self._real[directory]


class Kept:
    """What grex keeps for itself: a run that takes its own log away cannot even take that back.

    Args:
        records: the files and directories.
        places: where paths are.
    """

    def __init__(self, records: Iterable[Path], places: Places) -> None:
        self._kept = {places.own(str(path)) for path in records}
        self._around = {place for path in self._kept for place in places.on_the_way(path)}

    def is_on(self, way: Sequence[str], *, shared: bool) -> bool:
        """Whether somebody could change what grex keeps who has the first of these places.

        Args:
            way: what `Places.on_the_way` gave.
            shared: whether it is claimed as a directory.
        """
        return not self._kept.isdisjoint(way) or (not shared and way[0] in self._around)
