"""The graph: who declares whom, and verdicts that do not depend on the order in which declarations were found."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from grex.engine import ROOT, Graph
from grex.errors import CycleError, PackSpecError
from grex.pack import Defaults, OverrideSpec, PackSpec, parse_pack_spec
from tests.support.workspace import pack_yaml

BASE = "https://host.example/team/"


def spec(name: str, *children: Mapping[str, Any] | str, is_root: bool = False, **keys: Any) -> PackSpec:
    """A pack.yaml's values; a child that is only a name is the repository of that name."""
    entries = [{"url": f"{BASE}{child}.git"} if isinstance(child, str) else dict(child) for child in children]
    text = pack_yaml(name, **keys, **({"children": entries} if entries else {}))
    return parse_pack_spec(text.encode(), file=f"{name}/.grex/pack.yaml", is_root=is_root)


def at(path: str, url: str = "x", **keys: Any) -> dict[str, Any]:
    return {"url": f"{BASE}{url}.git", "path": path, **keys}


def grown(*declared: tuple[str, PackSpec], overrides: Mapping[str, OverrideSpec] | None = None) -> Graph:
    graph = Graph(Path("/ws"), overrides or {})
    for parent, found in declared:
        graph.declare(parent, found)
    return graph


def message(graph: Graph, path: str) -> str:
    verdict = graph.verdict(graph.nodes[path])
    assert verdict is not None
    return verdict.message


def override(path: str, *, url: str | None = None, ref: str | None = None) -> dict[str, OverrideSpec]:
    entry = {"path": path, **({"url": url} if url else {}), **({"ref": ref} if ref else {})}
    found = parse_pack_spec(pack_yaml("root", overrides=[entry]).encode(), file=".grex/pack.yaml", is_root=True)
    return {one.path: one for one in found.overrides}


def test_children_lie_below_the_pack_that_declares_them_unless_they_say_otherwise() -> None:
    graph = grown((ROOT, spec("root", "a", is_root=True)), ("a", spec("a", "b", at("/top/c"))))
    assert [node.path for node in graph.ordered()] == ["a", "a/b", "top/c"]
    assert graph.nodes["a/b"].parents == ("a",)


def test_declare_gives_what_nobody_declared_before_in_the_order_of_the_file() -> None:
    graph = Graph(Path("/ws"), {})
    assert [node.path for node in graph.declare(ROOT, spec("root", "z", "a", is_root=True))] == ["z", "a"]
    assert [node.path for node in graph.declare("z", spec("z", at("/a", "a"), "n"))] == ["z/n"]


def test_a_diamond_is_one_node_with_both_parents() -> None:
    graph = grown(
        (ROOT, spec("root", "a", "b", is_root=True)),
        ("b", spec("b", at("/libs/c", "c"))),
        ("a", spec("a", {"url": f"{BASE}c", "path": "/libs/c"})),
    )
    assert graph.verdict(graph.nodes["libs/c"]) is None
    assert graph.nodes["libs/c"].parents == ("a", "b")
    assert graph.nodes["libs/c"].first.parent == "a"


@pytest.mark.parametrize("other", [at("/c", "other"), at("/c", "c", ref="v1")])
def test_a_conflict_names_both_places_and_both_wishes(other: dict[str, Any]) -> None:
    graph = grown(
        (ROOT, spec("root", "a", "b", is_root=True)),
        ("a", spec("a", at("/c", "c"))),
        ("b", spec("b", other)),
    )
    told = message(graph, "c")
    assert "a/.grex/pack.yaml:5:5" in told
    assert "b/.grex/pack.yaml:5:5" in told
    assert f"{BASE}c.git at its HEAD" in told
    assert other["url"] in told
    verdict = graph.verdict(graph.nodes["c"])
    assert verdict is not None
    assert "override for c" in (verdict.hint or "")
    assert len(verdict.details["places"]) == 2


def test_an_override_settles_a_conflict() -> None:
    overrides = override("c", url=f"{BASE}fork", ref="mine")
    graph = grown(
        (ROOT, spec("root", "a", "b", is_root=True)),
        ("a", spec("a", at("/c", "c"))),
        ("b", spec("b", at("/c", "other", ref="v1"))),
        overrides=overrides,
    )
    node = graph.nodes["c"]
    assert graph.verdict(node) is None
    assert (node.url.redacted, node.ref) == (f"{BASE}fork", "mine")
    assert node.first.overridden
    assert graph.unused_overrides() == []


