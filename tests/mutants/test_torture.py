"""The torture of a mutation on a tree whose `bench.lock_torture` is a few lines: what it says becomes a judgement."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants.catalogue import MUTATIONS
from tests.mutants.mutation import Edit, Mutation
from tests.mutants.runner import Judgement, run_mutation
from tests.mutants.torture import findings_of, torture_tree

# Prints what it is told to, and leaves a ground behind as the real one does.
TORTURE = """
import sys
import tempfile
from grex.code import SAID, CODE

assert sys.argv[1:] == ["--seconds", "1.5", "--seed", "x"]
print(SAID)
print("what is left of it:", tempfile.mkdtemp())
sys.exit(CODE)
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A package that the torture finds nothing in."""
    for name in ("grex", "bench"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    (tmp_path / "grex" / "code.py").write_text('SAID = ""\nCODE = None\n')
    (tmp_path / "bench" / "lock_torture.py").write_text(TORTURE)
    return tmp_path


@pytest.mark.parametrize(
    ("said", "code", "judgement"),
    [
        ("0 findings", 0, Judgement.SURVIVED),
        ("FOUND overlap: two at once", 1, Judgement.KILLED),
        ("a finding that nobody can read", 1, Judgement.BROKEN),
        ("FOUND overlap: two at once", 2, Judgement.BROKEN),
        (
            "FOUND error: a: NameError: name 'x' is not defined (/copy/grex/locks/a.py:1) [worker 1]",
            1,
            Judgement.WRECKED,
        ),
        ("FOUND error: a: NameError: name 'x' is not defined (/copy/tests/a.py:1) [worker 1]", 1, Judgement.KILLED),
    ],
)
def test_what_the_torture_says_of_a_mutation_is_judged(tree: Path, said: str, code: int, judgement: Judgement) -> None:
    edit = Edit("grex/code.py", 'SAID = ""\nCODE = None', f"SAID = {said!r}\nCODE = {code}")
    mutation = Mutation("said", "L1", "no test", (edit,))
    run = run_mutation(mutation, tree, run=lambda copy: torture_tree(copy, 1.5, "x"))
    assert run.judgement is judgement, run.output
    assert findings_of(run.output) == ([said.removeprefix("FOUND ")] if said.startswith("FOUND") else [])
    ground = Path(run.output.partition("what is left of it: ")[2].splitlines()[0])
    assert not ground.exists()


def test_the_torture_has_mistakes_of_every_kind_to_find() -> None:
    assert {mutation.promise for mutation in MUTATIONS if mutation.in_torture} == {"L1", "L3", "L4", "L7", "L8"}
