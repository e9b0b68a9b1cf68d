"""Which claims do not go together: by where paths are, whatever order they come in."""

from __future__ import annotations

import itertools
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grex.engine.claims import Claimant, conflicts, taken
from grex.plugin import Claim
from grex.plugin.testing import RecordingContext
from grex.workspace import Layout
from tests.support.workspace import pack_yaml


def claimant(path: str, *wants: str) -> Claimant:
    return Claimant(path, tuple(Claim(want, f"{path}/.grex/pack.yaml:{line}:1") for line, want in enumerate(wants, 1)))


def refused(*claimants: Claimant, unwelcome: str = "") -> set[str]:
    return set(conflicts(claimants, lambda path: path not in unwelcome.split()))


@pytest.mark.parametrize(
    ("one", "other", "is_refused"),
    [
        ("/nowhere/a", "/nowhere/a", True),
        ("/nowhere/a", "/nowhere/./x/../a/", True),
        ("/nowhere/a", "/nowhere/a/b/c", True),
        ("//nowhere/a", "/nowhere/a/b", True),
        ("directory //", "//nowhere/b", False),
        ("/nowhere/a", "/nowhere/ab", False),
        ("/nowhere/a", "/nowhere/A", False),
        ("variable EDITOR", "variable EDITOR", True),
        ("variable EDITOR", "variable PAGER", False),
        ("directory /nowhere/a", "directory /nowhere/a", False),
        ("directory /nowhere/a", "/nowhere/a", True),
        ("directory /nowhere/a/b", "/nowhere/a", True),
        ("directory /nowhere/a", "/nowhere/a/b", False),
        ("directory EDITOR", "directory EDITOR", True),
    ],
)
def test_two_claims_are_refused_or_not_whoever_comes_first(one: str, other: str, is_refused: bool) -> None:
    expected = {"a", "b"} if is_refused else set()
    assert refused(claimant("a", one), claimant("b", other)) == expected
    assert refused(claimant("a", other), claimant("b", one)) == expected
    assert refused(claimant("a", one, other)) == ({"a"} if is_refused else set())


def test_paths_are_one_where_they_are_one_on_the_disk(tmp_path: Path) -> None:
    (tmp_path / "real/dir").mkdir(parents=True)
    (tmp_path / "alias").symlink_to("real")
    (tmp_path / "link").symlink_to("real/dir")
    assert refused(claimant("a", f"{tmp_path}/real/x"), claimant("b", f"{tmp_path}/alias/x")) == {"a", "b"}
    assert refused(claimant("a", f"{tmp_path}/real/dir"), claimant("b", f"{tmp_path}/alias/dir/x")) == {"a", "b"}
    # The last segment is not followed: one wants the link, the other what it leads to.
    assert refused(claimant("a", f"{tmp_path}/link"), claimant("b", f"{tmp_path}/real/dir")) == set()
    # A link that is in place does not hide what lies below it.
    assert refused(claimant("a", f"{tmp_path}/link"), claimant("b", f"{tmp_path}/link/x")) == {"a", "b"}


def test_who_is_not_welcome_gives_way_and_two_of_them_fail_both() -> None:
    packs = [claimant(path, "/nowhere/a") for path in "abc"]
    assert refused(*packs, unwelcome="b") == {"a", "b", "c"}
    assert refused(*packs[:2], unwelcome="b") == {"b"}
    assert refused(*packs[1:], unwelcome="b c") == {"b", "c"}


