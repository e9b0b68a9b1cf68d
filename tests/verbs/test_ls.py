"""`grex ls`: what is declared and what is there, without a git process."""

from __future__ import annotations

import pytest

from grex.cli import render
from grex.errors import LockfileError, UsageError
from grex.verbs.ls import ListReport, ListRequest, ls
from tests.support.git_server import GitServer
from tests.support.place import Place
from tests.support.workspace import pack_yaml

pytestmark = pytest.mark.anyio


@pytest.fixture
async def nested(place: Place, server: GitServer) -> Place:
    """Two packs share libs/c; a third was never cloned."""
    server.create("c", {"c": "1\n"})
    for name in "ab":
        shared = {"url": server.url("c"), "path": "/libs/c"}
        server.create(name, {".grex/pack.yaml": pack_yaml(name, children=[shared])})
    place.declare(*({"url": server.url(name)} for name in "ab"))
    assert (await place.sync()).exit_code == 0
    place.declare(*({"url": server.url(name)} for name in "ab"), {"url": server.url("gone"), "ref": "v1"})
    return place


async def listed(place: Place, *packs: str) -> ListReport:
    return await ls(ListRequest(place.root, packs), place.settings(environ={"PATH": "/nonexistent"}))


async def test_packs_are_listed_by_path_with_their_parents(nested: Place) -> None:
    report = await listed(nested)
    assert [(pack.path, pack.type, pack.branch, pack.is_present, pack.parents) for pack in report.packs] == [
        ("a", "meta", "main", True, (".",)),
        ("b", "meta", "main", True, (".",)),
        ("gone", "plain", None, False, (".",)),
        ("libs/c", "plain", "main", True, ("a", "b")),
    ]
    assert report.exit_code == 0
    assert [pack.path for pack in report.children_of()] == ["a", "b", "gone"]


async def test_a_tree_shows_a_shared_pack_below_both_parents_and_what_it_owns_once(nested: Place) -> None:
    text = render.ls(await listed(nested), tree=True, long=False)
    assert text.splitlines() == [
        "root (meta)",
        "├── a  meta  main",
        "│   └── libs/c  plain  main",
        "├── b  meta  main",
        "│   └── libs/c  plain  main (see above)",
        "└── gone  plain  not cloned",
    ]


async def test_a_broken_pack_is_listed_with_its_error_and_makes_the_exit_code(nested: Place) -> None:
    (nested / "a/.grex/pack.yaml").write_text("nonsense")
    report = await listed(nested)
    assert report.exit_code == 4
    assert "error: a/.grex/pack.yaml:1:1" in render.ls(report, tree=False, long=True)


async def test_named_packs_are_listed_with_what_lies_below_them(nested: Place) -> None:
    assert [pack.path for pack in (await listed(nested, "a")).packs] == ["a", "libs/c"]
    assert [pack.path for pack in (await listed(nested, "c", "./gone/")).packs] == ["gone", "libs/c"]
    assert await listed(nested, ".") == await listed(nested)
    with pytest.raises(UsageError, match="nonesuch"):
        await listed(nested, "nonesuch")


async def test_a_tree_of_named_packs_begins_at_them(nested: Place) -> None:
    text = render.ls(await listed(nested, "b", "c"), tree=True, long=False)
    assert text.splitlines() == ["└── b  meta  main", "    └── libs/c  plain  main"]


async def test_the_lockfile_is_read_only_where_packs_are_chosen(nested: Place) -> None:
    (nested / "grex.lock.jsonl").write_text("nonsense\n")
    assert len((await listed(nested)).packs) == 4
    with pytest.raises(LockfileError, match=r"grex\.lock\.jsonl"):
        await listed(nested, "a")
