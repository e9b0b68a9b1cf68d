"""Which lines of a lockfile a run has changed: what a report says where no pack tells it already."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from grex.manifest.lockfile import LockLine

__all__ = ["Relocked", "relocked"]


class Relocked(Struct, frozen=True):
    """The packs whose lines are new, different or gone, each sorted; all empty where the lockfile stayed as it was."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    @property
    def paths(self) -> frozenset[str]:
        """All of them."""
        return frozenset((*self.added, *self.changed, *self.removed))


def relocked(before: Mapping[str, LockLine], after: Mapping[str, LockLine]) -> Relocked:
    """What is different between two lockfiles."""
    return Relocked(
        tuple(sorted(after.keys() - before.keys())),
        tuple(sorted(path for path in after.keys() & before.keys() if after[path] != before[path])),
        tuple(sorted(before.keys() - after.keys())),
    )
