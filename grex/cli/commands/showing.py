"""The commands that show a workspace to people and other tools: `diff`, `graph`."""

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

__all__ = ["DiffFormat", "GraphFormat", "diff", "graph"]


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
    """Show what is different between two lockfiles, with the commits."""
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
    return execute(
        call, request.root, partial(verb, request), draw.get(form) or partial(render.graph, width=call.width)
    )
