"""The lockfile: the same declarations give the same bytes, and nothing broken is half believed."""

from __future__ import annotations

import errno
import json
import os
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from grex.errors import LockfileError, SchemaVersionError
from grex.manifest import LockLine, parse_lockfile, read_lockfile, render_lockfile, write_lockfile
from tests.support.broken_disk import BrokenDisk
from tests.support.holds import FakeHold

HOLD = FakeHold()
SHA = "0123456789abcdef0123456789abcdef01234567"
A = LockLine("libs/a", "https://h/a.git", "main", "main", SHA, "declarative", (".",))
B = LockLine("libs/ü", "git@h:b.git", None, "trunk", SHA, "plain", (".", "libs/a"))
C = LockLine("libs/a/sub", "file:///srv/c", "v1", None, "f" * 64, "meta", ("libs/a",))


def raw(**changed: Any) -> dict[str, Any]:
    value = json.loads(render_lockfile([A]))
    value.update(changed)
    return {key: found for key, found in value.items() if found != "ABSENT"}


def line(value: object) -> bytes:
    return json.dumps(value).encode() + b"\n"


def test_the_bytes_are_fixed() -> None:
    assert render_lockfile([C, A]).decode() == (
        '{"v":1,"path":"libs/a","url":"https://h/a.git","ref":"main","branch":"main",'
        f'"sha":"{SHA}","type":"declarative","parents":["."]}}\n'
        '{"v":1,"path":"libs/a/sub","url":"file:///srv/c","ref":"v1","branch":null,'
        f'"sha":"{"f" * 64}","type":"meta","parents":["libs/a"]}}\n'
    )


def test_no_order_of_packs_or_parents_shows_in_the_bytes() -> None:
    expected = render_lockfile([A, B, C])
    lines = [A, replace(B, parents=("libs/a", ".")), C]
    for seed in range(5):
        random.Random(seed).shuffle(lines)  # noqa: S311 - an order, not a secret
        assert render_lockfile(lines) == expected


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "grex.lock.jsonl"
    assert write_lockfile(path, [B, A, C], hold=HOLD)
    assert dict(read_lockfile(path)) == {"libs/a": A, "libs/a/sub": C, "libs/ü": B}
    assert list(read_lockfile(path)) == ["libs/a", "libs/a/sub", "libs/ü"]


def test_a_lockfile_that_is_not_there_has_no_lines_and_none_is_made_for_no_packs(tmp_path: Path) -> None:
    path = tmp_path / "grex.lock.jsonl"
    assert read_lockfile(path) == {}
    assert not write_lockfile(path, [], hold=HOLD)
    assert not path.exists()


def test_the_last_pack_can_go(tmp_path: Path) -> None:
    path = tmp_path / "grex.lock.jsonl"
    write_lockfile(path, [A], hold=HOLD)
    assert write_lockfile(path, [], hold=HOLD)
    assert path.read_bytes() == b""
    assert read_lockfile(path) == {}


def test_an_unchanged_lockfile_keeps_its_inode_and_times(tmp_path: Path) -> None:
    path = tmp_path / "grex.lock.jsonl"
    write_lockfile(path, [A, B], hold=HOLD)
    os.utime(path, ns=(1, 1))
    before = path.stat()
    assert not write_lockfile(path, [B, A], hold=HOLD)
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_ctime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
        before.st_ctime_ns,
    )


def test_nothing_is_written_without_the_lock(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="only while MANIFEST is held"):
        write_lockfile(tmp_path / "grex.lock.jsonl", [A], hold=FakeHold(active=False))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_keeps_the_old_lockfile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "grex.lock.jsonl"
    write_lockfile(path, [A], hold=HOLD)
    BrokenDisk(monkeypatch).fail("write", code=errno.ENOSPC, accept_bytes=7)
    with pytest.raises(LockfileError, match="the lockfile cannot be written: No space left on device"):
        write_lockfile(path, [A, B], hold=HOLD)
    assert dict(read_lockfile(path)) == {"libs/a": A}
    assert [file.name for file in tmp_path.iterdir()] == ["grex.lock.jsonl"]


