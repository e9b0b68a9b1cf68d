"""The managed block: what is the user's stays, byte for byte."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grex.errors import ManifestError
from grex.exclude import ensure_block, escape_pattern, remove_block, workspace_patterns
from grex.exclude.block import _with_block
from tests.support.broken_disk import BrokenDisk

START = "# >>> grex (managed; edits inside are overwritten)\n"
END = "# <<< grex\n"
BLOCK = START + "/a\n/b\n" + END


@pytest.fixture
def exclude(tmp_path: Path) -> Path:
    return tmp_path / "info" / "exclude"


def written(exclude: Path, text: str, *patterns: str) -> str:
    exclude.parent.mkdir(exist_ok=True)
    exclude.write_bytes(text.encode())
    ensure_block(exclude, patterns or ("/a", "/b"))
    return exclude.read_bytes().decode()


def test_a_missing_file_and_its_directory_are_made(exclude: Path) -> None:
    assert ensure_block(exclude, ["/a", "/b"])
    assert exclude.read_text() == BLOCK


def test_a_git_directory_that_is_missing_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="cannot be hidden from git here: No such file"):
        ensure_block(tmp_path / "gone/info/exclude", ["/a"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", BLOCK),
        ("*.o\n", "*.o\n" + BLOCK),
        ("*.o", "*.o\n" + BLOCK),
        ("# mine\n\n  \n", "# mine\n\n  \n" + BLOCK),
        ("*.o\n" + START + "/old\n" + END + "*.a\n", "*.o\n" + BLOCK + "*.a\n"),
        ("*.o\n" + START + END[:-1], "*.o\n" + BLOCK),
        ("# >>> grex (in the words of another version)\n/old\n" + END, BLOCK),
        (BLOCK + "*.o\n" + START + "/old\n" + END + "*.a", BLOCK + "*.o\n*.a"),
        ("*.o\n" + START + "/mine?\n", "*.o\n/mine?\n" + BLOCK),
        (END + "*.o\n", "*.o\n" + BLOCK),
        (START + "/mine?\n" + START + "/old\n" + END, "/mine?\n" + BLOCK),
        (START + "/mine?\n" + START + "/old\n" + END + "mine\n" + END, "/mine?\n" + BLOCK + "mine\n"),
        ("# >>> grexit\n/x\n# <<< grexit\n", "# >>> grexit\n/x\n# <<< grexit\n" + BLOCK),
    ],
)
@pytest.mark.parametrize("eol", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_the_block_is_where_it_was_or_at_the_end_and_all_else_stays(
    exclude: Path, before: str, after: str, eol: str
) -> None:
    if "\n" in before:  # else the file says nothing about the ends of its lines
        after = after.replace("\n", eol)
    assert written(exclude, before.replace("\n", eol)) == after
    os.utime(exclude, ns=(1, 1))
    assert not ensure_block(exclude, ["/a", "/b"])
    assert exclude.stat().st_mtime_ns == 1


def test_bytes_that_are_no_text_stay(exclude: Path) -> None:
    exclude.parent.mkdir()
    exclude.write_bytes(b"\xff\x00\r*.o\n")
    ensure_block(exclude, ["/a", "/b"])
    assert exclude.read_bytes() == b"\xff\x00\r*.o\n" + BLOCK.encode()


def test_removing_is_the_inverse_and_touches_nothing_where_there_is_no_block(exclude: Path) -> None:
    assert not remove_block(exclude)
    assert not exclude.parent.exists()
    assert written(exclude, "*.o\n") != "*.o\n"
    assert remove_block(exclude)
    assert exclude.read_text() == "*.o\n"
    os.utime(exclude, ns=(1, 1))
    assert not remove_block(exclude)
    assert exclude.stat().st_mtime_ns == 1


def test_no_patterns_are_no_block(exclude: Path) -> None:
    assert not ensure_block(exclude, [])
    assert not exclude.exists()
    ensure_block(exclude, ["/a"])
    assert ensure_block(exclude, [])
    assert exclude.read_bytes() == b""


def test_the_mode_stays(exclude: Path) -> None:
    exclude.parent.mkdir()
    exclude.write_bytes(b"*.o\n")
    exclude.chmod(0o664)
    ensure_block(exclude, ["/a"])
    assert stat.S_IMODE(exclude.stat().st_mode) == 0o664


def test_a_link_is_refused_and_a_full_disk_keeps_the_file(exclude: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exclude.parent.mkdir()
    (exclude.parent / "real").write_bytes(b"*.o\n")
    exclude.symlink_to("real")
    with pytest.raises(ManifestError, match="it is a symbolic link"):
        ensure_block(exclude, ["/a"])
    BrokenDisk(monkeypatch).fail("write", accept_bytes=3)
    with pytest.raises(ManifestError, match="No space left"):
        ensure_block(exclude.parent / "real", ["/a"])
    assert (exclude.parent / "real").read_bytes() == b"*.o\n"
    assert sorted(file.name for file in exclude.parent.iterdir()) == ["exclude", "real"]


@pytest.mark.parametrize("pattern", ["", "/a\n/b", "/a\r", "\0"])
def test_a_pattern_that_is_not_one_line_is_refused(exclude: Path, pattern: str) -> None:
    with pytest.raises(ValueError, match="is no pattern"):
        ensure_block(exclude, [pattern])
    assert not exclude.exists()


@pytest.mark.parametrize("path", ["", "/a", "a\nb", "a\0b", "a\r"])
def test_a_path_that_no_pattern_can_say_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="cannot be written as a pattern"):
        escape_pattern(path)


@given(
    st.lists(st.sampled_from([b"*.o\n", b"x\r\n", b"\n", b"y", START.encode(), END.encode(), b"/a\n"]), max_size=8),
    st.booleans(),
)
def test_no_line_of_the_users_is_lost_and_a_second_time_changes_nothing(lines: list[bytes], crlf: bool) -> None:
    data = b"".join(lines)
    if crlf:
        data = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    once = _with_block(data, [b"/a"])
    assert _with_block(once, [b"/a"]) == once
    removed = _with_block(once, [])
    assert _with_block(removed, []) == removed
    # What stands between a start and the first end behind it is ours; all other lines are the user's.
    outside = re.sub(rb"(?m)^# >>> grex \((?:(?!^# >>> grex \()(?!^# <<< grex)[^\0])*^# <<< grex\r?\n", b"", data)
    outside = re.sub(rb"(?m)^(# >>> grex \(|# <<< grex).*\n", b"", outside)
    assert removed.rstrip() == outside.rstrip()


# --- Patterns ----------------------------------------------------------------------------------------------------

ANYWHERE = [".*.grex-backend.lock", ".grex-lock", ".grex-tmp-*"]


def test_the_workspaces_own_repository_hides_its_files_and_the_packs_that_lie_in_no_other(tmp_path: Path) -> None:
    packs = [tmp_path / name for name in ("libs/b", "libs/a", "libs/a/sub", "app", "libs/a-not-in-a", "libs/a")]
    assert workspace_patterns(tmp_path, tmp_path, packs) == tuple(
        sorted(
            [
                *ANYWHERE,
                "/grex.jsonl",
                "/.grex.jsonl.lock",
                "/.grex.sync.lock",
                "/.grex/local.yaml",
                "/.grex/state/",
                "/.grex/store/",
                "/.grex/trash/",
                "/app",
                "/libs/a",
                "/libs/a-not-in-a",
                "/libs/b",
            ]
        )
    )


def test_a_repository_around_the_workspace_hides_them_below_the_workspace(tmp_path: Path) -> None:
    patterns = workspace_patterns(tmp_path, tmp_path / "w [1]", [tmp_path / "w [1]/app"])
    assert "/w \\[1\\]/grex.jsonl" in patterns
    assert "/w \\[1\\]/app" in patterns


def test_a_packs_repository_hides_only_what_lies_in_it(tmp_path: Path) -> None:
    packs = [tmp_path / name for name in ("libs/a", "libs/a/sub", "libs/ab", "app")]
    assert workspace_patterns(tmp_path / "libs/a", tmp_path, packs) == tuple(sorted([*ANYWHERE, "/sub"]))


def test_links_in_the_way_do_not_hide_what_is_where(tmp_path: Path) -> None:
    (tmp_path / "real/libs").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "w").symlink_to("real")
    (tmp_path / "real/libs/linked").symlink_to(tmp_path / "elsewhere")
    packs = [tmp_path / "w/libs/linked", tmp_path / "w/libs/linked/sub"]
    assert "/libs/linked" in workspace_patterns(tmp_path / "real", tmp_path / "w", packs)
    assert workspace_patterns(tmp_path / "elsewhere", tmp_path / "w", packs) == tuple(sorted([*ANYWHERE, "/sub"]))
