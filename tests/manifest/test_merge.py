"""Two sides have changed what is declared or locked: nothing of either is lost, and only a real conflict is one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from grex.errors import LockfileError
from grex.manifest import LockLine, parse_lockfile, render_lockfile
from grex.manifest.merge import merge_lockfiles, merge_pack_yaml

SHAS = [digit * 40 for digit in "abc"]
A, B, C = (LockLine(path, f"https://host.example/{path}", None, "main", SHAS[0], "plain", (".",)) for path in "abc")

TAGGED, MOVED = replace(A, ref="v2", branch=None), replace(A, url="https://host.example/moved")


def lock(*lines: LockLine) -> bytes:
    return render_lockfile(lines)


def at(line: LockLine, sha: str) -> LockLine:
    return replace(line, sha=sha)


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "merged"),
    [
        ((A,), (A, B), (A, C), (A, B, C)),
        ((), (A,), (A,), (A,)),
        ((A, B), (A,), (A, B), (A,)),
        ((A, B), (A, B), (B,), (B,)),
        ((A, B), (at(A, SHAS[1]), B), (A, at(B, SHAS[2])), (at(A, SHAS[1]), at(B, SHAS[2]))),
        ((A,), (at(A, SHAS[1]),), (at(A, SHAS[1]),), (at(A, SHAS[1]),)),
        ((A,), (at(A, SHAS[1]),), (at(TAGGED, SHAS[1]),), (at(TAGGED, SHAS[1]),)),
        ((A,), (at(MOVED, SHAS[1]),), (at(TAGGED, SHAS[1]),), (at(replace(TAGGED, url=MOVED.url), SHAS[1]),)),
    ],
)
def test_each_line_is_that_of_the_side_that_changed_it(
    base: tuple[LockLine, ...], ours: tuple[LockLine, ...], theirs: tuple[LockLine, ...], merged: tuple[LockLine, ...]
) -> None:
    for mine, other in ((ours, theirs), (theirs, ours)):
        found = merge_lockfiles(lock(*base), lock(*mine), lock(*other))
        assert (found.data, found.conflicts) == (lock(*merged), ())


def test_parents_are_merged_as_a_set_and_beside_a_new_commit() -> None:
    base = replace(A, parents=(".", "x"))
    ours, theirs = replace(A, parents=(".", "x", "y")), replace(at(A, SHAS[1]), parents=(".",))
    assert merge_lockfiles(lock(base), lock(ours), lock(theirs)).data == lock(replace(theirs, parents=(".", "y")))


@pytest.mark.parametrize("theirs", [(), (at(A, SHAS[2]),)])
def test_what_both_changed_differently_stands_between_markers_and_the_rest_is_merged(
    theirs: tuple[LockLine, ...],
) -> None:
    found = merge_lockfiles(lock(A), lock(at(A, SHAS[1]), B), lock(*theirs, C))
    assert found.conflicts == ("a",)
    assert found.data.splitlines()[-2:] == lock(B, C).splitlines()
    with pytest.raises(LockfileError, match="unfinished merge"):
        parse_lockfile(found.data, file="f")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (at(A, SHAS[1]), TAGGED),
        (at(TAGGED, SHAS[1]), replace(at(A, SHAS[1]), ref="v3")),
        (at(MOVED, SHAS[1]), replace(at(A, SHAS[1]), url="https://host.example/elsewhere")),
    ],
)
def test_fields_of_two_sides_are_not_mixed_into_what_neither_has_seen(ours: LockLine, theirs: LockLine) -> None:
    """Another commit than was found for that ref, or one of two refs for no reason."""
    for mine, other in ((ours, theirs), (theirs, ours)):
        assert merge_lockfiles(lock(A), lock(mine), lock(other)).conflicts == ("a",)
    assert merge_lockfiles(b"", lock(at(A, SHAS[1])), lock(at(TAGGED, SHAS[1]))).conflicts == ("a",)


LINES = st.dictionaries(
    st.sampled_from("abcd"), st.tuples(st.sampled_from(SHAS), st.sets(st.sampled_from([".", "a", "b"]), min_size=1))
)


@given(LINES, LINES, LINES)
def test_a_merge_is_the_same_from_both_sides_and_keeps_what_one_side_left_alone(
    base: dict[str, tuple[str, set[str]]],
    ours: dict[str, tuple[str, set[str]]],
    theirs: dict[str, tuple[str, set[str]]],
) -> None:
    def written(lines: dict[str, tuple[str, set[str]]]) -> bytes:
        return lock(*(replace(A, path=path, sha=sha, parents=tuple(sorted(who))) for path, (sha, who) in lines.items()))

    one, other = (merge_lockfiles(written(base), written(x), written(y)) for x, y in ((ours, theirs), (theirs, ours)))
    assert one.conflicts == other.conflicts
    if not one.conflicts:
        assert one.data == other.data
        merged = parse_lockfile(one.data, file="f")
        for path in base.keys() | ours.keys() | theirs.keys():
            if ours.get(path) == base.get(path):
                assert merged.get(path) == parse_lockfile(written(theirs), file="f").get(path)


BASE = """schema_version: "1"
name: root # the team's
type: meta
children:
  # what everybody needs
  - url: https://host.example/core
    ref: v1
  - {url: https://host.example/tool, path: tools/tool}
x-team: [a]
"""


def declared(*entries: str, base: str = BASE) -> str:
    return base.replace("x-team", "".join(entries) + "x-team")


ONE = "  - url: https://host.example/one\n    # because\n    depth: 1\n    remotes: {up: https://host.example/up}\n"
TWO = "  - url: https://host.example/two\n    submodules: true\n"


def test_both_added_a_pack_at_the_end() -> None:
    merged = merge_pack_yaml(BASE, declared(ONE), declared(TWO), merged_text=None)
    assert merged == declared(ONE, TWO)


def test_both_added_the_same_pack_and_one_more_each() -> None:
    assert merge_pack_yaml(BASE, declared(ONE), declared(ONE, TWO), merged_text=None) == declared(ONE, TWO)


def test_a_pack_that_lines_would_give_twice_is_there_once() -> None:
    twice = declared(ONE, TWO, ONE)
    assert merge_pack_yaml(BASE, declared(ONE), declared(TWO, ONE), merged_text=twice) == declared(ONE, TWO)


def test_a_merge_of_lines_that_is_none_of_packs_is_taken_as_it_is() -> None:
    changed = BASE.replace("everybody", "each of us")
    assert merge_pack_yaml(BASE, BASE, changed, merged_text=changed) == changed


def test_one_side_changed_an_entry_and_its_neighbour_was_removed_by_the_other() -> None:
    ours = BASE.replace("ref: v1", "ref: v2")
    theirs = BASE.replace("  - {url: https://host.example/tool, path: tools/tool}\n", "")
    assert merge_pack_yaml(BASE, ours, theirs, merged_text=None) == theirs.replace("v1", "v2")


def test_two_keys_of_one_entry_were_changed() -> None:
    ours = BASE.replace("ref: v1", "ref: v2")
    theirs = BASE.replace("ref: v1", "ref: v1\n    groups: [dev, ci]\n    depth: 3")
    assert merge_pack_yaml(BASE, ours, theirs, merged_text=None) == theirs.replace("v1", "v2")
    assert merge_pack_yaml(BASE, theirs, ours, merged_text=None) == theirs.replace("v1", "v2")


def test_the_side_that_changed_more_than_its_packs_is_the_one_that_is_kept() -> None:
    ours, theirs = declared(TWO), declared(ONE).replace("x-team: [a]", "x-team: [a, b]").replace("root #", "all #")
    for mine, other in ((ours, theirs), (theirs, ours)):
        assert merge_pack_yaml(BASE, mine, other, merged_text=None) == theirs.replace("x-team", TWO + "x-team")


def test_a_list_that_was_not_there_is_made() -> None:
    base = 'schema_version: "1"\nname: root\ntype: meta\nchildren: []\n'
    ours, theirs = (base.replace(" []\n", "\n" + entry) for entry in (ONE, TWO))
    assert merge_pack_yaml(base, ours, theirs, merged_text=None) == base.replace(" []\n", "\n" + ONE + TWO)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (BASE.replace("ref: v1", "ref: v2"), BASE.replace("ref: v1", "ref: v3")),
        (BASE.replace("  - url: https://host.example/core\n    ref: v1\n", ""), BASE.replace("ref: v1", "ref: v3")),
        (declared(ONE), declared(ONE.replace("depth: 1", "depth: 2"))),
        (BASE.replace("[a]", "[a, b]"), BASE.replace("[a]", "[a, c]")),
        (BASE, "nonsense: ["),
        (BASE, declared(ONE, ONE)),
    ],
)
def test_what_both_changed_differently_or_nobody_can_read_is_left_to_a_person(ours: str, theirs: str) -> None:
    for mine, other in ((ours, theirs), (theirs, ours)):
        assert merge_pack_yaml(BASE, mine, other, merged_text=None) is None
