"""The document of `grex doctor`."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from grex.verbs.documents.failure import FailureObject
from grex.verbs.documents.removal import RestoredObject, TrashedObject

__all__ = ["CompactionObject", "DoctorDocument", "FindingObject", "MendedObject"]


class FindingObject(TypedDict):
    """Something that is not in order; `fix` is what `--fix` does about it, `hint` what a person can."""

    code: str
    severity: Literal["error", "warning", "note"]
    subject: str
    pack: str | None
    text: str
    why: str
    fix: str | None
    hint: str | None


class MendedObject(TypedDict):
    """What became of a finding under `--fix`; in a dry run both `text` and `error` are null."""

    finding: FindingObject
    text: str | None
    error: FailureObject | None


class CompactionObject(TypedDict):
    """What `--compact` came to; the numbers are null where it failed."""

    lines_before: int | None
    lines_after: int | None
    size_bytes_before: int | None
    size_bytes_after: int | None
    error: FailureObject | None


class DoctorDocument(TypedDict):
    """`grex doctor --json`; `trash` is null unless it was asked for, and has the newest first."""

    schema: Literal["grex.doctor/1"]
    workspace: str
    exit_code: int
    dry_run: bool
    findings: list[FindingObject]
    mended: list[MendedObject]
    compaction: CompactionObject | None
    trash: list[TrashedObject] | None
    restored: list[RestoredObject]
    swept: list[str]
    recovered: list[str]
    notes: list[str]
