"""What git calls to merge: exit 0 and a merged file, or 1 and a file that shows both sides."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from grex.errors import UsageError
from grex.verbs.merge_driver import MergeDriverRequest, merge_driver

pytestmark = pytest.mark.anyio

BASE = 'schema_version: "1"\nname: root\ntype: meta\nchildren:\n  - url: https://host.example/a\n'


def request(tmp_path: Path, base: str, ours: str, theirs: str, path: str) -> MergeDriverRequest:
    files = [tmp_path / name for name in ("base", "ours", "theirs")]
    for file, text in zip(files, (base, ours, theirs), strict=True):
        file.write_text(text)
    return MergeDriverRequest(files[0], files[1], files[2], path)


async def test_what_git_hands_over_is_merged_into_ours(tmp_path: Path) -> None:
    ours, theirs = (f"{BASE}  - url: https://host.example/{name}\n" for name in "bc")
    call = request(tmp_path, BASE, ours, theirs, "deep/.grex/pack.yaml")
    report = await merge_driver(call, os.environ)
    assert report.exit_code == 0
    assert call.ours.read_text() == f"{ours}  - url: https://host.example/c\n"
    assert (call.base.read_text(), call.theirs.read_text()) == (BASE, theirs)


@pytest.mark.parametrize(
    ("path", "ours", "theirs"),
    [
        (".grex/pack.yaml", BASE.replace("root", "one"), BASE.replace("root", "two")),
        ("grex.lock.jsonl", "damaged\n", "otherwise damaged\n"),
    ],
)
async def test_what_cannot_be_merged_shows_both_sides(tmp_path: Path, path: str, ours: str, theirs: str) -> None:
    call = request(tmp_path, BASE, ours, theirs, path)
    report = await merge_driver(call, os.environ)
    assert report.exit_code == 1
    text = call.ours.read_text()
    assert "<<<<<<< ours" in text
    assert ">>>>>>> theirs" in text


async def test_another_file_is_not_touched(tmp_path: Path) -> None:
    call = request(tmp_path, "a", "b", "c", "pack.yaml")
    with pytest.raises(UsageError, match="not a file that grex merges"):
        await merge_driver(call, os.environ)
    assert call.ours.read_text() == "b"
