"""The commands that work over the packs that are there: `exec`, `switch`, `fetch`, `push`, `path`."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Optional

import typer

from grex.cli.call import Call
from grex.cli.execution import execute
from grex.cli.options import DryRun, FailFast, Filters, Packs
from grex.cli.signature import COMMON, takes

__all__ = ["exec_", "fetch", "path", "push", "switch"]


@takes(*COMMON)
def exec_(
    call: Call,
    packs: Packs = None,
    filters: Filters = None,
    shell: Annotated[bool, typer.Option("--shell", help="Let `sh -c` read the command.")] = False,
    no_lock: Annotated[
        bool, typer.Option("--no-lock", help="Hold no pack meanwhile: for servers, beside other commands.")
    ] = False,
    dry_run: DryRun = False,
    fail_fast: FailFast = False,
) -> int:
    """Run a command in every pack."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.cli.told import OutputPrinter  # noqa: PLC0415 - only when run
    from grex.errors import UsageError  # noqa: PLC0415 - only when run
    from grex.verbs.exec import ExecRequest  # noqa: PLC0415 - only when run
    from grex.verbs.exec import exec_ as verb  # noqa: PLC0415 - only when run

    if call.behind_dashes is None:
        raise UsageError(
            "the command to run stands behind `--`",
            hint="Packs stand before it, the command behind: `grex exec [PACK]... -- git log -1`.",
        )
    with OutputPrinter(quiet=call.quiet) as printer:
        request = ExecRequest(
            root=call.root(),
            command=call.behind_dashes,
            packs=tuple(packs or ()),
            filters=tuple(filters or ()),
            shell=shell,
            no_lock=no_lock,
            fail_fast=fail_fast,
            dry_run=dry_run,
            tell=None if call.as_json else printer.tell,
            as_events=call.as_lines,
        )
        code = execute(call, request.root, partial(verb, request), partial(render.exec_, quiet=call.quiet))
        return printer.exit_code(code)


@takes(*COMMON)
def switch(
    call: Call,
    branch: Annotated[str, typer.Argument(metavar="BRANCH", help="The branch to go over to.")],
    packs: Packs = None,
    filters: Filters = None,
    create: Annotated[bool, typer.Option("--create", "-c", help="Make the branch, at HEAD of each pack.")] = False,
    dry_run: DryRun = False,
) -> int:
    """Go over to a branch in every pack that has it."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.verbs.over import SwitchRequest  # noqa: PLC0415 - only when run
    from grex.verbs.over import switch as verb  # noqa: PLC0415 - only when run

    request = SwitchRequest(
        root=call.root(),
        packs=tuple(packs or ()),
        filters=tuple(filters or ()),
        branch=branch,
        create=create,
        dry_run=dry_run,
    )
    return execute(call, request.root, partial(verb, request), partial(render.switch, brief=call.has_one_place))


@takes(*COMMON)
def fetch(call: Call, packs: Packs = None, filters: Filters = None) -> int:
    """Fetch every branch of every pack's remote, and move nothing."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.verbs.over import FetchRequest  # noqa: PLC0415 - only when run
    from grex.verbs.over import fetch as verb  # noqa: PLC0415 - only when run

    request = FetchRequest(root=call.root(), packs=tuple(packs or ()), filters=tuple(filters or ()))
    return execute(call, request.root, partial(verb, request), partial(render.fetch, brief=call.has_one_place))


@takes(*COMMON)
def push(
    call: Call,
    packs: Packs = None,
    filters: Filters = None,
    set_upstream: Annotated[
        bool,
        typer.Option("--set-upstream", "-u", help="Send a branch without an upstream to origin, and let it follow."),
    ] = False,
    dry_run: DryRun = False,
) -> int:
    """Push the branch of every pack that is ahead of its upstream."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.verbs.over import PushRequest  # noqa: PLC0415 - only when run
    from grex.verbs.over import push as verb  # noqa: PLC0415 - only when run

    request = PushRequest(
        root=call.root(),
        packs=tuple(packs or ()),
        filters=tuple(filters or ()),
        dry_run=dry_run,
        set_upstream=set_upstream,
    )
    return execute(call, request.root, partial(verb, request), partial(render.push, brief=call.has_one_place))


@takes("json", "quiet", "workspace", "no_wait", "lock_timeout", "color")
def path(
    call: Call,
    pack: Annotated[
        Optional[str],  # noqa: UP045 - options.py
        typer.Argument(
            metavar="[PACK]", help="A path from the workspace root, or a unique name.", show_default="the workspace"
        ),
    ] = None,
) -> int:
    """Print where a pack is, for cd "$(grex path PACK)"."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.verbs.path import PathRequest  # noqa: PLC0415 - only when run
    from grex.verbs.path import path as verb  # noqa: PLC0415 - only when run

    request = PathRequest(call.root(), pack)
    return execute(call, request.root, partial(verb, request), render.path, only_looks=True)
