"""The command `fork`, with `fork ls` and `fork rm`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Optional

import typer

from grex.cli.call import Call
from grex.cli.execution import execute
from grex.cli.signature import COMMON, takes
from grex.errors import UsageError

__all__ = ["fork"]


@takes(*COMMON)
def fork(
    call: Call,
    directory: Annotated[
        str, typer.Argument(metavar="DIR", help="Where to make it; or ls, or rm. ./ls is a directory of that name.")
    ],
    packs: Annotated[
        Optional[list[str]],  # noqa: UP045 - options.py
        typer.Argument(metavar="[PACK]...", help="Which packs; for rm, the fork.", show_default="all"),
    ] = None,
    branch: Annotated[
        Optional[str],  # noqa: UP045 - options.py
        typer.Option("--branch", metavar="B", help="The branch of its packs.", show_default="grex/NAME-OF-DIR"),
    ] = None,
    provider: Annotated[
        Optional[str],  # noqa: UP045 - options.py
        typer.Option("--provider", metavar="NAME", help="How it is made: worktree, or auto.", show_default="auto"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="rm: also a fork with work in it; the work is kept.")] = False,
) -> int:
    """Make, list (ls) and remove (rm) workspaces of work trees."""
    words = tuple(packs or ())
    if directory == "ls":
        _refuse("ls", branch=branch, provider=provider, force=force, words=words)
        return _list(call)
    if directory == "rm":
        _refuse("rm", branch=branch, provider=provider)
        if len(words) != 1:
            raise UsageError("`grex fork rm` needs the directory of one fork", hint="As in `grex fork rm ../feature`.")
        return _remove(call, words[0], force=force)
    _refuse("DIR", force=force)
    return _make(call, directory, words, branch, provider)


def _refuse(verb: str, **given: object) -> None:
    for name, value in given.items():
        if value:
            what = "more words" if name == "words" else f"--{name}"
            raise UsageError(f"`grex fork {verb}` takes no {what}", hint="`grex fork --help` says what takes what.")


def _make(call: Call, directory: str, packs: tuple[str, ...], branch: str | None, provider: str | None) -> int:
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.verbs.fork import ForkRequest  # noqa: PLC0415 - only when run
    from grex.verbs.fork import fork as verb  # noqa: PLC0415 - only when run

    request = ForkRequest(call.root(), call.place(Path(directory)), packs, branch=branch, provider=provider or "auto")
    return execute(call, request.root, partial(verb, request), partial(render.fork, brief=call.has_one_place))


def _list(call: Call) -> int:
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.verbs.fork_ls import ForkListRequest, fork_ls  # noqa: PLC0415 - only when run

    request = ForkListRequest(call.root())
    return execute(call, request.root, partial(fork_ls, request), render.fork_ls)


def _remove(call: Call, directory: str, *, force: bool) -> int:
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.verbs.fork_rm import ForkRemovalRequest, fork_rm  # noqa: PLC0415 - only when run

    request = ForkRemovalRequest(call.root(), call.place(Path(directory)), force=force)
    return execute(call, request.root, partial(fork_rm, request), render.fork_rm)
