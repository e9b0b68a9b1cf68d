"""The runner on a tree of a few lines: it tells a kill, a survivor, a hang and a mistake in the catalogue apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants.mutation import Edit, Mutation, MutationError
from tests.mutants.runner import HANG_S, Judgement, run_mutation

CODE = "def double(number: int) -> int:\n    return 2 * number\n"
TEST = """
import threading
from grex.code import double


def test_double():
    assert double(2) == 4


def test_sign():
    assert double(2) > 0


def test_answer_comes():
    if double(2) != 4:
        threading.Event().wait()
"""
THREE = Edit("grex/code.py", "2 * number", "3 * number")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A package of one function, and its tests."""
    (tmp_path / "grex").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "grex" / "__init__.py").touch()
    (tmp_path / "grex" / "code.py").write_text(CODE)
    (tmp_path / "tests" / "test_code.py").write_text(TEST)
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\npythonpath = ["."]\n')
    return tmp_path


@pytest.mark.parametrize(
    ("test", "edit", "judgement"),
    [
        ("test_double", THREE, Judgement.KILLED),
        ("test_sign", THREE, Judgement.SURVIVED),
        ("test_answer_comes", THREE, Judgement.HUNG),
        ("test_that_is_not_there", THREE, Judgement.BROKEN),
        ("test_double", Edit("grex/code.py", "4 * number", "3 * number"), Judgement.BROKEN),
    ],
    ids=["killed", "survived", "hung", "no test", "no such text"],
)
def test_what_became_of_a_mutation_is_told(tree: Path, test: str, edit: Edit, judgement: Judgement) -> None:
    hang_s = 1.0 if judgement is Judgement.HUNG else HANG_S
    run = run_mutation(Mutation("three", "L1", f"tests/test_code.py::{test}", (edit,)), tree, hang_s=hang_s)
    assert run.judgement is judgement, run.output
    assert (tree / "grex" / "code.py").read_text() == CODE


@pytest.mark.parametrize(
    "edit",
    [
        Edit("grex/code.py", "number", "figure"),
        Edit("grex/code.py", "no such text", ""),
        Edit("grex/code.py", "2 * number", "2 * number"),
        Edit("grex/code.py", "2 * number", "2 * * number"),
        Edit("grex/other.py", "2 * number", "3 * number"),
    ],
    ids=["twice", "missing", "same", "no python", "no file"],
)
def test_a_mutation_that_does_not_fit_is_refused(tree: Path, edit: Edit) -> None:
    with pytest.raises(MutationError):
        Mutation("unfit", "L1", "tests/test_code.py::test_double", (edit,)).render(tree)
