"""The torture of the locks in the copy of a mutation: it is not told what was done wrong, and has to find it.

A test of the list is made for its mistake. The torture judges what everybody relies on, whatever the mistake is.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tests.mutants.runner import Judgement, Run, run_in

__all__ = ["findings_of", "torture_tree"]

_NOTHING_FOUND, _FOUND = 0, 1  # exit codes of `bench.lock_torture`
_GRACE_S = 120.0  # for the drain, which has a limit of its own, and for reading the traces
_FINDING = re.compile(r"^FOUND (.*)$", re.MULTILINE)


def torture_tree(tree: Path, seconds: float, seed: str) -> Run:
    """Torture the locks of a tree."""
    command = [sys.executable, "-m", "bench.lock_torture", "--seconds", str(seconds), "--seed", seed]
    ground = tree / "ground"
    ground.mkdir()
    code, seconds_taken, output = run_in(tree, command, seconds + _GRACE_S, TMPDIR=str(ground))
    judgement = {
        None: Judgement.HUNG,
        _NOTHING_FOUND: Judgement.SURVIVED,
        _FOUND: Judgement.KILLED if findings_of(output) else Judgement.BROKEN,
    }.get(code, Judgement.BROKEN)
    return Run(judgement, seconds_taken, output)


def findings_of(output: str) -> list[str]:
    """What a torture found, by what it printed."""
    return _FINDING.findall(output)
