"""Several grex at once on one workspace: they queue, name whom they wait for, and none of them fails or hangs.

The hazard: two syncs of the usual tools on one workspace give errors at best, and damage that no later run heals at
worst. Here the second one waits for the first and says for whom; it fails only where it was told not to wait, or where
waiting could never end (a hook that syncs the very workspace whose sync runs the hook).
"""

from __future__ import annotations

import json
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.git_server import GitServer, git
from tests.support.lock_trace_checker import check_file
from tests.support.running import Gate, Running, error_of, together
from tests.support.workspace import Workspace, pack_yaml

SYNCS = 8
HOLDER = re.compile(
    r"pid (?P<pid>\d+) on host (?P<host>\S+), grex (?P<verb>\w+), "
    r"for \d+ s \(since (?P<since>\d{4}-\d\d-\d\dT[\d:]+Z)\)"
)


def assert_right(workspace: Workspace, wanted: Mapping[str, str]) -> None:
    """Every pack is at its commit, its work tree matches it, and the lockfile says the same."""
    assert {path: line["sha"] for path, line in workspace.locked().items()} == dict(wanted)
    for path, sha in wanted.items():
        assert git(workspace / path, "rev-parse", "HEAD") == sha
        assert git(workspace / path, "status", "--porcelain") == ""
        git(workspace / path, "fsck", "--strict", "--no-dangling")


@dataclass
class Upstream:
    """Five packs on a server: a meta pack with two children, one that tracks a branch, one that is pinned to a tag."""

    server: GitServer

    def create(self) -> None:
        """Make the repositories."""
        defaults = {"base": self.server.root.as_uri()}
        children = [{"url": "left.git"}, {"url": "right.git"}]
        self.server.create("left", {"left": "1\n"})
        self.server.create("right", {"right": "1\n"})
        self.server.create("meta", {".grex/pack.yaml": pack_yaml("meta", children=children, defaults=defaults)})
        self.server.create("branch", {"file": "1\n"})
        self.server.create("pinned", {"file": "1\n"})
        self.server.tag("pinned", "v1")

    def declare(self, workspace: Workspace) -> None:
        """Declare them."""
        workspace.declare(
            {"url": self.server.url("meta")},
            {"url": self.server.url("branch"), "ref": "main"},
            {"url": self.server.url("pinned"), "ref": "v1"},
        )

    def push(self, number: int) -> None:
        """Move the branches: a changed file, a new one, and the one of the round before deleted."""
        before = {f"news-{number - 1}": None} if number > 1 else {}
        for name in ("branch", "left", "right"):
            self.server.commit(name, {"changing": f"{number}\n", f"news-{number}": "here\n", **before})

    def commits(self) -> dict[str, str]:
        """Which commit belongs at which path."""
        at = {name: git(self.server.path(name), "rev-parse", "main") for name in ("meta", "left", "right", "branch")}
        return {
            "branch": at["branch"],
            "meta": at["meta"],
            "meta/left": at["left"],
            "meta/right": at["right"],
            "pinned": git(self.server.path("pinned"), "rev-parse", "v1^{commit}"),
        }


@pytest.fixture
def upstream(server: GitServer) -> Upstream:
    """The five packs."""
    made = Upstream(server)
    made.create()
    return made


def overlap(upstream: Upstream, base: Path, rounds: int) -> None:
    """Rounds of eight syncs at once: each in a fresh workspace, then once more there with news upstream."""
    trace = base / "locks.jsonl"
    for number in range(1, rounds + 1):
        workspace = Workspace(base, f"ws-{number}")
        workspace.environ["GREX_LOCK_TRACE"] = str(trace)
        upstream.declare(workspace)
        for news in (False, True):
            if news:
                upstream.push(number)
            runs = together(workspace, SYNCS, "sync", "--json")
            assert_right(workspace, upstream.commits())
            did = ["moved" if news else "cloned" for pack in upstream.commits() if not (news and pack in UNMOVED)]
            changes = [pack["status"] for run in runs for pack in run.packs.values() if pack["status"] != "unchanged"]
            assert changes == did, "one of them does the work, the others find it done"
            assert [run.document["lockfile_changed"] for run in runs].count(True) == 1
    assert check_file(trace).findings == []


