"""The commands: each turns its options into a `Request`, calls one verb, and has the report rendered.

A command imports its verb when it is run, so that `grex --help` and a short verb do not pay for the others.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Optional

import typer
from typer.core import TyperGroup

from grex import __version__
from grex.cli import pack_commands
from grex.cli.call import Call, execute, explain, print_document
from grex.cli.options import (
    DryRun,
    FailFast,
    Jobs,
    Json,
    KeepPartial,
    LockTimeout,
    NoInstall,
    NoWait,
    Offline,
    Packs,
    Quiet,
    Trace,
    Trust,
    Workspace,
)
from grex.errors import GrexError, UsageError

__all__ = ["app", "run"]


class _Commands(TyperGroup):
    """Keeps the commands in the order of this file."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, as registered."""
        del ctx
        return list(self.commands)


app = typer.Typer(
    name="grex",
    cls=_Commands,
    help="Keeps many git repositories as one workspace, without losing work.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def run(arguments: list[str] | None = None) -> int:
    """Run one command; gives the exit code.

    Anything that is not a `GrexError` is a bug and leaves as a traceback.
    """
    given = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        code = app(args=given, standalone_mode=False, prog_name="grex")
    except typer.Exit as leaving:
        return int(leaving.exit_code)
    except typer.Abort:
        return 130
    except typer.TyperException as error:
        wrong = UsageError(error.format_message(), hint="`grex --help` and `grex VERB --help` list what there is.")
        return explain(wrong, as_json="--json" in given)
    except GrexError as error:
        return explain(error, as_json="--json" in given)
    return code if isinstance(code, int) else 0


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"grex {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", "-V", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    workspace: Workspace = None,
    jobs: Jobs = None,
    no_wait: NoWait = False,
    lock_timeout: LockTimeout = None,
    trace: Trace = None,
) -> None:
    """Keeps many git repositories as one workspace, without losing work."""
    del version  # printed already
    context.obj = Call(
        as_json=json,
        quiet=quiet,
        workspace=workspace,
        jobs=jobs,
        no_wait=no_wait,
        lock_timeout_s=lock_timeout,
        trace=trace,
    )


@app.command()
def init(
    context: typer.Context,
    directory: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="Where to make it.", show_default="the current directory")
    ] = Path(),
    name: Annotated[
        Optional[str],  # noqa: UP045 - options.py
        typer.Option("--name", metavar="NAME", help="Its name.", show_default="made from DIR"),
    ] = None,
    gitignore: Annotated[bool, typer.Option("--gitignore", help="Hide grex's own files through .gitignore.")] = False,
    json: Json = False,
    quiet: Quiet = False,
    no_wait: NoWait = False,
    lock_timeout: LockTimeout = None,
) -> int:
    """Make a workspace."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.verbs.init import InitRequest  # noqa: PLC0415 - only when run
    from grex.verbs.init import init as verb  # noqa: PLC0415 - only when run

    call = Call.of(context, "init", as_json=json, quiet=quiet, no_wait=no_wait, lock_timeout_s=lock_timeout)
    request = InitRequest(call.place(directory), name=name, gitignore=gitignore)
    return execute(call, request.root, lambda settings: verb(request, settings), render.init)


@app.command()
def add(
    context: typer.Context,
    url: Annotated[str, typer.Argument(metavar="URL", help="A URL or path that git can clone.")],
    path: Annotated[
        Optional[str],  # noqa: UP045 - options.py
        typer.Argument(
            metavar="[PATH]", help="Where to put it, from the workspace root.", show_default="as the URL ends"
        ),
    ] = None,
    ref: Annotated[
        Optional[str],  # noqa: UP045 - options.py
        typer.Option("--ref", metavar="REF", help="A branch, a tag or a full commit id."),
    ] = None,
    group: Annotated[
        Optional[list[str]],  # noqa: UP045 - options.py
        typer.Option("--group", "-g", metavar="GROUP", help="A group it belongs to; may be repeated."),
    ] = None,
    no_install: NoInstall = False,
    json: Json = False,
    quiet: Quiet = False,
    workspace: Workspace = None,
    jobs: Jobs = None,
    no_wait: NoWait = False,
    lock_timeout: LockTimeout = None,
    trace: Trace = None,
) -> int:
    """Clone a repository, declare it in pack.yaml and install it."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.verbs.add import AddRequest  # noqa: PLC0415 - only when run
    from grex.verbs.add import add as verb  # noqa: PLC0415 - only when run

    call = Call.of(
        context,
        "add",
        as_json=json,
        quiet=quiet,
        workspace=workspace,
        jobs=jobs,
        no_wait=no_wait,
        lock_timeout_s=lock_timeout,
        trace=trace,
    )
    request = AddRequest(
        call.root(),
        call.from_here(url),
        path,
        ref=ref,
        groups=tuple(group or ()),
        no_install=no_install,
        trust_url=True,
    )
    return execute(
        call,
        request.root,
        lambda settings: verb(request, settings),
        lambda report: render.add(report, brief=call.has_one_place),
    )


