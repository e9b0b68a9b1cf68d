"""The command that looks after a workspace: `doctor`."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Optional, TypedDict, Unpack

import typer
from msgspec.structs import replace

from grex.cli.call import Call
from grex.cli.execution import execute
from grex.cli.options import Packs
from grex.cli.signature import COMMON, takes

__all__ = ["doctor"]


class _Flags(TypedDict):
    """The flags of `doctor`; each is the field of that name in `DoctorRequest`."""

    fix: Annotated[bool, typer.Option("--fix", help="Mend what is safe to mend, and say what was done.")]
    compact: Annotated[bool, typer.Option("--compact", help="Rewrite the log with the lines that are still needed.")]
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --fix or --compact: only say what would be done, and write nothing.")
    ]
    objects: Annotated[
        bool, typer.Option("--objects", help="Look for every object of every repository as well; takes its time.")
    ]
    trash: Annotated[bool, typer.Option("--trash", help="List what the trash holds, the newest first.")]


@takes("trust", *COMMON, "no_pager")
def doctor(
    call: Call,
    packs: Packs = None,
    restore: Annotated[
        Optional[list[str]],  # noqa: UP045 - options.py
        typer.Option("--restore", metavar="TRASH", help="Bring this back from the trash; may be repeated."),
    ] = None,
    keep_days: Annotated[
        Optional[int],  # noqa: UP045 - options.py
        typer.Option(
            "--keep-days", metavar="DAYS", min=0, help="Remove for good what lies in the trash for longer than this."
        ),
    ] = None,
    **how: Unpack[_Flags],
) -> int:
    """Find and mend what is not in order; restore from the trash."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.verbs.doctor import DoctorRequest  # noqa: PLC0415 - only when run
    from grex.verbs.doctor import doctor as verb  # noqa: PLC0415 - only when run

    request = DoctorRequest(
        root=call.root(), packs=tuple(packs or ()), restore=tuple(restore or ()), keep_days=keep_days, **how
    )
    return execute(
        replace(call, is_lenient=True),
        request.root,
        partial(verb, request),
        partial(render.doctor, width=call.width),
        pages=True,
    )
