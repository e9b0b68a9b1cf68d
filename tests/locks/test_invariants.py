"""Neither a promise without a test, nor a test for a promise that nobody gave."""

from __future__ import annotations

import re
from pathlib import Path

from tests.locks.invariants import PROMISES

HERE = Path(__file__).parent
CONCURRENCY = HERE.parents[1] / "docs" / "concurrency.md"


def test_every_promise_is_tested_and_every_tested_promise_is_given() -> None:
    marked = {
        name
        for path in HERE.glob("test_*.py")
        for name in re.findall(r'invariant\("(L\d+)"\)', path.read_text("utf-8"))
    }
    assert marked == set(PROMISES)


def test_the_document_gives_exactly_these_promises() -> None:
    text = CONCURRENCY.read_text("utf-8")
    given = dict(re.findall(r"^\| (L\d+) \| ([^|]+?) \|", text, flags=re.MULTILINE))
    assert given == PROMISES
