"""`python -m bench [NAME...] [--rounds N]`."""

from __future__ import annotations

import argparse
import importlib
import tempfile
from pathlib import Path

from bench.ground import prepare_environment

NAMES = ("startup", "noop", "fold", "jobs", "peers", "forks", "mcp", "locks")


def main() -> None:
    """Run what was asked for, each in a directory of its own."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Ratios of one interleaved run.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; all by default")
    parser.add_argument("--rounds", type=int, default=7, help="how often each case runs")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name.partition(".")[0] not in NAMES]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]!r}")
    with tempfile.TemporaryDirectory(prefix="grex-bench-") as directory:
        base = Path(directory)
        prepare_environment(base)
        for name in arguments.names or NAMES:
            (base / name).mkdir()
            importlib.import_module(f"bench.{name}").run(base / name, arguments.rounds)


if __name__ == "__main__":
    main()
