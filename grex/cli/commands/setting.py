"""The commands that edit declarations, and those that begin with what somebody else declared."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional, TypedDict, Unpack

import typer

from grex.cli.call import Call
from grex.cli.execution import execute, print_document, tell
from grex.cli.options import DryRun, Groups, NoInstall
from grex.cli.signature import COMMON, takes
from grex.errors import NotAWorkspaceError

if TYPE_CHECKING:
    from grex.verbs.config import ConfigRequest

__all__ = ["clone", "config", "config_request", "override", "set_"]

_NoSync = Annotated[bool, typer.Option("--no-sync", help="Only write it; leave the pack as it is.")]
_Ref = Annotated[
    Optional[str],  # noqa: UP045 - options.py
    typer.Option("--ref", metavar="REF", help="A branch, a tag or a full commit id."),
]


class _SetFlags(TypedDict):
    """The flags of `set`; each is the field of that name in `SetRequest`."""

    no_ref: Annotated[bool, typer.Option("--no-ref", help="Declare no ref: the remote's own choice.")]
    no_groups: Annotated[bool, typer.Option("--no-groups", help="Declare no groups.")]
    no_sync: _NoSync
    dry_run: DryRun


@takes("trust", *COMMON)
def set_(
    call: Call,
    pack: Annotated[str, typer.Argument(metavar="PACK", help="Its path from the workspace root, or unique name.")],
    ref: _Ref = None,
    url: Annotated[
        Optional[str],  # noqa: UP045 - options.py
        typer.Option(
            "--url", metavar="URL", help="Where it comes from; its checkout stays if it is the same repository."
        ),
    ] = None,
    path: Annotated[
        Optional[str],  # noqa: UP045 - options.py
        typer.Option("--path", metavar="PATH", help="Where it is to be, from the workspace root; it is moved there."),
    ] = None,
    group: Annotated[
        Optional[list[str]],  # noqa: UP045 - options.py
        typer.Option("--group", "-g", metavar="GROUP", help="A group it belongs to, and no others; may be repeated."),
    ] = None,
    depth: Annotated[
        Optional[int],  # noqa: UP045 - options.py
        typer.Option("--depth", metavar="N", min=1, help="How many commits of history a clone fetches."),
    ] = None,
    **how: Unpack[_SetFlags],
) -> int:
    """Change what is declared of a pack, and bring it there."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.cli.prompt import trust_question  # noqa: PLC0415 - only when run
    from grex.verbs.set_pack import SetRequest  # noqa: PLC0415 - only when run
    from grex.verbs.set_pack import set_pack as verb  # noqa: PLC0415 - only when run

    request = SetRequest(
        root=call.root(),
        pack=pack,
        ref=ref,
        url=None if url is None else call.from_here(url),
        path=path,
        groups=tuple(group or ()),
        depth=depth,
        ask_trust=trust_question(as_json=call.as_json),
        **how,
    )
    return execute(
        call, request.root, partial(verb, request), partial(render.set_pack, brief=call.has_one_place, width=call.width)
    )