def test_an_override_of_the_ref_leaves_the_url_alone_and_one_for_nobody_is_told() -> None:
    overrides = {**override("a", ref="mine"), **override("nowhere", ref="x")}
    graph = grown((ROOT, spec("root", "a", is_root=True)), overrides=overrides)
    assert (graph.nodes["a"].url.redacted, graph.nodes["a"].ref) == (f"{BASE}a.git", "mine")
    assert [unused.path for unused in graph.unused_overrides()] == ["nowhere"]


def test_a_default_ref_holds_where_the_child_has_none() -> None:
    graph = grown((ROOT, spec("root", "a", at("b", "b", ref="v1"), is_root=True, defaults={"ref": "main"})))
    assert (graph.nodes["a"].ref, graph.nodes["b"].ref) == ("main", "v1")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("libs/core", "libs/Core"),
        (unicodedata.normalize("NFC", "libs/é"), unicodedata.normalize("NFD", "libs/é")),
        ("straße", "STRASSE"),
    ],
)
def test_paths_that_other_machines_would_confuse_are_refused_at_both_places(one: str, other: str) -> None:
    graph = grown(
        (ROOT, spec("root", "a", "b", is_root=True)), ("a", spec("a", at(f"/{one}"))), ("b", spec("b", at(f"/{other}")))
    )
    for path in (one, other):
        told = message(graph, path)
        assert "differ only in case or Unicode form" in told
        assert "a/.grex/pack.yaml" in told
        assert "b/.grex/pack.yaml" in told


def test_a_pack_that_owns_itself_in_another_spelling_is_a_cycle_that_prints_the_chain() -> None:
    graph = grown(
        (ROOT, spec("root", "a", is_root=True)),
        ("a", spec("a", "b")),
        ("a/b", spec("b", {"url": "https://HOST.example:443/team/a/", "path": "again"})),
    )
    verdict = graph.verdict(graph.nodes["a/b/again"])
    assert isinstance(verdict, CycleError)
    assert verdict.details["chain"] == ["a", "a/b", "a/b/again"]
    assert "a -> a/b -> a/b/again" in verdict.message
    assert "b/.grex/pack.yaml:5:5" in verdict.message
    assert graph.verdict(graph.nodes["a"]) is None


def test_a_cycle_through_a_symbolic_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "real.git").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real.git")
    graph = grown(
        (ROOT, spec("root", {"url": str(tmp_path / "real.git"), "path": "a"}, is_root=True)),
        ("a", spec("a", {"url": (tmp_path / "link").as_uri(), "path": "b"})),
    )
    assert isinstance(graph.verdict(graph.nodes["a/b"]), CycleError)


def test_packs_that_own_each_other_at_fixed_paths_are_a_cycle_even_if_the_root_owns_both() -> None:
    root = spec("root", "a", "b", is_root=True)
    graph = grown((ROOT, root), ("a", spec("a", at("/b", "b"))), ("b", spec("b", at("/a", "a"))))
    for path in ("a", "b"):
        verdict = graph.verdict(graph.nodes[path])
        assert isinstance(verdict, CycleError)
        assert set(verdict.details["chain"]) == {"a", "b"}


def test_the_same_pack_in_two_branches_is_no_cycle() -> None:
    graph = grown((ROOT, spec("root", "a", "b", is_root=True)), ("a", spec("a", "tool")), ("b", spec("b", "tool")))
    assert all(graph.verdict(node) is None for node in graph.ordered())


def test_a_cycle_through_a_later_parent_is_the_same_cycle() -> None:
    declared = {
        ROOT: spec("root", "p", "q", is_root=True),
        "p": spec("p", at("/n", "n")),
        "q": spec("q", at("/n", "n")),
        "n": spec("n", at("back", "q")),
    }
    for order in ([ROOT, "p", "q", "n"], [ROOT, "q", "p", "n"], [ROOT, "p", "n", "q"]):
        graph = grown(*((parent, declared[parent]) for parent in order))
        assert message(graph, "n/back").startswith("packs own each other in a circle: q -> n -> n/back"), order


