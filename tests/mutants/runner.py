"""Applies one mutation to a copy of the tree and runs its test there.

The copy is what is imported: it stands first on the path, and the test that runs is the copy's own. A test that fails
has killed the mutation; so has one that hangs, which is said, for a lost wake-up shows in no other way. Anything else
that ends a run (a test that is not found, an error before the tests begin) is neither, and an error of its own:
otherwise a mistyped name would count as a kill. For the same reason a test that fails in a `wreck` has killed nothing.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from tests.mutants.mutation import Mutation, MutationError
from tests.mutants.wreck import find_wreck

__all__ = ["HANG_S", "Judgement", "Run", "copy_tree", "run_in", "run_mutation", "run_tests"]

HANG_S = 30.0
"""How long a test may take in a mutated tree before it counts as hanging; each of them takes seconds when it passes."""

_COPIED = ("grex", "tests", "bench", "docs", "pyproject.toml")
_NOT_COPIED = shutil.ignore_patterns("__pycache__", "*.pyc")
_TESTS_PASSED, _TESTS_FAILED = 0, 1  # pytest's exit codes; every other one means that the run itself went wrong
_MARK_OF_A_TIMEOUT = "from pytest-timeout"
_TAIL_LINES = 30
_GRACE_S = 60.0  # for starting and ending pytest, on a machine that does other things too


class Judgement(Enum):
    """What became of a mutation."""

    KILLED = "killed"
    HUNG = "killed (hang)"
    SURVIVED = "SURVIVED"
    WRECKED = "WRECKED"
    BROKEN = "BROKEN"


@dataclass(frozen=True, slots=True)
class Run:
    """One run of pytest."""

    judgement: Judgement
    seconds: float
    output: str

    def tail(self) -> str:
        """What failed and the end of what was printed, for a reader who must find out why."""
        lines = self.output.splitlines()
        failed = [line for line in lines[:-_TAIL_LINES] if line.startswith(("FAILED", "ERROR", "E  "))]
        return "\n".join([*failed, *lines[-_TAIL_LINES:]])


def copy_tree(source: Path, target: Path) -> None:
    """Copy what the tests need; nothing that was compiled, so that what runs is what stands there."""
    for name in _COPIED:
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name, ignore=_NOT_COPIED, symlinks=True)
        elif (source / name).exists():
            shutil.copy2(source / name, target / name)


def run_tests(tree: Path, tests: Iterable[str], *, hang_s: float = HANG_S, deadline_s: float | None = None) -> Run:
    """Run tests of a tree, in that tree and with nothing of another one; `hang_s` is for each test."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--no-header", "-p", "no:cacheprovider", "-p", "no:xdist"]
    command += ["--tb=short", "-m", "not slow", "-o", f"timeout={hang_s}", *tests]
    # pytest ends a hanging test by itself; the rest of the time is for what not even that can end.
    code, seconds, output = run_in(tree, command, (hang_s if deadline_s is None else deadline_s) + _GRACE_S)
    if code is None:
        return Run(Judgement.HUNG, seconds, output)
    if code == _TESTS_PASSED:
        return Run(Judgement.SURVIVED, seconds, output)
    if _MARK_OF_A_TIMEOUT in output or "+ Timeout +" in output:
        return Run(Judgement.HUNG, seconds, output)
    if code == _TESTS_FAILED:
        return Run(Judgement.KILLED, seconds, output)
    return Run(Judgement.BROKEN, seconds, output)


def run_in(tree: Path, command: Sequence[str], deadline_s: float, **variables: str) -> tuple[int | None, float, str]:
    """Run a program in a tree and with nothing of another one; its exit code, or None if it had to be ended."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", **variables}
    began = time.monotonic()
    with subprocess.Popen(
        command,
        cwd=tree,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # what a hanging test started is ended with it
    ) as process:
        try:
            output, _ = process.communicate(timeout=deadline_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            return None, time.monotonic() - began, output
    return process.returncode, time.monotonic() - began, output


def run_mutation(
    mutation: Mutation, source: Path, *, hang_s: float = HANG_S, run: Callable[[Path], Run] | None = None
) -> Run:
    """Make the mistake in a copy of `source` and see whether its test, or another run, fails there."""
    with tempfile.TemporaryDirectory(prefix="grex-mutant-") as directory:
        tree = Path(directory)
        copy_tree(source, tree)
        try:
            changed = mutation.render(tree)
        except MutationError as error:
            return Run(Judgement.BROKEN, 0.0, str(error))
        for file, text in changed.items():
            (tree / file).write_text(text, "utf-8")
        done = run_tests(tree, [mutation.test], hang_s=hang_s) if run is None else run(tree)
    wreck = None if done.judgement is Judgement.SURVIVED else find_wreck(done.output)
    if wreck is None:
        return done
    return Run(Judgement.WRECKED, done.seconds, f"{done.output}\nit fails whatever it is about: {wreck}")
