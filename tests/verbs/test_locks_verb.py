"""`grex locks`: who holds what, found without taking or making anything."""

from __future__ import annotations

import os

import pytest

from grex.verbs.locks import LocksReport, LocksRequest, locks
from tests.support.place import Place

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
