"""`--json-lines`: what happens, as it happens, and nothing after the last line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydantic import ConfigDict, TypeAdapter, with_config

from grex.cli.app import run
from grex.cli.event_lines import EventLines
from grex.progress import CommandOutput, LockWait, PackStarted, PluginBlocks, Slice, events, wire
from tests.support.git_server import GitServer
from tests.support.workspace import Workspace, pack_yaml

LINES = [getattr(wire, name) for name in wire.__all__ if name.endswith("Line") and name != "EventLine"]


@pytest.fixture(scope="module")
def schema() -> TypeAdapter[Any]:
    """No key may be there that the types do not name."""
    for kind in LINES:
        with_config(ConfigDict(extra="forbid", strict=True))(kind)
    return TypeAdapter(wire.EventLine)


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    server = GitServer(tmp_path / "up")
    hook = {"exec": {"cmd": ["sh", "-c", "echo one; echo two >&2"]}}
    server.create("tool", {".grex/pack.yaml": pack_yaml("tool", "declarative", actions=[hook])})
    server.create("plain", {"p": "1\n"})
    workspace = Workspace(tmp_path)
    workspace.declare({"url": server.url("tool"), "path": "tool"}, {"url": server.url("plain"), "path": "plain"})
    return workspace


def read(schema: TypeAdapter[Any], text: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in text.splitlines()]
    for line in text.splitlines():
        schema.validate_json(line)
    assert text.endswith("\n")
    assert [line["event"] for line in found if line["event"] in ("report", "error", "stopped")] == [found[-1]["event"]]
    return found


def test_a_run_is_told_line_by_line_and_ends_with_its_document(place: Workspace, schema: TypeAdapter[Any]) -> None:
    done = place.grex("sync", "--json-lines", "--trust", f"file://{place.root.parent}/up")
    lines = read(schema, done.stdout)
    assert lines[-1]["document"]["schema"] == "grex.sync/1"
    told = [(line["event"], line.get("doing") or line.get("status")) for line in lines if line.get("pack") == "tool"]
    order = [one for one in told if one[0] in ("pack-started", "pack-finished")]
    assert order[:2] == [("pack-started", "checkout"), ("pack-finished", "cloned")]
    assert order[2:] == [("pack-started", "install"), ("pack-finished", "installed")]
    said = {line["line"]: line["stream"] for line in lines if line["event"] == "output"}
    assert said == {"one": "stdout", "two": "stderr"}
    assert {line["stage"] for line in lines if line["event"] == "progress"} >= {"receiving"}
    said_again = read(
        schema, place.grex("exec", "plain", "--json-lines", "--", "sh", "-c", "echo hey; exit 3", expect=4).stdout
    )
    kinds = [line["event"] for line in said_again]
    assert kinds == ["packs-found", "pack-started", "command-started", "output", "pack-finished", "report"]
    assert said_again[3]["line"] == "hey"


def test_a_failure_is_the_last_line_and_the_only_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], schema: TypeAdapter[Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["sync", "--json-lines"]) == 2
    assert read(schema, capfd.readouterr().out)[0]["error"]["code"] == "usage.not-a-workspace"
    assert run(["sync", "--json-lines", "--nonesuch"]) == 2
    assert read(schema, capfd.readouterr().out)[0]["error"]["code"] == "usage.invalid"
    assert run(["--json", "sync", "--json-lines"]) == 2
    assert "exclude each other" in capfd.readouterr().out
    assert run(["init", "--quiet"]) == 0
    capfd.readouterr()
    (tmp_path / ".grex/pack.yaml").write_text("nonsense")
    assert run(["status", "--json-lines"]) == 3
    assert [line["event"] for line in read(schema, capfd.readouterr().out)] == ["error"]


def test_a_reader_that_goes_after_the_first_line_ends_nothing_but_the_telling(place: Workspace) -> None:
    reader, writer = os.pipe()
    command = place.command("sync", "--json-lines")
    with subprocess.Popen(
        command, cwd=place.root, env=place.environ, stdout=writer, stderr=subprocess.PIPE, text=True
    ) as running:
        os.close(writer)
        with os.fdopen(reader) as lines:
            assert json.loads(lines.readline())["event"] == "packs-found"
        _, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (141, "")
    assert set(place.locked()) == {"plain", "tool"}


def test_a_reader_that_does_not_read_holds_up_no_event(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], schema: TypeAdapter[Any]
) -> None:
    """Everything but passing progress waits in memory, and comes in order once it is read."""
    reader, writer = os.pipe()
    kept = os.dup(1)
    os.dup2(writer, 1)
    try:
        lines = EventLines()
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(writer)
    for number in range(3000):
        lines(CommandOutput("p", "c", f"{number:0100}", "stdout"))
        lines(events.GitProgress("p", "receiving", number % 100))
    lines(Slice("s", "git", "t", 0, 1))
    lines(LockWait("PACK", "/x", 1.5, None, 2, (7,)))
    lines(PluginBlocks("p", "x", "y:1", 2.0))

    found: list[str] = []
    import threading  # noqa: PLC0415 - one use

    def drain() -> None:
        with os.fdopen(reader) as stream:
            found.append(stream.read())

    draining = threading.Thread(target=drain)
    draining.start()
    assert lines.report({"schema": "grex.x/1", "name": "\udcff"}, 7) == 7
    lines(PackStarted("p", "late"))
    draining.join()
    told = read(schema, found[0].replace("\\udcff", "?"))
    assert [int(line["line"]) for line in told if line["event"] == "output"] == list(range(3000))
    assert 0 < sum(line["event"] == "progress" for line in told) < 3000
    assert [line["event"] for line in told[-3:]] == ["lock-wait", "blocked", "report"]


def test_the_schema_of_events_names_every_kind(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schema", "events"]) == 0
    found = json.loads(capsys.readouterr().out)
    kinds = {one["properties"]["event"]["const"] for one in found["$defs"].values() if "event" in one["properties"]}
    assert kinds >= {"pack-started", "pack-finished", "progress", "lock-wait", "output", "report", "error", "stopped"}
    assert len(kinds) == len(LINES)


def test_a_signal_ends_the_stream_with_a_line_of_its_own(place: Workspace, schema: TypeAdapter[Any]) -> None:
    place.sync("plain")
    command = place.command("exec", "plain", "--json-lines", "--", "sh", "-c", "echo ready; exec sleep 60")
    with subprocess.Popen(
        command, cwd=place.root, env=place.environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as running:
        assert running.stdout is not None
        begun = ""
        for line in running.stdout:
            begun += line
            if json.loads(line)["event"] == "output":
                break
        running.send_signal(signal.SIGINT)
        rest = running.stdout.read()
    assert running.returncode == 130
    last = read(schema, begun + rest)[-1]
    assert (last["event"], last["signal"], last["exit_code"]) == ("stopped", "SIGINT", 130)
