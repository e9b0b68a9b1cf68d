"""The commands that edit declarations, and those that begin with what somebody else declared."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Optional, TypedDict, Unpack

import typer

from grex.cli.call import Call, execute
from grex.cli.options import DryRun
from grex.cli.signature import COMMON, takes

__all__ = ["override", "set_pack"]

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
def set_pack(
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
    """Change what pack.yaml declares of a pack, and bring the pack to it."""
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
    """Say something over what is declared of a pack, or list what is said so."""
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