def test_each_pair_is_told_once_with_both_places() -> None:
    error = conflicts([claimant("a", "/n/x", "/n/y"), claimant("b", "/n/y", "/n/x/z")], lambda _: True)["a"]
    assert error.details["problems"] == [
        "two packs want /n/y: a at a/.grex/pack.yaml:2:1, and b at b/.grex/pack.yaml:1:1",
        "two packs want /n/x/z (below /n/x): a at a/.grex/pack.yaml:1:1, and b at b/.grex/pack.yaml:2:1",
    ]
    assert error.message == error.details["problems"][0]


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(["a", "a/b", "a/b/c", "b", "ab", "b/a"])), max_size=6))
def test_a_pack_is_refused_exactly_if_one_of_its_pairs_is(wants: list[tuple[bool, str]]) -> None:
    def clash(one: tuple[bool, str], other: tuple[bool, str]) -> bool:
        first, second = PurePosixPath(one[1]), PurePosixPath(other[1])
        return (not one[0] and second.is_relative_to(first)) or (not other[0] and first.is_relative_to(second))

    texts = [("directory " if shared else "") + f"/nowhere/{path}" for shared, path in wants]
    packs = [claimant(f"p{number}", text) for number, text in enumerate(texts)]
    expected = {
        f"p{number}"
        for pair in itertools.combinations(range(len(wants)), 2)
        if clash(wants[pair[0]], wants[pair[1]])
        for number in pair
    }
    assert refused(*packs) == expected


@pytest.mark.parametrize(
    ("want", "is_refused"),
    [
        ("{root}/grex.jsonl", True),
        ("directory {root}/.grex/state/x", True),
        ("{root}", True),
        ("{alias}/grex.jsonl", True),
        ("directory {root}", False),
        ("{root}/.grex/files", False),
        ("directory {root}/.grex", False),
    ],
)
def test_nobody_may_want_what_grex_keeps_for_itself(tmp_path: Path, want: str, is_refused: bool) -> None:
    (tmp_path / "ws").mkdir()
    (tmp_path / "alias").symlink_to("ws")
    what = want.format(root=tmp_path / "ws", alias=tmp_path / "alias")
    found = conflicts(
        [claimant("a", what), claimant("b", "/nowhere")], lambda _: False, Layout(tmp_path / "ws").records
    )
    assert set(found) == ({"a"} if is_refused else set())
    if is_refused:
        assert (
            found["a"].message
            == f"a wants {what.removeprefix('directory ')} at a/.grex/pack.yaml:1:1, and grex keeps its own files there"
        )
        assert found["a"].hint == "Give it another place (`dst`, `path`, `name`)."  # there is no other to be moved


def test_to_make_and_to_take_away_one_directory_is_refused(tmp_path: Path) -> None:
    context = RecordingContext(tmp_path)
    actions = [{"rmdir": {"path": "~/x"}}, {"mkdir": {"path": "~/x"}}]
    pack = context.make_pack("p", pack_yaml=pack_yaml("p", "declarative", actions=actions))
    assert set(conflicts([Claimant("p", context.declared_claims(pack))], lambda _: True)) == {"p"}


def test_what_is_left_of_one_pack_keeps_the_others_out_and_says_which_teardowns_make_room() -> None:
    new = [claimant("a", "/n/x"), claimant("b", "/n/y/z"), claimant("c", "directory /n/x", "/n/free")]
    left = [
        Claimant("a", (Claim("/n/y", "a"),)),
        Claimant("d e", (Claim("/n/x", "d e"), Claim("directory /n/y", "d e"))),
    ]
    found = taken(new, left)
    assert {path: error.message for path, error in found.items()} == {
        path: f"{path} wants {what} at {path}/.grex/pack.yaml:1:1, and {owner}, which has installed {there} and does"
        " not want it any more, has not taken it back"
        for path, what, owner, there in (
            ("a", "/n/x", "d e", "it"),
            ("b", "/n/y/z", "a", "/n/y"),
            ("c", "/n/x", "d e", "it"),
        )
    }
    assert [error.hint and error.hint.split("`")[1] for error in found.values()] == [
        "grex teardown 'd e'",
        "grex teardown a 'd e'",
        "grex teardown 'd e'",
    ]
    assert taken([claimant("a", "/n/y", "/n/y/z")], left[:1]) == {}
