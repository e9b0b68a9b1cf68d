"""The tools that bring packs, and install and take back what they declare: `sync`, `update`, `teardown`, `run`."""

from __future__ import annotations

from functools import partial

from grex.mcp.arguments import Argument
from grex.mcp.place import Place
from grex.mcp.tools.tool import DRY_RUN, FAIL_FAST, FILTERS, LOCKING, PACKS, Asking, Given, Tool

__all__ = ["RUN", "SYNC", "TEARDOWN", "UPDATE"]

_HOW = (
    Argument("groups", "texts", "Groups to turn on here, or off (!NAME), from now on."),
    Argument("offline", "flag", "Ask no remote."),
    DRY_RUN,
    FAIL_FAST,
    Argument("no_install", "flag", "Clone and update only; install nothing."),
    Argument("install", "flag", "Install also in a fork."),
    Argument("keep_partial", "flag", "Do not undo what a failed install had done."),
)


def _sync(place: Place, given: Given) -> Asking:
    from grex.verbs.sync import SyncRequest, sync  # noqa: PLC0415 - only when called

    request = SyncRequest(place.root, **given)
    return Asking(request, partial(sync, request))


def _forced_sync(place: Place, given: Given) -> str | None:
    del place
    if not given["force"] or given["dry_run"]:
        return None
    return "`sync` with `force` moves packs with edits or commits of their own, and what is in their way to the trash"


SYNC = Tool(
    name="sync",
    verb="sync",
    says=(
        "Clone, update and install packs as they are declared. "
        "Work in a pack is never lost: a pack that cannot be moved without that is left alone and reported."
    ),
    document="sync",
    ask=_sync,
    arguments=(
        PACKS,
        FILTERS,
        *_HOW,
        Argument("locked", "flag", "Check out exactly what the lockfile says."),
        Argument("pull", "flag", "First fast-forward the workspace's own repository."),
        Argument("prune", "flag", "Move packs that nobody declares any more to the trash."),
        Argument("force", "flag", "Move packs that would be left alone, and keep what was in the way."),
    ),
    waiting=LOCKING,
    is_destructive=True,
    is_idempotent=True,
    is_open_world=True,
    discards=_forced_sync,
)


def _update(place: Place, given: Given) -> Asking:
    from grex.verbs.sync import SyncRequest  # noqa: PLC0415 - only when called
    from grex.verbs.update import UpdateRequest, update  # noqa: PLC0415 - only when called

    of_sync = {name: value for name, value in given.items() if name != "force"}
    request = UpdateRequest(SyncRequest(place.root, **of_sync), force=given["force"])
    return Asking(request, partial(update, request))


def _forced_update(place: Place, given: Given) -> str | None:
    del place
    if not given["force"] or given["dry_run"]:
        return None
    return "`update` with `force` replaces what was changed by hand in what packs have installed"


UPDATE = Tool(
    name="update",
    verb="update",
    says="Sync, and follow tags that moved upstream.",
    document="update",
    ask=_update,
    arguments=(
        PACKS,
        FILTERS,
        *_HOW,
        Argument("force", "flag", "Install again, and put right what was changed by hand; that is kept beside."),
    ),
    waiting=LOCKING,
    is_destructive=True,
    is_open_world=True,
    discards=_forced_update,
)


def _teardown(place: Place, given: Given) -> Asking:
    from grex.verbs.teardown import TeardownRequest, teardown  # noqa: PLC0415 - only when called

    request = TeardownRequest(place.root, **given)
    return Asking(request, partial(teardown, request))


TEARDOWN = Tool(
    name="teardown",
    verb="teardown",
    says="Take back what installing packs did, until the next sync; the checkouts stay.",
    document="teardown",
    ask=_teardown,
    arguments=(PACKS, FILTERS, DRY_RUN, FAIL_FAST),
    waiting=LOCKING,
    is_destructive=True,
    is_idempotent=True,
    is_open_world=True,
)


def _run(place: Place, given: Given) -> Asking:
    from grex.verbs.run import RunRequest, run  # noqa: PLC0415 - only when called

    request = RunRequest(place.root, **given)
    return Asking(request, partial(run, request))


RUN = Tool(
    name="run",
    verb="run",
    says="Run a hook of the packs, or their actions of one kind, in every pack that has it.",
    document="run",
    ask=_run,
    arguments=(
        Argument("name", "text", "A hook (.grex/hooks/NAME.sh), or a kind of action.", required=True),
        PACKS,
        FILTERS,
        DRY_RUN,
        FAIL_FAST,
    ),
    waiting=LOCKING,
    is_destructive=True,
    is_open_world=True,
)
