"""What flows between plugins and grex: packs, plans, changes, outcomes. Plain values, all of them frozen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from grex.pack import PackSpec

__all__ = ["API_VERSION", "Change", "Claim", "Done", "Outcome", "Pack", "PackSkippedError", "Planned"]

API_VERSION = 1
"""What plugins of this grex are written for. A plugin may say `api_version`; another number is refused."""


class Pack(Struct, frozen=True):
    """One pack as its type sees it.

    Attributes:
        path: from the workspace root with `/`, `.` for the root itself; the pack's id.
        root: the checkout, absolute.
        name: the declared name, or the last segment of the path.
        type: the declared type, `plain` where there is no pack.yaml.
        spec: the checked pack.yaml, if there is one.
        commit: the commit that is checked out; empty for a root without a repository.
    """

    path: str
    root: Path
    name: str
    type: str
    spec: PackSpec | None
    commit: str


class Planned(Struct, frozen=True):
    """What an action is about to change.

    Attributes:
        text: one line: what would be different.
        undo: JSON facts from which `ActionType.undo` can take it back, *however far `do` comes*; they are in the log
            before `do` begins, so that a kill in the middle loses nothing. None where there is nothing to take back.
        undo_if_failed: whether a `do` that raises is taken back with `undo`. False where nobody knows what a failed
            one did (a command): then what it did stays, and is said.
        touches_users: whether something that grex did not make is moved or changed. Then the undo data has to survive
            a power cut as well, which costs a flush of the disk; where it is false, a power cut may at worst leave
            something that grex made and no longer knows of.
        facts: whatever `plan` wants to hand to `do`; recorded nowhere.
    """

    text: str
    undo: Mapping[str, Any] | None = None
    undo_if_failed: bool = True
    touches_users: bool = True
    facts: object = None


class Done(Struct, frozen=True):
    """What an action did.

    Attributes:
        text: one line for the report.
        undo: as in `Planned`, which it replaces in the log; usually the same.
        changed: whether anything is different now.
        irreversible: true where something was done that no undo takes back.
    """

    text: str
    undo: Mapping[str, Any] | None = None
    changed: bool = True
    irreversible: bool = False


class Change(Struct, frozen=True):
    """What one action came to: `changed` is false where everything was so already (or would be, in a dry run)."""

    changed: bool
    text: str


class Claim(Struct, frozen=True):
    """Something that a pack wants for itself.

    Attributes:
        what: an absolute path; `directory` and an absolute path, which others may want as a directory too; or another
            name, such as `variable EDITOR`.
        place: where that is written, for people: file:line:column of the action, or the file it comes from.
    """

    what: str
    place: str


class Outcome(Struct, frozen=True):
    """What one lifecycle call on one pack came to."""

    status: Literal["changed", "unchanged", "skipped"]
    changes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class PackSkippedError(Exception):
    """Raised by an action to end the pack's remaining actions without failing (`require` with `on_fail: skip`)."""
