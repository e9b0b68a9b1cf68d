"""Kills syncs at random moments, for as often or as long as wanted, and judges what the next sync makes of it.

`python -m bench.torture --rounds 50` runs fifty rounds of each kind: cold clones and news upstream, each with `kill -9`
for grex alone and for every process. `--seconds 600` ends after that time instead, whatever comes first. The seeds
depend on `--seed` and the number of the round, so that a round can be asked for again; the wreck of a round that fails
is left where the message says. The judgement is `tests.support.crash_scenario`'s.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.support.crash_scenario import ColdClones, NewsUpstream, Scenario
from tests.support.torture import Manner, kill_once

_KINDS: tuple[type[Scenario], ...] = (ColdClones, NewsUpstream)
_MANNERS: tuple[Manner, ...] = ("grex-alone", "everything")
_MOST_TRIES = 4


def main() -> int:
    """Run the rounds; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--rounds", type=int, default=50, help="how many that met a sync at work, of each of the four kinds"
    )
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end after this time")
    parser.add_argument("--seed", default="torture", help="what the moments are drawn from")
    options = parser.parse_args()
    base = Path(tempfile.mkdtemp(prefix="grex-torture-"))
    _settle_environment(base)
    started = time.monotonic()
    scenarios = [kind(base / kind.__name__) for kind in _KINDS]
    hits: Counter[str] = Counter()
    kills = 0
    failures: list[str] = []
    kinds = [(crashed, manner, f"{type(crashed).__name__} {manner}") for crashed in scenarios for manner in _MANNERS]
    # A kill that came after the sync had ended proves nothing: each kind goes on until enough of them met one at work.
    while min(hits[kind] for _, _, kind in kinds) < options.rounds and kills < _MOST_TRIES * options.rounds * len(
        kinds
    ):
        for crashed, manner, kind in kinds:
            if time.monotonic() - started > options.seconds or hits[kind] >= options.rounds:
                continue
            what = f"{kind} {options.seed}-{kills}"
            kills += 1
            try:
                hits[kind] += kill_once(crashed, manner, what).hit
            except AssertionError as error:
                wreck = base / f"wreck{len(failures)}"
                shutil.copytree(crashed.workspace.root, wreck, symlinks=True)
                failures.append(f"{what}: {str(error)[:2000]} (see {wreck})")
                print(f"FAILED {failures[-1]}", flush=True)
        if time.monotonic() - started > options.seconds:
            break
    met = ", ".join(f"{kind}: {hits[kind]}" for _, _, kind in kinds)
    print(
        f"torture: {kills} kills; of a sync that was at work: {met}; "
        f"{len(failures)} failures, {time.monotonic() - started:.0f} s"
    )
    if not failures:
        shutil.rmtree(base)
    return 1 if failures else 0


def _settle_environment(base: Path) -> None:
    """Nothing of this machine's configuration, and modules that are compiled once."""
    for name in [name for name in os.environ if name.startswith(("GREX_", "GIT_"))]:
        del os.environ[name]
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ |= {
        "HOME": str(base),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "PYTHONPYCACHEPREFIX": str(base / "pycache"),
    }
    for role in ("AUTHOR", "COMMITTER"):
        os.environ |= {f"GIT_{role}_NAME": "Torture", f"GIT_{role}_EMAIL": "torture@example.invalid"}


if __name__ == "__main__":
    sys.exit(main())
