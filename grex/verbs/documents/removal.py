"""The documents of what takes packs away and brings them back."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from grex.verbs.documents.failure import FailureObject
from grex.verbs.documents.packs import RemovedObject
from grex.verbs.documents.running import TornDownObject

__all__ = ["RestoredObject", "RmDocument", "TrashedObject"]


class RmDocument(TypedDict):
    """`grex rm --json`; packs are sorted by path."""

    schema: Literal["grex.rm/1"]
    workspace: str
    dry_run: bool
    exit_code: int
    packs: list[RemovedObject]
    torn_down: list[TornDownObject]
    undeclared: list[str]
    recovered: list[str]
    swept: list[str]
    notes: list[str]
    elapsed_s: float


class TrashedObject(TypedDict):
    """One thing in the trash; `trash` is what `--restore` takes."""

    trash: str
    path: str
    kind: Literal["whole", "link", "files", "fork"]
    url: str | None
    ref: str | None
    branch: str | None
    head: str | None
    why: str
    verb: str
    moved_at: str
    size_bytes: int


class RestoredObject(TypedDict):
    """What became of one thing that was to come back."""

    trash: str
    path: str
    is_restored: bool
    is_declared_again: bool
    notes: list[str]
    error: FailureObject | None
