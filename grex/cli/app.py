"""The app: its commands in the order of `grex --help`, and what a call that cannot be read comes to."""

from __future__ import annotations

import sys
from copy import copy
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.models import CommandInfo

from grex import __version__
from grex.cli.call import Call, explain
from grex.cli.commands import (
    add,
    cache,
    clone,
    completion,
    config,
    demo,
    diff,
    doctor,
    exec_,
    export,
    fetch,
    fork,
    freeze,
    graph,
    help_,
    import_packs,
    init,
    locks,
    ls,
    merge_driver,
    override,
    path,
    plugins,
    push,
    rm,
    schema,
    set_,
    status,
    switch,
    sync,
    teardown,
    trust,
    update,
)
from grex.cli.commands import run as run_name
from grex.cli.signature import COMMON, CommandBehindDashes, takes
from grex.cli.streams import give_up, say
from grex.errors import GrexError

__all__ = ["app", "run"]


class _Commands(TyperGroup):
    """Keeps the commands in the order in which they are registered."""

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


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"grex {__version__}")
        raise typer.Exit


@app.callback()
@takes(*COMMON)
def _options_before_the_verb(
    call: Call,
    version: Annotated[
        bool, typer.Option("--version", "-V", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Keeps many git repositories as one workspace, without losing work."""
    del call, version  # the one is kept for the verb, the other is printed already


for _command in (
    clone,
    init,
    add,
    rm,
    set_,
    override,
    sync,
    update,
    status,
    ls,
    graph,
    diff,
    path,
    exec_,
    run_name,
    switch,
    fetch,
    push,
    fork,
    trust,
    locks,
    teardown,
    import_packs,
    export,
    freeze,
    doctor,
    config,
    plugins,
    demo,
    schema,
):
    app.command(cls=CommandBehindDashes if _command is exec_ else None)(_command)
app.command("completion")(completion)
app.command("help")(help_)
app.command("merge-driver", hidden=True)(merge_driver)  # for git, not for people

app.add_typer(cache)


def run(arguments: list[str] | None = None) -> int:
    """Run one command; gives the exit code.

    Anything that is not a `GrexError` is a bug and leaves as a traceback.
    """
    given = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        code = _app_for(given)(args=given, standalone_mode=False, prog_name="grex")
    except typer.Exit as leaving:
        return int(leaving.exit_code)
    except typer.Abort:
        return 130
    except typer.TyperException as error:
        from grex.cli.meant import usage_error  # noqa: PLC0415 - only after a mistake

        return explain(usage_error(error), as_json="--json" in given, as_lines="--json-lines" in given)
    except GrexError as error:
        return explain(error, as_json="--json" in given, as_lines="--json-lines" in given)
    except OSError as error:
        if not {"--help", "-h"}.intersection(given):
            raise
        give_up(error)  # the framework prints the help, and nothing else was done
    return code if isinstance(code, int) else 0


def _app_for(arguments: list[str]) -> typer.Typer:
    """The command line that these arguments need.

    Typer builds the options of all commands before it looks at the arguments, which costs more than what many a verb
    does. Where the verb comes first there is no doubt which one it is, and the others are left out.
    """
    only = copy(app)
    only.registered_commands = [
        info for info in app.registered_commands if info.callback and _verb(info) == arguments[0]
    ]
    only.registered_groups = [info for info in app.registered_groups if _name_of(info) == arguments[0]]
    return only if only.registered_commands or only.registered_groups else app


def _verb(info: CommandInfo) -> str | None:
    """What a command is called by."""
    return info.name or (info.callback.__name__ if info.callback else None)


def _name_of(group: Any) -> str | None:
    """What a group of commands is called."""
    return group.typer_instance.info.name if group.typer_instance is not None else None
