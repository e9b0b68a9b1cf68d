"""The options that several commands share, each written once."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated, Optional

import typer

from grex.cli.colours import ColourChoice
from grex.names import clean

__all__ = [
    "Color",
    "DryRun",
    "FailFast",
    "Filters",
    "Groups",
    "Install",
    "Jobs",
    "Json",
    "JsonLines",
    "KeepPartial",
    "LockTimeout",
    "NoInstall",
    "NoPager",
    "NoWait",
    "Offline",
    "Packs",
    "Quiet",
    "Trace",
    "Trust",
    "Workspace",
]

_SHOWN_CHARACTERS = 40


def _jobs(text: str) -> int:
    """A number of permits; typer's own message for a wrong one speaks of ranges."""
    if re.fullmatch(r"0*[1-9][0-9]{0,5}", text, re.ASCII) is None:
        raise typer.BadParameter(f"{clean(text, _SHOWN_CHARACTERS)!r} is not a whole number of 1 or more.")
    return int(text)


def _seconds(text: str) -> float:
    """A length of time; "nan" and "inf" are numbers to Python and limits to nobody."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0):
        raise typer.BadParameter(f"{clean(text, _SHOWN_CHARACTERS)!r} is not a number of seconds, 0 or more.")
    return seconds


# typer reads these annotations at run time and knows Optional[...], not X | None, inside Annotated on 3.11.
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
JsonLines = Annotated[
    bool, typer.Option("--json-lines", help="Print events as they happen, one JSON object a line, last the report.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress, only the report and errors.")]
Workspace = Annotated[
    Optional[Path],  # noqa: UP045 - see above
    typer.Option("--workspace", metavar="DIR", help="The workspace root (also GREX_WORKSPACE)."),
]
Jobs = Annotated[
    Optional[int],  # noqa: UP045 - see above
    typer.Option(
        "--jobs",
        "-j",
        parser=_jobs,
        metavar="N",
        help="Work on N packs at once (also GREX_JOBS).",
        show_default="one per core",
    ),
]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Fail at once instead of waiting for another process.")]
LockTimeout = Annotated[
    Optional[float],  # noqa: UP045 - see above
    typer.Option(
        "--lock-timeout", parser=_seconds, metavar="SECONDS", help="Wait no longer than this for another process."
    ),
]
Trace = Annotated[
    Optional[Path],  # noqa: UP045 - see above
    typer.Option("--trace", metavar="FILE", help="Record what ran when, for Perfetto or chrome://tracing."),
]
Color = Annotated[
    Optional[ColourChoice],  # noqa: UP045 - see above
    typer.Option("--color", metavar="WHEN", help="auto (on a terminal, unless NO_COLOR is set), always or never."),
]
NoPager = Annotated[bool, typer.Option("--no-pager", help="Send no long report to a pager (GREX_PAGER, PAGER).")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and do nothing.")]
FailFast = Annotated[bool, typer.Option("--fail-fast", help="Begin nothing more after a failure.")]
KeepPartial = Annotated[bool, typer.Option("--keep-partial", help="Do not undo what a failed install had done.")]
Offline = Annotated[bool, typer.Option("--offline", help="Ask no remote.")]
NoInstall = Annotated[bool, typer.Option("--no-install", help="Clone and update only; install nothing.")]
Install = Annotated[bool, typer.Option("--install", help="Install also in a fork.")]
Trust = Annotated[
    Optional[list[str]],  # noqa: UP045 - see above
    typer.Option(
        "--trust", metavar="PREFIX", help="Trust packs under this URL prefix, for this run (also GREX_TRUST)."
    ),
]
Filters = Annotated[
    Optional[list[str]],  # noqa: UP045 - see above
    typer.Option(
        "--filter",
        metavar="EXPR",
        help="Only packs that are a path glob, type:NAME, group:NAME or changed; `,` is and, `!` not; repeated is or.",
    ),
]
Groups = Annotated[
    Optional[list[str]],  # noqa: UP045 - see above
    typer.Option(
        "--group", "-g", metavar="NAME", help="Turn a group on here, or off (!NAME), from now on; may be repeated."
    ),
]
Packs = Annotated[
    Optional[list[str]],  # noqa: UP045 - see above
    typer.Argument(
        metavar="[PACK]...",
        help="Paths from the workspace root, or names that are unique; . is the root.",
        show_default="all",
    ),
]
