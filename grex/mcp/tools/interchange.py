"""The tools that come from other tools and go back: `import`, `export`, `freeze`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from grex.mcp.arguments import Argument
from grex.mcp.confining import inside
from grex.mcp.place import Place
from grex.mcp.tools.tool import DRY_RUN, LOCK_TIMEOUT, LOCKING, NO_WAIT, Asking, Given, Tool

__all__ = ["EXPORT", "FREEZE", "IMPORT"]

_OUTPUT = Argument("output", "text", "A file in the workspace to write it to, instead of giving it in the result.")


def _import(place: Place, given: Given) -> Asking:
    from grex.verbs.import_packs import ImportRequest, import_packs  # noqa: PLC0415 - only when called

    named = given["file"]
    file = None if named is None else inside(place.root, "file", named)
    request = ImportRequest(place.root, **{**given, "file": file}, name=named or "")
    return Asking(request, partial(import_packs, request))


IMPORT = Tool(
    name="import",
    verb="import",
    says="Declare what a manifest of another tool lists, or checkouts that nobody declares, and sync.",
    document="import",
    ask=_import,
    arguments=(
        Argument("file", "text", "A manifest in the workspace, from its root; with scan, a directory."),
        Argument("scan", "flag", "Take the checkouts that lie here and nobody declares."),
        Argument(
            "format_name",
            "text",
            "Its format; as recognised if absent.",
            choices=("west", "vcs", "repo", "gitmodules", "tsrc", "json"),
        ),
        Argument("manifest_url", "text", "Where the manifest comes from; its repository's origin if absent."),
        Argument("branches", "flag", "Of submodules, take the branches instead of the recorded commits."),
        Argument("groups", "texts", "Groups they all belong to."),
        DRY_RUN,
        Argument("no_sync", "flag", "Declare the packs, and do not bring them."),
    ),
    waiting=LOCKING,
    is_open_world=True,
)


def _output(place: Place, given: Given) -> Path | None:
    return None if given["output"] is None else inside(place.root, "output", given["output"], to_write=True)


def _overwrites(place: Place, given: Given) -> str | None:
    output = _output(place, given)
    return f"`output` is a file that is there and would be replaced: {output}" if output and output.exists() else None


def _export(place: Place, given: Given) -> Asking:
    from grex.verbs.export import ExportRequest, export  # noqa: PLC0415 - only when called

    request = ExportRequest(place.root, given["format_name"], _output(place, given), frozen=given["frozen"])
    return Asking(request, partial(export, request))


EXPORT = Tool(
    name="export",
    verb="export",
    says="Give the whole tree as a manifest for another tool.",
    document="export",
    ask=_export,
    arguments=(
        Argument("format_name", "text", "Its format.", required=True, choices=("west", "vcs")),
        _OUTPUT,
        Argument("frozen", "flag", "Commits of the lockfile instead of declared refs."),
    ),
    waiting=(NO_WAIT, LOCK_TIMEOUT),
    is_destructive=True,
    is_idempotent=True,
    discards=_overwrites,
)


def _freeze(place: Place, given: Given) -> Asking:
    from grex.verbs.freeze import FreezeRequest, freeze  # noqa: PLC0415 - only when called

    request = FreezeRequest(place.root, _output(place, given), write=given["write"])
    return Asking(request, partial(freeze, request))


FREEZE = Tool(
    name="freeze",
    verb="freeze",
    says="Give the workspace's pack.yaml with every ref at its locked commit.",
    document="freeze",
    ask=_freeze,
    arguments=(_OUTPUT, Argument("write", "flag", "Write it into the workspace's own pack.yaml.")),
    waiting=(NO_WAIT, LOCK_TIMEOUT),
    is_destructive=True,
    is_idempotent=True,
    discards=_overwrites,
)
