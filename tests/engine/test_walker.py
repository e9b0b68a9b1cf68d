"""The walk: parallel at every depth, and a report that does not tell who was faster."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, cast

import anyio
import pytest
from anyio.lowlevel import checkpoint
from msgspec.structs import replace

from grex.engine import CheckoutOutcome, Checkouts, Graph, Node, Walk, Walked
from grex.errors import PackError, PackSpecError
from grex.manifest import LockLine
from grex.pack import Defaults, PackSpec, parse_pack_spec
from grex.progress import PackFinished, PacksFound, PackStarted
from tests.support.place import Place
from tests.support.workspace import pack_yaml

pytestmark = pytest.mark.anyio

BASE = "https://host.example/team"


def spec(name: str, *children: str | Mapping[str, Any], is_root: bool = False) -> PackSpec:
    """A pack.yaml's values; a child that is only a path is the repository of its last segment."""
    entries = [
        {"url": f"{BASE}/{child.rpartition('/')[2]}", "path": child} if isinstance(child, str) else dict(child)
        for child in children
    ]
    text = pack_yaml(name, children=entries) if entries else pack_yaml(name)
    return parse_pack_spec(text.encode(), file=f"{name}/.grex/pack.yaml", is_root=is_root)


class Disk:
    """Stands in for `Checkouts`: `packs` is what each path declares, `gates` hold a pack back, `broken` fail."""

    def __init__(self, packs: Mapping[str, PackSpec], *, present: Collection[str] = ()) -> None:
        self.packs = dict(packs)
        self.present = set(present)
        self.gates: dict[str, anyio.Event] = {}
        self.began: dict[str, anyio.Event] = {}
        self.broken: set[str] = set()
        self.brought: list[str] = []
        self.passed: list[str] = []
        self.is_stopped = False

    def hold_back(self, path: str) -> anyio.Event:
        gate = self.gates[path] = anyio.Event()
        return gate

    def begun(self, path: str) -> anyio.Event:
        return self.began.setdefault(path, anyio.Event())

    async def hide(self, parent: str, graph: Graph) -> None:
        assert parent == "." or parent in graph.nodes

    async def bring(self, node: Node) -> CheckoutOutcome | None:
        await checkpoint()
        if self.is_stopped:
            return None
        self.brought.append(node.path)
        self.begun(node.path).set()
        if node.path in self.gates:
            await self.gates[node.path].wait()
        if node.path in self.broken:
            return CheckoutOutcome.refused(node.path, PackError(f"{node.path} is broken"))
        return CheckoutOutcome(
            node.path, "cloned", new_sha="1" * 40, spec=self.packs.get(node.path), is_present=True, notes=("brought",)
        )

    async def pass_through(self, node: Node) -> CheckoutOutcome:
        self.passed.append(node.path)
        if node.path not in self.present:
            return CheckoutOutcome(node.path, "passed")
        return CheckoutOutcome(node.path, "passed", spec=self.packs.get(node.path), is_present=True)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def walk(
    place: Place, disk: Disk, *, selected: Collection[str] | None = None, fail_fast: bool = False, lines: Any = None
) -> Walk:
    session = place.session()
    if lines is not None:
        session.lines = lines
    return Walk(
        session,
        cast("Checkouts", disk),
        Graph(session.layout.root, {}),
        selected=selected,
        fail_fast=fail_fast,
    )


def told(walked: Walked) -> dict[str, tuple[str, str]]:
    """What would be reported: status and text of each pack."""
    found = {path: (outcome.status, outcome.text) for path, outcome in walked.outcomes.items()}
    return found | {path: ("not-reached", why) for path, why in walked.not_reached.items()}


async def meanwhile(work: Callable[[], Any], other: Callable[[], Any]) -> None:
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(other)
            await work()


async def test_a_slow_pack_at_depth_one_does_not_hold_up_depth_three_of_another_branch(place: Place) -> None:
    disk = Disk({"fast": spec("fast", "in"), "fast/in": spec("in", "deep"), "slow": spec("slow", "late")})
    gate = disk.hold_back("slow")

    async def release() -> None:
        await disk.begun("slow").wait()
        await disk.begun("fast/in/deep").wait()
        assert "slow/late" not in disk.brought
        gate.set()

    one = walk(place, disk)
    await meanwhile(lambda: one.run(spec("root", "slow", "fast", is_root=True)), release)
    assert sorted(one.walked.outcomes) == ["fast", "fast/in", "fast/in/deep", "slow", "slow/late"]


async def test_a_diamond_is_brought_once(place: Place) -> None:
    disk = Disk({"a": spec("a", "/c"), "b": spec("b", "/c")})
    walked = await walk(place, disk).run(spec("root", "a", "b", is_root=True))
    assert sorted(disk.brought) == ["a", "b", "c"]
    assert walked.graph.nodes["c"].parents == ("a", "b")


