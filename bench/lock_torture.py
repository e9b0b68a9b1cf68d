"""Tortures the locks for a while and judges: `python -m bench.lock_torture [--seconds 60] [--seed X]`.

Processes with an asyncio loop, a trio loop and plain threads each take the locks of two workspaces, in the order of
the tiers, while waits are cancelled, processes killed and suspended, lock files renamed, deleted, replaced and swept
by `git clean -fdx`, children outlive their parents, and others lock packs as flock(1) does. What is judged and how:
`tests/support/lock_torture/run.py`. The first finding ends the run; the ground of a run with findings is left where
the message says. What everybody does is drawn from the seed; in which order they come to do it is the machine's.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from grex.locks import Tier
from tests.support.lock_torture.outcome import Outcome
from tests.support.lock_torture.run import Options, torture

_HAPPENINGS = (
    "kills",
    "kills with a child at work",
    "suspensions",
    "delete",
    "rename",
    "replace",
    "git clean",
    "working children",
    "lingering children",
    "forks",
    "hand-overs",
)
_MOST_SHOWN = 20


def main() -> int:
    """Run once; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="how long the disturbances last")
    parser.add_argument("--seed", default=None, help="what is drawn from; another one each time by default")
    parser.add_argument("--workers", type=int, default=4, help="how many processes take locks")
    parser.add_argument(
        "--sweep",
        choices=("guarded", "any"),
        default="guarded",
        help="which lock files are attacked while they are held: those that are protected, or any, which it does not"
        " survive (default: %(default)s)",
    )
    arguments = parser.parse_args()
    seed = arguments.seed or f"{time.time_ns():x}"
    base = Path(tempfile.mkdtemp(prefix="grex-lock-torture-"))
    options = Options(seed=seed, seconds=arguments.seconds, workers=arguments.workers, sweep=arguments.sweep)
    outcome = torture(base, options)
    _show(outcome, seed)
    if outcome.findings:
        print(f"what is left of it: {base}")
        return 1
    shutil.rmtree(base)
    return 0


def _show(outcome: Outcome, seed: str) -> None:
    counts = outcome.counts
    happened = ", ".join(f"{counts[name]} {name}" for name in _HAPPENINGS if counts[name])
    holds = sum(tier.holds for tier in outcome.tiers.values())
    print(
        f"lock torture: seed {seed}: {holds} holds in {outcome.seconds:.0f} s; {happened};"
        f" drained in {counts['drained in ms']} ms; {len(outcome.findings)} findings"
    )
    for finding in outcome.findings[:_MOST_SHOWN]:
        print(f"FOUND {finding}")
    for number, tier in outcome.tiers.items():
        print(
            f"  {Tier(number).name:9} {tier.holds:7} holds, wait p50 {tier.wait_p50_ms:8.2f} ms,"
            f" p99 {tier.wait_p99_ms:8.2f} ms, hold p50 {tier.hold_p50_ms:6.2f} ms, max {tier.hold_max_ms:8.2f} ms"
        )
    served = ", ".join(f"{holds} by worker {slot}" for slot, holds in sorted(outcome.served.items()))
    print(f"  served: {served}")
    print(f"  order: {outcome.order.describe()}")


if __name__ == "__main__":
    sys.exit(main())
