"""Which refs are accepted: as git decides, and never an option."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grex.names import check_ref, is_full_sha


@pytest.mark.parametrize(
    "ref", ["main", "v1.0", "refs/tags/v1", "feature/x-y", "käse", "a@b", "deadbeef", "x.locked", "{", "0" * 40]
)
def test_an_ordinary_name_is_accepted(ref: str) -> None:
    assert check_ref(ref) is None


@pytest.mark.parametrize(
    ("ref", "reason"),
    [
        ("", "is empty"),
        ("-x", "starts with '-'"),
        ("--orphan=x", "starts with '-'"),
        ("HEAD", "names no branch or tag"),
        ("@", "names no branch or tag"),
        ("a b", "holds ' '"),
        ("a\x00b", r"holds '\x00'"),
        ("a\x7f", r"holds '\x7f'"),
        ("main~1", "holds '~'"),
        ("main^", "holds '^'"),
        ("a:b", "holds ':'"),
        ("a*", "holds '*'"),
        ("a\\b", r"holds '\\'"),
        ("a..b", "holds '..'"),
        ("main@{1}", "holds '@{'"),
        ("a.", "ends with a dot"),
        ("/a", "holds an empty component"),
        ("a//b", "holds an empty component"),
        ("a/", "holds an empty component"),
        ("a/.b", "holds a component that starts with a dot"),
        ("a.lock/b", "holds a component that ends with '.lock'"),
        ("x" * 1025, "is not UTF-8 of at most 1024 bytes"),
        ("\udcff", "is not UTF-8 of at most 1024 bytes"),
    ],
)
def test_a_name_that_git_refuses_is_refused_with_its_reason(ref: str, reason: str) -> None:
    assert check_ref(ref) == reason


@given(st.text(alphabet="ab/.@{}-~^: lock\\[*?\x01é", min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_git_agrees(ref: str) -> None:
    if ref in {"@", "HEAD"} or ref.startswith("-"):
        return  # stricter than git, on purpose
    answer = subprocess.run(["git", "check-ref-format", "--allow-onelevel", ref], check=False)
    assert (check_ref(ref) is None) == (answer.returncode == 0)


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("0" * 40, True),
        ("A" * 64, True),
        ("0" * 39, False),
        ("0" * 41, False),
        ("g" * 40, False),
        ("0" * 40 + "\n", False),
    ],
)
def test_only_a_whole_object_id_is_one(text: str, full: bool) -> None:
    assert is_full_sha(text) is full
