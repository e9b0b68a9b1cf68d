"""The documents of `grex cache`."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from grex.verbs.documents.failure import FailureObject

__all__ = ["CacheGcDocument", "CacheLsDocument", "CollectedMirrorObject", "MirrorObject"]


class MirrorObject(TypedDict):
    """One mirror; all but the path are null where it is damaged. `used_at` is when objects were last taken from it."""

    path: str
    url: str | None
    size_bytes: int | None
    used_at: str | None


class CacheLsDocument(TypedDict):
    """`grex cache ls --json`; sorted by path."""

    schema: Literal["grex.cache_ls/1"]
    exit_code: int
    directory: str
    mirrors: list[MirrorObject]


class CollectedMirrorObject(TypedDict):
    """What became of one mirror, or would in a dry run."""

    path: str
    fate: Literal["removed", "packed", "kept", "in-use", "failed"]
    url: str | None
    size_bytes: int
    error: FailureObject | None


class CacheGcDocument(TypedDict):
    """`grex cache gc --json`; sorted by path."""

    schema: Literal["grex.cache_gc/1"]
    exit_code: int
    directory: str
    dry_run: bool
    mirrors: list[CollectedMirrorObject]
