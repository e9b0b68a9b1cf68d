"""The tools that work over the packs that are there: `exec`, `switch`, `fetch`."""

from __future__ import annotations

from functools import partial

from grex.mcp.arguments import Argument
from grex.mcp.place import Place
from grex.mcp.tools.tool import DRY_RUN, FAIL_FAST, FILTERS, LOCKING, PACKS, Asking, Given, Tool

__all__ = ["EXEC", "FETCH", "SWITCH"]


def _exec(place: Place, given: Given) -> Asking:
    from grex.verbs.exec import ExecRequest, exec_  # noqa: PLC0415 - only when called

    request = ExecRequest(root=place.root, **given, as_events=True)  # for the progress, which is made of events
    return Asking(request, partial(exec_, request))


EXEC = Tool(
    name="exec",
    verb="exec",
    says=(
        "Run a program, such as a test or git, in every pack of this workspace, in parallel and in dependency order. "
        "No shell reads the command; what it says comes with the result."
    ),
    document="exec",
    ask=_exec,
    arguments=(
        Argument(
            "command", "texts", 'The program and its arguments, each a string: ["git", "log", "-1"].', required=True
        ),
        PACKS,
        FILTERS,
        Argument("no_lock", "flag", "Hold no pack meanwhile: for what runs for long, beside other commands."),
        DRY_RUN,
        FAIL_FAST,
    ),
    waiting=LOCKING,
    is_destructive=True,
    is_open_world=True,
)


def _switch(place: Place, given: Given) -> Asking:
    from grex.verbs.over import SwitchRequest, switch  # noqa: PLC0415 - only when called

    request = SwitchRequest(root=place.root, **given)
    return Asking(request, partial(switch, request))


SWITCH = Tool(
    name="switch",
    verb="switch",
    says="Go over to a branch in every pack that has it; edits stay, and a pack where they cannot is left alone.",
    document="switch",
    ask=_switch,
    arguments=(
        Argument("branch", "text", "The branch to go over to.", required=True),
        PACKS,
        FILTERS,
        Argument("create", "flag", "Make the branch, at HEAD of each pack."),
        DRY_RUN,
    ),
    waiting=LOCKING,
    is_idempotent=True,
)


def _fetch(place: Place, given: Given) -> Asking:
    from grex.verbs.over import FetchRequest, fetch  # noqa: PLC0415 - only when called

    request = FetchRequest(root=place.root, **given)
    return Asking(request, partial(fetch, request))


FETCH = Tool(
    name="fetch",
    verb="fetch",
    says="Fetch every branch of every pack's remote, and move nothing.",
    document="fetch",
    ask=_fetch,
    arguments=(PACKS, FILTERS),
    waiting=LOCKING,
    is_idempotent=True,
    is_open_world=True,
)
