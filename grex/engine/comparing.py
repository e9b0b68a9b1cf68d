"""Two lockfiles compared: which packs are new, gone, elsewhere or changed. Pure: nothing here looks at a disk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from grex.manifest import LockLine

__all__ = ["Change", "compare_locks"]

ChangeKind = Literal["added", "removed", "moved", "changed"]


class Change(Struct, frozen=True):
    """What became of one pack: `old` is None for an added one, `new` for a removed one; a moved one has both."""

    kind: ChangeKind
    old: LockLine | None
    new: LockLine | None

    @property
    def path(self) -> str:
        """Where it is now, or was."""
        line = self.new or self.old
        return "" if line is None else line.path

    @property
    def has_new_commit(self) -> bool:
        """Whether it was at one commit and is at another."""
        return self.old is not None and self.new is not None and self.old.sha != self.new.sha


def compare_locks(old: Mapping[str, LockLine], new: Mapping[str, LockLine]) -> tuple[Change, ...]:
    """What is different, sorted by path; packs that are the same are left out.

    A pack has moved if one path of a URL is gone, and one path of the same URL is new. With several of them nobody
    knows which became which, unless ref and commit are the same.
    """
    gone = {path: line for path, line in old.items() if path not in new}
    fresh = {path: line for path, line in new.items() if path not in old}
    found = [
        Change("changed", old[path], line) for path, line in new.items() if path in old and _differs(old[path], line)
    ]
    for is_same in (_is_same_commit, _is_same_url):
        for path in sorted(gone):
            targets = [other for other in sorted(fresh) if is_same(gone[path], fresh[other])]
            sources = [other for other in sorted(gone) if is_same(gone[other], gone[path])]
            if len(targets) == len(sources) == 1:
                found.append(Change("moved", gone.pop(path), fresh.pop(targets[0])))
    found += [Change("removed", line, None) for line in gone.values()]
    found += [Change("added", None, line) for line in fresh.values()]
    return tuple(sorted(found, key=lambda change: (change.path, change.kind)))


def _differs(old: LockLine, new: LockLine) -> bool:
    return (old.sha, old.url, old.ref, old.branch) != (new.sha, new.url, new.ref, new.branch)


def _is_same_url(one: LockLine, other: LockLine) -> bool:
    return one.url == other.url


def _is_same_commit(one: LockLine, other: LockLine) -> bool:
    return (one.url, one.ref, one.sha) == (other.url, other.ref, other.sha)