UNMOVED = {"meta", "pinned"}


@pytest.mark.slow
def test_eight_syncs_started_together_all_succeed_cold_and_with_news_upstream(
    upstream: Upstream, tmp_path: Path
) -> None:
    overlap(upstream, tmp_path, rounds=1)


@pytest.mark.exhaustive
@pytest.mark.timeout(180)
def test_eight_syncs_started_together_all_succeed_again_and_again(upstream: Upstream, tmp_path: Path) -> None:
    overlap(upstream, tmp_path, rounds=10)


# --- while a sync holds the workspace


@dataclass
class Held:
    """A workspace whose first sync stands in a hook, until the gate is opened."""

    workspace: Workspace
    gate: Gate
    first: Running

    def holder(self, text: str) -> dict[str, str]:
        """Whom a message names as the holder."""
        found = HOLDER.search(text)
        assert found is not None, text
        return found.groupdict()

    def assert_named(self, text: str) -> None:
        """The message names the first sync: pid, host, verb, and since when."""
        named = self.holder(text)
        assert int(named["pid"]) == self.first.pid
        assert named["host"] == socket.gethostname()
        assert named["verb"] == "sync"


def make_gated(server: GitServer, tmp_path: Path) -> tuple[Workspace, Gate]:
    gate = Gate(tmp_path / "gate")
    server.create("quiet", {"file": "1\n"})
    hook = {".grex/hooks/setup.sh": gate.script()}
    server.create("held", {".grex/pack.yaml": pack_yaml("held", "scripted"), **hook})
    workspace = Workspace(tmp_path)
    workspace.environ["GREX_TRUST"] = server.root.as_uri()
    workspace.declare({"url": server.url("quiet")}, {"url": server.url("held")})
    return workspace, gate


@pytest.fixture
def held(server: GitServer, tmp_path: Path) -> Iterator[Held]:
    """A workspace that is held."""
    workspace, gate = make_gated(server, tmp_path)
    with Running(workspace, "sync", "--json") as first:
        gate.wait_entered()
        yield Held(workspace, gate, first)


def test_each_waiter_names_the_holder_and_succeeds_when_it_has_ended(held: Held) -> None:
    waiters = [Running(held.workspace, "sync") for _ in range(3)]
    try:
        for waiter in waiters:
            waiter.wait_for("waiting 1 s for the workspace")
            said = [line for line in waiter.stderr.splitlines() if "waiting" in line]
            assert len(said) == 1
            assert str(held.workspace.root) in said[0]
            held.assert_named(said[0])
        assert not held.first.has_ended
        held.gate.open()
        assert held.first.finish().packs["held"]["install"]["status"] == "installed"
        for waiter in waiters:
            summary = waiter.finish().stdout.splitlines()[-1]
            assert "2 unchanged" in summary
            told = re.search(r"; ([\d.]+) s, ([\d.]+) s of them waiting for pids? ([\d, ]+)\.$", summary)
            assert told is not None, "the whole time, and the wait apart"
            assert float(told[1]) >= float(told[2]) >= 1
            assert str(held.first.pid) in told[3].split(", ")
    finally:
        for waiter in waiters:
            waiter.__exit__(None, None, None)


def test_a_sync_that_must_not_wait_fails_at_once_and_names_the_holder(held: Held) -> None:
    run = held.workspace.grex("sync", "--no-wait", expect=5)
    assert run.stdout == ""
    assert len(run.stderr.splitlines()) == 2
    assert run.stderr.startswith("grex: ")
    assert "  hint: " in run.stderr
    held.assert_named(run.stderr)


