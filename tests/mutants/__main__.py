"""`python -m tests.mutants [--only NAME]... [--jobs N] [--list] [--torture SECONDS]`: is every mistake noticed?

First the tests run in the code as it is, where all of them must pass. Then each mutation is made in a copy of its own,
and its test must fail there. Exit code 1 if one survives or does not fit the code any more.

With `--torture` it is the torture of the locks that must find those mistakes which it has to find without being told,
each within so many seconds, and nothing in the code as it is.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutants.catalogue import MUTATIONS
from tests.mutants.mutation import Mutation
from tests.mutants.runner import HANG_S, Judgement, Run, copy_tree, run_mutation, run_tests
from tests.mutants.torture import findings_of, torture_tree

_MOST_SHOWN = 110  # characters of a finding
_SOURCE = Path(__file__).resolve().parents[2]


def main() -> int:
    """Run them; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description="Is every mistake noticed?")
    parser.add_argument("--only", action="append", metavar="NAME", help="run this mutation; may be given again")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time")
    parser.add_argument("--hang", type=float, default=HANG_S, metavar="S", help="a test that takes longer hangs")
    parser.add_argument("--torture", type=float, metavar="SECONDS", help="let the torture of the locks find them")
    parser.add_argument("--seed", default="mutants", help="what the torture draws from")
    parser.add_argument("--list", action="store_true", help="print the names and end")
    options = parser.parse_args()
    chosen = [mutation for mutation in MUTATIONS if options.torture is None or mutation.in_torture]
    if options.only:
        unknown = sorted(set(options.only) - {mutation.name for mutation in chosen})
        if unknown:
            parser.error(f"there is no mutation {unknown[0]!r}")
        chosen = [mutation for mutation in chosen if mutation.name in options.only]
    if options.list:
        for mutation in chosen:
            print(mutation.name)
        return 0
    with tempfile.TemporaryDirectory(prefix="grex-mutant-") as directory:
        tree = Path(directory)
        copy_tree(_SOURCE, tree)  # once, so that all of them are made in the same code while somebody edits it
        if options.torture is not None:
            return _torture_all(chosen, tree, options.torture, options.seed)
        if not _tests_pass(chosen, tree, options.hang):
            return 1
        return _run_all(chosen, tree, options.jobs, options.hang)


def _tests_pass(chosen: list[Mutation], tree: Path, hang_s: float) -> bool:
    tests = sorted({mutation.test for mutation in chosen})
    run = run_tests(tree, tests, hang_s=hang_s, deadline_s=hang_s * len(tests))
    passed = run.judgement is Judgement.SURVIVED  # what a run without a mistake has to do
    print(
        f"{len(tests)} tests in the code as it is {'pass' if passed else 'DO NOT PASS'}; {run.seconds:.0f} s.",
        flush=True,
    )
    if not passed:
        print(run.tail(), file=sys.stderr)
    return passed


def _run_all(chosen: list[Mutation], tree: Path, jobs: int, hang_s: float) -> int:
    name_width = max(len(mutation.name) for mutation in chosen)
    test_width = max(len(_short(mutation)) for mutation in chosen)
    print(f"{'mutation':{name_width}}  promise  {'test':{test_width}}  {'judgement':13}  seconds")
    bad: list[tuple[Mutation, Run]] = []
    with ThreadPoolExecutor(jobs) as pool:
        runs = pool.map(lambda mutation: run_mutation(mutation, tree, hang_s=hang_s), chosen)
        for mutation, run in zip(chosen, runs, strict=True):
            print(
                f"{mutation.name:{name_width}}  {mutation.promise:7}  {_short(mutation):{test_width}}"
                f"  {run.judgement.value:13}  {run.seconds:7.1f}",
                flush=True,
            )
            if run.judgement not in {Judgement.KILLED, Judgement.HUNG}:
                bad.append((mutation, run))
    print(f"{len(chosen) - len(bad)} of {len(chosen)} mutations were killed.")
    for mutation, run in bad:
        print(f"\n{mutation.name}: {run.judgement.value}\n{run.tail()}", file=sys.stderr)
    return 1 if bad else 0


def _torture_all(chosen: list[Mutation], tree: Path, seconds: float, seed: str) -> int:
    """One at a time: the torture loads the machine by itself."""
    width = max(len(mutation.name) for mutation in chosen)
    clean = torture_tree(tree, seconds, seed)
    shutil.rmtree(tree / "ground")
    if clean.judgement is not Judgement.SURVIVED:
        print(f"the torture finds something in the code as it is:\n{clean.tail()}", file=sys.stderr)
        return 1
    print(f"{'(the code as it is)':{width}}  nothing found  {clean.seconds:5.1f} s", flush=True)
    missed = 0
    for mutation in chosen:
        run = run_mutation(mutation, tree, run=lambda copy: torture_tree(copy, seconds, seed))
        found = findings_of(run.output)
        missed += run.judgement is not Judgement.KILLED
        told = "found" if run.judgement is Judgement.KILLED else run.judgement.value
        print(
            f"{mutation.name:{width}}  {told:13}  {run.seconds:5.1f} s  {found[0][:_MOST_SHOWN] if found else ''}",
            flush=True,
        )
        if run.judgement in {Judgement.BROKEN, Judgement.WRECKED, Judgement.HUNG}:
            print(run.tail(), file=sys.stderr)
    print(f"{len(chosen) - missed} of {len(chosen)} mutations were found by the torture, seed {seed}.")
    return 1 if missed else 0


def _short(mutation: Mutation) -> str:
    return mutation.test.removeprefix("tests/locks/")


if __name__ == "__main__":
    sys.exit(main())
