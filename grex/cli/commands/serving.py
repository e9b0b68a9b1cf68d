"""The commands for agents: `serve`, and `mcp` with `mcp config`."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import anyio
import typer
from msgspec.structs import replace

from grex.cli.call import Call
from grex.cli.interrupts import cancel_on_signal
from grex.cli.signature import takes

if TYPE_CHECKING:
    import signal

    from grex.engine import Settings
    from grex.mcp.place import Asked, Place
    from grex.progress import Sink

__all__ = ["McpClient", "mcp_config", "mcp_group", "serve", "served_place"]

mcp_group = typer.Typer(
    name="mcp",
    help="Set up clients of grex serve.",
    rich_markup_mode=None,
    no_args_is_help=True,
)


class McpClient(StrEnum):
    """For which client `grex mcp config` prints a snippet."""

    CLAUDE_CODE = "claude-code"
    CLAUDE_DESKTOP = "claude-desktop"
    CODEX = "codex"
    CURSOR = "cursor"
    VSCODE = "vscode"


@mcp_group.command("config")
@takes("quiet", "workspace")
def mcp_config(
    call: Call,
    client: Annotated[McpClient, typer.Option("--client", help="For which client.")] = McpClient.CLAUDE_CODE,
) -> int:
    """Print what a client has to read to serve this workspace."""
    from grex.cli.streams import say  # noqa: PLC0415 - only when run
    from grex.mcp.clients import Client, snippet  # noqa: PLC0415 - only when run

    # As it was started here: a client knows neither the PATH of this shell nor its virtual environment.
    program = Path(sys.argv[0])
    is_script = program.name == "grex" and program.is_file()
    command = [str(program.absolute())] if is_script else [sys.executable, "-m", "grex"]
    found = snippet(Client(client.value), command, call.root())
    say(found.text)
    if not call.quiet:
        print(f"grex: this goes into {found.file}", file=sys.stderr)
    return 0


@takes("workspace", "jobs", "trust", "trace")
def serve(call: Call) -> int:
    """Serve the workspace to an agent, by MCP over stdin and stdout.

    A client starts this, not a person: grex mcp config prints what it has to read for that. The server ends with its
    client. --trace has all calls of its life in one file.
    """
    from contextlib import closing, nullcontext  # noqa: PLC0415 - only when run

    from grex.cli.execution import open_trace  # noqa: PLC0415 - only when run
    from grex.mcp.server import serve as verb  # noqa: PLC0415 - only when run
    from grex.mcp.stdio import claim  # noqa: PLC0415 - only when run

    root = call.root()
    if call.trust:
        _check_trust(call, root)
    if sys.stdin.isatty():
        print("grex: a client speaks here, not a person: `grex mcp config` says how to set it up.", file=sys.stderr)
    caught: list[signal.Signals] = []

    async def hear(scope: anyio.CancelScope, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        try:
            await cancel_on_signal(scope, caught, task_status=task_status)
        finally:
            _end_at_signals()

    async def watch(scope: anyio.CancelScope, group: anyio.abc.TaskGroup) -> None:
        await group.start(hear, scope)

    trace = open_trace(call)
    with nullcontext() if trace is None else closing(trace):
        anyio.run(verb, served_place(call, root, trace), claim(), watch)
    return 0


def _end_at_signals() -> None:
    """From now on a signal ends the process at once: all is done but its end, which is as orderly as without one.

    A client that closes its side sends SIGTERM soon after, if its server is still there.
    """
    import atexit  # noqa: PLC0415 - only when run
    import os  # noqa: PLC0415 - only when run
    import signal  # noqa: PLC0415 - only when run

    from grex.cli.interrupts import endings  # noqa: PLC0415 - only when run

    for signum in endings():
        signal.signal(signum, lambda *_: os._exit(0))
        atexit.register(signal.signal, signum, signal.SIG_IGN)  # when it goes, Python gives up every other handler


def _check_trust(call: Call, root: Path) -> None:
    """Insist that what is trusted for the server's life can be: not each call has to find that out.

    Raises:
        UsageError: something is no prefix of URLs.
    """
    from grex.manifest import read_fork_mark  # noqa: PLC0415 - only when run
    from grex.workspace import Layout, canonical_prefix  # noqa: PLC0415 - only when run

    mark = read_fork_mark(Layout(root).state_dir)
    for prefix in call.trust:
        canonical_prefix(prefix, root if mark is None else Path(mark.base))


def served_place(call: Call, root: Path, trace: Sink | None = None) -> Place:
    """What a server works on: each of its calls has the settings that a command has that is started as it was.

    Args:
        call: how the server was started.
        root: the workspace.
        trace: is told what all calls do.
    """
    from functools import partial  # noqa: PLC0415 - only when run

    from grex.cli.commands.setting import config_request  # noqa: PLC0415 - only when run
    from grex.mcp.place import Place  # noqa: PLC0415 - only when run
    from grex.progress import null_sink  # noqa: PLC0415 - only when run
    from grex.verbs.locate import locate  # noqa: PLC0415 - only when run

    def settings(asked: Asked) -> Settings:
        locate(root, root)  # it may have gone since the server was started
        how = replace(call, verb=asked.verb, no_wait=asked.no_wait, lock_timeout_s=asked.lock_timeout_s)
        return how.settings(root, asked.sink)

    return Place(root, settings, partial(config_request, call), trace=trace or null_sink)