async def test_each_pack_is_told_to_begin_and_to_end(place: Place) -> None:
    await walk(place, Disk({})).run(spec("root", "a", is_root=True))
    assert place.seen.events == [
        PacksFound(1),
        PackStarted("a", "checkout"),
        PackFinished("a", "cloned", "a commit at 1111111111"),
    ]


async def test_how_many_packs_there_are_is_told_before_they_begin_and_grows_with_what_they_declare(
    place: Place,
) -> None:
    disk = Disk({"a": spec("a", "/c")})
    await walk(place, disk).run(spec("root", "a", "b", is_root=True))
    counts = [event.count for event in place.seen.events if isinstance(event, PacksFound)]
    assert counts == [1, 2, 3]


async def test_fail_fast_begins_nothing_new_and_lets_finish_what_has_begun(place: Place) -> None:
    disk = Disk({"a": spec("a", "child"), "b": spec("b", "child")})
    disk.broken.add("bad")
    bad, a = disk.hold_back("bad"), disk.hold_back("a")
    one = walk(place, disk, fail_fast=True)

    async def steer() -> None:
        await disk.begun("bad").wait()
        await disk.begun("a").wait()
        bad.set()
        while "bad" not in one.walked.outcomes:
            await checkpoint()
        a.set()

    await meanwhile(lambda: one.run(spec("root", "a", "bad", is_root=True)), steer)
    assert sorted(disk.brought) == ["a", "bad"]
    assert told(one.walked)["a"][0] == "cloned"
    assert told(one.walked)["a/child"] == ("not-reached", "an earlier failure ended the run (--fail-fast)")


async def test_without_fail_fast_a_failure_stops_nobody_else(place: Place) -> None:
    disk = Disk({"a": spec("a", "child"), "bad": spec("bad", "lost")})
    disk.broken.add("bad")
    walked = await walk(place, disk).run(spec("root", "a", "bad", is_root=True))
    assert {path: status for path, (status, _) in told(walked).items()} == {
        "a": "cloned",
        "a/child": "cloned",
        "bad": "failed",
    }


@pytest.mark.parametrize("first", ["a", "b"])
async def test_a_conflict_is_reported_the_same_whoever_was_faster(place: Place, first: str) -> None:
    disk = Disk({"a": spec("a", "/c"), "b": spec("b", {"url": f"{BASE}/other", "path": "/c"}), "c": spec("c", "kid")})
    second = {"a": "b", "b": "a"}[first]
    gate = disk.hold_back(second)
    one = walk(place, disk)

    async def release() -> None:
        await disk.begun("c/kid").wait()
        gate.set()

    await meanwhile(lambda: one.run(spec("root", "a", "b", is_root=True)), release)
    assert sorted(told(one.walked)) == ["a", "b", "c"]
    outcome = one.walked.outcomes["c"]
    assert outcome == CheckoutOutcome.refused("c", cast("PackError", outcome.error))
    assert "a/.grex/pack.yaml:5:5 wants https://host.example/team/c at its HEAD; b/.grex/pack" in outcome.text


async def test_a_conflict_that_is_known_before_the_pack_is_visited_reports_what_a_late_one_does(place: Place) -> None:
    packs = {"b": spec("b", {"url": f"{BASE}/other", "path": "/c"}), "c": spec("c", "kid")}
    root = spec("root", "b", "c", is_root=True)
    disk = Disk(packs)
    gate = disk.hold_back("b")
    late, early = walk(place, disk), walk(place, Disk(packs))

    async def release() -> None:
        await disk.begun("c/kid").wait()
        gate.set()

    await meanwhile(lambda: late.run(root), release)
    early.walked.graph.declare(".", root)
    early.walked.graph.declare("b", packs["b"])
    early._settle()
    assert late.walked.outcomes["c"].text == early.walked.outcomes["c"].text
    assert told(late.walked).keys() == told(early.walked).keys() == {"b", "c"}


async def test_a_shared_pack_below_a_refused_one_stays_with_its_other_parent(place: Place) -> None:
    disk = Disk(
        {
            "b": spec("b", {"url": f"{BASE}/other", "path": "/c"}, "/shared"),
            "c": spec("c", "/shared"),
            "shared": spec("s"),
        }
    )
    gate = disk.hold_back("b")
    one = walk(place, disk)

    async def release() -> None:
        await disk.begun("shared").wait()
        gate.set()

    await meanwhile(lambda: one.run(spec("root", "b", "c", is_root=True)), release)
    assert told(one.walked)["shared"][0] == "cloned"
    assert one.walked.graph.nodes["shared"].parents == ("b",)


async def test_a_cycle_ends_and_names_its_chain(place: Place) -> None:
    disk = Disk(
        {"a": spec("a", {"url": f"{BASE}/b", "path": "b"}), "a/b": spec("b", {"url": f"{BASE}/a", "path": "a"})}
    )
    walked = await walk(place, disk).run(spec("root", "a", is_root=True))
    assert disk.brought == ["a", "a/b"]
    assert "a -> a/b -> a/b/a" in told(walked)["a/b/a"][1]


