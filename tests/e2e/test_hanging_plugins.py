"""A plugin that hangs, in a grex that people see: it is named, and it cannot keep grex from being ended."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.git_server import GitServer
from tests.support.killing import Started, eventually, flock_is_free, start
from tests.support.workspace import Workspace, pack_yaml

PATIENCE_S = 2.0
PLUGIN = """
import os, time
import anyio
from grex.plugin import PackType


class Stuck(PackType):
    name = "stuck"

    def needs_trust(self, ctx, pack):
        return ()

    def limit_s(self, pack):
        return float(os.environ.get("LIMIT_S", "600"))

    async def install(self, ctx, pack):
        async with ctx.hold(pack) as hold:
            open(os.environ["HERE"], "w").close()
            match os.environ["HOW"]:
                case "blocks":
                    while True:
                        time.sleep(600)
                case "shields":
                    with anyio.CancelScope(shield=True):
                        await anyio.sleep_forever()
                case "waits":
                    await anyio.sleep_forever()
"""


@pytest.fixture
def workspace(tmp_path: Path, server: GitServer) -> Workspace:
    """A workspace with a pack of a type that hangs, and one with nothing unusual."""
    site = tmp_path / "site"
    metadata = site / "grex_stuck-1.0.dist-info"
    metadata.mkdir(parents=True)
    (site / "grex_stuck.py").write_text(PLUGIN)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: grex-stuck\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[grex.pack_types]\nstuck = grex_stuck:Stuck\n")
    workspace = Workspace(tmp_path)
    paths = (os.environ.get("PYTHONPATH"), str(site))
    workspace.environ |= {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "HERE": str(tmp_path / "here"),
        "GREX_TRUST": server.root.as_uri(),
    }
    server.create("slow", {".grex/pack.yaml": pack_yaml("slow", "stuck")})
    server.create("quick", {".grex/pack.yaml": pack_yaml("quick", "scripted"), ".grex/hooks/setup.sh": ":\n"})
    workspace.declare(*({"url": server.url(name), "path": name} for name in ("slow", "quick")))
    return workspace


def insist(grex: Started) -> float:
    """Interrupt again and again, as one does; how long it took until that helped."""
    began = time.monotonic()
    while True:
        grex.interrupt(signal.SIGINT)
        try:
            grex.process.wait(0.1)
        except subprocess.TimeoutExpired:
            assert time.monotonic() - began < 20, "no number of signals ends it"
        else:
            return time.monotonic() - began


@pytest.mark.parametrize("how", ["blocks", "shields"])
def test_a_plugin_that_cannot_be_cancelled_does_not_keep_grex_from_ending(how: str, workspace: Workspace) -> None:
    with start(workspace, "sync", HOW=how) as grex:
        eventually(Path(workspace.environ["HERE"]).exists, "the plugin")
        took_s = insist(grex)
        run = grex.result()
    assert took_s >= PATIENCE_S  # the first ones are for a grex that gets to its end by itself
    assert run.code == -signal.SIGINT
    assert "SIGINT again: ended at once" in run.stderr
    assert flock_is_free(workspace / ".grex.sync.lock")


def test_a_plugin_that_waits_ends_with_the_first_signal(workspace: Workspace) -> None:
    with start(workspace, "sync", HOW="waits") as grex:
        eventually(Path(workspace.environ["HERE"]).exists, "the plugin")
        grex.interrupt(signal.SIGINT)
        assert grex.result().code == 130


def test_a_plugin_that_takes_longer_than_its_limit_is_the_failure_of_its_pack(workspace: Workspace) -> None:
    packs = workspace.sync(expect=8, HOW="waits", LIMIT_S="0.2").packs
    assert packs["quick"]["install"]["status"] == "installed"
    error = packs["slow"]["install"]["error"]
    assert error["message"] == (
        "slow/.grex/pack.yaml:3:1: `install` of the pack type 'stuck' (grex_stuck.Stuck) did nothing that grex could"
        " see for 0.2 s and was"
        " cancelled"
    )
    assert "limit_s" in error["hint"]


@pytest.mark.slow
def test_a_plugin_that_blocks_everything_is_named_after_ten_seconds(workspace: Workspace) -> None:
    with start(workspace, "sync", HOW="blocks") as grex:
        eventually(Path(workspace.environ["HERE"]).exists, "the plugin")
        began = time.monotonic()
        assert grex.process.stderr is not None
        line = ""
        while "blocked" not in line:
            line = grex.process.stderr.readline()
            assert line, "it ended before it said anything"
        assert 8 < time.monotonic() - began < 30
        insist(grex)
    place = Path(workspace.environ["PYTHONPATH"].rpartition(os.pathsep)[2]) / "grex_stuck.py"
    number = PLUGIN.splitlines().index("                        time.sleep(600)") + 1
    assert line.startswith("blocked      slow: grex_stuck.Stuck has let nothing else run for 1")
    assert f" at {place}:{number};" in line
