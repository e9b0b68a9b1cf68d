"""The tools that look after a workspace and the machine: `doctor`, `cache_ls`, `cache_gc`."""

from __future__ import annotations

from functools import partial

from grex.mcp.arguments import Argument
from grex.mcp.place import Place
from grex.mcp.tools.tool import DRY_RUN, LOCKING, PACKS, Asking, Given, Tool

__all__ = ["CACHE_GC", "CACHE_LS", "DOCTOR"]


def _doctor(place: Place, given: Given) -> Asking:
    from grex.verbs.doctor import DoctorRequest, doctor  # noqa: PLC0415 - only when called

    request = DoctorRequest(root=place.root, **given)
    return Asking(request, partial(doctor, request))


def _for_good(place: Place, given: Given) -> str | None:
    del place
    if given["keep_days"] is None or given["dry_run"]:
        return None
    return "`doctor` with `keep_days` removes for good what lies in the trash for longer than that"


DOCTOR = Tool(
    name="doctor",
    verb="doctor",
    says="Find and mend what is not in order, list the trash, and bring things back from it.",
    document="doctor",
    ask=_doctor,
    arguments=(
        PACKS,
        Argument("fix", "flag", "Mend what is safe to mend, and say what was done."),
        Argument("compact", "flag", "Rewrite the log with the lines that are still needed."),
        Argument("dry_run", "flag", "With fix or compact: only say what would be done, and write nothing."),
        Argument("objects", "flag", "Look for every object of every repository as well; takes its time."),
        Argument("restore", "texts", "Bring these back from the trash, as `trash` names them."),
        Argument("trash", "flag", "List what the trash holds, the newest first."),
        Argument("keep_days", "count", "Remove for good what lies in the trash for longer than so many days."),
    ),
    waiting=LOCKING,
    is_destructive=True,
    discards=_for_good,
)


def _cache_ls(place: Place, given: Given) -> Asking:
    from grex.verbs.cache import CacheLsRequest, cache_ls  # noqa: PLC0415 - only when called

    del place
    request = CacheLsRequest(**given)
    return Asking(request, partial(cache_ls, request))


CACHE_LS = Tool(
    name="cache_ls",
    verb="cache_ls",
    says="List the mirrors that clones of all workspaces share: what of, how large, when last used.",
    document="cache_ls",
    ask=_cache_ls,
    is_read_only=True,
    is_idempotent=True,
)


def _cache_gc(place: Place, given: Given) -> Asking:
    from grex.verbs.cache import CacheGcRequest, cache_gc  # noqa: PLC0415 - only when called

    del place
    said = {name: value for name, value in given.items() if value is not None}
    request = CacheGcRequest(**said)
    return Asking(request, partial(cache_gc, request))


CACHE_GC = Tool(
    name="cache_gc",
    verb="cache_gc",
    says="Remove mirrors that nobody used for a while, and pack the others; no checkout needs them.",
    document="cache_gc",
    ask=_cache_gc,
    arguments=(Argument("keep_days", "count", "Keep what was used in the last so many days; 30 if absent."), DRY_RUN),
    is_destructive=True,
    is_idempotent=True,
)
