"""The commands that show: a workspace (`diff`, `graph`), and the command line itself (`completion`, `help`)."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Optional

import typer
from msgspec.structs import replace

from grex.cli.call import Call, execute
from grex.cli.options import Filters, Packs
from grex.cli.signature import takes

__all__ = ["DiffFormat", "GraphFormat", "Shell", "completion", "diff", "graph", "help_"]


class DiffFormat(StrEnum):
    """How `grex diff` says it."""

    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"


class GraphFormat(StrEnum):
    """In which language `grex graph` says it."""

    TREE = "tree"
    MERMAID = "mermaid"
    DOT = "dot"
    JSON = "json"


@takes("json", "quiet", "workspace", "jobs", "no_wait", "lock_timeout")
def diff(
    call: Call,
    between: Annotated[
        Optional[str],  # noqa: UP045 - options.py
        typer.Argument(
            metavar="[RANGE]",
            help="A..B, A.. or A: revisions of the workspace's repository, or lockfiles.",
            show_default="HEAD and the lockfile that is there",
        ),
    ] = None,
    packs: Packs = None,
    form: Annotated[DiffFormat, typer.Option("--format", help="How to say it.")] = DiffFormat.TEXT,
) -> int:
    """Show what two lockfiles differ in, with the commits."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.verbs.diff import DiffRequest  # noqa: PLC0415 - only when run
    from grex.verbs.diff import diff as verb  # noqa: PLC0415 - only when run

    request = DiffRequest(call.root(), between, tuple(packs or ()), here=call.place(Path()))
    if form is DiffFormat.JSON:
        call = replace(call, as_json=True)
    say = render.diff_markdown if form is DiffFormat.MARKDOWN else partial(render.diff, width=call.width)
    return execute(call, request.root, partial(verb, request), say)


@takes("json", "quiet", "workspace", "no_wait", "lock_timeout")
def graph(
    call: Call,
    packs: Packs = None,
    filters: Filters = None,
    form: Annotated[GraphFormat, typer.Option("--format", help="How to draw it.")] = GraphFormat.TREE,
) -> int:
    """Draw which pack declares, and which depends on, which."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.verbs.graph import GraphRequest  # noqa: PLC0415 - only when run
    from grex.verbs.graph import graph as verb  # noqa: PLC0415 - only when run

    request = GraphRequest(call.root(), tuple(packs or ()), tuple(filters or ()))
    if form is GraphFormat.JSON:
        call = replace(call, as_json=True)
    draw = {GraphFormat.MERMAID: render.graph_mermaid, GraphFormat.DOT: render.graph_dot}
    drawn = draw.get(form) or partial(render.graph, width=call.width)
    return execute(call, request.root, partial(verb, request), drawn, only_looks=True)


class Shell(StrEnum):
    """For which shell `grex completion` prints a script."""

    BASH = "bash"
    FISH = "fish"
    ZSH = "zsh"


def completion(shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")]) -> int:
    """Print the completion script of a shell."""
    from grex.cli.completion import completion_script  # noqa: PLC0415 - only when run
    from grex.cli.streams import say  # noqa: PLC0415 - only when run

    say(completion_script(shell.value).rstrip("\n"))
    return 0


def help_(verb: Annotated[Optional[list[str]], typer.Argument(metavar="[VERB]...", help="A verb.")] = None) -> int:  # noqa: UP045 - options.py
    """Show the help of a verb."""
    from grex.cli.app import run  # noqa: PLC0415 - the app knows this command

    return run([*(verb or ()), "--help"])
