"""What predicates mean, and what they need to ask."""

# ruff: noqa: E501 - the tables hold whole messages; one cut in two cannot be searched for
from __future__ import annotations

import pytest

from grex.pack import Mark, PlainData, PredicateNode, Problems, evaluate, parse_predicate, read_yaml


class Machine:
    """Answers that are made up; counts what is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, node: PredicateNode) -> bool | None:
        self.asked.append(f"{node.kind} {node.value}")
        answers = {"yes": True, "no": False}
        return answers.get(node.value) if isinstance(node.value, str) else None


class Offered:
    """The predicates that there are: two, one of which takes only some values."""

    def __init__(self) -> None:
        self.listed = 0

    def knows(self, kind: str) -> bool:
        return kind in ("asks", "reg_key")

    def check(self, kind: str, value: PlainData, mark: Mark) -> str | None:
        return f"{kind} of {mark} cannot be {value!r}" if value in (7, ["x"]) else None

    def names(self) -> tuple[str, ...]:
        self.listed += 1
        return ("asks", "reg_key")


def parse(text: str) -> tuple[PredicateNode | None, list[str]]:
    problems = Problems()
    node = read_yaml(text.encode(), file="f", problems=problems)
    assert node is not None
    found = parse_predicate(node, problems, predicates=Offered())
    return found, [problem.render().removeprefix("f:") for problem in problems]


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("asks: 'yes'", True),
        ("asks: 'no'", False),
        ("reg_key: elsewhere", None),
        ("all_of: [{asks: 'yes'}, {reg_key: 'yes'}]", True),
        ("all_of: [{asks: 'yes'}, {reg_key: 'no'}]", False),
        ("any_of: [{asks: 'no'}, {reg_key: 'yes'}]", True),
        ("any_of: [{asks: 'no'}, {reg_key: 'no'}]", False),
        ("none_of: [{asks: 'no'}, {reg_key: 'no'}]", True),
        ("none_of: [{asks: 'no'}, {reg_key: 'yes'}]", False),
        ("all_of: [{reg_key: elsewhere}]", False),
        ("any_of: [{reg_key: elsewhere}, {asks: 'yes'}]", True),
        ("none_of: [{reg_key: elsewhere}]", True),
        ("none_of: [{all_of: [{asks: 'yes'}, {none_of: [{asks: 'no'}]}]}]", False),
    ],
)
def test_a_predicate_holds_or_not_and_alone_may_be_unsupported(text: str, holds: bool | None) -> None:
    predicate, problems = parse(text)
    assert predicate is not None
    assert not problems
    assert evaluate(predicate, Machine()) is holds


def test_combiners_ask_no_more_than_they_need() -> None:
    machine = Machine()
    predicate, _ = parse("any_of: [{asks: 'yes'}, {asks: later}]")
    assert predicate is not None
    assert evaluate(predicate, machine) is True
    assert machine.asked == ["asks yes"]


def test_a_value_of_any_form_is_kept_as_declared() -> None:
    predicate, _ = parse("reg_key: {path: [a, 1], deep: {x: ~}}")
    assert predicate is not None
    assert predicate.value == {"path": ["a", 1], "deep": {"x": None}}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("git", "1:1: a predicate is a mapping of keys to values, and this is text (write 'key: value' lines below it)"),
        ("{}", "1:1: a predicate is a mapping with one key, its name (start a new item with '-' for another)"),
        ("{asks: linux, reg_key: A}", "1:1: a predicate is a mapping with one key, its name (start a new item with '-' for another)"),
        ("regkey: a", "1:1: there is no predicate 'regkey' (did you mean 'reg_key'?)"),
        ("asks: 7", "1:7: asks of f:1:1 cannot be 7"),
        ("all_of: [{asks: [x]}]", "1:17: asks of f:1:11 cannot be ['x']"),
        ("all_of: []", "1:9: all_of is empty (name a predicate, or leave the key out)"),
        ("all_of: {asks: linux}", "1:9: all_of is a list, and this is a mapping (write one item to a line, each after '- '; or [] for an empty list)"),
        ("any_of: [{asks: linux}, {nope: 1}]", "1:26: there is no predicate 'nope' (known: all_of, any_of, asks, none_of, reg_key)"),
    ],
)  # fmt: skip
def test_a_mistake_is_reported_and_gives_no_condition(text: str, problem: str) -> None:
    predicate, problems = parse(text)
    assert predicate is None
    assert problems == [problem]


def test_a_value_that_could_not_be_read_is_reported_once() -> None:
    problems = Problems()
    node = read_yaml(b"asks: [*x]", file="f", problems=problems)
    assert node is not None
    before = len(problems)
    assert parse_predicate(node, problems, predicates=Offered()) is None
    assert len(problems) == before == 1


def test_all_names_are_asked_for_only_to_mend_a_mistake() -> None:
    offered = Offered()
    for text in ("asks: a", "nope: a"):
        problems = Problems()
        node = read_yaml(text.encode(), file="f", problems=problems)
        assert node is not None
        parse_predicate(node, problems, predicates=offered)
        assert (offered.listed, len(problems)) == ((0, 0) if text == "asks: a" else (1, 1))


def test_without_anybody_who_offers_predicates_there_are_the_combiners() -> None:
    problems = Problems()
    node = read_yaml(b"none_of: [{os: linux}]", file="f", problems=problems)
    assert node is not None
    assert parse_predicate(node, problems) is None
    assert [problem.hint for problem in problems] == ["known: all_of, any_of, none_of"]


def test_a_combiner_made_by_hand_is_evaluated_like_a_parsed_one() -> None:
    mark = Mark("f", 1, 1)
    leaf = PredicateNode("asks", mark, "yes")
    assert evaluate(PredicateNode("none_of", mark, operands=(leaf,)), Machine()) is False
