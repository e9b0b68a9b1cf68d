"""The commands about a workspace as a place: one is made, shown off with a demo, and told whom it trusts."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Optional

import typer

from grex.cli.call import Call
from grex.cli.execution import execute
from grex.cli.signature import takes

__all__ = ["demo", "init", "merge_driver", "trust"]


@takes("json", "quiet", "no_wait", "lock_timeout", "color")
def init(
    call: Call,
    directory: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="Where to make it.", show_default="the current directory")
    ] = Path(),
    name: Annotated[
        Optional[str],  # noqa: UP045 - options.py
        typer.Option("--name", metavar="NAME", help="Its name.", show_default="made from DIR"),
    ] = None,
    gitignore: Annotated[bool, typer.Option("--gitignore", help="Hide grex's own files through .gitignore.")] = False,
) -> int:
    """Make a workspace."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.verbs.init import InitRequest  # noqa: PLC0415 - only when run
    from grex.verbs.init import init as verb  # noqa: PLC0415 - only when run

    request = InitRequest(call.place(directory), name=name, gitignore=gitignore)
    return execute(call, request.root, partial(verb, request), partial(render.init, width=call.width))


@takes("json", "json_lines", "quiet", "jobs", "no_wait", "lock_timeout", "trace", "color")
def demo(
    call: Call,
    directory: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="Where; must not exist yet, or be an earlier demo.")
    ] = Path("grex-demo"),
) -> int:
    """Try grex: build small repositories and sync a workspace."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.verbs.demo import DemoRequest  # noqa: PLC0415 - only when run
    from grex.verbs.demo import demo as verb  # noqa: PLC0415 - only when run

    request = DemoRequest(call.place(directory))
    return execute(call, request.workspace, partial(verb, request), render.demo)


@takes("json", "quiet", "workspace", "no_wait", "lock_timeout", "color")
def trust(
    call: Call,
    prefix: Annotated[
        Optional[str],  # noqa: UP045 - options.py
        typer.Argument(metavar="[URL-PREFIX|.]", help="What to trust; . is the workspace itself."),
    ] = None,
    revoke: Annotated[bool, typer.Option("--revoke", help="Take the trust back.")] = False,
) -> int:
    """Show or change which packs may run hooks and commands."""
    from grex.cli import render  # noqa: PLC0415 - only when run
    from grex.verbs.trust import TrustRequest  # noqa: PLC0415 - only when run
    from grex.verbs.trust import trust as verb  # noqa: PLC0415 - only when run

    request = TrustRequest(call.root(), None if prefix is None else call.from_here(prefix), revoke=revoke)
    return execute(call, request.root, partial(verb, request), partial(render.trust, width=call.width))


@takes()
def merge_driver(
    call: Call,
    base: Annotated[Path, typer.Argument(metavar="BASE", help="What both sides had.")],
    ours: Annotated[Path, typer.Argument(metavar="OURS", help="This side; gets the outcome.")],
    theirs: Annotated[Path, typer.Argument(metavar="THEIRS", help="The other side.")],
    path: Annotated[str, typer.Argument(metavar="PATH", help="Whose versions they are.")],
) -> int:
    """Merge a pack.yaml or a lockfile by packs; git calls this."""
    import anyio  # noqa: PLC0415 - only when run

    from grex.verbs.merge_driver import MergeDriverRequest  # noqa: PLC0415 - only when run
    from grex.verbs.merge_driver import merge_driver as verb  # noqa: PLC0415 - only when run

    return anyio.run(verb, MergeDriverRequest(base, ours, theirs, path), call.environ).exit_code