@takes("trust", *COMMON)
def override(
    call: Call,
    pack: Annotated[
        Optional[str],  # noqa: UP045 - options.py
        typer.Argument(metavar="[PACK]", help="Its path or unique name; without it, the overrides are listed."),
    ] = None,
    ref: _Ref = None,
    url: Annotated[
        Optional[str],  # noqa: UP045 - options.py
        typer.Option("--url", metavar="URL", help="Where it comes from."),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the override away.")] = False,
    local: Annotated[
        bool, typer.Option("--local", help="On this machine only, in .grex/local.yaml, which is never committed.")
    ] = False,
    no_sync: _NoSync = False,
    dry_run: DryRun = False,
) -> int:
    """Say something over a declaration, or list the overrides."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.cli.prompt import trust_question  # noqa: PLC0415 - only when run
    from grex.verbs.override import OverrideRequest  # noqa: PLC0415 - only when run
    from grex.verbs.override import override as verb  # noqa: PLC0415 - only when run

    request = OverrideRequest(
        root=call.root(),
        pack=pack,
        ref=ref,
        url=None if url is None else call.from_here(url),
        remove=remove,
        is_local=local,
        no_sync=no_sync,
        dry_run=dry_run,
        ask_trust=trust_question(as_json=call.as_json),
    )
    return execute(
        call, request.root, partial(verb, request), partial(render.override, brief=call.has_one_place, width=call.width)
    )


@takes("json", "quiet", "jobs", "no_wait", "lock_timeout", "trace", "trust", "color")
def clone(
    call: Call,
    url: Annotated[str, typer.Argument(metavar="URL", help="A workspace's repository: what git can clone.")],
    directory: Annotated[
        Optional[Path],  # noqa: UP045 - options.py
        typer.Argument(metavar="[DIR]", help="Where to put it.", show_default="as the URL ends"),
    ] = None,
    groups: Groups = None,
    locked: Annotated[bool, typer.Option("--locked", help="Check out exactly what the lockfile says.")] = False,
    ref: Annotated[
        Optional[str],  # noqa: UP045 - options.py
        typer.Option("--ref", metavar="REF", help="A branch or a tag of the workspace's own repository."),
    ] = None,
    depth: Annotated[
        Optional[int],  # noqa: UP045 - options.py
        typer.Option("--depth", metavar="N", min=1, help="How many commits of its own history to fetch."),
    ] = None,
    no_install: NoInstall = False,
) -> int:
    """Clone somebody's workspace, and sync it."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.cli.prompt import trust_question  # noqa: PLC0415 - only when run
    from grex.verbs.clone import CloneRequest, place_of  # noqa: PLC0415 - only when run
    from grex.verbs.clone import clone as verb  # noqa: PLC0415 - only when run

    here = call.place(Path())
    request = CloneRequest(
        url=url,
        root=place_of(url, directory, here),
        ref=ref,
        depth=depth,
        groups=tuple(groups or ()),
        locked=locked,
        no_install=no_install,
        ask_trust=trust_question(as_json=call.as_json),
    )
    return execute(
        call,
        request.root,
        partial(verb, request, here=here),
        partial(render.clone, brief=call.has_one_place, width=call.width),
    )


def config_request(call: Call) -> ConfigRequest:
    """What options and variables say, with the name of each."""
    from platformdirs import user_config_path  # noqa: PLC0415 - only when run

    from grex.verbs.config import ConfigRequest, Said  # noqa: PLC0415 - only when run

    said: dict[str, tuple[Said, ...]] = {}
    if call.jobs is not None:
        variable = call.environ.get("GREX_JOBS", "").strip()
        named = "GREX_JOBS" if variable.isdigit() and int(variable) == call.jobs else "--jobs"
        said["sync.jobs"] = (Said(call.jobs, named),)
    if call.no_wait:
        said["lock.no_wait"] = (Said(call.no_wait, "--no-wait"),)
    if call.lock_timeout_s is not None:
        said["lock.timeout_s"] = (Said(call.lock_timeout_s, "--lock-timeout"),)
    from_variable = call.environ.get("GREX_TRUST", "").split()
    options = call.trust[: len(call.trust) - len(from_variable)]
    trust = [*(Said(one, "--trust") for one in options), *(Said(one, "GREX_TRUST") for one in from_variable)]
    if trust:
        said["trust.prefixes"] = tuple(trust)
    if call.environ.get("GREX_CACHE_DIR"):
        said["cache.dir"] = (Said(call.cache_dir(), "GREX_CACHE_DIR"),)
    origin = "--workspace" if call.workspace is not None else "the current directory"
    if call.workspace is None and call.environ.get("GREX_WORKSPACE"):
        origin = "GREX_WORKSPACE"
    root: Path | None = None
    try:
        root = call.root()
    except NotAWorkspaceError:
        if origin != "the current directory":
            raise
    return ConfigRequest(
        root=root,
        user_config_dir=user_config_path(appauthor=False),
        workspace_origin=origin if root is not None else "default",
        said=said,
    )


@takes("json", "workspace", "jobs", "no_wait", "lock_timeout", "trust", "color", "no_pager")
def config(
    call: Call,
    show_origin: Annotated[bool, typer.Option("--show-origin", help="Say where each one is set.")] = False,
) -> int:
    """Show the settings in force."""
    from grex.cli.render.setting import config as render_config  # noqa: PLC0415 - only when run
    from grex.verbs.config import config as verb  # noqa: PLC0415 - only when run

    report = verb(config_request(call))
    if call.as_json:
        return print_document(report)
    tell(call, render_config(report, show_origin=show_origin), pages=True)
    return report.exit_code