@app.command()
def sync(
    context: typer.Context,
    packs: Packs = None,
    locked: Annotated[bool, typer.Option("--locked", help="Check out exactly what the lockfile says.")] = False,
    offline: Offline = False,
    dry_run: DryRun = False,
    fail_fast: FailFast = False,
    no_install: NoInstall = False,
    keep_partial: KeepPartial = False,
    trust: Trust = None,
    json: Json = False,
    quiet: Quiet = False,
    workspace: Workspace = None,
    jobs: Jobs = None,
    no_wait: NoWait = False,
    lock_timeout: LockTimeout = None,
    trace: Trace = None,
) -> int:
    """Clone, update and install packs until everything is as declared."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.cli.prompt import trust_question  # noqa: PLC0415 - only when run
    from grex.verbs.sync import SyncRequest  # noqa: PLC0415 - only when run
    from grex.verbs.sync import sync as verb  # noqa: PLC0415 - only when run

    call = Call.of(
        context,
        "sync",
        as_json=json,
        quiet=quiet,
        workspace=workspace,
        jobs=jobs,
        no_wait=no_wait,
        lock_timeout_s=lock_timeout,
        trace=trace,
        trust=tuple(trust or ()),
    )
    request = SyncRequest(
        call.root(),
        tuple(packs or ()),
        locked=locked,
        offline=offline,
        dry_run=dry_run,
        fail_fast=fail_fast,
        no_install=no_install,
        keep_partial=keep_partial,
        ask_trust=trust_question(as_json=call.as_json),
    )
    return execute(
        call,
        request.root,
        lambda settings: verb(request, settings),
        lambda report: render.sync(report, brief=call.has_one_place),
    )


@app.command()
def update(
    context: typer.Context,
    packs: Packs = None,
    force: Annotated[
        bool, typer.Option("--force", help="Install again, and put right what was changed by hand; it is kept beside.")
    ] = False,
    offline: Offline = False,
    dry_run: DryRun = False,
    fail_fast: FailFast = False,
    no_install: NoInstall = False,
    keep_partial: KeepPartial = False,
    trust: Trust = None,
    json: Json = False,
    quiet: Quiet = False,
    workspace: Workspace = None,
    jobs: Jobs = None,
    no_wait: NoWait = False,
    lock_timeout: LockTimeout = None,
    trace: Trace = None,
) -> int:
    """Sync, and follow tags that moved upstream."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.cli.prompt import trust_question  # noqa: PLC0415 - only when run
    from grex.verbs.update import UpdateRequest  # noqa: PLC0415 - only when run
    from grex.verbs.update import update as verb  # noqa: PLC0415 - only when run

    call = Call.of(
        context,
        "update",
        as_json=json,
        quiet=quiet,
        workspace=workspace,
        jobs=jobs,
        no_wait=no_wait,
        lock_timeout_s=lock_timeout,
        trace=trace,
        trust=tuple(trust or ()),
    )
    request = UpdateRequest(
        call.root(),
        tuple(packs or ()),
        force=force,
        offline=offline,
        dry_run=dry_run,
        fail_fast=fail_fast,
        no_install=no_install,
        keep_partial=keep_partial,
        ask_trust=trust_question(as_json=call.as_json),
    )
    return execute(
        call,
        request.root,
        lambda settings: verb(request, settings),
        lambda report: render.sync(report.sync, brief=call.has_one_place),
    )


