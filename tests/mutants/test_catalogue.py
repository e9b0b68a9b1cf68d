"""Every mutation still fits the code, and its test is there: what `make mutants` needs to mean anything."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import pytest

from tests.locks.invariants import PROMISES
from tests.mutants.catalogue import MUTATIONS
from tests.mutants.mutation import Mutation

ROOT = Path(__file__).resolve().parents[2]


def promises_of(marks: list[ast.expr]) -> set[str]:
    """The ids in `pytest.mark.invariant(id)`, among other marks."""
    return {
        mark.args[0].value
        for mark in marks
        if isinstance(mark, ast.Call)
        and ast.unparse(mark.func) == "pytest.mark.invariant"
        and isinstance(mark.args[0], ast.Constant)
        and isinstance(mark.args[0].value, str)
    }


@functools.cache
def promises_of_tests(file: str) -> dict[str, set[str]]:
    """The tests of a file, each with the promises that it, or the file, says it defends."""
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    of_all: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
            of_all = promises_of(node.value.elts if isinstance(node.value, ast.List) else [node.value])
    return {
        node.name: of_all | promises_of(node.decorator_list)
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_fits_the_code_and_its_test_defends_the_promise_that_it_breaks(mutation: Mutation) -> None:
    changed = mutation.render(ROOT)
    assert set(changed) == {edit.file for edit in mutation.edits}
    assert mutation.promise in PROMISES
    file, _, name = mutation.test.partition("::")
    assert mutation.promise in promises_of_tests(file)[name.partition("[")[0]]


def test_names_are_unique() -> None:
    names = [mutation.name for mutation in MUTATIONS]
    assert sorted(set(names)) == sorted(names)