def test_a_lockfile_that_is_a_link_is_neither_read_nor_written_through(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(render_lockfile([A]))
    path = tmp_path / "grex.lock.jsonl"
    path.symlink_to("real")
    with pytest.raises(LockfileError, match="cannot be read: it is a symbolic link"):
        read_lockfile(path)
    with pytest.raises(LockfileError, match="cannot be written: it is a symbolic link"):
        write_lockfile(path, [B], hold=HOLD)
    assert (tmp_path / "real").read_bytes() == render_lockfile([A])


def test_line_ends_that_git_converted_and_a_missing_last_one_are_read() -> None:
    data = render_lockfile([A, C])
    expected = parse_lockfile(data, file="f")
    assert parse_lockfile(data.replace(b"\n", b"\r\n"), file="f") == expected
    assert parse_lockfile(data[:-1], file="f") == expected


BAD_LINES: list[tuple[str, bytes, str]] = [
    ("empty line", b"\n", "is empty"),
    ("no JSON", b"path: a\n", "is not JSON (Expecting value at column 1)"),
    ("cut off", render_lockfile([A])[:40], "is not JSON (Unterminated string starting at at column 30)"),
    ("a list", line([1]), "is not a JSON object"),
    ("not UTF-8", b'{"v":"\xff"}\n', "is not UTF-8"),
    ("duplicate key", b'{"v":1,"v":1}\n', "has the key 'v' twice"),
    ("NaN", b'{"v":NaN}\n', "holds NaN, which is not JSON"),
    ("too long", line(raw(url="u" * 70_000)), "is longer than 65536 bytes"),
    ("no version", line({}), "has no 'v'"),
    ("unknown key", line(raw(mood="good")), "has the unknown key 'mood'"),
    ("no path", line(raw(path="ABSENT")), "has no 'path'"),
    ("no branch", line(raw(branch="ABSENT")), "has no 'branch'"),
    ("path no text", line(raw(path=5)), "has a 'path' that is not text"),
    ("url null", line(raw(url=None)), "has a 'url' that is not text"),
    ("ref a number", line(raw(ref=1.5)), "has a 'ref' that is neither text nor null"),
    ("parents no list", line(raw(parents="a")), "has 'parents' that are not a list of text"),
    ("parents of numbers", line(raw(parents=[1])), "has 'parents' that are not a list of text"),
    ("absolute path", line(raw(path="/etc")), "has a 'path' that is absolute: '/etc'"),
    ("path that leaves", line(raw(path="a/../../b")), "has a 'path' that leaves the workspace: 'a/../../b'"),
    ("empty path", line(raw(path="")), "has a 'path' with an empty segment: ''"),
    ("path with a dot", line(raw(path="./a")), "has a 'path' with an empty segment: './a'"),
    (
        "path with an escape",
        line(raw(path="a\x1b[2J")),
        "has a 'path' with a control character or a backslash: 'a\\x1b[2J'",
    ),
    ("path of Windows", line(raw(path="a\\b")), "has a 'path' with a control character or a backslash: 'a\\\\b'"),
    ("parent that leaves", line(raw(parents=["../x"])), "has a parent that leaves the workspace: '../x'"),
    ("short sha", line(raw(sha="abc123")), "has a 'sha' that is not 40 or 64 lower-case hexadecimal digits"),
    ("loud sha", line(raw(sha=SHA.upper())), "has a 'sha' that is not 40 or 64 lower-case hexadecimal digits"),
    (
        "sha of an option",
        line(raw(sha="--upload-pack=x")),
        "has a 'sha' that is not 40 or 64 lower-case hexadecimal digits",
    ),
    ("empty url", line(raw(url="")), "has a 'url' that is empty or holds control characters"),
]


@pytest.mark.parametrize(("data", "reason"), [pytest.param(*case[1:], id=case[0]) for case in BAD_LINES])
def test_a_bad_line_refuses_the_file_with_its_place_and_reason(data: bytes, reason: str) -> None:
    with pytest.raises(LockfileError) as caught:
        parse_lockfile(render_lockfile([C]) + data, file="grex.lock.jsonl")
    assert caught.value.message == f"grex.lock.jsonl:2: the line {reason}"
    assert caught.value.details["line"] == 2
    assert "grex sync" in (caught.value.hint or "")


def test_a_path_that_is_there_twice_names_both_lines() -> None:
    with pytest.raises(LockfileError) as caught:
        parse_lockfile(render_lockfile([A, C]) + render_lockfile([A]), file="f")
    assert caught.value.message == "f:3: the line repeats 'libs/a', which line 1 has"


@pytest.mark.parametrize("version", [2, 0, "1", True, 1.0, [1]])
def test_another_version_is_refused_before_anything_else_is_judged(version: object) -> None:
    with pytest.raises(SchemaVersionError) as caught:
        parse_lockfile(line({"v": version, "what": "ever"}), file="f")
    assert caught.value.message == f"f:1: lockfile version {version!r} is not one that this grex reads"


def test_an_unfinished_merge_of_git_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "grex.lock.jsonl"

    def git(*arguments: str, check: bool = True) -> None:
        subprocess.run(["git", *arguments], cwd=tmp_path, check=check, capture_output=True)

    git("init", "-b", "main")
    for branch, sha in (("main", "0"), ("theirs", "1"), ("ours", "2")):
        git("checkout", "-B", branch, *(["main"] if branch != "main" else []))
        write_lockfile(path, [replace(A, sha=sha * 40), C], hold=HOLD)
        git("add", ".")
        git("commit", "-m", branch)
    git("merge", "theirs", check=False)
    with pytest.raises(LockfileError) as caught:
        read_lockfile(path)
    assert caught.value.message == f"{path}:1: the lockfile holds an unfinished merge"
    assert "Finish the merge" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([A, replace(B, path="libs/a")], "two lines for 'libs/a'"),
        ([replace(A, url="https://user:secret@h/a")], "credentials"),
        ([replace(A, url="https://ghp_secret@h/a")], "credentials"),
        ([replace(A, path="../a")], "leaves the workspace"),
        ([replace(A, sha="HEAD")], "hexadecimal"),
        ([replace(A, type="\ud800")], "surrogates"),
        ([replace(A, url="u" * 70_000)], "limit"),
    ],
)
def test_what_could_not_be_read_back_is_not_written_and_no_secret_is_repeated(
    tmp_path: Path, lines: list[LockLine], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        write_lockfile(tmp_path / "f", lines, hold=HOLD)
    assert "secret" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


segments = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/\\"), min_size=1).filter(
    lambda text: text not in (".", "..")
)
paths = st.lists(segments, min_size=1, max_size=3).map("/".join)
lock_lines = st.builds(
    LockLine,
    path=paths,
    url=st.just("https://h/a"),
    ref=st.none() | st.text(st.characters(codec="utf-8")),
    branch=st.none() | segments,
    sha=st.just(SHA),
    type=segments,
    parents=st.lists(paths | st.just("."), max_size=3).map(lambda found: tuple(sorted(found))),
)


@given(st.lists(lock_lines, max_size=6, unique_by=lambda found: found.path))
def test_any_lines_survive_a_round_trip(lines: list[LockLine]) -> None:
    data = render_lockfile(lines)
    found = parse_lockfile(data, file="f")
    assert dict(found) == {entry.path: entry for entry in lines}
    assert list(found) == sorted(found)
    assert render_lockfile(found.values()) == data


@given(st.binary(max_size=60))
def test_no_bytes_crash_the_reader(data: bytes) -> None:
    try:
        found = parse_lockfile(data, file="f")
    except (LockfileError, SchemaVersionError):
        return
    assert found == {}
