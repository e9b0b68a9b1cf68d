"""What `--filter` expressions mean, asked of facts; no disk."""

from __future__ import annotations

import fnmatch
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grex.engine.selection import Facts, Glob, matches, parse_filter, parse_filters
from grex.errors import UsageError


def glob(text: str) -> Glob:
    found = parse_filter(text).terms[0].glob
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("libs/core", ["libs/core"], ["libs", "libs/core/x", "core"]),
        ("libs/*", ["libs/a", "libs/ab"], ["libs/a/b", "libs"]),
        ("*", ["a"], ["a/b"]),
        ("**", ["a", "a/b/c"], []),
        ("libs/**", ["libs/a", "libs/a/b"], ["libs", "libsx/a"]),
        ("**/core", ["core", "a/core", "a/b/core"], ["acore", "a/bcore", "core/a"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["ab", "a/xb", "xa/b"]),
        ("a**b", ["ab", "a/x/b", "axb"], ["a/x/c"]),
        ("a?c", ["abc"], ["a/c", "ac"]),
        ("[a-c]x", ["ax", "cx"], ["dx", "x"]),
        ("[!a-c]x", ["dx"], ["ax", "/x"]),
        ("[]a]x", ["]x", "ax"], ["bx"]),
        ("[a-]x", ["-x", "ax"], ["bx"]),
        ("x[*]", ["x*"], ["xy"]),
        ("./libs/a/", ["libs/a"], ["./libs/a/"]),
        ("./changed", ["changed"], ["x"]),
        ("x[,y]", ["x,", "xy"], ["x"]),
    ],
)
def test_a_glob_is_matched_segment_by_segment(pattern: str, yes: list[str], no: list[str]) -> None:
    assert [path for path in yes if not glob(pattern).matches(path)] == []
    assert [path for path in no if glob(pattern).matches(path)] == []


@given(st.text("ab/*?[]!", max_size=8).filter(lambda text: "**" not in text), st.text("ab/", max_size=6))
def test_without_two_stars_a_glob_is_what_the_shell_means(pattern: str, path: str) -> None:
    """Each segment of the path against the segment of the pattern, by the standard library's reading of it."""
    try:
        found = glob(f"x{pattern}x").matches(f"x{path}x")
    except UsageError:
        return
    segments, parts = f"x{pattern}x".split("/"), f"x{path}x".split("/")
    if any("[" in segment and not re.fullmatch(r"[^\[]*(\[!?[^]]+\][^\[]*)*", segment) for segment in segments):
        return  # a set across a slash, or one that the two read differently
    wanted = len(segments) == len(parts) and all(map(fnmatch.fnmatchcase, parts, segments))
    assert found == wanted


def test_a_glob_of_many_stars_takes_no_longer_than_its_length() -> None:
    """A regular expression would need 2 to the power of 40 steps here."""
    assert not glob("**/" * 40 + "*a" * 40 + "b").matches("a" * 400)


def chosen(*texts: str) -> list[str]:
    """The paths that are of these expressions."""
    facts = (
        Facts("app", "meta", ("dev",), changed=False),
        Facts("libs/core", "declarative", ("dev", "ci"), changed=True),
        Facts("libs/fonts", "declarative", (), changed=False),
        Facts("new", None, (), changed=False),
    )
    return [one.path for one in facts if matches(parse_filters(texts), one) is True]


@pytest.mark.parametrize(
    ("texts", "paths"),
    [
        ([], ["app", "libs/core", "libs/fonts", "new"]),
        (["libs/*"], ["libs/core", "libs/fonts"]),
        (["!libs/*"], ["app", "new"]),
        (["type:declarative"], ["libs/core", "libs/fonts"]),
        (["type:*a*"], ["app", "libs/core", "libs/fonts"]),
        (["!type:meta"], ["libs/core", "libs/fonts"]),
        (["group:dev"], ["app", "libs/core"]),
        (["!group:*"], ["libs/fonts", "new"]),
        (["changed"], ["libs/core"]),
        (["!changed"], ["app", "libs/fonts", "new"]),
        (["libs/*,!group:ci"], ["libs/fonts"]),
        (["libs/*, ! group:ci , type: declarative"], ["libs/fonts"]),
        (["app", "new"], ["app", "new"]),
        (["app,new"], []),
        (["changed", "group:dev,type:meta"], ["app", "libs/core"]),
    ],
)
def test_a_comma_is_and_repeating_is_or_and_a_bang_is_not(texts: list[str], paths: list[str]) -> None:
    assert chosen(*texts) == paths


def test_what_is_not_known_is_neither_true_nor_false() -> None:
    """So that a filter brings nothing that it does not match, and nobody looks where the answer cannot depend on it."""
    unknown = Facts("new")
    assert parse_filter("type:meta").matches(unknown) is None
    assert parse_filter("!type:meta").matches(unknown) is None
    assert parse_filter("changed,other").matches(unknown) is False
    assert matches(parse_filters(["changed", "new"]), unknown) is True
    assert matches(parse_filters(["changed", "other"]), unknown) is None


@pytest.mark.parametrize(
    ("text", "offset", "what"),
    [
        ("", 0, "a condition is missing"),
        ("a,", 2, "a condition is missing"),
        ("a,,b", 2, "a condition is missing"),
        ("a, !", 4, "nothing stands behind `!`"),
        ("!!a", 1, "`!` stands twice"),
        ("a,tpye:x", 2, "there is no condition 'tpye'"),
        ("type: ", 5, "`type:` needs a name"),
        ("a,/b", 2, "a path starts at the workspace root by itself"),
        (".", 0, "the root is no pack that a filter chooses"),
        ("a,./", 4, "the root is no pack that a filter chooses"),
        ("ab[c", 2, "`[` is not closed"),
        ("ab[]", 2, "`[` is not closed"),
        ("type:[", 5, "`[` is not closed"),
        ("a[z-b]", 2, "the range z-b is empty"),
        ("a\\b", 1, "no path holds a backslash"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_offset(text: str, offset: int, what: str) -> None:
    with pytest.raises(UsageError, match=re.escape(what)) as caught:
        parse_filter(text)
    assert f"at offset {offset}:" in caught.value.message
    assert caught.value.details == {"expression": text, "offset": offset}
    assert caught.value.hint


def test_a_mistyped_condition_is_told_which_one_was_meant() -> None:
    with pytest.raises(UsageError) as caught:
        parse_filter("tpye:x")
    assert caught.value.hint == "Did you mean 'type'?"


@given(st.text(max_size=30))
def test_every_text_is_read_or_refused_at_a_place_inside_it(text: str) -> None:
    try:
        found = parse_filter(text)
    except UsageError as error:
        place = error.details["offset"]
    else:
        place = found.terms[-1].offset
        assert found.matches(Facts("a/b", "meta", ("x",), changed=True)) in (True, False)
    assert 0 <= place <= len(text)
