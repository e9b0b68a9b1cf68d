"""What `grex cache ls` and `grex cache gc` say."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from grex.cli.render.layout import aligned, counted
from grex.names import clean

if TYPE_CHECKING:
    from grex.verbs.cache import CacheGcReport, CacheLsReport

__all__ = ["cache_gc", "cache_ls"]

_STEP = 1024


def cache_ls(report: CacheLsReport) -> str:
    """A line for each mirror, and what they come to."""
    if not report.mirrors:
        return f"There is no mirror yet in {report.directory}"
    rows = [
        (
            clean(mirror.url if mirror is not None else path.name),
            _size(mirror.size_bytes) if mirror is not None else "damaged",
            f"used {datetime.fromtimestamp(mirror.used_at, UTC):%Y-%m-%d}"
            if mirror is not None
            else "made anew when wanted",
        )
        for path, mirror in report.mirrors
    ]
    total = sum(mirror.size_bytes for _, mirror in report.mirrors if mirror is not None)
    return "\n".join([*aligned(rows), f"{counted(len(rows), 'mirror')}, {_size(total)}, in {report.directory}"])


def cache_gc(report: CacheGcReport) -> str:
    """A line for each mirror that did not simply stay, and what was freed."""
    lines = [
        f"{one.fate}  {clean(one.url or one.path.name)}" + (f": {one.error.message}" if one.error is not None else "")
        for one in report.mirrors
        if one.fate != "kept"
    ]
    removed = sum(one.fate == "removed" for one in report.mirrors)
    verb = "Would remove" if report.dry_run else "Removed"
    return "\n".join(
        [*lines, f"{verb} {removed} of {counted(len(report.mirrors), 'mirror')}, {_size(report.freed_bytes)}."]
    )


def _size(size_bytes: int) -> str:
    size = float(size_bytes)
    for unit in ("B", "KiB", "MiB"):
        if size < _STEP:
            return f"{size:.0f} {unit}"
        size /= _STEP
    return f"{size:.1f} GiB"