def test_a_sync_that_waits_no_longer_than_it_was_told_says_who_had_the_lock(held: Held) -> None:
    run = held.workspace.grex("sync", "--lock-timeout", "0.3", expect=5)
    assert "did not come free within 0.3 s: " in run.stderr  # the limit as it was given, not what it came to
    held.assert_named(run.stderr)


def test_a_busy_lock_is_a_json_document_with_the_holder_in_it(held: Held) -> None:
    for options, code in ((["--no-wait"], "lock.busy"), (["--lock-timeout", "0.1"], "lock.timeout")):
        error = error_of(held.workspace.grex("sync", "--json", *options, expect=5))
        assert (error["code"], error["exit_code"]) == (code, 5)
        assert error["hint"]
        holder = error["details"]["holder"]
        assert (holder["pid"], holder["host"], holder["verb"]) == (held.first.pid, socket.gethostname(), "sync")
        assert (holder["tier"], holder["stale"]) == ("WORKSPACE", False)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]+Z", holder["acquired_at"])
        assert error["details"]["path"] == str(held.workspace.root)


def test_locks_shows_who_holds_what_while_a_sync_runs_and_nothing_afterwards(held: Held) -> None:
    said = held.workspace.grex("locks").stdout
    files = [line.split() for line in said.splitlines() if not line.startswith(" ")]
    assert files == [
        ["WORKSPACE", str(held.workspace / ".grex.sync.lock")],
        ["PACK", str(held.workspace / "held/.grex-lock")],
    ]
    holders = said.split("\n  held by ")[1:]
    assert len(holders) == 2
    for below in holders:
        held.assert_named(" ".join(below.split()))
    document = held.workspace.grex("locks", "--json").document
    assert document["schema"] == "grex.locks/1"
    assert [(lock["tier"], lock["path"], lock["pids"]) for lock in document["held"]] == [
        ("WORKSPACE", str(held.workspace / ".grex.sync.lock"), [held.first.pid]),
        ("PACK", str(held.workspace / "held/.grex-lock"), [held.first.pid]),
    ]
    held.gate.open()
    held.first.finish()
    assert held.workspace.grex("locks").stdout == "No lock is held.\n"
    assert held.workspace.grex("locks", "--json").document["held"] == []


def test_what_only_looks_does_not_wait_for_a_sync(held: Held) -> None:
    for verb in (["status"], ["ls"], ["ls", "--tree"], ["locks"], ["trust"], ["sync", "--dry-run"]):
        held.workspace.grex(*verb)
    assert not held.first.has_ended


# --- a pack that another program holds


