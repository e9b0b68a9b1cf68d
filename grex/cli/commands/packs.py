"""The commands that work on packs: `add`, `sync`, `update`, `teardown`, `run`."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Optional, TypedDict, Unpack

import typer

from grex.cli.call import Call
from grex.cli.execution import execute
from grex.cli.options import DryRun, FailFast, Filters, Groups, Install, KeepPartial, NoInstall, Offline, Packs
from grex.cli.signature import COMMON, takes

__all__ = ["add", "run", "sync", "teardown", "update"]


class _SyncFlags(TypedDict):
    """What `sync` and `update` have in common; each is the field of that name in `SyncRequest`."""

    offline: Offline
    dry_run: DryRun
    fail_fast: FailFast
    no_install: NoInstall
    install: Install
    keep_partial: KeepPartial


class _StepFlags(TypedDict):
    """What `teardown` and `run` have in common; each is the field of that name in `PacksRequest`."""

    dry_run: DryRun
    fail_fast: FailFast


@takes(*COMMON)
def add(
    call: Call,
    url: Annotated[str, typer.Argument(metavar="URL", help="A URL or path that git can clone.")],
    path: Annotated[
        Optional[str],  # noqa: UP045 - options.py
        typer.Argument(
            metavar="[PATH]", help="Where to put it, from the workspace root.", show_default="as the URL ends"
        ),
    ] = None,
    ref: Annotated[
        Optional[str],  # noqa: UP045 - options.py
        typer.Option("--ref", metavar="REF", help="A branch, a tag or a full commit id."),
    ] = None,
    group: Annotated[
        Optional[list[str]],  # noqa: UP045 - options.py
        typer.Option("--group", "-g", metavar="GROUP", help="A group it belongs to; may be repeated."),
    ] = None,
    no_install: NoInstall = False,
) -> int:
    """Clone a repository, declare it in pack.yaml and install it."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.verbs.add import AddRequest  # noqa: PLC0415 - only when run
    from grex.verbs.add import add as verb  # noqa: PLC0415 - only when run

    request = AddRequest(
        call.root(),
        call.from_here(url),
        path,
        ref=ref,
        groups=tuple(group or ()),
        no_install=no_install,
        trust_url=True,
    )
    return execute(
        call, request.root, partial(verb, request), partial(render.add, brief=call.has_one_place, width=call.width)
    )


@takes("trust", *COMMON)
def sync(
    call: Call,
    packs: Packs = None,
    filters: Filters = None,
    groups: Groups = None,
    locked: Annotated[bool, typer.Option("--locked", help="Check out exactly what the lockfile says.")] = False,
    pull: Annotated[bool, typer.Option("--pull", help="First fast-forward the workspace's own repository.")] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Move packs that nobody declares any more to the trash.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Move packs that would be left alone, and keep what was in the way.")
    ] = False,
    **how: Unpack[_SyncFlags],
) -> int:
    """Clone, update and install packs as they are declared."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.cli.prompt import trust_question  # noqa: PLC0415 - only when run
    from grex.verbs.sync import SyncRequest  # noqa: PLC0415 - only when run
    from grex.verbs.sync import sync as verb  # noqa: PLC0415 - only when run

    ask_trust = trust_question(as_json=call.as_json)
    request = SyncRequest(
        call.root(),
        tuple(packs or ()),
        tuple(filters or ()),
        groups=tuple(groups or ()),
        locked=locked,
        pull=pull,
        prune=prune,
        force=force,
        ask_trust=ask_trust,
        **how,
    )
    return execute(
        call, request.root, partial(verb, request), partial(render.sync, brief=call.has_one_place, width=call.width)
    )


@takes("trust", *COMMON)
def update(
    call: Call,
    packs: Packs = None,
    filters: Filters = None,
    groups: Groups = None,
    force: Annotated[
        bool, typer.Option("--force", help="Install again, and put right what was changed by hand; it is kept beside.")
    ] = False,
    **how: Unpack[_SyncFlags],
) -> int:
    """Sync, and follow tags that moved upstream."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.cli.prompt import trust_question  # noqa: PLC0415 - only when run
    from grex.verbs.sync import SyncRequest  # noqa: PLC0415 - only when run
    from grex.verbs.update import UpdateRequest  # noqa: PLC0415 - only when run
    from grex.verbs.update import update as verb  # noqa: PLC0415 - only when run

    ask_trust = trust_question(as_json=call.as_json)
    wanted = SyncRequest(
        call.root(), tuple(packs or ()), tuple(filters or ()), groups=tuple(groups or ()), ask_trust=ask_trust, **how
    )
    request = UpdateRequest(wanted, force=force)
    return execute(
        call, wanted.root, partial(verb, request), partial(render.update, brief=call.has_one_place, width=call.width)
    )


@takes("trust", *COMMON)
def teardown(call: Call, packs: Packs = None, filters: Filters = None, **how: Unpack[_StepFlags]) -> int:
    """Take back what installing packs did, until the next sync."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.cli.prompt import trust_question  # noqa: PLC0415 - only when run
    from grex.verbs.teardown import TeardownRequest  # noqa: PLC0415 - only when run
    from grex.verbs.teardown import teardown as verb  # noqa: PLC0415 - only when run

    ask_trust = trust_question(as_json=call.as_json)
    request = TeardownRequest(call.root(), tuple(packs or ()), tuple(filters or ()), ask_trust=ask_trust, **how)
    return execute(
        call, request.root, partial(verb, request), partial(render.teardown, brief=call.has_one_place, width=call.width)
    )


@takes("trust", *COMMON)
def run(
    call: Call,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A hook (.grex/hooks/NAME.sh), or a kind of action.")],
    packs: Packs = None,
    filters: Filters = None,
    **how: Unpack[_StepFlags],
) -> int:
    """Run a hook, or actions of one kind, in every pack that has it."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.cli.prompt import trust_question  # noqa: PLC0415 - only when run
    from grex.verbs.run import RunRequest  # noqa: PLC0415 - only when run
    from grex.verbs.run import run as verb  # noqa: PLC0415 - only when run

    ask_trust = trust_question(as_json=call.as_json)
    request = RunRequest(call.root(), tuple(packs or ()), tuple(filters or ()), name=name, ask_trust=ask_trust, **how)
    return execute(
        call, request.root, partial(verb, request), partial(render.run, brief=call.has_one_place, width=call.width)
    )
