"""The models of the locks, their mutations and the page about them agree; spin itself is run by `make verify`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from verify.cases import CHECKS, MUTATIONS, PROPERTIES

HERE = Path(__file__).parent.parent / "verify"
MODELS = {path.stem: path.read_text(encoding="utf-8") for path in HERE.glob("*.pml")}


def conditions(model: str) -> set[str]:
    """The names that the preprocessor asks for in a model."""
    lines = [line for line in MODELS[model].splitlines() if re.match(r"\s*#\s*(el)?if", line)]
    return set(re.findall(r"\b[A-Z][A-Z0-9_]+\b", " ".join(lines)))


@pytest.mark.parametrize("model", sorted(MODELS))
def test_every_mutation_in_a_model_is_one_that_spin_has_to_find(model: str) -> None:
    in_model = {name for name in conditions(model) if name.startswith("MUTATE_")}
    listed = {one.define for one in MUTATIONS if one.model == model and one.define.startswith("MUTATE_")}
    assert in_model
    assert in_model == listed


def test_every_configuration_is_one_that_its_model_has() -> None:
    for one in (*CHECKS, *MUTATIONS):
        unknown = {define.partition("=")[0] for define in one.defines} - conditions(one.model)
        assert unknown == set(), f"{one.model}: {unknown}"


def test_every_property_can_be_violated() -> None:
    assert {one.violates for one in MUTATIONS} == set(PROPERTIES)


def test_the_page_names_every_model_mutation_and_configuration() -> None:
    page = (HERE / "README.md").read_text(encoding="utf-8")
    wanted = {f"`{one.define}`" for one in MUTATIONS} | {f"`{name}.pml`" for name in MODELS}
    wanted |= {one.name for one in CHECKS}
    assert {name for name in wanted if name not in page} == set()
