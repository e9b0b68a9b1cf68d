"""The documents of what runs in packs by itself: `teardown`, `run`, `plugins`, `trust`."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict  # pydantic asks for this one below Python 3.12

from grex.verbs.documents.failure import FailureObject

__all__ = [
    "PluginObject",
    "PluginsDocument",
    "RanObject",
    "RunDocument",
    "TeardownDocument",
    "TornDownObject",
    "TrustDocument",
]


class TornDownObject(TypedDict):
    """What became of one pack in `grex teardown`; a pack that was left as it is says why."""

    path: str
    status: Literal["torn-down", "skipped", "failed", "untrusted", "not-reached", "planned"]
    changes: list[str]
    notes: list[str]
    error: FailureObject | None


class TeardownDocument(TypedDict):
    """`grex teardown --json`; packs are sorted by path."""

    schema: Literal["grex.teardown/1"]
    workspace: str
    dry_run: bool
    exit_code: int
    packs: list[TornDownObject]
    elapsed_s: float
    notes: list[str]


class RanObject(TypedDict):
    """What became of one pack in `grex run`; `output` is the end of what its commands said."""

    path: str
    status: Literal["ran", "unchanged", "skipped", "failed", "untrusted", "not-reached", "planned"]
    changes: list[str]
    notes: list[str]
    output: str
    error: FailureObject | None


class RunDocument(TypedDict):
    """`grex run NAME --json`; packs are sorted by path."""

    schema: Literal["grex.run/1"]
    workspace: str
    name: str
    dry_run: bool
    exit_code: int
    packs: list[RanObject]
    elapsed_s: float
    notes: list[str]


class PluginObject(TypedDict):
    """One entry point; `object` is what it imports, `error` why it cannot be used."""

    group: str
    name: str
    status: Literal["ok", "broken", "shadowed"]
    distribution: str
    version: str
    object: str
    api_version: int | None
    error: FailureObject | None


class PluginsDocument(TypedDict):
    """`grex plugins --json`; sorted by group, then name."""

    schema: Literal["grex.plugins/1"]
    api_version: int
    exit_code: int
    plugins: list[PluginObject]


class TrustDocument(TypedDict):
    """`grex trust --json`; `covers` has the declared packs under `prefix`, null where that cannot be told."""

    schema: Literal["grex.trust/1"]
    prefixes: list[str]
    changed: bool
    prefix: str | None
    covers: list[str] | None
    exit_code: int
