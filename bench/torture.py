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


def main() -> int:
    """Run the rounds; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50, help="how many of each of the four kinds")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end after this time")
    parser.add_argument("--seed", default="torture", help="what the moments are drawn from")
    options = parser.parse_args()
    base = Path(tempfile.mkdtemp(prefix="grex-torture-"))
    _settle_environment(base)
    started = time.monotonic()
    scenarios = [kind(base / kind.__name__) for kind in _KINDS]
    counts: Counter[str] = Counter()
    failures: list[str] = []
    for number in range(options.rounds):
        for crashed in scenarios:
            for manner in _MANNERS:
                if time.monotonic() - started > options.seconds:
                    break
                what = f"{type(crashed).__name__} {manner} {options.seed}-{number}"
                counts["rounds"] += 1
                try:
                    counts["hit"] += kill_once(crashed, manner, what).hit
                except AssertionError as error:
                    wreck = base / f"wreck{len(failures)}"
                    shutil.copytree(crashed.workspace.root, wreck, symlinks=True)
                    failures.append(f"{what}: {str(error)[:2000]} (see {wreck})")
                    print(f"FAILED {failures[-1]}", flush=True)
    elapsed_s = time.monotonic() - started
    print(
        f"torture: {counts['rounds']} kills ({counts['hit']} of them while the sync was at work), "
        f"{len(failures)} failures, {elapsed_s:.0f} s"
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
