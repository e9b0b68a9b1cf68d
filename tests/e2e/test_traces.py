"""What the traces of real runs show: work inside a checkout happens under that pack's lock, and tiers are in order.

The hazard: a git, a hook or an action that touches a checkout outside of its PACK hold races with everybody else who
holds the pack, and no test of the outcome would notice. So the runs themselves are looked at, for every pack type:
`--trace` by the rules below, `GREX_LOCK_TRACE` by the offline checker.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tests.support.git_server import GitServer
from tests.support.lock_holder import Kind, LockHolder
from tests.support.lock_trace_checker import check_file
from tests.support.running import Gate, Running, eventually
from tests.support.trace_format import faults, read_trace
from tests.support.workspace import Workspace, pack_yaml

pytestmark = pytest.mark.slow  # whole runs of the program; what they show in small is shown below

Slice: TypeAlias = dict[str, Any]
TIERS = {0, 1, 2, 3, 4}
ODD = 0.001
"""Microseconds that the sum of two numbers of a trace may be off."""


def read_slices(trace: Path) -> list[Slice]:
    """The slices of a trace, which is in order; each with its pack, the name of its track and its end."""
    events = json.loads(trace.read_text())
    assert faults(events) == []
    names = {event["tid"]: event["args"]["name"] for event in events if event["name"] == "thread_name"}
    return [
        {**event, "pack": event["args"]["pack"], "track": names[event["tid"]], "end": event["ts"] + event["dur"]}
        for event in events
        if event["ph"] == "X"
    ]


def contains(outer: Slice, inner: Slice) -> bool:
    """Whether one slice lies within another of the same track, and is about the same pack."""
    is_one = (outer["track"], outer["pack"]) == (inner["track"], inner["pack"])
    return bool(is_one and outer["ts"] <= inner["ts"] and inner["end"] <= outer["end"] + ODD)


def unheld(slices: list[Slice], root: Path, packs: set[str]) -> list[str]:
    """The slices of work that do not lie within a PACK hold of the pack that they work on."""
    holds = [found for found in slices if found["cat"] == "lock" and found["name"].startswith("PACK")]
    wrong = []
    for found in slices:
        if found["cat"] not in ("git", "hook", "action"):
            continue
        where = Path(found["args"]["cwd"]) if "cwd" in found["args"] else root / found["pack"]
        inside = [pack for pack in packs if where == root / pack or (root / pack) in where.parents]
        # A clone is made beside its target, perhaps in the checkout around it, and a remote is asked from nowhere:
        # for these it says itself whose work it is.
        is_clone = found["name"] == "git clone" or any(part.startswith(".grex-tmp-") for part in where.parts)
        pack = found["pack"] if is_clone else max(inside, key=len, default=found["pack"])
        if pack != found["pack"] or not any(contains(hold, found) for hold in holds):
            wrong.append(f"{found['name']} of {found['pack']} in {where}")
    return wrong


def make_upstream(server: GitServer) -> None:
    """A pack of every type, with every action that ships, three levels deep."""
    base = {"base": server.root.as_uri()}
    children = [{"url": "scripted.git"}, {"url": "plain.git"}, {"url": "declarative.git", "path": "/declarative"}]
    server.create("meta", {".grex/pack.yaml": pack_yaml("meta", children=children, defaults=base)})
    hook = "#!/bin/sh\ngit rev-parse HEAD >> done\n"
    server.create(
        "scripted",
        {
            ".grex/pack.yaml": pack_yaml("scripted", "scripted", children=[{"url": "leaf.git"}], defaults=base),
            ".grex/hooks/setup.sh": hook,
            ".grex/hooks/sync.sh": hook,
            ".gitignore": "done\n",
        },
    )
    actions: list[dict[str, Any]] = [
        {"require": {"all_of": [{"cmd_available": "git"}]}},
        {"mkdir": {"path": "made"}},
        {"symlink": {"src": "file", "dst": "made/link"}},
        {"exec": {"cmd": ["git", "status", "--short"]}},
        {"when": {"os": "linux", "actions": [{"exec": {"shell": True, "cmd_shell": "date > made/date"}}]}},
    ]
    server.create(
        "declarative",
        {
            ".grex/pack.yaml": pack_yaml("declarative", "declarative", actions=actions, depends_on=["scripted"]),
            "file": "1\n",
            ".gitignore": "made\n",
        },
    )
    server.create("plain", {"file": "1\n"})
    server.create("leaf", {"file": "1\n"})
    server.create("pinned", {"file": "1\n"})
    server.tag("pinned", "v1", annotated=True)


PACKS = {"meta", "meta/scripted", "meta/scripted/leaf", "meta/plain", "declarative", "pinned"}


@pytest.fixture
def workspace(server: GitServer, tmp_path: Path) -> Workspace:
    """A workspace of all that."""
    make_upstream(server)
    made = Workspace(tmp_path)
    made.environ["GREX_TRUST"] = f"{server.root.as_uri()} ."
    made.declare()
    children = [{"url": server.url("meta")}, {"url": server.url("pinned"), "ref": "v1"}]
    root = pack_yaml("root", "declarative", children=children, actions=[{"mkdir": {"path": "home"}}])
    (made / ".grex/pack.yaml").write_text(root)
    return made


def traced(workspace: Workspace, name: str, *arguments: str) -> tuple[list[Slice], set[int]]:
    """Run a sync with both traces, judge them, and give the slices and the tiers that were held."""
    trace, locks = workspace.home / f"{name}.trace", workspace.home / f"{name}.locks"
    workspace.sync("--trace", str(trace), *arguments, GREX_LOCK_TRACE=str(locks))
    slices = read_slices(trace)
    assert unheld(slices, workspace.root, PACKS) == []
    verdict = check_file(locks)
    assert verdict.findings == []
    return slices, {tier for tier, found in verdict.statistics.items() if found.holds}


@pytest.mark.parametrize("jobs", ["1", "8"])
def test_all_work_inside_a_checkout_lies_within_a_hold_of_that_pack(
    workspace: Workspace, server: GitServer, jobs: str
) -> None:
    """Cold, with nothing to do, and with news of every kind."""
    slices, tiers = traced(workspace, "cold", "--jobs", jobs)
    assert tiers == TIERS
    kinds = {(found["cat"], found["name"].split()[1]) for found in slices if found["cat"] in ("git", "action")}
    assert {("git", "clone")} | {("action", one) for one in ("mkdir", "symlink", "exec", "when", "hook")} <= kinds
    assert {found["pack"] for found in slices if found["cat"] == "hook"} == {"meta/scripted"}
    assert {found["pack"] for found in slices if found["name"] == "git clone"} == PACKS
    assert {"WORKSPACE", "BACKEND", "MANIFEST"} <= {found["name"] for found in slices if found["cat"] == "lock"}
    for kind in ("network", "disk"):
        found_of = [found for found in slices if found["cat"] == "permit" and found["args"]["path"] == kind]
        permits = sorted((found["ts"], found["end"]) for found in found_of)
        assert len(permits) > 1
        assert {found["track"] for found in found_of} <= {f"{kind} {number}" for number in range(1, len(permits) + 1)}
        if jobs == "1":
            assert all(end <= start for (_, end), (start, _) in pairwise(permits))

    slices, _ = traced(workspace, "nothing", "--jobs", jobs)
    assert [found["name"] for found in slices if found["cat"] in ("git", "hook", "action")] == []

    server.commit("plain", {"file": "2\n"})
    server.commit("leaf", {"file": "rewritten\n"}, amend=True)
    server.commit("scripted", {"more": "1\n"})
    server.commit("declarative", {"file": None, "other": "1\n", ".grex/pack.yaml": pack_yaml("declarative")})
    (workspace / "pinned/file").write_text("edited\n")
    slices, tiers = traced(workspace, "news", "--jobs", jobs)
    assert tiers == TIERS
    assert {"git fetch"} <= {found["name"] for found in slices if found["cat"] == "git"}


def test_a_run_that_is_not_told_to_writes_no_trace(workspace: Workspace) -> None:
    traced(workspace, "with")
    before = {path.relative_to(workspace.home) for path in workspace.home.rglob("*")}
    workspace.sync()
    assert {path.relative_to(workspace.home) for path in workspace.home.rglob("*")} == before


def test_the_trace_of_a_killed_run_can_be_read(server: GitServer, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    server.create("held", {".grex/pack.yaml": pack_yaml("held", "scripted"), ".grex/hooks/setup.sh": gate.script()})
    workspace = Workspace(tmp_path)
    workspace.declare({"url": server.url("held")})
    trace, locks = tmp_path / "killed.trace", tmp_path / "killed.locks"
    arguments = ("sync", "--trust", server.root.as_uri(), "--trace", trace)
    with Running(workspace, *arguments, GREX_LOCK_TRACE=str(locks)) as run:
        gate.wait_entered()
        run.kill_with_children()
    events = read_trace(trace)
    assert faults(events) == []
    assert {"git clone", "install begins"} <= {event["name"] for event in events}
    assert any(event["name"].startswith("hook") and event["name"].endswith("begins") for event in events)
    assert check_file(locks).findings == []


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("missing/run.trace", "No such file or directory"),
        (".", "Is a directory"),
        ("file/run.trace", "Not a directory"),
    ],
)
def test_a_trace_that_cannot_be_written_is_said_before_anything_is_done(
    workspace: Workspace, tmp_path: Path, path: str, why: str
) -> None:
    (tmp_path / "file").touch()
    before = workspace.snapshot()
    run = workspace.grex("sync", "--trace", str(tmp_path / path), expect=2)
    assert run.stdout == ""
    lines = run.stderr.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("grex: the trace file ")
    assert why in lines[0]
    assert lines[1].startswith("  hint: ")
    assert workspace.snapshot() == before


@pytest.mark.parametrize(
    ("held", "arguments"),
    [
        ("pack", ("exec", "--", "true")),
        ("pack", ("fetch",)),
        ("pack", ("fork", "../other")),
        ("workspace", ("sync",)),
        ("workspace", ("add", "{url}")),
    ],
    ids=["exec", "fetch", "fork", "sync", "add"],
)
def test_every_verb_shows_who_held_what_it_waited_for(
    server: GitServer, tmp_path: Path, held: Kind, arguments: tuple[str, ...]
) -> None:
    """Killed in the middle of the wait it shows it too; the second time it is let go on."""
    server.create("plain", {"file": "1\n"})
    server.create("more", {"file": "1\n"})
    workspace = Workspace(tmp_path)
    workspace.declare({"url": server.url("plain")})
    workspace.sync()
    trace = tmp_path / "run.trace"
    place = workspace / "plain" if held == "pack" else workspace.root
    command = [argument.format(url=server.url("more")) for argument in arguments]
    with LockHolder(held, place) as other:
        assert other.ask("take") == "held"

        def is_blocked() -> bool:
            return trace.exists() and f"pid {other.pid}" in trace.read_text()

        with Running(workspace, "--trace", trace, *command) as run:
            eventually("a wait in the trace", is_blocked)
            run.kill_with_children()
        assert faults(read_trace(trace)) == []
        with Running(workspace, "--trace", trace, *command) as run:
            eventually("a process that begins anew", lambda: str(run.pid) in trace.read_text())
            eventually("a wait in the trace", is_blocked)
            assert other.ask("release") == "ok"
            run.finish()
        events = json.loads(trace.read_text())
        assert faults(events) == []
        ends = {event["ph"]: event["pid"] for event in events if event["ph"] in "sf"}
        assert ends == {"s": other.pid, "f": run.pid}
    wait = next(event for event in events if event["ph"] == "X" and "handed_over_by" in event["args"])
    assert (wait["args"]["tier"], wait["args"]["path"]) == (held.upper(), str(place))
    if arguments[0] == "exec":
        assert [event["name"] for event in events if event.get("cat") == "command" and event["ph"] == "X"] == ["true"]
