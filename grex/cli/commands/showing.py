"""The commands that show a workspace to people and other tools: `diff`, `graph`."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Optional

import typer
from msgspec.structs import replace

from grex.cli.call import Call, execute
from grex.cli.options import Packs
from grex.cli.signature import takes

__all__ = ["DiffFormat", "diff"]


class DiffFormat(StrEnum):
    """How `grex diff` says it."""

    TEXT = "text"
    MARKDOWN = "markdown"
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
