"""Groups that are off, written into a config.toml that somebody else wrote."""

from __future__ import annotations

import pytest

from grex.errors import ConfigError
from grex.workspace.groups_off import with_groups_off


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", '[groups]\noff = ["a", "b"]\n'),
        ("[sync]\njobs = 1", '[sync]\njobs = 1\n\n[groups]\noff = ["a", "b"]\n'),
        ("[groups]", '[groups]\noff = ["a", "b"]\n'),
        ("[groups] # g\n# c\n\n[sync]\n", '[groups] # g\noff = ["a", "b"]\n# c\n\n[sync]\n'),
        ('[groups]\n# c\noff = ["x"]  # d\n', '[groups]\n# c\noff = ["x", "a", "b"]  # d\n'),
        ("[groups]\noff = [\n  'b',\n]\n[sync]\n", '[groups]\noff = ["b", "a"]\n[sync]\n'),
        ('[groups]\noff = ["b", "a"] # as it is\n', '[groups]\noff = ["b", "a"] # as it is\n'),
    ],
)
def test_groups_are_added_and_everything_else_stays(before: str, after: str) -> None:
    assert with_groups_off(before, ["a", "b"], file="config.toml") == after
    assert with_groups_off(after, ["a", "b"], file="config.toml") == after


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[groups\n", "is not TOML"),
        ('groups = {off = ["x"]}\n', "cannot be written there"),
        ("groups.off = []\n", "cannot be written there"),
        ("[groups]\noff = 1\n", "cannot be written there"),
        ('[sync]\nnote = """\n[groups]\n"""\n', "cannot be written there"),
    ],
)
def test_what_cannot_be_edited_safely_is_left_to_its_author(text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        with_groups_off(text, ["a"], file="config.toml")
    assert told in caught.value.message
    assert caught.value.hint
