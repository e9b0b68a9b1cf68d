"""Which paths a pack may have, and when two of them are one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grex.names import check_pack_path, fold_key, resolve_pack_path


@pytest.mark.parametrize(
    "path",
    [
        "a",
        "libs/core",
        "Käse/日本語/👋",
        "with space/and 'quotes' \"$x\" *?[]<>|;&",
        ".github",
        ".gitx",
        ".grexy",
        "a.git",
        "grex-lock",
        "console",
        "com10",
        "a/b/c/d/e/f",
        "x" * 255,
        "-".join("ab"),
        "a~1",
        " leading",
    ],
)
def test_an_ordinary_path_is_accepted(path: str) -> None:
    assert check_pack_path(path) is None


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "is empty"),
        ("/a", "is absolute"),
        ("a//b", "holds an empty segment"),
        ("a/", "holds an empty segment"),
        (".", "holds the segment '.'"),
        ("a/../b", "holds the segment '..'"),
        ("-a", "holds a segment that starts with '-'"),
        ("a/-b", "holds a segment that starts with '-'"),
        ("~", "holds a segment that starts with '~'"),
        ("a\\b", "holds a backslash"),
        ("c:/x", "holds a colon"),
        ("a\nb", "holds a control character or one that cannot be printed"),
        ("a\x00", "holds a control character or one that cannot be printed"),
        (".g\u200cit", "holds a control character or one that cannot be printed"),
        ("\udcff", "holds a control character or one that cannot be printed"),
        ("a.", "holds a segment that ends with a dot or a space"),
        ("a /b", "holds a segment that ends with a dot or a space"),
        ("...", "holds a segment that ends with a dot or a space"),
        ("é" * 128, "holds a segment of more than 255 bytes"),
        ("a/" * 1100 + "a", "is longer than 2048 bytes"),
        (".git", "holds '.git', a name that git or grex keeps for itself"),
        ("a/.GIT/b", "holds '.GIT', a name that git or grex keeps for itself"),
        (".Grex/hooks", "holds '.Grex', a name that git or grex keeps for itself"),
        (".grex-LOCK", "holds '.grex-LOCK', a name that git or grex keeps for itself"),
        (".grex.sync.lock", "holds '.grex.sync.lock', a name that git or grex keeps for itself"),
        (".grex.lock", "holds '.grex.lock', a name that git or grex keeps for itself"),
        (".x.grex-backend.lock", "holds '.x.grex-backend.lock', a name that git or grex keeps for itself"),
        (".grex-tmp-", "holds '.grex-tmp-', a name that git or grex keeps for itself"),
        (".grex-tmp-abc", "holds '.grex-tmp-abc', a name that git or grex keeps for itself"),
        ("CON", "holds 'CON', a device name on Windows"),
        ("a/nul.txt", "holds 'nul.txt', a device name on Windows"),
        ("com1", "holds 'com1', a device name on Windows"),
        ("LPT³.x", "holds 'LPT³.x', a device name on Windows"),
        ("con .txt", "holds 'con .txt', a device name on Windows"),
    ],
)
def test_a_path_with_a_meaning_elsewhere_is_refused_with_its_reason(path: str, reason: str) -> None:
    assert check_pack_path(path) == reason


@pytest.mark.parametrize(
    ("one", "other"), [("Käse", "ka\u0308SE"), ("straße", "STRASSE"), ("Libs/Core", "libs/cORE"), ("ǅ", "ǆ")]
)
def test_paths_that_a_file_system_confuses_have_one_key(one: str, other: str) -> None:
    assert fold_key(one) == fold_key(other)


def test_different_paths_have_different_keys() -> None:
    assert fold_key("a/b") != fold_key("a-b")
    assert fold_key("e") != fold_key("é")


@given(st.text(max_size=40))
def test_folding_twice_changes_nothing(path: str) -> None:
    assert fold_key(fold_key(path)) == fold_key(path)


@given(st.text(alphabet=st.characters(), max_size=60))
def test_an_accepted_path_stays_below_its_root(path: str) -> None:
    if check_pack_path(path) is None:
        assert not path.startswith("/")
        assert ".." not in path.split("/")
        path.encode()


@pytest.mark.parametrize(
    ("declaring", "path", "resolved"),
    [("", "a", "a"), ("libs", "core", "libs/core"), ("libs/core", "/tools/x", "tools/x"), ("", "/a", "a")],
)
def test_a_path_is_relative_to_the_declaring_pack_unless_it_starts_with_a_slash(
    declaring: str, path: str, resolved: str
) -> None:
    assert resolve_pack_path(declaring, path) == resolved


@pytest.mark.parametrize("path", ["", "/", "//a", "../a", "a/../../b"])
def test_a_refused_path_is_not_resolved(path: str) -> None:
    with pytest.raises(ValueError, match=r"^(is|holds) "):
        resolve_pack_path("libs", path)
