"""The command that takes packs away: `rm`."""

from __future__ import annotations

from functools import partial
from typing import Annotated, TypedDict, Unpack

import typer

from grex.cli.call import Call
from grex.cli.execution import execute
from grex.cli.options import DryRun
from grex.cli.signature import COMMON, takes

__all__ = ["rm"]


class _RmFlags(TypedDict):
    """The flags of `rm`; each is the field of that name in `RmRequest`."""

    keep_files: Annotated[
        bool, typer.Option("--keep-files", help="Only forget: the declaration and the log; no file is touched.")
    ]
    skip_teardown: Annotated[
        bool, typer.Option("--skip-teardown", help="Leave what the packs have installed as it is.")
    ]
    force: Annotated[
        bool, typer.Option("--force", help="Move to the trash also what has work in it that is nowhere else.")
    ]
    dry_run: DryRun


@takes("trust", *COMMON)
def rm(
    call: Call,
    packs: Annotated[
        list[str],
        typer.Argument(metavar="PACK...", help="Paths from the workspace root, or names that are unique."),
    ],
    **how: Unpack[_RmFlags],
) -> int:
    """Take packs out of the workspace, into the trash."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.cli.prompt import trust_question  # noqa: PLC0415 - only when run
    from grex.verbs.rm import RmRequest  # noqa: PLC0415 - only when run
    from grex.verbs.rm import rm as verb  # noqa: PLC0415 - only when run

    ask_trust = trust_question(as_json=call.as_json)
    request = RmRequest(call.root(), tuple(packs), ask_trust=ask_trust, **how)
    return execute(
        call, request.root, partial(verb, request), partial(render.rm, brief=call.has_one_place, width=call.width)
    )
