"""The documents of what edits declarations, and of what begins from somebody else's workspace."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from grex.verbs.documents.packs import RemovedObject, SyncDocument
from grex.verbs.documents.running import TornDownObject

__all__ = [
    "ChangedObject",
    "CloneDocument",
    "ConfigDocument",
    "OverrideDocument",
    "OverrideObject",
    "SetDocument",
    "SettingObject",
]


class ChangedObject(TypedDict):
    """One key of a declaration; null is "not declared"."""

    key: str
    old: str | None
    new: str | None


class SetDocument(TypedDict):
    """`grex set --json`; `sync` is null where none followed."""

    schema: Literal["grex.set/1"]
    workspace: str
    path: str
    dry_run: bool
    exit_code: int
    changes: list[ChangedObject]
    moved_from: str | None
    address: Literal["absent", "known", "same", "different"] | None
    torn_down: list[TornDownObject]
    removed: list[RemovedObject]
    recovered: list[str]
    notes: list[str]
    sync: SyncDocument | None


class OverrideObject(TypedDict):
    """One override; `place` is where it is written, and one that is not in force is under another one of the pack."""

    path: str
    url: str | None
    ref: str | None
    place: str
    is_local: bool
    is_in_force: bool
    touches_a_pack: bool


class OverrideDocument(TypedDict):
    """`grex override --json`; without a PACK, only `overrides` says anything."""

    schema: Literal["grex.override/1"]
    workspace: str
    path: str | None
    dry_run: bool
    exit_code: int
    changes: list[ChangedObject]
    overrides: list[OverrideObject]
    address: Literal["absent", "known", "same", "different"] | None
    torn_down: list[TornDownObject]
    removed: list[RemovedObject]
    recovered: list[str]
    notes: list[str]
    sync: SyncDocument | None


class CloneDocument(TypedDict):
    """`grex clone --json`; `adopted` if an earlier clone that was interrupted was gone on with."""

    schema: Literal["grex.clone/1"]
    workspace: str
    url: str
    adopted: bool
    exit_code: int
    notes: list[str]
    sync: SyncDocument


class SettingObject(TypedDict):
    """One setting; `origin` is a file with its line, a variable, an option, or `default`."""

    key: str
    value: bool | int | float | str | list[str] | None
    origin: str


class ConfigDocument(TypedDict):
    """`grex config --json`."""

    schema: Literal["grex.config/1"]
    workspace: str | None
    exit_code: int
    settings: list[SettingObject]