@pytest.fixture
def with_foreign_lock(server: GitServer, tmp_path: Path) -> Iterator[tuple[Workspace, subprocess.Popen[str]]]:
    """A synced workspace with news upstream for both packs, and flock(1) holding one of them."""
    workspace = Workspace(tmp_path)
    for name in ("busy", "free"):
        server.create(name, {"file": "1\n"})
    workspace.declare({"url": server.url("busy")}, {"url": server.url("free")})
    workspace.sync()
    for name in ("busy", "free"):
        server.commit(name, {"file": "2\n"})
    flock = ["flock", str(workspace / "busy/.grex-lock"), "sh", "-c", "echo held; read -r _ || :"]
    with subprocess.Popen(flock, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "held\n"
        yield workspace, holder
        holder.stdin.close()


@pytest.mark.parametrize(
    ("options", "code"), [(["--no-wait"], "lock.busy"), (["--lock-timeout", "0.2"], "lock.timeout")]
)
def test_a_pack_that_another_program_holds_fails_alone(
    with_foreign_lock: tuple[Workspace, subprocess.Popen[str]], options: list[str], code: str
) -> None:
    workspace, holder = with_foreign_lock
    run = workspace.sync(*options, expect=4)
    assert run.packs["busy"]["status"] == "failed"
    assert run.packs["busy"]["error"]["code"] == code
    assert run.packs["busy"]["error"]["details"]["holder"]["pid"] == holder.pid
    assert run.packs["free"]["status"] == "moved"
    assert (workspace / "busy/file").read_text() == "1\n"
    assert (workspace / "free/file").read_text() == "2\n"


def test_a_pack_that_another_program_holds_is_waited_for_and_the_others_go_on(
    with_foreign_lock: tuple[Workspace, subprocess.Popen[str]],
) -> None:
    workspace, holder = with_foreign_lock
    with Running(workspace, "sync") as run:
        run.wait_for("waiting 1 s for the pack")
        assert f"held by pid {holder.pid} " in run.stderr
        assert re.search(r"^moved +free", run.stderr, re.MULTILINE)
        assert holder.stdin is not None
        holder.stdin.write("go\n")
        holder.stdin.flush()
        run.finish()
    assert (workspace / "busy/file").read_text() == "2\n"


# --- grex inside a hook


def in_hook(server: GitServer, tmp_path: Path, script: str) -> Workspace:
    """A workspace with one pack whose hook runs this script, with `$grex` as the command."""
    lines = ["#!/bin/sh", "set -u", f"grex='{shlex.quote(sys.executable)} -m grex'", f"out={tmp_path}", script]
    hook = {".grex/hooks/setup.sh": "\n".join(lines) + "\n"}
    server.create("pack", {".grex/pack.yaml": pack_yaml("pack", "scripted"), **hook})
    workspace = Workspace(tmp_path)
    workspace.environ["GREX_TRUST"] = server.root.as_uri()
    workspace.declare({"url": server.url("pack")})
    return workspace


def test_what_only_looks_works_inside_a_hook(server: GitServer, tmp_path: Path) -> None:
    script = "for verb in status ls locks; do $grex $verb --json > $out/$verb.json || echo $? > $out/$verb.code; done"
    workspace = in_hook(server, tmp_path, script)
    workspace.sync()
    assert list(tmp_path.glob("*.code")) == []
    for verb in ("status", "ls", "locks"):
        document = json.loads((tmp_path / f"{verb}.json").read_text())
        assert (document["schema"], document["workspace"]) == (f"grex.{verb}/1", str(workspace.root))
    assert [lock["tier"] for lock in json.loads((tmp_path / "locks.json").read_text())["held"]] == ["WORKSPACE", "PACK"]


@pytest.mark.parametrize("how", ["told by GREX_HELD", "found among its ancestors"])
def test_a_sync_inside_a_hook_of_the_same_workspace_fails_at_once_and_names_the_chain(
    server: GitServer, tmp_path: Path, how: str
) -> None:
    lost = "" if how == "told by GREX_HELD" else "env -u GREX_HELD "
    workspace = in_hook(server, tmp_path, f"{lost}$grex sync --json > $out/nested 2>&1; echo $? > $out/code; exit 3")
    run = workspace.sync(expect=4)
    assert run.packs["pack"]["install"]["status"] == "failed"
    assert (tmp_path / "code").read_text() == "5\n"
    error = json.loads((tmp_path / "nested").read_text())["error"]
    assert (error["code"], error["exit_code"]) == ("lock.deadlock", 5)
    chain = error["details"]["chain"]
    assert re.match(r"pid \d+( \(grex sync\))? holds WORKSPACE", chain[0])
    assert re.match(r"pid \d+ wants WORKSPACE", chain[-1])
    assert str(workspace.root) in chain[0]
    assert str(workspace.root) in chain[-1]


def test_a_sync_inside_a_hook_works_on_another_workspace(server: GitServer, tmp_path: Path) -> None:
    server.create("elsewhere", {"file": "1\n"})
    other = Workspace(tmp_path, "other")
    other.declare({"url": server.url("elsewhere")})
    workspace = in_hook(server, tmp_path, f"exec $grex sync --quiet --workspace {other.root}")
    workspace.sync()
    assert (other / "elsewhere/file").read_text() == "1\n"
