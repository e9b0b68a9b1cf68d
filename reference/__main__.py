"""`python -m reference` writes the generated parts of the reference, `python -m reference man DIR` manual pages."""

from __future__ import annotations

import sys
from pathlib import Path

from reference.manual import write_manual
from reference.pages import write_pages

__all__: list[str] = []


def main(arguments: list[str]) -> int:
    """Do what the arguments say; gives the exit code."""
    if len(arguments) == 2 and arguments[0] == "man":  # noqa: PLR2004 - the word and the directory
        print(f"{len(write_manual(Path(arguments[1])))} manual pages: {arguments[1]}")
        return 0
    if not arguments:
        for path in write_pages():
            print(f"written: {path}")
        return 0
    print("usage: python -m reference [man DIR]", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
