"""Variables are put in; everything else stays as it is."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grex.pack import MissingVariableError, escape_variables, expand_variables, variable_names

VARIABLES = {"A": "1", "HOME": "/home/me", "_x9": "u", "D": "$A", "E": ""}


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("", ""),
        ("$A", "1"),
        ("${A}b", "1b"),
        ("%A%", "1"),
        ("$HOME/bin:%HOME%", "/home/me/bin:/home/me"),
        ("$_x9.", "u."),
        ("$E|${E}", "|"),
        ("$$A", "$A"),
        ("%%A%%", "%A%"),
        ("$$$A", "$1"),
        ("$D", "$A"),
        ("$", "$"),
        ("100%", "100%"),
        ("50% of 100%", "50% of 100%"),
        ("$5 ${ ${} ${5} ${A ${A-b} $(A)", "$5 ${ ${} ${5} ${A ${A-b} $(A)"),
        ("%% %5% % A%", "% %5% % A%"),
        ("käse $A ☃", "käse 1 ☃"),
        ("$Ä", "$Ä"),
        ("a\nb\0$A", "a\nb\x001"),
    ],
)
def test_variables_expand_and_nothing_else_changes(text: str, expanded: str) -> None:
    assert expand_variables(text, VARIABLES) == expanded


@pytest.mark.parametrize(
    ("text", "name", "offset"),
    [("$NOPE", "NOPE", 0), ("ä ${NOPE}", "NOPE", 2), ("$A %b%", "b", 3), ("$$ $AB", "AB", 3), ("a%b%c%", "b", 1)],
)
def test_a_missing_variable_is_an_error_with_its_place(text: str, name: str, offset: int) -> None:
    with pytest.raises(MissingVariableError) as caught:
        expand_variables(text, VARIABLES)
    assert (caught.value.name, caught.value.offset) == (name, offset)
    assert str(caught.value) == f"the variable '{name}' at offset {offset} is not set"


def test_names_are_listed_once_in_their_order() -> None:
    assert variable_names("$B ${A} %B% $$C %%D%%") == ("B", "A")


@given(st.text(alphabet=st.characters() | st.sampled_from("$%{}A")))
def test_escaped_text_expands_to_itself(text: str) -> None:
    assert expand_variables(escape_variables(text), {}) == text
    assert variable_names(escape_variables(text)) == ()


@given(st.text(alphabet="$%{}A_b1 é"))
def test_text_without_anything_that_looks_like_a_variable_is_never_changed(text: str) -> None:
    if not re.search(r"\$\$|%%|\$[A-Za-z_]|\$\{[A-Za-z_]|%[A-Za-z_]", text):
        assert expand_variables(text, {}) == text


@given(st.text(alphabet="$%{}AB"), st.text(max_size=5))
def test_expanding_finds_exactly_the_listed_names(text: str, value: str) -> None:
    expand_variables(text, dict.fromkeys(variable_names(text), value))
    for name in variable_names(text):
        with pytest.raises(MissingVariableError):
            expand_variables(text, {other: "" for other in variable_names(text) if other != name})
