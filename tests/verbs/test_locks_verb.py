"""`grex locks`: who holds what, found without taking or making anything."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from grex.cli import render
from grex.names import PACK_LOCK_NAME
from grex.verbs.locks import LocksReport, LocksRequest, locks
from grex.workspace import Layout
from tests.support.lock_holder import LockHolder
from tests.support.place import Place
from tests.support.ticket_taker import TicketTaker

pytestmark = pytest.mark.anyio


async def looked(place: Place) -> LocksReport:
    return await locks(LocksRequest(place.root), place.settings())


async def test_nothing_is_held_and_nothing_is_made(place: Place) -> None:
    place.declare({"url": "https://host.example/a"})
    before = sorted(str(path) for path in place.root.rglob("*"))
    assert (await looked(place)).held == ()
    assert sorted(str(path) for path in place.root.rglob("*")) == before


async def test_every_tier_that_is_held_is_named_with_its_holder(place: Place) -> None:
    place.declare({"url": "https://host.example/a"})
    holds = place.session(verb="sync").holds
    root = place.root / "a"
    async with (
        holds.workspace(),
        holds.pack("a", root, "disk"),
        holds.backend("a", root),
        holds.manifest_exclusive("a"),
    ):
        report = await looked(place)
    assert [info.tier.name for info in report.held] == ["WORKSPACE", "MANIFEST", "PACK", "BACKEND"]
    assert {info.pids for info in report.held} == {(os.getpid(),)}
    assert all(one["held"] for one in report.to_json()["held"])
    assert (await looked(place)).held == ()


async def test_broken_declarations_do_not_hide_who_holds_the_workspace(place: Place) -> None:
    place.declare()
    (place / ".grex/pack.yaml").write_text("nonsense")
    async with place.session().holds.workspace():
        assert [info.tier.name for info in (await looked(place)).held] == ["WORKSPACE"]


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="needs the kernel's list of locks")
async def test_a_queue_is_read_at_a_glance_and_a_note_that_was_left_behind_is_marked(place: Place) -> None:
    """Another process holds the workspace, two wait for it; a third was killed and left its note in a pack."""
    place.declare({"url": "https://host.example/a"})
    file = Layout(place.root).workspace_lock
    with LockHolder("pack", place.root / "a") as killed:
        assert killed.ask("take") == "held"
        killed.kill()
    with LockHolder("workspace", place.root) as holder, TicketTaker(file) as one, TicketTaker(file) as two:
        assert holder.ask("take") == "held"
        two.ask("read 8")
        one.ask("take 7")
        report = await looked(place)
        lines = render.locks(report).splitlines()
        document = report.to_json()
    assert [line.split(" on host ")[0] for line in lines] == [
        f"WORKSPACE  held by pid {holder.pid}",
        f"  1. pid {one.pid} tests.support.ticket_taker (waiting)",
        f"  2. pid {two.pid} tests.support.ticket_taker (waiting to read)",
        f"PACK       free; stale note of pid {killed.pid}",
    ]
    assert lines[0].endswith(f"  {file}")
    assert lines[3].endswith(f"the note is stale  {place.root / 'a' / PACK_LOCK_NAME}")
    (held,) = document["held"]
    (other,) = document["others"]
    assert held["tier"] == "WORKSPACE"
    assert [waiter["pid"] for waiter in held["queue"]] == [one.pid, two.pid]
    assert held["held_for_s"] is not None
    assert other["holder"] is not None
    assert (other["tier"], other["held"], other["holder"]["stale"], other["held_for_s"]) == ("PACK", False, True, None)


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="needs the kernel's list of locks")
async def test_a_line_before_a_lock_that_is_free_is_shown(place: Place) -> None:
    place.declare()
    with TicketTaker(Layout(place.root).workspace_lock) as one:
        one.ask("take 7")
        lines = render.locks(await looked(place)).splitlines()
    assert lines == [
        "No lock is held.",
        f"WORKSPACE  free  {Layout(place.root).workspace_lock}",
        f"  1. pid {one.pid} tests.support.ticket_taker (waiting)",
    ]
