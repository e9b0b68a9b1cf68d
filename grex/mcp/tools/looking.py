"""The tools that change nothing of the user's: `status`, `ls`, `graph`, `diff`, `path`, `locks`, and what is set."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from grex.mcp.arguments import Argument
from grex.mcp.confining import range_inside
from grex.mcp.place import Place
from grex.mcp.tools.tool import FILTERS, LOCK_TIMEOUT, LOCKING, NO_WAIT, PACKS, Asking, Given, Tool

if TYPE_CHECKING:
    from grex.engine import Settings
    from grex.verbs.config import ConfigReport
    from grex.verbs.plugins import PluginsReport
    from grex.verbs.schema import SchemaReport

__all__ = ["CONFIG", "DIFF", "GRAPH", "LOCKS", "LS", "PATH", "PLUGINS", "SCHEMA", "STATUS", "TRUST"]

_WAITING = (NO_WAIT, LOCK_TIMEOUT)


def _status(place: Place, given: Given) -> Asking:
    from grex.verbs.status import StatusRequest, status  # noqa: PLC0415 - only when called

    request = StatusRequest(place.root, **given)
    return Asking(request, partial(status, request))


STATUS = Tool(
    name="status",
    verb="status",
    says=(
        "Show how each pack stands against what is declared: edited, ahead, behind, missing, not installed. "
        "The first call to make in a workspace."
    ),
    document="status",
    ask=_status,
    arguments=(
        PACKS,
        FILTERS,
        Argument("fail_on_drift", "flag", "Give exit code 7 unless everything is as declared."),
        Argument("fetch", "flag", "Ask the remotes first, as `fetch` does."),
    ),
    waiting=LOCKING,
    is_read_only=True,
    is_idempotent=True,
    is_open_world=True,
)


def _ls(place: Place, given: Given) -> Asking:
    from grex.verbs.ls import ListRequest, ls  # noqa: PLC0415 - only when called

    request = ListRequest(place.root, **given)
    return Asking(request, partial(ls, request))


LS = Tool(
    name="ls",
    verb="ls",
    says="List the packs with URL, ref, commit and owner, without looking into the checkouts: quicker than `status`.",
    document="ls",
    ask=_ls,
    arguments=(PACKS, FILTERS),
    waiting=_WAITING,
    is_read_only=True,
    is_idempotent=True,
)


def _graph(place: Place, given: Given) -> Asking:
    from grex.verbs.graph import GraphRequest, graph  # noqa: PLC0415 - only when called

    request = GraphRequest(place.root, **given)
    return Asking(request, partial(graph, request))


GRAPH = Tool(
    name="graph",
    verb="graph",
    says="Show which pack declares which, and which needs which to be there.",
    document="graph",
    ask=_graph,
    arguments=(PACKS, FILTERS),
    waiting=_WAITING,
    is_read_only=True,
    is_idempotent=True,
)


def _diff(place: Place, given: Given) -> Asking:
    from grex.verbs.diff import DiffRequest, diff  # noqa: PLC0415 - only when called

    if given["between"] is not None:
        range_inside(place.root, "between", given["between"])
    request = DiffRequest(place.root, **given, here=place.root)
    return Asking(request, partial(diff, request))


DIFF = Tool(
    name="diff",
    verb="diff",
    says="Show what two lockfiles differ in, with the subjects of the commits between.",
    document="diff",
    ask=_diff,
    arguments=(
        Argument(
            "between",
            "text",
            "A..B, A.. or A: revisions of the workspace's repository, or lockfiles; HEAD and what is there if absent.",
        ),
        PACKS,
    ),
    waiting=LOCKING,
    is_read_only=True,
    is_idempotent=True,
)


def _path(place: Place, given: Given) -> Asking:
    from grex.verbs.path import PathRequest, path  # noqa: PLC0415 - only when called

    request = PathRequest(place.root, **given)
    return Asking(request, partial(path, request))


PATH = Tool(
    name="path",
    verb="path",
    says="Say in which directory a pack lies, or the workspace if no pack is given: to read and edit files there.",
    document="path",
    ask=_path,
    arguments=(Argument("pack", "text", "Its path from the workspace root, or its unique name."),),
    waiting=_WAITING,
    is_read_only=True,
    is_idempotent=True,
)


def _locks(place: Place, given: Given) -> Asking:
    from grex.verbs.locks import LocksRequest, locks  # noqa: PLC0415 - only when called

    request = LocksRequest(place.root, **given)
    return Asking(request, partial(locks, request))


LOCKS = Tool(
    name="locks",
    verb="locks",
    says="Show who holds which lock of this workspace, and who waits: the call to make when another one hangs.",
    document="locks",
    ask=_locks,
    is_read_only=True,
    is_idempotent=True,
)


def _config(place: Place, given: Given) -> Asking:
    from grex.verbs.config import config  # noqa: PLC0415 - only when called

    del given
    request = place.make_config_request()

    async def run(settings: Settings) -> ConfigReport:
        del settings
        return config(request)

    return Asking(request, run)


CONFIG = Tool(
    name="config",
    verb="config",
    says="Show the settings in force, with where each one is set.",
    document="config",
    ask=_config,
    is_read_only=True,
    is_idempotent=True,
)


def _plugins(place: Place, given: Given) -> Asking:
    from grex.verbs.plugins import PluginsRequest, plugins  # noqa: PLC0415 - only when called

    del place
    request = PluginsRequest(**given)

    async def run(settings: Settings) -> PluginsReport:
        del settings
        return plugins(request)

    return Asking(request, run)


PLUGINS = Tool(
    name="plugins",
    verb="plugins",
    says="Show the plugins that are installed, and which are broken.",
    document="plugins",
    ask=_plugins,
    is_read_only=True,
    is_idempotent=True,
)


def _schema(place: Place, given: Given) -> Asking:
    from grex.verbs.schema import SchemaRequest, schema  # noqa: PLC0415 - only when called

    del place
    request = SchemaRequest(**given)

    async def run(settings: Settings) -> SchemaReport:
        del settings
        return schema(request)

    return Asking(request, run)


SCHEMA = Tool(
    name="schema",
    verb="schema",
    says="Give the JSON Schema of a verb's document; it says more of the keys than a tool's output schema does.",
    document=None,
    ask=_schema,
    arguments=(Argument("verb", "text", "The verb, such as `sync`; or `error`, or `events`.", required=True),),
    is_read_only=True,
    is_idempotent=True,
)


def _trust(place: Place, given: Given) -> Asking:
    from grex.verbs.trust import TrustRequest, trust  # noqa: PLC0415 - only when called

    request = TrustRequest(place.root, **given)
    return Asking(request, partial(trust, request))


TRUST = Tool(
    name="trust",
    verb="trust",
    says="Show which packs may run hooks and commands; only the user can change that, with `grex trust` in a terminal.",
    document="trust",
    ask=_trust,
    is_read_only=True,
    is_idempotent=True,
)
