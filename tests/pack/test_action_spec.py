"""Arguments of actions: what each annotation takes, and where a mistake is reported."""

# ruff: noqa: E501 - the tables hold whole messages; one cut in two cannot be searched for
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import pytest

from grex.pack import ActionEntry, Mode, Node, PlainData, PredicateNode, Problems, decode, mode_bits, read_yaml
from grex.plugin import PredicateContext, PredicateType, Registry
from grex.plugin.decoding import RegisteredPredicates


@dataclass(frozen=True)
class Everything:
    """One argument of each kind."""

    src: str
    count: int = 1
    timeout_s: float = 600
    backup: bool = False
    kind: Literal["auto", "file"] = "auto"
    mode: Mode | None = None
    cmd: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    undo: tuple[ActionEntry, ...] = ()
    unless: tuple[PredicateNode, ...] = ()
    cwd: str | None = None


@dataclass(frozen=True)
class When:
    """Conditions among the arguments."""

    conditions: PredicateNode
    actions: tuple[ActionEntry, ...] = ()


@dataclass(frozen=True)
class MaybeWhen:
    """Conditions that may be absent."""

    conditions: PredicateNode | None = None


class RegKey(PredicateType):
    """A predicate that no distribution brings."""

    name = "reg_key"

    def holds(self, value: PlainData, ctx: PredicateContext) -> bool:
        raise AssertionError("nothing is asked here")


KNOWN = RegisteredPredicates(Registry())


def tree(text: str) -> Node:
    problems = Problems()
    node = read_yaml(text.encode(), file="f", problems=problems)
    assert node is not None
    assert not list(problems)
    return node


def mistakes(cls: type, text: str) -> list[str]:
    problems = Problems()
    assert decode(cls, tree(text), problems, what="act", predicates=KNOWN) is None
    return [problem.render().removeprefix("f:") for problem in problems]


def test_arguments_become_the_dataclass_and_absent_ones_its_defaults() -> None:
    problems = Problems()
    text = """\
src: a
count: 3
timeout_s: 5
backup: true
kind: file
mode: 0755
cmd: [x, '']
env: {A: '', B: b}
undo: [{mkdir: {path: p}}]
unless: [{os: linux}, {none_of: [{env_set: CI}]}]
cwd: ~
"""
    value = decode(Everything, tree(text), problems, what="act", predicates=KNOWN)
    assert value is not None
    assert (value.src, value.count, value.timeout_s, value.backup, value.kind) == ("a", 3, 5.0, True, "file")
    assert isinstance(value.timeout_s, float)
    assert value.mode is not None
    assert (value.mode, mode_bits(value.mode)) == ("0755", 0o755)
    assert (value.cmd, value.env, value.cwd) == (("x", ""), {"A": "", "B": "b"}, None)
    assert [entry.kind for entry in value.undo] == ["mkdir"]
    assert [predicate.kind for predicate in value.unless] == ["os", "none_of"]
    assert decode(Everything, tree("src: b"), problems, what="act") == Everything("b")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", ["1:1: act needs 'src' (give it a value)"]),
        ("[]", ["1:1: the argument of act is a mapping of keys to values, and this is a list (write 'key: value' lines below it)"]),
        ("{src: 1}", ["1:7: act.src is text, and this is a number (write it in quotes)"]),
        ("{src: a, scr: b}", ["1:10: act has no key 'scr' (did you mean 'src'?)"]),
        ("{src: a, count: 1.5}", ["1:17: act.count is a whole number, and this is a number (write digits, without quotes)"]),
        ("{src: a, count: true}", ["1:17: act.count is a whole number, and this is true or false (write digits, without quotes)"]),
        ("{src: a, timeout_s: .inf}", ["1:21: act.timeout_s is a finite number, and this is a number (write digits, without quotes)"]),
        ("{src: a, timeout_s: '5'}", ["1:21: act.timeout_s is a finite number, and this is text (write digits, without quotes)"]),
        ("{src: a, timeout_s: true}", ["1:21: act.timeout_s is a finite number, and this is true or false (write digits, without quotes)"]),
        ("{src: a, backup: 'no'}", ["1:18: act.backup is true or false, and this is text (write true or false, without quotes)"]),
        ("{src: a, kind: link}", ["1:16: act.kind cannot be 'link' (known: auto, file)"]),
        ("{src: a, kind: fiel}", ["1:16: act.kind cannot be 'fiel' (did you mean 'file'?)"]),
        ("{src: a, mode: 755}", ['1:16: act.mode is text of 3 or 4 octal digits, and this is a number (quote it, as in "0755")']),
        ("{src: a, mode: '0o755'}", ["1:16: act.mode is text of 3 or 4 octal digits, and this is '0o755' (write it as in \"0755\")"]),
        ("{src: a, mode: '788'}", ["1:16: act.mode is text of 3 or 4 octal digits, and this is '788' (write it as in \"0755\")"]),
        ("{src: a, mode: '07555'}", ["1:16: act.mode is text of 3 or 4 octal digits, and this is '07555' (write it as in \"0755\")"]),
        ("{src: a, cmd: ls}", ["1:15: act.cmd is a list, and this is text (write one item to a line, each after '- '; or [] for an empty list)"]),
        ("{src: a, cmd: [ls, 1]}", ["1:20: an item of act.cmd is text, and this is a number (write it in quotes)"]),
        ("{src: a, env: {A: 1}}", ["1:19: act.env.A is text, and this is a number (write it in quotes)"]),
        ("{src: a, undo: [x]}", ["1:17: an action of act.undo has no arguments (write 'x: {...}')"]),
        ("{src: a, unless: []}", ["1:18: act.unless is empty (name a predicate, or leave the key out)"]),
        ("{src: a, unless: [{os: beos}]}", ["1:24: os cannot be 'beos' (known: linux, macos, windows)"]),
        ("{src: a, cwd: 1, count: ~}", [
            "1:15: act.cwd is text, and this is a number (write it in quotes)",
            "1:25: act.count is a whole number, and this is nothing (write digits, without quotes)",
        ]),
    ],
)  # fmt: skip
def test_each_mistake_is_reported_at_its_argument(text: str, expected: list[str]) -> None:
    assert mistakes(Everything, text) == expected


