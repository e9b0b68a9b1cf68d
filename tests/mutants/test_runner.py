"""The runner on a tree of a few lines: it tells a kill, a survivor, a hang, a wreck and a misfit apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants.mutation import Edit, Mutation, MutationError
from tests.mutants.runner import HANG_S, Judgement, run_mutation
from tests.mutants.wreck import find_wreck

CODE = "def double(number: int) -> int:\n    return 2 * number\n"
TEST = """
import subprocess
import sys
import threading

import anyio

from grex.code import double


def test_double():
    assert double(2) == 4


def test_sign():
    assert double(2) > 0


def test_answer_comes():
    if double(2) != 4:
        threading.Event().wait()


def test_double_in_a_task():
    async def call():
        async with anyio.create_task_group() as group:
            group.start_soon(task)

    async def task():
        assert double(2) == 4

    anyio.run(call)


def test_double_in_a_thread():
    thread = threading.Thread(target=double, args=(2,))
    thread.start()
    thread.join()


def test_double_in_another_process():
    subprocess.run([sys.executable, "-c", "from grex.code import double; double(2)"], check=True)
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
    (tmp_path / "pyproject.toml").write_text(
        '[tool.pytest.ini_options]\npythonpath = ["."]\nfilterwarnings = ["error"]\n'
    )
    return tmp_path


@pytest.mark.slow  # each starts a pytest of its own
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


@pytest.mark.slow  # each starts a pytest of its own
@pytest.mark.parametrize(
    ("way", "replacement", "error"),
    [
        ("", "return twice * number", "NameError"),
        ("_in_a_task", "return twice * number", "NameError"),
        ("_in_a_thread", "return twice * number", "NameError"),
        ("_in_another_process", "return twice * number", "NameError"),
        ("", "number, other = other, number", "UnboundLocalError"),
        ("", "return number.double", "AttributeError"),
        ("", "from grex import double", "ImportError"),
        ("", "import grex.double", "ModuleNotFoundError"),
    ],
)
def test_code_that_does_not_hold_together_counts_for_no_kill(
    tree: Path, way: str, replacement: str, error: str
) -> None:
    edit = Edit("grex/code.py", "return 2 * number", replacement)
    run = run_mutation(Mutation("wreck", "L1", f"tests/test_code.py::test_double{way}", (edit,)), tree)
    assert run.judgement is Judgement.WRECKED, run.output
    assert error in run.tail().splitlines()[-1]


def test_a_file_that_another_process_cannot_even_compile_is_a_wreck() -> None:
    traceback = (
        '  File "/copy/grex/code.py", line 2\n    return 2 * * number\n               ^\nSyntaxError: invalid syntax\n'
    )
    assert find_wreck(traceback) == "/copy/grex/code.py: SyntaxError: invalid syntax"


@pytest.mark.slow  # each starts a pytest of its own
@pytest.mark.parametrize("error", ["AttributeError", "NameError"])
def test_an_error_of_the_test_itself_is_no_wreck(tree: Path, error: str) -> None:
    (tree / "tests" / "test_code.py").write_text(
        f"from grex.code import double\n\n\ndef test_double():\n    if double(2) != 4:\n        raise {error}\n"
    )
    run = run_mutation(Mutation("three", "L1", "tests/test_code.py::test_double", (THREE,)), tree)
    assert run.judgement is Judgement.KILLED, run.output


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
