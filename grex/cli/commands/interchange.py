"""The commands that come from other tools and go back: `import`, `export`, `freeze`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Optional, TypeVar

import typer

from grex.cli.call import Call
from grex.cli.execution import execute
from grex.cli.options import DryRun
from grex.cli.signature import COMMON, takes

__all__ = ["export", "freeze", "import_packs"]

R = TypeVar("R")

Output = Annotated[
    Optional[Path],  # noqa: UP045 - options.py
    typer.Option("--output", "-o", metavar="FILE", help="Write it to a file instead of printing it."),
]


def _import(
    call: Call,
    file: Annotated[
        Optional[Path],  # noqa: UP045 - options.py
        typer.Argument(
            metavar="[FILE]", help="A manifest of another tool; with --scan a directory.", show_default=False
        ),
    ] = None,
    scan: Annotated[bool, typer.Option("--scan", help="Take the checkouts that lie here and nobody declares.")] = False,
    format_: Annotated[
        Optional[str],  # noqa: UP045 - options.py
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="west, vcs, repo, gitmodules, tsrc or json.",
            show_default="as recognised",
        ),
    ] = None,
    group: Annotated[
        Optional[list[str]],  # noqa: UP045 - options.py
        typer.Option("--group", "-g", metavar="GROUP", help="A group they all belong to; may be repeated."),
    ] = None,
    manifest_url: Annotated[
        Optional[str],  # noqa: UP045 - options.py
        typer.Option(
            "--manifest-url",
            metavar="URL",
            help="Where the manifest comes from.",
            show_default="its repository's origin",
        ),
    ] = None,
    branches: Annotated[
        bool, typer.Option("--branches", help="Of submodules, take the branches instead of the recorded commits.")
    ] = False,
    dry_run: DryRun = False,
    no_sync: Annotated[bool, typer.Option("--no-sync", help="Declare the packs, and do not bring them.")] = False,
) -> int:
    """Declare what a manifest of another tool lists, and sync."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.cli.prompt import trust_question  # noqa: PLC0415 - only when run
    from grex.verbs.import_packs import ImportRequest  # noqa: PLC0415 - only when run
    from grex.verbs.import_packs import import_packs as verb  # noqa: PLC0415 - only when run

    request = ImportRequest(
        call.root(),
        None if file is None else call.place(file),
        name="" if file is None else str(file),
        scan=scan,
        format_name=format_,
        manifest_url=None if manifest_url is None else call.from_here(manifest_url),
        branches=branches,
        groups=tuple(group or ()),
        dry_run=dry_run,
        no_sync=no_sync,
        ask_trust=trust_question(as_json=call.as_json),
    )
    return execute(call, request.root, partial(verb, request), partial(render.import_packs, brief=call.has_one_place))


_import.__name__ = "import"  # the verb, which no function can be called by in Python
import_packs = takes("trust", *COMMON)(_import)


@takes("json", "quiet", "workspace", "no_wait", "lock_timeout", "color")
def export(
    call: Call,
    format_: Annotated[str, typer.Option("--format", metavar="FORMAT", help="west or vcs.")],
    output: Output = None,
    frozen: Annotated[bool, typer.Option("--frozen", help="Commits of the lockfile instead of declared refs.")] = False,
) -> int:
    """Print the whole tree as a manifest for another tool."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.verbs.export import ExportRequest  # noqa: PLC0415 - only when run
    from grex.verbs.export import export as verb  # noqa: PLC0415 - only when run

    request = ExportRequest(call.root(), format_, None if output is None else call.place(output), frozen=frozen)
    return execute(call, request.root, partial(verb, request), _with_notes(render.export))


@takes("json", "quiet", "workspace", "no_wait", "lock_timeout", "color")
def freeze(
    call: Call,
    output: Output = None,
    write: Annotated[bool, typer.Option("--write", help="Write it into the workspace's own pack.yaml.")] = False,
) -> int:
    """Print pack.yaml with every ref at its locked commit."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.verbs.freeze import FreezeRequest  # noqa: PLC0415 - only when run
    from grex.verbs.freeze import freeze as verb  # noqa: PLC0415 - only when run

    request = FreezeRequest(call.root(), None if output is None else call.place(output), write=write)
    return execute(call, request.root, partial(verb, request), _with_notes(render.freeze))


def _with_notes(render: Callable[[R], str]) -> Callable[[R], str]:
    """The notes of a report go to standard error: what is printed on standard output is a file."""

    def rendered(report: Any) -> str:
        for note in report.notes:
            print(f"grex: note: {note}", file=sys.stderr)
        return render(report)

    return rendered
