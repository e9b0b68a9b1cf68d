"""The options that several commands share, each written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

__all__ = [
    "DryRun",
    "Jobs",
    "Json",
    "LockTimeout",
    "NoInstall",
    "NoWait",
    "Packs",
    "Quiet",
    "Trace",
    "Trust",
    "Workspace",
]

# typer reads these annotations at run time and knows Optional[...], not X | None, inside Annotated on 3.11.
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
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
        min=1,
        metavar="N",
        help="Work on N packs at once (also GREX_JOBS).",
        show_default="one per core",
    ),
]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Fail at once instead of waiting for another process.")]
LockTimeout = Annotated[
    Optional[float],  # noqa: UP045 - see above
    typer.Option("--lock-timeout", min=0, metavar="SECONDS", help="Wait no longer than this for another process."),
]
Trace = Annotated[
    Optional[Path],  # noqa: UP045 - see above
    typer.Option("--trace", metavar="FILE", help="Record what ran when, for Perfetto or chrome://tracing."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and do nothing.")]
NoInstall = Annotated[bool, typer.Option("--no-install", help="Clone and update only; install nothing.")]
Trust = Annotated[
    Optional[list[str]],  # noqa: UP045 - see above
    typer.Option(
        "--trust", metavar="PREFIX", help="Trust packs under this URL prefix, for this run (also GREX_TRUST)."
    ),
]
Packs = Annotated[
    Optional[list[str]],  # noqa: UP045 - see above
    typer.Argument(
        metavar="[PACK]...", help="Paths from the workspace root, or names that are unique.", show_default="all"
    ),
]
