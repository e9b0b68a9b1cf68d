"""What scalars mean and where nodes stand."""

from __future__ import annotations

import math
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grex.pack import Problems, read_yaml
from grex.pack.yaml_events import Value, _resolve


def value_of(text: str) -> object:
    problems = Problems()
    node = read_yaml(f"- {text}\n".encode(), file="f", problems=problems)
    assert node is not None
    assert not list(problems)
    assert isinstance(node.value, tuple)
    return node.value[0].value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("FALSE", False),
        ("0", 0),
        ("-0", 0),
        ("12", 12),
        ("+12", 12),
        ("-7", -7),
        ("0o17", 15),
        ("0x1F", 31),
        ("1.5", 1.5),
        ("-.5", -0.5),
        ("1.", 1.0),
        ("1e3", 1000.0),
        ("1.10", 1.1),
        (".inf", math.inf),
        ("-.INF", -math.inf),
    ],
)
def test_scalars_follow_the_core_schema(text: str, value: object) -> None:
    found = value_of(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        *("no", "yes", "on", "off", "y", "n", "NO"),
        *("012", "00", "-012", "0755", "01.5", "007e1"),
        *("1:30", "1_000", "2024-01-01", "0b11", "0O17", "0X1F", "-0x1", "+0o7"),
        *("1.2.3", "v1", ".", "+", "-.", "1e", "e3", "inf", "nan", ".infinity", "tRUE", "nULL", "=", "<<"),
        *("1a", "0x", "0o8", "0xg"),
    ],
)
def test_what_other_yamls_convert_stays_text(text: str) -> None:
    assert value_of(text) == text


def test_not_a_number_is_one() -> None:
    value = value_of(".nan")
    assert isinstance(value, float)
    assert math.isnan(value)


@pytest.mark.parametrize("text", ["'12'", '"true"', "'null'", '""', "'~'"])
def test_quotes_make_text(text: str) -> None:
    assert value_of(text) == text[1:-1]


@given(st.text(alphabet=string.digits + "+-.eExXoabf_:", min_size=1, max_size=45))
def test_a_plain_scalar_never_crashes_the_resolver_and_leading_zeros_stay_text(text: str) -> None:
    value: Value = _resolve(text)
    digits = text.lstrip("+-")
    if len(digits) > 1 and digits[0] == "0" and digits[1].isdecimal():
        assert value == text


def test_nodes_entries_and_items_know_their_place_in_characters() -> None:
    problems = Problems()
    node = read_yaml("é: ö\n'k y':\n  - ä: {b: 1}\n".encode(), file="f", problems=problems)
    assert node is not None
    assert (node.line, node.column) == (1, 1)
    assert isinstance(node.value, dict)
    assert [(entry.mark.line, entry.mark.column) for entry in node.value.values()] == [(1, 1), (2, 1)]
    first = node.get("é")
    assert first is not None
    assert str(first.mark) == "f:1:4"
    items = node.get("k y")
    assert items is not None
    assert isinstance(items.value, tuple)
    inner = items.value[0].get("ä")
    assert inner is not None
    assert (inner.line, inner.column) == (3, 8)
    assert node.plain() == {"é": "ö", "k y": [{"ä": {"b": 1}}]}
    assert inner.get("nothing") is None
    assert first.get("b") is None


def test_lines_are_counted_the_same_with_every_line_ending() -> None:
    for ending in ("\n", "\r\n"):
        node = read_yaml(f"a: 1{ending}{ending}b: 2{ending}".encode(), file="f", problems=Problems())
        assert node is not None
        second = node.get("b")
        assert second is not None
        assert (second.line, second.column) == (3, 4)


def test_what_was_unreadable_is_reported_once_and_passed_over() -> None:
    problems = Problems()
    node = read_yaml(b"a: *x\nb: [*x, 1]\n", file="f", problems=problems)
    assert node is not None
    assert len(problems) == 2
    assert node.plain() == {"a": None, "b": [None, 1]}
    unreadable = node.get("a")
    assert unreadable is not None
    assert unreadable.kind == "unreadable"
    assert repr(unreadable.value) == "UNREADABLE"


_SCALARS = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(alphabet="ab\"\\é:#-[{ '", max_size=10)
_DATA = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", min_size=1, max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(_DATA)
def test_json_reads_as_what_it_is(data: object) -> None:
    import json  # noqa: PLC0415 - only here, and only to write YAML's subset

    problems = Problems()
    node = read_yaml(json.dumps({"x": data}).encode(), file="f", problems=problems)
    assert node is not None
    assert not list(problems)
    assert node.plain() == {"x": data}


@given(st.binary(max_size=80) | st.text(alphabet="ab:-[]{}&*!?|>%@`'\"#, \n\t0", max_size=40).map(str.encode))
def test_no_bytes_crash_the_reader(data: bytes) -> None:
    problems = Problems()
    node = read_yaml(data, file="f", problems=problems)
    assert node is not None or len(problems)
    assert all(problem.line >= 1 and problem.column >= 1 and problem.hint for problem in problems)