@app.command()
def status(
    context: typer.Context,
    packs: Packs = None,
    fail_on_drift: Annotated[
        bool, typer.Option("--fail-on-drift", help="Exit 7 unless everything is as declared.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    workspace: Workspace = None,
    jobs: Jobs = None,
    no_wait: NoWait = False,
    lock_timeout: LockTimeout = None,
) -> int:
    """Show what is not as declared, without asking a remote."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.verbs.status import StatusRequest  # noqa: PLC0415 - only when run
    from grex.verbs.status import status as verb  # noqa: PLC0415 - only when run

    call = Call.of(
        context,
        "status",
        as_json=json,
        quiet=quiet,
        workspace=workspace,
        jobs=jobs,
        no_wait=no_wait,
        lock_timeout_s=lock_timeout,
    )
    request = StatusRequest(call.root(), tuple(packs or ()), fail_on_drift=fail_on_drift)
    return execute(call, request.root, lambda settings: verb(request, settings), render.status)


@app.command()
def ls(
    context: typer.Context,
    tree: Annotated[bool, typer.Option("--tree", help="Show who owns whom.")] = False,
    long: Annotated[bool, typer.Option("--long", "-l", help="Show URL, ref and commit.")] = False,
    json: Json = False,
    quiet: Quiet = False,
    workspace: Workspace = None,
    no_wait: NoWait = False,
    lock_timeout: LockTimeout = None,
) -> int:
    """List the packs."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.verbs.ls import ListRequest  # noqa: PLC0415 - only when run
    from grex.verbs.ls import ls as verb  # noqa: PLC0415 - only when run

    call = Call.of(
        context, "ls", as_json=json, quiet=quiet, workspace=workspace, no_wait=no_wait, lock_timeout_s=lock_timeout
    )
    request = ListRequest(call.root())
    return execute(
        call,
        request.root,
        lambda settings: verb(request, settings),
        lambda report: render.ls(report, tree=tree, long=long),
    )


@app.command()
def trust(
    context: typer.Context,
    prefix: Annotated[
        Optional[str],  # noqa: UP045 - options.py
        typer.Argument(metavar="[URL-PREFIX|.]", help="What to trust; . is the workspace itself."),
    ] = None,
    revoke: Annotated[bool, typer.Option("--revoke", help="Take the trust back.")] = False,
    json: Json = False,
    quiet: Quiet = False,
    workspace: Workspace = None,
    no_wait: NoWait = False,
    lock_timeout: LockTimeout = None,
) -> int:
    """Show or change which packs may run hooks and commands."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.verbs.trust import TrustRequest  # noqa: PLC0415 - only when run
    from grex.verbs.trust import trust as verb  # noqa: PLC0415 - only when run

    call = Call.of(
        context, "trust", as_json=json, quiet=quiet, workspace=workspace, no_wait=no_wait, lock_timeout_s=lock_timeout
    )
    request = TrustRequest(call.root(), None if prefix is None else call.from_here(prefix), revoke=revoke)
    return execute(call, request.root, lambda settings: verb(request, settings), render.trust)


@app.command()
def locks(context: typer.Context, json: Json = False, quiet: Quiet = False, workspace: Workspace = None) -> int:
    """Show who holds which lock of this workspace, and who waits."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.verbs.locks import LocksRequest  # noqa: PLC0415 - only when run
    from grex.verbs.locks import locks as verb  # noqa: PLC0415 - only when run

    call = Call.of(context, "locks", as_json=json, quiet=quiet, workspace=workspace)
    request = LocksRequest(call.root())
    return execute(call, request.root, lambda settings: verb(request, settings), render.locks)


pack_commands.register(app)


@app.command()
def demo(
    context: typer.Context,
    directory: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="Where; must not exist yet, or be an earlier demo.")
    ] = Path("grex-demo"),
    json: Json = False,
    quiet: Quiet = False,
    jobs: Jobs = None,
    no_wait: NoWait = False,
    lock_timeout: LockTimeout = None,
    trace: Trace = None,
) -> int:
    """Try grex: build small repositories and sync a workspace."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.verbs.demo import DemoRequest  # noqa: PLC0415 - only when run
    from grex.verbs.demo import demo as verb  # noqa: PLC0415 - only when run

    call = Call.of(
        context,
        "demo",
        as_json=json,
        quiet=quiet,
        jobs=jobs,
        no_wait=no_wait,
        lock_timeout_s=lock_timeout,
        trace=trace,
    )
    request = DemoRequest(call.place(directory))
    return execute(call, request.workspace, lambda settings: verb(request, settings), render.demo)


@app.command()
def schema(
    context: typer.Context,
    verb: Annotated[str, typer.Argument(help="A verb with a --json document, or `error`.")],
) -> int:
    """Print the JSON Schema of a verb's --json document."""
    from grex.verbs.schema import SchemaRequest  # noqa: PLC0415 - only when run
    from grex.verbs.schema import schema as verb_schema  # noqa: PLC0415 - only when run

    del context
    return print_document(verb_schema(SchemaRequest(verb)))
