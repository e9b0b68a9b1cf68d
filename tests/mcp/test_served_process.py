"""A real `grex serve`: its end, what is left of it, and what may go over its standard output."""

from __future__ import annotations

import contextlib
import json
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from tests.support.git_server import git
from tests.support.lock_holder import LockHolder
from tests.support.lock_queue import seen_tickets
from tests.support.mcp_client import ServedProcess
from tests.support.processes import wait_for_file, wait_until_dead
from tests.support.trace_format import faults, read_trace
from tests.support.workspace import Workspace

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The client's event loop; the server is a process of its own."""
    return "asyncio"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace with a checkout that nobody has synced."""
    made = Workspace(tmp_path)
    git(made.root, "init", "--quiet", "a")
    made.declare({"url": "https://host.example/a"})
    return made


ENDS: dict[str, Callable[[ServedProcess], None]] = {
    "eof": lambda server: server.client.hang_up(),
    "sigint": lambda server: server.signal(signal.SIGINT),
    "sigterm": lambda server: server.signal(signal.SIGTERM),
}


@pytest.mark.parametrize("end", ["eof", "sigterm", pytest.param("sigint", marks=pytest.mark.slow)])
async def test_whatever_ends_it_ends_waits_and_commands_in_flight_within_two_seconds(
    workspace: Workspace, end: str
) -> None:
    started, pid_file = workspace.root.parent / "started", workspace.root.parent / "pid"
    script = f'sleep 300 & echo $! > "{pid_file}"; touch "{started}"; wait'
    with (
        LockHolder("workspace", workspace.root) as holder,
        ServedProcess(workspace.root, environ=workspace.environ) as server,
    ):
        assert holder.ask("take") == "held"
        client = server.client
        await client.begin()
        await client.call("sync")
        await client.call("exec", {"command": ["sh", "-c", script]})
        await client.result(await client.request("ping"))
        await wait_for_file(started)
        ENDS[end](server)
        assert await server.ended() == 0
        assert "Traceback" not in server.said
        await wait_until_dead(int(pid_file.read_text()), timeout_s=1)
        answers = await client.rest()
        assert {answer["error"]["message"] for answer in answers} == {"Connection closed"}
        with LockHolder("pack", workspace / "a") as again:
            assert again.ask("take") == "held"


@pytest.mark.parametrize("end", ["sigterm", pytest.param("eof", marks=pytest.mark.slow)])
async def test_a_client_that_does_not_read_does_not_hold_up_the_end(workspace: Workspace, end: str) -> None:
    with (
        LockHolder("workspace", workspace.root) as holder,
        ServedProcess(workspace.root, environ=workspace.environ) as server,
    ):
        assert holder.ask("take") == "held"
        await server.client.begin()
        await server.client.call("sync", _meta={"progressToken": 1})
        for _ in range(20):
            await server.client.request("tools/list")
        await anyio.wait_readable(server.client._in)
        ENDS[end](server)
        assert await server.ended() == 0


@pytest.mark.slow
async def test_two_hundred_cancelled_calls_leave_threads_and_descriptors_as_they_were(workspace: Workspace) -> None:
    """The first wait opens the one inotify of the event loop, which it keeps: that is all that is ever added."""
    with (
        LockHolder("pack", workspace / "a") as holder,
        ServedProcess(workspace.root, environ=workspace.environ) as server,
    ):
        assert holder.ask("take") == "held"
        client, pid = server.client, server.process.pid
        await client.begin()
        fresh = census(pid)
        for number in range(200):
            call = await client.call("exec", {"command": ["true"]})
            await until(lambda: seen_tickets(pid))
            await client.cancel(call)
            await until(lambda: not seen_tickets(pid))
            if number == 0:
                await until(lambda: census(pid) == fresh + Counter(["anon_inode:inotify"]))
        await until(lambda: census(pid) == fresh + Counter(["anon_inode:inotify"]))
        assert client.unasked == []


def census(pid: int) -> Counter[str]:
    """What a process has open, and its threads."""
    found = Counter(f"thread {task.name}" for task in Path(f"/proc/{pid}/task").iterdir())
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found[str(entry.readlink())] += 1
    return found


async def until(is_so: Callable[[], object]) -> None:
    """Wait for something that the server does."""
    with anyio.fail_after(10):
        while not is_so():  # noqa: ASYNC110 - the event is another process's
            await anyio.sleep(0.001)


async def test_only_messages_go_over_standard_output_whatever_a_command_prints(workspace: Workspace) -> None:
    """Also one that writes where its parent's standard output was, and one that reads the client's words."""
    with ServedProcess(workspace.root, environ=workspace.environ, is_modern=True) as server:
        client = server.client
        await client.begin()
        noise = "echo noise; echo noise >&2; echo noise >/proc/$PPID/fd/1; cat </proc/$PPID/fd/0"
        command = ["sh", "-c", noise]
        found = await client.result(await client.call("exec", {"command": command, "no_lock": True}))
        (pack,) = found["structuredContent"]["packs"]
        assert (pack["stdout"], pack["status"]) == ("noise\n", "ran")
        assert client.unasked == []
        assert "noise" in server.said  # what was written to the server's own standard output
        client.hang_up()
        assert await server.ended() == 0
        assert await client.rest() == []


async def test_starting_takes_no_lock_and_writes_nothing(workspace: Workspace) -> None:
    before = workspace.snapshot(times=True, roots=[workspace.home])
    with (
        LockHolder("workspace", workspace.root) as holder,
        LockHolder("writer", workspace.root) as other,
        ServedProcess(workspace.root, environ=workspace.environ) as server,
    ):
        assert holder.ask("take") == "held"
        assert other.ask("take") == "held"
        await server.client.begin()
        tools = await server.client.result(await server.client.request("tools/list"))
        assert tools["tools"]
        server.client.hang_up()
        assert await server.ended() == 0
        assert server.said == ""
    assert {name for name in workspace.snapshot(times=True) if name not in before} <= {
        ".grex.sync.lock",
        ".grex.jsonl.lock",  # of those who held them
    }


async def test_a_person_without_a_workspace_is_told_so(tmp_path: Path, workspace: Workspace) -> None:
    nowhere = tmp_path / "nowhere"
    nowhere.mkdir()
    with ServedProcess(nowhere, environ=workspace.environ) as server:
        assert await server.ended(within_s=20) == 2
        assert "no workspace" in server.said
        assert await server.client.rest() == []


async def test_where_standard_error_leads_to_the_client_too_it_hears_only_messages(workspace: Workspace) -> None:
    within = ["sh", "-c", 'exec "$@" 2>&1', "sh"]
    with ServedProcess(workspace.root, environ=workspace.environ, within=within) as server:
        await server.client.begin()
        noise = ["sh", "-c", "echo noise >/proc/$PPID/fd/2"]
        found = await server.client.result(await server.client.call("exec", {"command": noise, "no_lock": True}))
        assert found["structuredContent"]["packs"][0]["status"] == "ran"
        server.client.hang_up()
        assert await server.client.rest() == []
        assert await server.ended() == 0


async def test_jobs_of_the_server_bound_its_calls(workspace: Workspace) -> None:
    for name in ("b", "c"):
        git(workspace.root, "init", "--quiet", name)
    workspace.declare(*({"url": f"https://host.example/{name}"} for name in "abc"))
    log = workspace.root.parent / "log"
    script = f'echo + >> "{log}"; sleep 0.05; echo - >> "{log}"'
    with ServedProcess(workspace.root, "--jobs", "1", environ=workspace.environ) as server:
        await server.client.begin()
        calls = [await server.client.call("exec", {"command": ["sh", "-c", script]}) for _ in range(2)]
        for call in calls:
            await server.client.result(call)
    assert log.read_text().split() == ["+", "-"] * 6


async def test_one_trace_has_all_calls_of_its_life_and_the_locks_have_theirs(workspace: Workspace) -> None:
    """Also the calls that were cancelled, with who held what they waited for; two at a time have a track each."""
    trace, lock_trace = workspace.root.parent / "trace.json", workspace.root.parent / "locks.jsonl"
    environ = {**workspace.environ, "GREX_LOCK_TRACE": str(lock_trace)}
    with (
        LockHolder("workspace", workspace.root) as holder,
        ServedProcess(workspace.root, "--trace", str(trace), environ=environ) as server,
    ):
        assert holder.ask("take") == "held"
        client = server.client
        await client.begin()
        waiting = await client.call("sync", {"offline": True}, _meta={"progressToken": 1})
        await client.hear(lambda message: message.get("method") == "notifications/progress")
        await client.result(await client.call("exec", {"command": ["true"]}))
        await client.result(await client.call("ls", {"packs": ["nobody"]}))
        await client.cancel(waiting)
        await client.result(await client.call("locks"))
        client.hang_up()
        assert await server.ended() == 0
    events = read_trace(trace)
    assert faults(events) == []
    calls = {event["name"]: event for event in events if event.get("cat") == "call"}
    ended = {name: event["args"]["ended"] for name, event in calls.items()}
    assert ended == {"sync": "cancelled", "exec": "done", "ls": "failed", "locks": "done"}
    assert calls["exec"]["tid"] != calls["sync"]["tid"], "they went on at the same time"
    assert {"git", "command"} & {event.get("cat") for event in events}
    assert any(str(holder.pid) in event["name"] for event in events if event["ph"] == "i"), "who had the lock"
    assert {"wait", "acquire", "cancel"} <= {json.loads(line)["ev"] for line in lock_trace.read_text().splitlines()}


@pytest.mark.parametrize("how", ["option", pytest.param("variable", marks=pytest.mark.slow)])
async def test_what_cannot_be_trusted_is_told_at_the_start_as_by_any_verb(workspace: Workspace, how: str) -> None:
    said = workspace.grex("status", expect=2, GREX_TRUST="file:///").stderr
    options = ("--trust", "file:///") if how == "option" else ()
    environ = workspace.environ if options else workspace.environ | {"GREX_TRUST": "file:///"}
    with ServedProcess(workspace.root, *options, environ=environ) as server:
        assert await server.ended(within_s=20) == 2
        assert server.said == said
        assert await server.client.rest() == []
