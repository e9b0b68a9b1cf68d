"""What predicates mean, and what they need to ask."""

# ruff: noqa: E501 - the tables hold whole messages; one cut in two cannot be searched for
from __future__ import annotations

import pytest

from grex.pack import Mark, PlainData, PredicateNode, Problems, evaluate, parse_predicate, read_yaml


class Machine:
    """Facts that are made up; counts what is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def _answer(self, question: str) -> bool:
        self.asked.append(question)
        return question.endswith(":yes")

    def path_exists(self, path: str) -> bool:
        return self._answer(f"path:{path}")

    def cmd_available(self, name: str) -> bool:
        return self._answer(f"cmd:{name}")

    def os_is(self, platform: str) -> bool:
        return platform == "linux"

    def env_set(self, name: str) -> bool:
        return self._answer(f"env:{name}")

    def symlink_ok(self, src: str, dst: str) -> bool:
        return self._answer(f"link:{src}:{dst}")

    def plugin_predicate(self, kind: str, value: PlainData) -> bool | None:
        self.asked.append(kind)
        return value if isinstance(value, bool) else None


PLUGIN = {"reg_key"}


def parse(text: str) -> tuple[PredicateNode | None, list[str]]:
    problems = Problems()
    node = read_yaml(text.encode(), file="f", problems=problems)
    assert node is not None
    found = parse_predicate(node, problems, plugin_predicates=PLUGIN)
    return found, [problem.render().removeprefix("f:") for problem in problems]


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("path_exists: 'yes'", True),
        ("path_exists: 'no'", False),
        ("cmd_available: 'yes'", True),
        ("env_set: 'no'", False),
        ("symlink_ok: {src: a, dst: 'yes'}", True),
        ("os: linux", True),
        ("os: [macos, linux]", True),
        ("os: windows", False),
        ("reg_key: true", True),
        ("reg_key: false", False),
        ("reg_key: elsewhere", None),
        ("all_of: [{os: linux}, {env_set: 'yes'}]", True),
        ("all_of: [{os: linux}, {env_set: 'no'}]", False),
        ("any_of: [{os: macos}, {env_set: 'yes'}]", True),
        ("any_of: [{os: macos}, {env_set: 'no'}]", False),
        ("none_of: [{os: macos}, {env_set: 'no'}]", True),
        ("none_of: [{os: macos}, {env_set: 'yes'}]", False),
        ("all_of: [{reg_key: elsewhere}]", False),
        ("any_of: [{reg_key: elsewhere}, {os: linux}]", True),
        ("none_of: [{reg_key: elsewhere}]", True),
        ("none_of: [{all_of: [{os: linux}, {none_of: [{os: macos}]}]}]", False),
    ],
)
def test_a_predicate_holds_or_not_and_alone_may_be_unsupported(text: str, holds: bool | None) -> None:
    predicate, problems = parse(text)
    assert predicate is not None
    assert not problems
    assert evaluate(predicate, Machine()) is holds


def test_combiners_ask_no_more_than_they_need() -> None:
    machine = Machine()
    predicate, _ = parse("any_of: [{env_set: 'yes'}, {path_exists: later}]")
    assert predicate is not None
    assert evaluate(predicate, machine) is True
    assert machine.asked == ["env:yes"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("git", "1:1: a predicate is a mapping of keys to values, and this is text (write 'key: value' lines below it)"),
        ("{}", "1:1: a predicate is a mapping with one key, its name (start a new item with '-' for another)"),
        ("{os: linux, env_set: A}", "1:1: a predicate is a mapping with one key, its name (start a new item with '-' for another)"),
        ("path_exist: a", "1:1: there is no predicate 'path_exist' (did you mean 'path_exists'?)"),
        ("path_exists: ''", "1:14: path_exists is empty (write its value, or leave the key out)"),
        ("cmd_available: 7", "1:16: cmd_available is text, and this is a number (write it in quotes)"),
        ("os: []", "1:5: os is empty (known: linux, macos, windows)"),
        ("os: [linux, darwin]", "1:13: os cannot be 'darwin' (known: linux, macos, windows)"),
        ("os: windos", "1:5: os cannot be 'windos' (did you mean 'windows'?)"),
        ("all_of: []", "1:9: all_of is empty (name a predicate, or leave the key out)"),
        ("all_of: {os: linux}", "1:9: all_of is a list, and this is a mapping (write one item to a line, each after '- '; or [] for an empty list)"),
        ("any_of: [{os: linux}, {nope: 1}]", "1:24: there is no predicate 'nope' (known: all_of, any_of, cmd_available, env_set, none_of, os, path_exists, reg_key, symlink_ok)"),
        ("symlink_ok: a", "1:13: symlink_ok is a mapping of keys to values, and this is text (write 'key: value' lines below it)"),
        ("symlink_ok: {src: a}", "1:13: symlink_ok needs 'dst' (write {src: ..., dst: ...})"),
    ],
)  # fmt: skip
def test_a_mistake_is_reported_and_gives_no_condition(text: str, problem: str) -> None:
    predicate, problems = parse(text)
    assert predicate is None
    assert problems == [problem]


def test_a_combiner_made_by_hand_is_evaluated_like_a_parsed_one() -> None:
    mark = Mark("f", 1, 1)
    leaf = PredicateNode("os", mark, ["linux"])
    assert evaluate(PredicateNode("none_of", mark, operands=(leaf,)), Machine()) is False
