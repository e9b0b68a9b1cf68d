"""The MCP server: how fast a cancelled call lets go, how it answers meanwhile, and a tool call beside a command.

One real server and one client of it, with one of 10 packs held by another process:

- *a cancel*: a call is taken back 30 ms after it was made, while it waits for WORKSPACE, PACK, BACKEND, MANIFEST or a
  permit. It lasts until the server has no ticket for the lock any more and another call, `exec` in a pack for which the
  cancelled one had a permit, has gone through: everything that it had is free by then.
- *a ping*: while twenty calls wait, and after they were all taken back.
- *`status`*: the tool against the command, in turns; and against a ping, which costs what the wire does.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio

from bench.ground import many, small_upstream
from bench.measure import table
from tests.support.lock_holder import Kind, LockHolder
from tests.support.lock_queue import seen_tickets
from tests.support.mcp_client import Conversation, ServedProcess
from tests.support.workspace import Workspace

__all__ = ["run"]

PACKS = 10
WAITING = 20
PINGS = 200
CANCEL_BAR_MS = 250
PING_BAR_MS = 10
_AFTER_S = 0.03

# What is held, where, and a call that waits for it. A permit is waited for by the second of two calls for a held pack.
_WAITS: dict[str, tuple[Kind, str, str, dict[str, Any]]] = {
    "WORKSPACE": ("workspace", ".", "sync", {}),
    "PERMIT": ("pack", "p000", "exec", {"command": ["true"], "packs": ["p001"]}),
    "PACK": ("pack", "p000", "exec", {"command": ["true"], "packs": ["p000"]}),
    "BACKEND": ("backend", "p000", "fetch", {"packs": ["p000"]}),
    "MANIFEST": ("writer", ".", "status", {}),
}
_OTHER = {"command": ["true"], "packs": ["p002"]}


def run(base: Path, rounds: int) -> None:
    """Measure and print."""
    workspace = many(base, "served", small_upstream(base), PACKS, ref="v1")
    anyio.run(_run, workspace, rounds)


async def _run(workspace: Workspace, rounds: int) -> None:
    with ServedProcess(workspace.root, "--jobs", "1", environ=workspace.environ) as server:
        await server.client.begin()
        await server.client.result(await server.client.call("status"))
        await _cancels(workspace, server, rounds)
        await _pings(workspace, server)
        await _status(workspace, server, rounds)


async def _cancels(workspace: Workspace, server: ServedProcess, rounds: int) -> None:
    rows = [["cancelled in its wait for", "ms, median", "greatest", "samples"]]
    every: list[float] = []
    for name, (kind, where, tool, arguments) in _WAITS.items():
        with LockHolder(kind, Path(os.path.normpath(workspace / where))) as holder:
            taken = [await _cancel(server, holder, name, tool, arguments) for _ in range(rounds * 3)]
        every += taken
        rows.append([name, f"{statistics.median(taken):.1f}", f"{max(taken):.1f}", str(len(taken))])
    median = statistics.median(every)
    rows.append(
        [f"all (bar {CANCEL_BAR_MS}): {_verdict(median, CANCEL_BAR_MS)}", f"{median:.1f}", f"{max(every):.1f}", ""]
    )
    table("From the cancel until locks and permits are free", rows)


async def _cancel(server: ServedProcess, holder: LockHolder, name: str, tool: str, arguments: dict[str, Any]) -> float:
    """The time from the cancel to the answer of a call that needs what the cancelled one had, in ms."""
    client = server.client
    _expect(holder.ask("take"), "held")
    ahead = [await client.call("exec", {"command": ["true"], "packs": ["p000"]})] if name == "PERMIT" else []
    call = await client.call(tool, arguments)
    await anyio.sleep(_AFTER_S)
    start = time.perf_counter()
    for id_ in [call, *ahead]:
        await client.cancel(id_)
    if name == "MANIFEST":  # every call reads it
        await client.result(await client.request("ping"))
    else:
        await client.result(await client.call("exec", _OTHER))
    while seen_tickets(server.process.pid):  # noqa: ASYNC110 - the kernel's list, which has no event
        await anyio.sleep(0.0005)
    took = time.perf_counter() - start
    _expect(holder.ask("release"), "ok")
    used = await client.result(await client.call("exec", {"command": ["true"], "packs": ["p000"]}))
    _expect(used["structuredContent"]["packs"][0]["status"], "ran")
    _expect([message for message in client.unasked if "method" not in message], [])
    return took * 1000


async def _pings(workspace: Workspace, server: ServedProcess) -> None:
    client = server.client
    with LockHolder("workspace", workspace.root) as holder, LockHolder("pack", workspace / "p000") as other:
        _expect((holder.ask("take"), other.ask("take")), ("held", "held"))
        calls = [
            await client.call(*(("sync", {}) if number % 2 else ("exec", {"command": ["true"], "packs": ["p000"]})))
            for number in range(WAITING)
        ]
        await anyio.sleep(_AFTER_S)
        waiting = [await _timed(lambda: client.request("ping"), client) for _ in range(PINGS)]
        for call in calls:
            await client.cancel(call)
        after = [await _timed(lambda: client.request("ping"), client) for _ in range(PINGS)]
    rows = [["ping", "ms, median", "greatest", "samples"]]
    for name, taken in ((f"while {WAITING} calls wait", waiting), ("after they were taken back", after)):
        median = statistics.median(taken)
        label = f"{name} (bar {PING_BAR_MS}): {_verdict(median, PING_BAR_MS)}"
        rows.append([label, f"{median:.2f}", f"{max(taken):.2f}", str(len(taken))])
    table("Answers meanwhile", rows)


async def _status(workspace: Workspace, server: ServedProcess, rounds: int) -> None:
    """The command is another process; the tool is a call to one that is there."""
    client = server.client
    tool, command, ping, nothing = [], [], [], []
    for _ in range(rounds * 2):
        tool.append(await _timed(lambda: client.call("status"), client))
        ping.append(await _timed(lambda: client.request("ping"), client))
        command.append(await _process(workspace.command("status", "--json"), workspace))
        nothing.append(await _process([sys.executable, "-c", "pass"], workspace))
    whole = statistics.median(tool)
    rows = [["", "ms, median", "least", "times the tool"]]
    cases = (("status, the tool", tool), ("status --json, the command", command))
    for name, taken in (*cases, ("ping", ping), ("python -c pass", nothing)):
        median = statistics.median(taken)
        rows.append([name, f"{median:.1f}", f"{min(taken):.1f}", f"{median / whole:.2f}"])
    table(f"One look at {PACKS} packs ({len(tool)} rounds, in turns)", rows)


async def _timed(ask: Callable[[], Awaitable[int]], client: Conversation) -> float:
    start = time.perf_counter()
    await client.result(await ask())
    return (time.perf_counter() - start) * 1000


async def _process(argv: list[str], workspace: Workspace) -> float:
    start = time.perf_counter()
    await anyio.run_process(argv, cwd=workspace.root, env=workspace.environ)
    return (time.perf_counter() - start) * 1000


def _verdict(found: float, bar: float) -> str:
    return "met" if found <= bar else "NOT met"


def _expect(found: object, expected: object) -> None:
    if found != expected:
        raise SystemExit(f"expected {expected!r}, found {found!r}")
