"""`python -m tests.mutants [--only NAME]... [--jobs N] [--list]`: is every mistake noticed?

First the tests run in the code as it is, where all of them must pass. Then each mutation is made in a copy of its own,
and its test must fail there. Exit code 1 if one survives or does not fit the code any more.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutants.catalogue import MUTATIONS
from tests.mutants.mutation import Mutation
from tests.mutants.runner import HANG_S, Judgement, Run, copy_tree, run_mutation, run_tests

_SOURCE = Path(__file__).resolve().parents[2]


def main() -> int:
    """Run them; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description="Is every mistake noticed?")
    parser.add_argument("--only", action="append", metavar="NAME", help="run this mutation; may be given again")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time")
    parser.add_argument("--hang", type=float, default=HANG_S, metavar="S", help="a test that takes longer hangs")
    parser.add_argument("--list", action="store_true", help="print the names and end")
    options = parser.parse_args()
    chosen = list(MUTATIONS)
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


def _short(mutation: Mutation) -> str:
    return mutation.test.removeprefix("tests/locks/")


if __name__ == "__main__":
    sys.exit(main())
