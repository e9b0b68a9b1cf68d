"""Nothing that a pack.yaml or a command line can say is without a test that shows what it does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.effects import COMMANDS, PAGE, ROOT, find_test, read_table, what_a_call_can_say, what_there_is

TABLE = read_table(PAGE)
CALLS = read_table(COMMANDS)


def test_everything_that_a_pack_yaml_can_say_has_a_row_and_nothing_else_has() -> None:
    assert set(TABLE) == what_there_is()


def test_every_verb_and_option_has_a_row_and_nothing_else_has() -> None:
    assert set(CALLS) == what_a_call_can_say()


@pytest.mark.parametrize("name", sorted(TABLE))
def test_each_row_names_tests_that_are_there_and_speak_of_it(name: str) -> None:
    speaks_of(name, TABLE[name], name.split(": ")[1].removesuffix("*"))


@pytest.mark.parametrize("name", sorted(CALLS))
def test_each_row_of_a_call_names_tests_that_are_there_and_speak_of_it(name: str) -> None:
    last = name.rsplit(maxsplit=1)[-1]
    speaks_of(name, CALLS[name], last.rpartition("-")[2] if last.isupper() else last.removeprefix("--"))


def speaks_of(name: str, tests: list[tuple[str, str]], word: str) -> None:
    assert tests, f"{name}: no test"
    spelled = re.escape(word).replace(r"\-", "[-_]")
    for path, function in tests:
        source = find_test(path, function)
        assert source is not None, f"{name}: there is no {path}::{function}"
        assert re.search(r"\bassert\b|pytest\.raises|expect=", source), f"{name}: {function} demands nothing"
        # In the test itself or, where it is about what everything of the file is about, at least in the file.
        assert re.search(rf"\b{spelled}", Path(ROOT, path).read_text("utf-8"), re.IGNORECASE), (name, path)
