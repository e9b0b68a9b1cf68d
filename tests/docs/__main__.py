"""`python -m tests.docs PAGE [--write]`: see tests/support/pages.py."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.docs.upstreams import prepare
from tests.support.pages import House, type_page


def main() -> int:
    """Type the pages that are named; 1 if one of them differs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("page", type=Path, nargs="+")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    differ = False
    for path in asked.page:
        with tempfile.TemporaryDirectory() as base, House(Path(base).resolve()) as house:
            prepare(path.stem, house)
            typed = type_page(path, house)
        print("\n".join(typed.differences) or f"{path}: as it says, {typed.commands} commands")
        if asked.write:
            path.write_text(typed.text, encoding="utf-8")
        differ = differ or bool(typed.differences)
    return int(differ)


sys.exit(main())
