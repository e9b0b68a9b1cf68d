"""The commands that change nothing: `status`, `ls`, `locks`, `plugins`, `schema`."""

from __future__ import annotations

import sys
from functools import partial
from typing import Annotated

import typer

from grex.cli.call import Call
from grex.cli.colours import colours, has_colours
from grex.cli.execution import execute, output_kept_for_the_report, print_document, tell
from grex.cli.options import Filters, Packs
from grex.cli.signature import COMMON, takes

__all__ = ["locks", "ls", "plugins", "schema", "status"]


@takes(*COMMON, "no_pager")
def status(
    call: Call,
    packs: Packs = None,
    filters: Filters = None,
    fail_on_drift: Annotated[
        bool, typer.Option("--fail-on-drift", help="Exit 7 unless everything is as declared.")
    ] = False,
    fetch: Annotated[bool, typer.Option("--fetch", help="Ask the remotes first, as `grex fetch` does.")] = False,
    short: Annotated[
        bool, typer.Option("--short", "-s", help="Print a line for each pack that is not clean, and nothing else.")
    ] = False,
) -> int:
    """Show what is not as declared."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.verbs.status import StatusRequest  # noqa: PLC0415 - only when run
    from grex.verbs.status import status as verb  # noqa: PLC0415 - only when run

    request = StatusRequest(
        call.root(), tuple(packs or ()), tuple(filters or ()), fail_on_drift=fail_on_drift, fetch=fetch
    )
    return execute(
        call,
        request.root,
        partial(verb, request),
        partial(render.status, short=short, width=call.width),
        only_looks=not fetch,
        pages=True,
    )


@takes("json", "quiet", "workspace", "no_wait", "lock_timeout", "color", "no_pager")
def ls(
    call: Call,
    packs: Packs = None,
    filters: Filters = None,
    tree: Annotated[bool, typer.Option("--tree", help="Show who owns whom.")] = False,
    long: Annotated[bool, typer.Option("--long", "-l", help="Show URL, ref and commit.")] = False,
) -> int:
    """List the packs."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.verbs.ls import ListRequest  # noqa: PLC0415 - only when run
    from grex.verbs.ls import ls as verb  # noqa: PLC0415 - only when run

    request = ListRequest(call.root(), tuple(packs or ()), tuple(filters or ()))
    return execute(
        call,
        request.root,
        partial(verb, request),
        partial(render.ls, tree=tree, long=long),
        only_looks=True,
        pages=True,
    )


@takes("json", "quiet", "workspace", "color", "no_pager")
def locks(call: Call) -> int:
    """Show who holds which lock of this workspace, and who waits."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.verbs.locks import LocksRequest  # noqa: PLC0415 - only when run
    from grex.verbs.locks import locks as verb  # noqa: PLC0415 - only when run

    request = LocksRequest(call.root())
    return execute(call, request.root, partial(verb, request), render.locks, only_looks=True, pages=True)


@takes("json", "quiet", "color", "no_pager")
def plugins(call: Call) -> int:
    """Show the plugins that are installed, and which are broken."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.verbs.plugins import PluginsRequest  # noqa: PLC0415 - only when run
    from grex.verbs.plugins import plugins as verb  # noqa: PLC0415 - only when run

    with output_kept_for_the_report():
        report = verb(PluginsRequest())
    if call.as_json:
        return print_document(report)
    with colours(has_colours(sys.stdout, call.colour, call.environ)):
        text = render.plugins(report)
    tell(call, text, pages=True)
    return report.exit_code


def schema(verb: Annotated[str, typer.Argument(help="A verb with a --json document, `error`, or `events`.")]) -> int:
    """Print the JSON Schema of a verb's --json document."""
    from grex.verbs.schema import SchemaRequest  # noqa: PLC0415 - only when run
    from grex.verbs.schema import schema as verb_schema  # noqa: PLC0415 - only when run

    return print_document(verb_schema(SchemaRequest(verb)))