async def test_a_pack_whose_children_cannot_be_resolved_fails_and_the_others_go_on(place: Place) -> None:
    broken = spec("bad", "x")
    broken = replace(broken, children=(replace(broken.children[0], url="../../../x"),), defaults=Defaults(base=BASE))
    walked = await walk(place, Disk({"bad": broken, "a": spec("a", "child")})).run(
        spec("root", "a", "bad", is_root=True)
    )
    assert told(walked)["a/child"][0] == "cloned"
    assert isinstance(walked.outcomes["bad"].error, PackSpecError)


def line(path: str, *parents: str) -> LockLine:
    return LockLine(
        path=path, url=f"{BASE}/x", ref=None, branch="main", sha="2" * 40, type="plain", parents=parents or (".",)
    )


async def test_packs_that_only_the_lockfile_knows_below_a_failed_one_are_named(place: Place) -> None:
    disk = Disk({"b": spec("b", "/shared")})
    disk.broken.add("a")
    lines = {
        found.path: found
        for found in (
            line("a"),
            line("a/x", "a"),
            line("a/x/y", "a/x"),
            line("shared", "a", "b"),
            line("gone", "nobody"),
            line("b"),
        )
    }
    walked = await walk(place, disk, lines=lines).run(spec("root", "a", "b", is_root=True))
    assert walked.not_reached == {
        "a/x": "a, which declares it, failed",
        "a/x/y": "a/x, which declares it, failed",
    }
    assert told(walked)["shared"][0] == "cloned"


# -- PACK arguments ----------------------------------------------------------------------------------------------------


async def test_a_selection_passes_through_what_is_above_and_brings_what_is_below(place: Place) -> None:
    packs = {"a": spec("a", "in", "side"), "a/in": spec("in", "deep"), "b": spec("b", "other")}
    disk = Disk(packs, present=["a", "b"])
    walked = await walk(place, disk, selected={"a/in"}).run(spec("root", "a", "b", is_root=True))
    assert disk.brought == ["a/in", "a/in/deep"]
    assert sorted(disk.passed) == ["a", "a/side", "b", "b/other"]
    assert walked.not_reached == {}


async def test_a_shared_child_of_a_selected_pack_is_brought_although_another_parent_passed_it_first(
    place: Place,
) -> None:
    packs = {"a": spec("a", "/shared"), "b": spec("b", "/shared"), "shared": spec("shared", "leaf")}
    disk = Disk(packs, present=["b", "shared"])
    gate = disk.hold_back("a")
    one = walk(place, disk, selected={"a"})

    async def release() -> None:
        while "shared/leaf" not in disk.passed:
            await checkpoint()
        gate.set()

    await meanwhile(lambda: one.run(spec("root", "a", "b", is_root=True)), release)
    assert disk.brought == ["a", "shared", "shared/leaf"]
    assert {path: outcome.status for path, outcome in one.walked.outcomes.items()} == {
        "a": "cloned",
        "b": "passed",
        "shared": "cloned",
        "shared/leaf": "cloned",
    }


async def test_a_child_that_a_selected_pack_no_longer_declares_is_forgotten(place: Place) -> None:
    disk = Disk(
        {"a": spec("a", "/shared"), "b": spec("b", "/shared"), "shared": spec("shared", "old")}, present=["b", "shared"]
    )
    gate = disk.hold_back("a")
    one = walk(place, disk, selected={"a"})

    async def release() -> None:
        while "shared/old" not in disk.passed:
            await checkpoint()
        disk.packs["shared"] = spec("shared", "new")
        gate.set()

    await meanwhile(lambda: one.run(spec("root", "a", "b", is_root=True)), release)
    assert disk.brought == ["a", "shared", "shared/new"]
    assert sorted(one.walked.outcomes) == ["a", "b", "shared", "shared/new"]


async def test_what_is_wrong_beside_a_selection_is_none_of_its_business(place: Place) -> None:
    bad = spec("b", "/c", {"url": f"{BASE}/b", "path": "again"})
    disk = Disk({"a": spec("a"), "b": bad, "d": spec("d", {"url": f"{BASE}/other", "path": "/c"})}, present=["b", "d"])
    walked = await walk(place, disk, selected={"a"}).run(spec("root", "a", "b", "d", is_root=True))
    assert [path for path, outcome in walked.outcomes.items() if outcome.status != "passed"] == ["a"]
    assert walked.not_reached == {}


async def test_a_cancelled_walk_starts_nothing_more(place: Place) -> None:
    disk = Disk({"a": spec("a", "child")})
    disk.hold_back("a")
    one = walk(place, disk)
    with anyio.CancelScope() as scope:

        async def cancel() -> None:
            await disk.begun("a").wait()
            scope.cancel()

        await meanwhile(lambda: one.run(spec("root", "a", is_root=True)), cancel)
    assert scope.cancelled_caught
    assert disk.brought == ["a"]
    assert one.walked.outcomes == {}
