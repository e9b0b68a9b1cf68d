"""The commands about what packs do: `teardown`, `run`, `plugins`; registered beside those of `app`."""

from __future__ import annotations

from typing import Annotated

import typer

from grex.cli.call import Call, execute, output_kept_for_the_report, print_document
from grex.cli.options import (
    DryRun,
    FailFast,
    Jobs,
    Json,
    LockTimeout,
    NoWait,
    Packs,
    Quiet,
    Trace,
    Trust,
    Workspace,
)

__all__ = ["plugins", "register", "run", "teardown"]


def register(app: typer.Typer) -> None:
    """Let the app know these commands."""
    for command in (teardown, run, plugins):
        app.command()(command)


def teardown(
    context: typer.Context,
    packs: Packs = None,
    dry_run: DryRun = False,
    fail_fast: FailFast = False,
    trust: Trust = None,
    json: Json = False,
    quiet: Quiet = False,
    workspace: Workspace = None,
    jobs: Jobs = None,
    no_wait: NoWait = False,
    lock_timeout: LockTimeout = None,
    trace: Trace = None,
) -> int:
    """Take back what installing packs did, until the next sync."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.cli.prompt import trust_question  # noqa: PLC0415 - only when run
    from grex.verbs.teardown import TeardownRequest  # noqa: PLC0415 - only when run
    from grex.verbs.teardown import teardown as verb  # noqa: PLC0415 - only when run

    call = Call.of(
        context,
        "teardown",
        as_json=json,
        quiet=quiet,
        workspace=workspace,
        jobs=jobs,
        no_wait=no_wait,
        lock_timeout_s=lock_timeout,
        trace=trace,
        trust=tuple(trust or ()),
    )
    request = TeardownRequest(
        call.root(),
        tuple(packs or ()),
        dry_run=dry_run,
        fail_fast=fail_fast,
        ask_trust=trust_question(as_json=call.as_json),
    )
    return execute(
        call,
        request.root,
        lambda settings: verb(request, settings),
        lambda report: render.teardown(report, brief=call.has_one_place),
    )


def run(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A hook (.grex/hooks/NAME.sh), or a kind of action.")],
    packs: Packs = None,
    dry_run: DryRun = False,
    fail_fast: FailFast = False,
    trust: Trust = None,
    json: Json = False,
    quiet: Quiet = False,
    workspace: Workspace = None,
    jobs: Jobs = None,
    no_wait: NoWait = False,
    lock_timeout: LockTimeout = None,
    trace: Trace = None,
) -> int:
    """Run a hook, or actions of one kind, in every pack that has it."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.cli.prompt import trust_question  # noqa: PLC0415 - only when run
    from grex.verbs.run import RunRequest  # noqa: PLC0415 - only when run
    from grex.verbs.run import run as verb  # noqa: PLC0415 - only when run

    call = Call.of(
        context,
        "run",
        as_json=json,
        quiet=quiet,
        workspace=workspace,
        jobs=jobs,
        no_wait=no_wait,
        lock_timeout_s=lock_timeout,
        trace=trace,
        trust=tuple(trust or ()),
    )
    request = RunRequest(
        call.root(),
        name,
        tuple(packs or ()),
        dry_run=dry_run,
        fail_fast=fail_fast,
        ask_trust=trust_question(as_json=call.as_json),
    )
    return execute(
        call,
        request.root,
        lambda settings: verb(request, settings),
        lambda report: render.run(report, brief=call.has_one_place),
    )


def plugins(context: typer.Context, json: Json = False, quiet: Quiet = False) -> int:
    """Show the plugins that are installed, and which are broken."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.cli.streams import say  # noqa: PLC0415 - only when run
    from grex.verbs.plugins import PluginsRequest  # noqa: PLC0415 - only when run
    from grex.verbs.plugins import plugins as verb  # noqa: PLC0415 - only when run

    call = Call.of(context, "plugins", as_json=json, quiet=quiet)
    with output_kept_for_the_report():
        report = verb(PluginsRequest())
    if call.as_json:
        return print_document(report)
    say(render.plugins(report))
    return report.exit_code
