"""`python -m verify [NAME...]`: check the models with spin, then check that every mutation is found.

A name is that of a model or a part of a mutation's name; all by default. Exit code 0: every model holds in every
configuration and every mutation was found by the property that it violates. Everything is made in a temporary
directory. `--keep` leaves the trails there, for `spin -t -p`.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from verify.cases import CHECKS, MUTATIONS, PROPERTIES, Check, Mutation

_HERE = Path(__file__).parent
_MEMORY_MB = 2000  # of one search; three times what the largest needs
_DEPTH = 20_000  # steps; a search that reaches it is a failure, for something was left out
_TIMEOUT_S = 300.0
_NEEDS = {"spin": "spin", "cc": "gcc libc6-dev"}  # a program, and the Debian package that has it


class VerificationError(Exception):
    """A search could not be made, or was not complete."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a search found.

    Attributes:
        states: How many different states it saw.
        memory_mb: What it took.
        seconds: How long the search took, without the compiler.
        violated: The assertion that does not hold, as pan prints it; None if there was nothing to find.
    """

    states: int
    memory_mb: float
    seconds: float
    violated: str | None


def _run(command: list[str], directory: Path) -> str:
    try:
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise VerificationError(f"{command[0]} took longer than {_TIMEOUT_S:.0f} s") from error
    if done.returncode:
        raise VerificationError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def search(model: str, defines: tuple[str, ...], directory: Path, *, optimise: bool) -> Finding:
    """Let spin make the verifier of a model, compile it and run it.

    Raises:
        VerificationError: one of the three failed, or the search was cut short.
    """
    directory.mkdir()
    shutil.copy(_HERE / f"{model}.pml", directory)
    _run(["spin", *(f"-D{define}" for define in defines), "-a", f"{model}.pml"], directory)
    # -DNOREDUCE: the death of a process is a rendezvous with an escape sequence, for which partial order reduction is
    # not sound. -w: the C is spin's.
    flags = ["-w", "-O2" if optimise else "-O0", "-DSAFETY", "-DNOREDUCE", f"-DMEMLIM={_MEMORY_MB}"]
    _run(["cc", *flags, "-o", "pan", "pan.c"], directory)
    started = time.monotonic()
    output = _run(["./pan", f"-m{_DEPTH}", "-w24" if optimise else "-w20"], directory)
    seconds = time.monotonic() - started
    states = re.search(r"(\d+) states, stored", output)
    memory = re.search(r"([\d.]+)\s+total actual memory usage", output)
    errors = re.search(r"errors: (\d+)", output)
    violated = re.search(r"^pan:1: (.*) \(at depth", output, re.MULTILINE)
    if states is None or memory is None or errors is None:
        raise VerificationError(f"pan said nothing that is understood:\n{output}")
    if "max search depth too small" in output or ("Search not completed" in output and violated is None):
        raise VerificationError(f"the search was cut short:\n{output}")
    if (errors[1] == "0") != (violated is None):
        raise VerificationError(f"pan contradicts itself:\n{output}")
    return Finding(int(states[1]), float(memory[1]), seconds, None if violated is None else violated[1])


def _judge_check(check: Check, directory: Path) -> tuple[bool, str]:
    name = f"{check.model:5}  {check.name}"
    try:
        found = search(check.model, check.defines, directory, optimise=True)
    except VerificationError as error:
        return False, f"FAILED   {name}: {error}"
    figures = f"{found.states:>10,} states  {found.memory_mb:>5.0f} MB  {found.seconds:>5.1f} s"
    if found.violated is not None:
        return False, f"FAILED   {name}: {found.violated} ({' '.join(check.defines)}, {directory})"
    return True, f"holds    {name:<45} {figures}"


def _judge_mutation(mutation: Mutation, directory: Path) -> tuple[bool, str]:
    name = f"{mutation.model:5}  {mutation.define}"
    try:
        found = search(mutation.model, (*mutation.defines, mutation.define), directory, optimise=False)
    except VerificationError as error:
        return False, f"FAILED   {name}: {error}"
    if found.violated is None:
        return False, f"SURVIVED {name}: {mutation.mistake} ({found.states:,} states)"
    if PROPERTIES[mutation.violates] not in found.violated:
        return False, f"FAILED   {name}: found, and not by {mutation.violates!r}: {found.violated}"
    return True, f"found    {name:<45} {mutation.violates}"


def _missing() -> str | None:
    missing = [program for program in _NEEDS if shutil.which(program) is None]
    if not missing:
        return None
    packages = " ".join(_NEEDS[program] for program in missing)
    return (
        f"The models are checked with spin and a C compiler; not found: {', '.join(missing)}. "
        f"On Debian and Ubuntu: sudo apt-get install {packages}"
    )


def main() -> int:
    """Check everything, or what was asked for; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m verify", description="Check the models of the lock protocol.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="a model, or a part of a mutation's name")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="how many searches at a time")
    parser.add_argument("--keep", action="store_true", help="leave everything that was made, and say where")
    options = parser.parse_args()
    if missing := _missing():
        print(missing, file=sys.stderr)
        return 2
    asked: list[str] = options.names
    checks = [one for one in CHECKS if not asked or one.model in asked]
    mutations = [
        one for one in MUTATIONS if not asked or one.model in asked or any(name in one.define for name in asked)
    ]
    if not checks and not mutations:
        parser.error("nothing has such a name")
    started = time.monotonic()
    base = Path(tempfile.mkdtemp(prefix="grex-verify-"))
    try:
        with ThreadPoolExecutor(options.jobs) as pool:
            waiting = [pool.submit(_judge_check, one, base / f"check{n}") for n, one in enumerate(checks)]
            waiting += [pool.submit(_judge_mutation, one, base / f"mutation{n}") for n, one in enumerate(mutations)]
            failures = 0
            for one in waiting:
                right, line = one.result()
                failures += not right
                print(line, flush=True)
    finally:
        if options.keep:
            print(f"kept: {base}")
        else:
            shutil.rmtree(base)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"{len(checks)} configurations, {len(mutations)} mutations, {failures} failures; "
        f"{time.monotonic() - started:.0f} s, {used.ru_utime + used.ru_stime:.0f} s of processor time"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
