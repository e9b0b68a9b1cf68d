"""What is known of packs once the log is read: the values that `fold` gives."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from grex.manifest.events import Phase
from grex.manifest.strict_json import Json

__all__ = [
    "CompletedAction",
    "FailedInstall",
    "Folded",
    "InstalledRecord",
    "OpenBracket",
    "PackRecord",
    "RemovedRecord",
]


class InstalledRecord(Struct, frozen=True):
    """What the pack is installed as, and since when."""

    actions_hash: str
    ts: str


class FailedInstall(Struct, frozen=True):
    """Why the last install of the pack did not get through, and when that was."""

    why: str
    ts: str


class OpenBracket(Struct, frozen=True):
    """An action that was started and neither completed nor halted: its run died, or is still at it."""

    action: str
    kind: str
    run: str
    phase: Phase
    ts: str


class CompletedAction(Struct, frozen=True):
    """An action that is done and not undone; `undo` is all that taking it back needs.

    One that is `only_begun` may be done in part: its bracket is still open.
    """

    action: str
    kind: str
    run: str
    undo: Json
    ts: str
    only_begun: bool = False


class PackRecord(Struct, frozen=True):
    """What the log says about a pack.

    Attributes:
        id: its path from the workspace root.
        url: where it comes from, redacted; None if no event said so.
        ref: what was declared; None for the remote's own choice.
        sha: the commit that it was last brought to; None if it never was.
        branch: the branch it was left on; None when detached.
        owned: whether grex made the checkout, and so may take it away.
        added_at: since when it is known.
        synced_at: when it was last brought to `sha`.
        installed: what it is installed as, or None.
        open_brackets: what was started and is not through, oldest first.
        completed: what is done, in the order in which it was; undo it from the end.
        failed: why the last install did not get through; None if it did, or there was none.
    """

    id: str
    url: str | None
    ref: str | None
    sha: str | None
    branch: str | None
    owned: bool
    added_at: str
    synced_at: str | None
    installed: InstalledRecord | None
    open_brackets: tuple[OpenBracket, ...]
    completed: tuple[CompletedAction, ...]
    failed: FailedInstall | None = None


class RemovedRecord(Struct, frozen=True):
    """A pack that was there once: what was known of it, and by which op, when and where to it went."""

    record: PackRecord
    op: str
    ts: str
    trash: str | None


class Folded(Struct, frozen=True):
    """The sum of a log.

    Attributes:
        packs: the packs that are there, by id.
        removed: those that were removed and are not back, by id.
    """

    packs: Mapping[str, PackRecord] = field(default_factory=dict)
    removed: Mapping[str, RemovedRecord] = field(default_factory=dict)
