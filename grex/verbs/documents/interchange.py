"""The documents of the verbs that come from other tools and go back: import, export, freeze."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict  # pydantic asks for this one below Python 3.12

from grex.verbs.documents.failure import FailureObject
from grex.verbs.documents.packs import SyncDocument

__all__ = [
    "ChangedEntryObject",
    "ExportDocument",
    "FreezeDocument",
    "ImportDocument",
    "ImportedPackObject",
    "SkippedCheckoutObject",
]


class ImportedPackObject(TypedDict):
    """A pack that was declared."""

    path: str
    url: str
    ref: str | None
    groups: list[str]


class ChangedEntryObject(TypedDict):
    """An entry of the root's pack.yaml that changed; `before` has the old `url` and `ref`, where they did."""

    path: str
    keys: list[str]
    before: dict[str, str | None]


class SkippedCheckoutObject(TypedDict):
    """A checkout that a scan found and could not declare."""

    path: str
    reason: str


class ImportDocument(TypedDict):
    """`grex import --json`. `sync` is null where nothing was to be brought; `error` says why it could not be."""

    schema: Literal["grex.import/1"]
    workspace: str
    source: str
    format: str
    dry_run: bool
    exit_code: int
    added: list[ImportedPackObject]
    changed: list[ChangedEntryObject]
    unchanged: list[str]
    absent: list[str]
    links: int
    groups_off: list[str]
    skipped: list[SkippedCheckoutObject]
    notes: list[str]
    sync: SyncDocument | None
    error: FailureObject | None


class ExportDocument(TypedDict):
    """`grex export --json`; `text` is null where it was written to `file`."""

    schema: Literal["grex.export/1"]
    workspace: str
    format: str
    frozen: bool
    packs: list[str]
    text: str | None
    file: str | None
    notes: list[str]
    exit_code: int


class FreezeDocument(TypedDict):
    """`grex freeze --json`; `pins` are the commits by path, `text` is null where it was written to `file`."""

    schema: Literal["grex.freeze/1"]
    workspace: str
    pins: dict[str, str]
    text: str | None
    file: str | None
    notes: list[str]
    exit_code: int
