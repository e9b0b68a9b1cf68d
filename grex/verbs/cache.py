"""`grex cache ls` and `grex cache gc`: the mirrors in this user's cache of objects. They need no workspace."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from grex.engine import Settings
from grex.errors import GrexError, LockBusyError, LockError, UsageError
from grex.git import GitRunner
from grex.git.mirror import Mirror, age_days, drop_mirror, list_mirrors, read_mirror, repack_mirror
from grex.locks import MirrorHold, MirrorLock
from grex.names import redact
from grex.verbs.report import exit_code_of, failure_json

if TYPE_CHECKING:
    from grex.verbs.documents import CacheGcDocument, CacheLsDocument

__all__ = [
    "CacheGcReport",
    "CacheGcRequest",
    "CacheLsReport",
    "CacheLsRequest",
    "Collected",
    "cache_gc",
    "cache_ls",
]

Fate = Literal["removed", "packed", "kept", "in-use", "failed"]


class CacheLsRequest(Struct, frozen=True):
    """Nothing to choose."""


class CacheGcRequest(Struct, frozen=True):
    """What to remove.

    Attributes:
        keep_days: mirrors from which nothing was taken for so many days are removed.
        dry_run: only say what would be done.
    """

    keep_days: int = 30
    dry_run: bool = False


class CacheLsReport(Struct, frozen=True):
    """The mirrors, by path; None for one that is damaged, which the next clone makes anew."""

    directory: Path
    mirrors: tuple[tuple[Path, Mirror | None], ...]
    exit_code: int = 0

    def to_json(self) -> CacheLsDocument:
        """The document of `--json`."""
        return {
            "schema": "grex.cache_ls/1",
            "exit_code": self.exit_code,
            "directory": str(self.directory),
            "mirrors": [
                {
                    "path": str(path),
                    "url": None if mirror is None else redact(mirror.url),
                    "size_bytes": None if mirror is None else mirror.size_bytes,
                    "used_at": None if mirror is None else datetime.fromtimestamp(mirror.used_at, UTC).isoformat(),
                }
                for path, mirror in self.mirrors
            ],
        }


class Collected(Struct, frozen=True):
    """What became of one mirror, or would: `removed`, `packed` into one pack, `kept`, `in-use`, `failed`."""

    path: Path
    fate: Fate
    url: str | None
    size_bytes: int
    error: GrexError | None = None


class CacheGcReport(Struct, frozen=True):
    """What became of each mirror, by path."""

    directory: Path
    dry_run: bool
    mirrors: tuple[Collected, ...]

    @property
    def exit_code(self) -> int:
        """0, or 4 if a mirror could not be looked after."""
        return exit_code_of([one.error for one in self.mirrors])

    @property
    def freed_bytes(self) -> int:
        """How much the removed mirrors took; less where checkouts share their packs."""
        return sum(one.size_bytes for one in self.mirrors if one.fate == "removed")

    def to_json(self) -> CacheGcDocument:
        """The document of `--json`."""
        return {
            "schema": "grex.cache_gc/1",
            "exit_code": self.exit_code,
            "directory": str(self.directory),
            "dry_run": self.dry_run,
            "mirrors": [
                {
                    "path": str(one.path),
                    "fate": one.fate,
                    "url": one.url,
                    "size_bytes": one.size_bytes,
                    "error": failure_json(one.error),
                }
                for one in self.mirrors
            ],
        }


async def cache_ls(request: CacheLsRequest, settings: Settings) -> CacheLsReport:
    """List the mirrors. Takes no lock and writes nothing.

    Raises:
        UsageError: no cache is configured.
    """
    del request
    directory = _directory(settings)
    return CacheLsReport(directory, tuple(list_mirrors(directory)))


async def cache_gc(request: CacheGcRequest, settings: Settings) -> CacheGcReport:
    """Remove mirrors that nobody used for a while and damaged ones, and pack the others.

    Tier: MANIFEST (one mirror after the other), and never waits: a mirror that somebody has is in use, and stays.
    Cancellation: git has ended; a mirror that was being packed is made anew when it is next wanted.

    Raises:
        UsageError: no cache is configured.
    """
    directory = _directory(settings)
    git = GitRunner(settings.environ)
    collected: list[Collected] = []
    for path, _ in list_mirrors(directory):
        try:
            collected.append(await _look_after(path, request, git))
        except LockBusyError:
            collected.append(_fate(path, read_mirror(path), "in-use"))
        except (GrexError, OSError) as error:
            failure = error if isinstance(error, GrexError) else LockError(f"{path}: {error.strerror or error}")
            collected.append(_fate(path, read_mirror(path), "failed", failure))
    return CacheGcReport(directory, request.dry_run, tuple(collected))


async def _look_after(path: Path, request: CacheGcRequest, git: GitRunner) -> Collected:
    if request.dry_run:
        mirror = read_mirror(path)
        return _fate(path, mirror, "removed" if _is_stale(mirror, request) else "kept")
    with MirrorLock.for_mirror(path).try_acquire() as hold:
        return await _collect(path, request, git, hold)


async def _collect(path: Path, request: CacheGcRequest, git: GitRunner, hold: MirrorHold) -> Collected:
    mirror = read_mirror(path)  # under the lock: it may have been used or made anew meanwhile
    if mirror is None or _is_stale(mirror, request):
        drop_mirror(path)
        # Whoever waits compares the lock file with what its path leads to, and so sees that this one is gone.
        path.with_name(f"{path.name}.lock").unlink(missing_ok=True)
        return _fate(path, mirror, "removed")
    return _fate(path, mirror, "packed" if await repack_mirror(git, mirror, hold=hold) else "kept")


def _is_stale(mirror: Mirror | None, request: CacheGcRequest) -> bool:
    return mirror is None or age_days(mirror, time.time()) >= request.keep_days


def _fate(path: Path, mirror: Mirror | None, fate: Fate, error: GrexError | None = None) -> Collected:
    if mirror is None:
        return Collected(path, fate, None, 0, error)
    return Collected(path, fate, redact(mirror.url), mirror.size_bytes, error)


def _directory(settings: Settings) -> Path:
    if settings.cache_dir is None:
        raise UsageError(
            "no cache is configured",
            hint='Set GREX_CACHE_DIR, or `[cache] dir = "~/.cache/grex"` in your grex/config.toml.',
        )
    return settings.cache_dir
