"""`grex cache`: the objects that clones of all workspaces share."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Annotated, Optional

import typer

from grex.cli.call import Call
from grex.cli.execution import execute
from grex.cli.options import DryRun
from grex.cli.signature import takes
from grex.names import clean

__all__ = ["cache_gc", "cache_group", "cache_ls"]

_KEEP_DAYS = 30

cache_group = typer.Typer(
    name="cache",
    help="Show or clean up what clones of all workspaces share.",
    rich_markup_mode=None,
    no_args_is_help=True,
)


def _days(text: str) -> int:
    if re.fullmatch(r"[0-9]{1,6}", text, re.ASCII) is None:
        raise typer.BadParameter(f"{clean(text, 40)!r} is not a whole number of days.")
    return int(text)


@cache_group.command("ls")
@takes("json", "quiet", "color", "no_pager")
def cache_ls(call: Call) -> int:
    """List the mirrors: what of, how large, when last used."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.verbs.cache import CacheLsRequest  # noqa: PLC0415 - only when run
    from grex.verbs.cache import cache_ls as verb  # noqa: PLC0415 - only when run

    return execute(call, call.place(Path()), partial(verb, CacheLsRequest()), render.cache_ls, pages=True)


@cache_group.command("gc")
@takes("json", "quiet", "color")
def cache_gc(
    call: Call,
    keep_days: Annotated[
        Optional[int],  # noqa: UP045 - options.py
        typer.Option(
            "--keep-days",
            parser=_days,
            metavar="N",
            help="Keep what was used in the last N days.",
            show_default=str(_KEEP_DAYS),
        ),
    ] = None,
    dry_run: DryRun = False,
) -> int:
    """Remove mirrors that nobody used for a while, and pack the others."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.verbs.cache import CacheGcRequest  # noqa: PLC0415 - only when run
    from grex.verbs.cache import cache_gc as verb  # noqa: PLC0415 - only when run

    request = CacheGcRequest(keep_days=_KEEP_DAYS if keep_days is None else keep_days, dry_run=dry_run)
    return execute(call, call.place(Path()), partial(verb, request), render.cache_gc)