def test_null_is_for_optional_arguments_only() -> None:
    assert mistakes(Everything, "src: ~") == [
        "1:6: act.src is text, and this is nothing (write its value after the colon)"
    ]


def test_predicates_among_the_arguments_hold_together() -> None:
    problems = Problems()
    value = decode(
        When, tree("os: [linux, macos]\nany_of: [{env_set: A}]\nactions: []"), problems, what="when", predicates=KNOWN
    )
    assert value is not None
    assert value.conditions.kind == "all_of"
    assert [operand.kind for operand in value.conditions.operands] == ["os", "any_of"]
    alone = decode(When, tree("cmd_available: git"), problems, what="when", predicates=KNOWN)
    assert alone is not None
    assert (alone.conditions.kind, alone.conditions.value) == ("cmd_available", "git")


def test_conditions_are_needed_unless_they_have_a_default() -> None:
    assert mistakes(When, "actions: []") == ["1:1: act needs a condition (write os, all_of, any_of or none_of)"]
    assert decode(MaybeWhen, tree("{}"), Problems(), what="act") == MaybeWhen()


def test_the_field_of_conditions_is_no_key_and_predicates_of_plugins_are() -> None:
    assert mistakes(When, "{os: linux, conditions: a}")[0].startswith("1:13: act has no key 'conditions'")
    assert mistakes(When, "reg_key: a")[0].startswith("1:1: act has no key 'reg_key'")
    registry = Registry()
    registry.provide(RegKey())
    predicates = RegisteredPredicates(registry)
    value = decode(When, tree("reg_key: [a]"), Problems(), what="when", predicates=predicates)
    assert value is not None
    assert (value.conditions.kind, value.conditions.value) == ("reg_key", ["a"])


def test_an_argument_that_was_unreadable_decodes_to_nothing_and_is_not_reported_again() -> None:
    problems = Problems()
    node = read_yaml(b"src: *x\ncmd: [*y]\n", file="f", problems=problems)
    assert node is not None
    before = len(problems)
    assert decode(Everything, node, problems, what="act") is None
    assert len(problems) == before


def test_decoding_fails_also_when_the_list_of_problems_is_full() -> None:
    problems = Problems()
    node = tree("src: 1")
    for _ in range(200):
        problems.add(node, "m", "h")
    assert decode(Everything, node, problems, what="act") is None


@dataclass(frozen=True)
class Bad:
    """An annotation that pack.yaml cannot express."""

    value: bytes


@dataclass(frozen=True)
class Twofold:
    """An annotation that does not say what is wanted."""

    value: int | str


@pytest.mark.parametrize("cls", [Bad, Twofold, str])
def test_a_class_that_cannot_be_decoded_is_a_bug_of_its_author(cls: type) -> None:
    with pytest.raises(TypeError, match=cls.__name__):
        decode(cls, tree("value: a"), Problems(), what="act")
