"""The commands that show: a workspace (`diff`, `graph`), and the command line itself (`completion`, `help`)."""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer
from msgspec.structs import replace

from grex.cli.call import Call
from grex.cli.execution import execute, tell
from grex.cli.options import Filters, Packs
from grex.cli.signature import takes
from grex.errors import UsageError

if TYPE_CHECKING:
    from grex.verbs.graph import GraphReport

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
    HTML = "html"
    JSON = "json"


@takes("json", "quiet", "workspace", "jobs", "no_wait", "lock_timeout", "color", "no_pager")
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
    return execute(call, request.root, partial(verb, request), say, pages=True)


@takes("json", "quiet", "workspace", "no_wait", "lock_timeout", "color", "no_pager")
def graph(
    call: Call,
    packs: Packs = None,
    filters: Filters = None,
    form: Annotated[GraphFormat, typer.Option("--format", help="How to draw it.")] = GraphFormat.TREE,
    output: Annotated[
        Optional[Path],  # noqa: UP045 - options.py
        typer.Option("--output", "-o", metavar="FILE", help="Write it there.", show_default="standard output"),
    ] = None,
    shown: Annotated[
        Optional[Path],  # noqa: UP045 - options.py
        typer.Option("--trace", metavar="FILE", help="html: show the run that this trace is of.", show_default=False),
    ] = None,
) -> int:
    """Draw which pack declares, and which depends on, which."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.verbs.graph import GraphRequest  # noqa: PLC0415 - only when run
    from grex.verbs.graph import graph as verb  # noqa: PLC0415 - only when run

    request = GraphRequest(call.root(), tuple(packs or ()), tuple(filters or ()))
    trace = shown or call.trace
    call = replace(call, trace=None)  # one before the verb is meant to be shown too: written over, it would be lost
    draw = {GraphFormat.MERMAID: render.graph_mermaid, GraphFormat.DOT: render.graph_dot}.get(form)
    if form is GraphFormat.HTML and not call.as_json:
        from grex.cli.render.page import graph_html, read_timeline  # noqa: PLC0415 - only when run

        draw = partial(graph_html, timeline=None if trace is None else read_timeline(trace))
    elif trace is not None:
        raise UsageError("a trace is shown by --format html only", hint="Add --format html, or leave out --trace.")
    is_json = form is GraphFormat.JSON or call.as_json
    if output is None:
        call = replace(call, as_json=is_json)
        drawn = draw or partial(render.graph, width=call.width)
        return execute(call, request.root, partial(verb, request), drawn, only_looks=True, pages=True)
    if is_json:
        call, draw = replace(call, as_json=False), _document
    written = partial(_written, output, draw or render.graph, is_quiet=call.quiet)
    return execute(call, request.root, partial(verb, request), written, only_looks=True)


def _document(report: GraphReport) -> str:
    return json.dumps(report.to_json(), ensure_ascii=False, indent=2)


def _written(path: Path, draw: Callable[[GraphReport], str], report: GraphReport, *, is_quiet: bool) -> str:
    """Write what is drawn to a file, all of it or nothing, and say so."""
    from grex.fs import replace_file  # noqa: PLC0415 - only when run

    text = f"{draw(report)}\n"
    try:
        replace_file(path, text.encode("utf-8", "surrogateescape"), follow=True)
    except OSError as error:
        raise UsageError(
            f"the file {path} cannot be written: {error.strerror or error}", hint="Give another path."
        ) from error
    return "" if is_quiet else f"Written to {path}."


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


@takes("no_pager")
def help_(
    call: Call,
    verb: Annotated[Optional[list[str]], typer.Argument(metavar="[VERB]...", help="A verb.")] = None,  # noqa: UP045 - options.py
) -> int:
    """Show the help of a verb."""
    from contextlib import redirect_stdout  # noqa: PLC0415 - only when run
    from io import StringIO  # noqa: PLC0415 - only when run

    from grex.cli.app import run  # noqa: PLC0415 - the app knows this command

    with redirect_stdout(StringIO()) as said:
        code = run([*(verb or ()), "--help"])
    if text := said.getvalue().rstrip("\n"):
        tell(call, text, pages=True)
    return code