def test_every_url_that_cannot_be_resolved_is_reported_and_nothing_of_the_file_is_taken() -> None:
    graph = Graph(Path("/ws"), {})
    graph.declare(ROOT, spec("root", "a", is_root=True))
    found = spec("a", "x", "y", "ok")
    children = tuple(replace(child, url=f"../../../{child.path}") for child in found.children[:2])
    with pytest.raises(PackSpecError) as caught:
        graph.declare("a", replace(found, children=(*children, found.children[2]), defaults=Defaults(base=BASE)))
    assert len(caught.value.details["problems"]) == 2
    assert set(graph.nodes) == {"a"}


def test_descendants_are_the_packs_with_everything_below_them() -> None:
    graph = grown(
        (ROOT, spec("root", "a", "b", is_root=True)),
        ("a", spec("a", "x", at("/shared", "s"))),
        ("b", spec("b", at("/shared", "s"))),
        ("shared", spec("s", "leaf")),
    )
    assert graph.descendants(["b"]) == {"b", "shared", "shared/leaf"}
    assert graph.descendants([]) == set()


def test_declaring_anew_replaces_what_that_pack_declared_before() -> None:
    graph = grown(
        (ROOT, spec("root", "a", "b", is_root=True)),
        ("a", spec("a", "old", at("/kept", "k"))),
        ("b", spec("b", at("/kept", "k"))),
        ("a/old", spec("old", "leaf")),
    )
    fresh = graph.declare("a", spec("a", "new"))
    assert [node.path for node in fresh] == ["a/new"]
    assert [node.path for node in graph.ordered()] == ["a", "a/new", "b", "kept"]
    assert graph.nodes["kept"].parents == ("b",)
    assert graph.children("a") == [graph.nodes["a/new"]]


def test_a_node_without_a_pack_yaml_is_a_plain_pack_named_after_its_path() -> None:
    graph = grown((ROOT, spec("root", at("libs/a", "a"), is_root=True)))
    assert (graph.nodes["libs/a"].name, graph.nodes["libs/a"].type) == ("a", "plain")
    graph.declare("libs/a", spec("other"))
    assert (graph.nodes["libs/a"].name, graph.nodes["libs/a"].type) == ("other", "meta")


# -- whatever the order  ----------------------------------------------------------------------------------

NAMES = ("a", "b", "c", "d", "e")
ENTRY = st.tuples(st.sampled_from((*NAMES, "D")), st.sampled_from(NAMES), st.sampled_from((None, "v1")))
FILES = st.fixed_dictionaries(
    {name: st.lists(ENTRY, max_size=3, unique_by=lambda one: one[0].lower()) for name in NAMES}
)


def found_in_some_order(files: Mapping[str, Sequence[tuple[str, str, str | None]]], draw: st.DataObject) -> Graph:
    """Walk as the engine does: what is declared may be read at any time after that."""
    graph = Graph(Path("/ws"), {})
    waiting = [node.path for node in graph.declare(ROOT, spec("root", at("a", "a"), at("b", "b"), is_root=True))]
    while waiting:
        path = waiting.pop(draw.draw(st.integers(0, len(waiting) - 1)))
        entries = [at(f"/{child}", url, **({"ref": ref} if ref else {})) for child, url, ref in files.get(path, ())]
        waiting.extend(node.path for node in graph.declare(path, spec(path.lower(), *entries)))
    return graph


@settings(max_examples=60, deadline=None)
@given(files=FILES, draw=st.data())
def test_what_is_reported_does_not_depend_on_the_order_of_discovery(
    files: Mapping[str, Sequence[tuple[str, str, str | None]]], draw: st.DataObject
) -> None:
    seen = []
    for _ in range(2):
        graph = found_in_some_order(files, draw)
        seen.append(
            {
                node.path: (
                    node.parents,
                    node.url.identity,
                    node.ref,
                    None if verdict is None else (verdict.code, verdict.message, verdict.details),
                )
                for node in graph.ordered()
                for verdict in [graph.verdict(node)]
            }
        )
    assert seen[0] == seen[1]
