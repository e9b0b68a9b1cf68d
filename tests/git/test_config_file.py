"""The in-process reader of git configuration agrees with git."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grex.git.config_file import parse_config, read_config
from tests.support.git_server import git

SAMPLE = r"""
# a comment
[core]
	repositoryformatversion = 0
	bare
	fileMode = false ; trailing
[remote "origin"]
	url = "https://h/x # not a comment"   # a comment
	fetch = +refs/heads/*:refs/remotes/origin/*
[branch "we \"ird\\name"] merge = refs/heads/x
[Section "Sub"]
	Key = one \
two "  three  " four\t\
five
	empty =
	EMPTY2 = ""
[a.b]
	x = y
"""


def test_a_file_with_every_feature_reads_as_in_git(tmp_path: Path) -> None:
    (tmp_path / "config").write_text(SAMPLE)
    config = read_config(tmp_path / "config")
    assert config is not None
    listed = git(tmp_path, "config", "--file", "config", "--list", "-z").rstrip("\0").split("\0")
    expected = {}
    for item in listed:
        name, newline, value = item.partition("\n")
        section, _, rest = name.partition(".")
        sub, _, key = rest.rpartition(".")
        expected[section, sub, key] = value if newline else "true"
    expected["a.b", "", "x"] = expected.pop(("a", "b", "x"))  # the old spelling of a subsection, which nobody asks for
    assert config.values == expected
    assert config.get("CORE", "filemode") == "false"
    assert not config.is_true("core", "fileMode", default=True)
    assert config.is_true("core", "bare", default=False)
    assert config.is_true("core", "nothing", default=True)
    assert not config.has_includes


@pytest.mark.parametrize(
    "text", ["key = outside\n", "[broken\n", '[x]\na = "open\n', "[x]\n1a = b\n", "[x]\na b\n", "[x]\na = \\q\n", "\0"]
)
def test_what_git_refuses_is_not_read_either(text: str, tmp_path: Path) -> None:
    assert parse_config(text) is None


def test_includes_are_reported() -> None:
    for text in ("[include]\npath = x\n", '[includeIf "gitdir:/x/"]\npath = x\n'):
        config = parse_config(text)
        assert config is not None
        assert config.has_includes


def test_a_missing_or_odd_file_is_none(tmp_path: Path) -> None:
    assert read_config(tmp_path / "none") is None
    assert read_config(tmp_path) is None


@settings(max_examples=25, deadline=None)
@given(value=st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=20))
def test_any_value_that_git_writes_is_read_back(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    file = tmp_path_factory.mktemp("config") / "config"
    git(file.parent, "config", "--file", str(file), "a.b c.d", value)
    config = read_config(file)
    assert config is not None
    assert config.get("a", "d", subsection="b c") == value


@given(st.text(st.sampled_from('[]"\\=#; \n\tabcX1.-'), max_size=60))
def test_no_text_makes_it_fail(text: str) -> None:
    parse_config(text)
