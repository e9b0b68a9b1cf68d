"""The examples of the format pages are what grex reads and writes."""

from __future__ import annotations

import re
from pathlib import Path

from grex.manifest import (
    KNOWN_OPS,
    fold,
    parse_line,
    parse_lockfile,
    render_line,
    render_lockfile,
)

PAGES = Path(__file__).parents[2] / "docs/reference"


def examples(page: str) -> bytes:
    blocks = re.findall(r"^```jsonl\n(.*?)^```$", (PAGES / page).read_text(), flags=re.DOTALL | re.MULTILINE)
    assert blocks
    return "".join(blocks).encode()


def test_the_lines_of_the_log_page_are_canonical_events() -> None:
    lines = examples("log.md").splitlines(keepends=True)
    events = [parse_line(line, number) for number, line in enumerate(lines, start=1)]
    assert [render_line(event) for event in events] == lines
    assert list(fold(events).removed) == ["libs/a"]


def test_the_log_page_names_every_op_that_the_fold_reads() -> None:
    ops = (PAGES / "log.md").read_text().partition("\n## Ops\n")[2].partition("\n\n`action`")[0]
    cells = [line.split("|")[1] for line in ops.splitlines() if line.startswith("| `")]
    assert set(re.findall(r"`(\w+)`", " ".join(cells))) == KNOWN_OPS


def test_the_lines_of_the_lockfile_page_are_a_canonical_lockfile() -> None:
    data = examples("lockfile.md")
    assert render_lockfile(parse_lockfile(data, file="lockfile.md").values()) == data
