"""Nothing that a pack.yaml can say is without a test that shows what it does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.effects import ROOT, find_test, read_table, what_there_is

TABLE = read_table()


def test_everything_that_a_pack_yaml_can_say_has_a_row_and_nothing_else_has() -> None:
    assert set(TABLE) == what_there_is()


@pytest.mark.parametrize("name", sorted(TABLE))
def test_each_row_names_tests_that_are_there_and_speak_of_it(name: str) -> None:
    assert TABLE[name], f"{name}: no test"
    for path, function in TABLE[name]:
        source = find_test(path, function)
        assert source is not None, f"{name}: there is no {path}::{function}"
        assert re.search(r"\bassert\b|pytest\.raises", source), f"{name}: {function} demands nothing"
        word = name.split(": ")[1].removesuffix("*")
        # In the test itself or, where it is about what everything of the file is about, at least in the file.
        assert re.search(rf"\b{re.escape(word)}", Path(ROOT, path).read_text("utf-8"), re.IGNORECASE), (name, path)
