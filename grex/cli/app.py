"""The app: its commands in the order of `grex --help`, and what a call that cannot be read comes to.

An app is put together for the call. Where the verb comes first there is no doubt which one it is: the modules of the
others are not imported. Typer would also build the options of all commands before it looks at the arguments, and that
costs more than what many a verb does.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import pairwise
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from grex import __version__
from grex.cli import commands
from grex.cli.call import Call
from grex.cli.colours import ColourChoice
from grex.cli.execution import explain
from grex.cli.signature import COMMON, CommandBehindDashes, takes
from grex.cli.streams import give_up, say
from grex.errors import GrexError

__all__ = ["VERBS", "app_with", "run"]

VERBS = {
    "clone": "clone",
    "init": "init",
    "add": "add",
    "rm": "rm",
    "set": "set_",
    "override": "override",
    "sync": "sync",
    "update": "update",
    "status": "status",
    "ls": "ls",
    "graph": "graph",
    "diff": "diff",
    "path": "path",
    "exec": "exec_",
    "run": "run",
    "switch": "switch",
    "fetch": "fetch",
    "push": "push",
    "fork": "fork",
    "trust": "trust",
    "locks": "locks",
    "teardown": "teardown",
    "import": "import_packs",
    "export": "export",
    "freeze": "freeze",
    "doctor": "doctor",
    "config": "config",
    "plugins": "plugins",
    "demo": "demo",
    "schema": "schema",
    "serve": "serve",
    "completion": "completion",
    "help": "help_",
    "merge-driver": "merge_driver",
    "cache": "cache_group",
    "mcp": "mcp_group",
}
"""Every verb in the order of the help, and what `grex.cli.commands` calls its command."""

_FOR_GIT = frozenset({"merge-driver"})
"""Verbs that are not for people, and not in the help."""


class _Commands(TyperGroup):
    """Keeps the commands in the order in which they are registered."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, as registered."""
        del ctx
        return list(self.commands)


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"grex {__version__}")
        raise typer.Exit


@takes(*COMMON, "no_pager")
def _options_before_the_verb(
    call: Call,
    version: Annotated[
        bool, typer.Option("--version", "-V", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Keeps many git repositories as one workspace, without losing work."""
    del call, version  # the one is kept for the verb, the other is printed already


def app_with(verbs: Iterable[str], *, has_options: bool = True) -> typer.Typer:
    """The command line with some of its verbs.

    Args:
        verbs: which, in the order of the help.
        has_options: whether the verbs have their options; without them they can be listed, and not be called.
    """
    app = typer.Typer(
        name="grex",
        cls=_Commands,
        help="Keeps many git repositories as one workspace, without losing work.",
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options_before_the_verb)
    for verb in verbs:
        command = getattr(commands, VERBS[verb])
        if isinstance(command, typer.Typer):
            app.add_typer(command)
        else:
            how = CommandBehindDashes if verb == "exec" else None
            app.command(verb, cls=how, hidden=verb in _FOR_GIT)(command if has_options else _named_only(command))
    return app


def _named_only(command: Callable[..., Any]) -> Callable[[], None]:
    """A command without options that has the help of this one."""

    def named() -> None:
        raise RuntimeError("a command that was only to be listed was called")

    named.__doc__ = command.__doc__
    return named


def run(arguments: list[str] | None = None) -> int:
    """Run one command; gives the exit code.

    Anything that is not a `GrexError` is a bug and leaves as a traceback.
    """
    given = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    told = partial(explain, as_json="--json" in given, as_lines="--json-lines" in given, colour=_colour_of(given))
    try:
        code = _app_for(given)(args=given, standalone_mode=False, prog_name="grex")
    except typer.Exit as leaving:
        return int(leaving.exit_code)
    except typer.Abort:
        return 130
    except typer.TyperException as error:
        from grex.cli.meant import usage_error  # noqa: PLC0415 - only after a mistake

        return told(usage_error(error))
    except GrexError as error:
        return told(error)
    except SystemExit as leaving:
        if isinstance(leaving.__context__, BrokenPipeError):
            give_up(leaving.__context__)  # the framework printed a help that nobody read, and calls that an error
        raise
    except OSError as error:
        if not {"--help", "-h"}.intersection(given):
            raise
        give_up(error)  # the framework prints the help, and nothing else was done
    return code if isinstance(code, int) else 0


def _colour_of(given: Sequence[str]) -> ColourChoice | None:
    """What `--color` says in arguments that may not be readable."""
    said = [one.removeprefix("--color=") for one in given if one.startswith("--color=")]
    said += [value for name, value in pairwise(given) if name == "--color"]
    return next((choice for choice in ColourChoice if choice in said), None)


def _app_for(arguments: list[str]) -> typer.Typer:
    """The command line that these arguments need."""
    if arguments[0] in VERBS:
        return app_with([arguments[0]])
    return app_with(VERBS, has_options=arguments not in (["--help"], ["-h"]))
