"""The index parser agrees with git for every version, and refuses what it does not understand."""

from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grex.git import GitDirs, IndexUnreadableError, find_git_dirs, read_index
from grex.git.index import parse_index
from tests.support.git_server import git


def make(path: Path, *, algorithm: str = "sha1") -> Path:
    git(path, "init", "--quiet", f"--object-format={algorithm}", "--initial-branch=main")
    for name in ("a", "b b", "dir/one", "dir/two", "dir/deeper/three", "ü", "x" * 200, "exec"):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(name)
    (path / "exec").chmod(0o755)
    (path / "link").symlink_to("a")
    git(path, "add", "--all")
    git(path, "commit", "--quiet", "-m", "one")
    return path


def dirs_of(path: Path) -> GitDirs:
    dirs = find_git_dirs(path)
    assert dirs is not None
    return dirs


def staged(path: Path) -> list[tuple[str, str, int, str]]:
    """What git says: mode, id, stage and path of each entry."""
    entries = []
    for line in git(path, "ls-files", "--stage", "-z").split("\0")[:-1]:
        facts, _, name = line.partition("\t")
        mode, oid, stage = facts.split()
        entries.append((mode, oid, int(stage), name))
    return entries


def ours(path: Path) -> list[tuple[str, str, int, str]]:
    return [
        (f"{entry.mode:06o}", entry.oid.hex(), entry.stage, os.fsdecode(entry.path))
        for entry in read_index(dirs_of(path)).entries
    ]


@pytest.mark.parametrize("version", [2, 3, 4])
@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_every_version_and_object_format_reads_as_in_git(tmp_path: Path, version: int, algorithm: str) -> None:
    make(tmp_path, algorithm=algorithm)
    git(tmp_path, "update-index", f"--index-version={version}")
    if version == 3:  # only written when an entry needs it
        (tmp_path / "later").touch()
        git(tmp_path, "add", "--intent-to-add", "later")
        git(tmp_path, "update-index", "--skip-worktree", "a")
    git(tmp_path, "update-index", "--assume-unchanged", "dir/one")
    assert (tmp_path / ".git/index").read_bytes()[4:8] == bytes([0, 0, 0, version])
    assert ours(tmp_path) == staged(tmp_path)
    entries = {entry.path: entry for entry in read_index(dirs_of(tmp_path)).entries}
    assert entries[b"dir/one"].assume_valid
    assert not entries[b"dir/two"].assume_valid
    if version == 3:
        assert entries[b"later"].intent_to_add
        assert entries[b"a"].skip_worktree
    status = (tmp_path / "dir/two").stat()
    two = entries[b"dir/two"]
    assert (two.size, two.mtime_ns, two.ctime_ns, two.ino) == (
        status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino & 0xFFFFFFFF,
    )  # fmt: skip


def test_the_cached_tree_is_the_commits_until_something_is_staged(tmp_path: Path) -> None:
    make(tmp_path)
    tree = git(tmp_path, "rev-parse", "HEAD^{tree}")
    assert read_index(dirs_of(tmp_path)).tree == tree
    (tmp_path / "dir/one").write_text("changed")
    git(tmp_path, "add", "--all")
    assert read_index(dirs_of(tmp_path)).tree is None


def test_conflicts_have_stages(tmp_path: Path) -> None:
    make(tmp_path)
    for branch in ("x", "y"):
        git(tmp_path, "checkout", "--quiet", "-b", branch, "main")
        (tmp_path / "a").write_text(branch)
        git(tmp_path, "commit", "--quiet", "-am", branch)
    git(tmp_path, "merge", "x", check=False)
    assert ours(tmp_path) == staged(tmp_path)
    assert {entry.stage for entry in read_index(dirs_of(tmp_path)).entries if entry.path == b"a"} == {1, 2, 3}


def test_optional_extensions_are_skipped(tmp_path: Path) -> None:
    make(tmp_path)
    git(tmp_path, "config", "core.untrackedCache", "true")
    git(tmp_path, "update-index", "--force-untracked-cache")
    git(tmp_path, "-c", "index.threads=4", "update-index", "--force-write-index")
    git(tmp_path, "status")
    assert ours(tmp_path) == staged(tmp_path)


def test_a_missing_index_is_empty(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    assert read_index(dirs_of(tmp_path)).entries == []


def test_required_extensions_are_left_to_git(tmp_path: Path) -> None:
    make(tmp_path)
    git(tmp_path, "update-index", "--split-index")
    with pytest.raises(IndexUnreadableError, match="link"):
        read_index(dirs_of(tmp_path))


def test_a_sparse_index_is_left_to_git(tmp_path: Path) -> None:
    make(tmp_path)
    git(tmp_path, "sparse-checkout", "set", "--cone", "--sparse-index", "nothing")
    with pytest.raises(IndexUnreadableError, match="sdir"):
        read_index(dirs_of(tmp_path))


def test_an_index_without_checksum_is_read(tmp_path: Path) -> None:
    make(tmp_path)
    index = tmp_path / ".git/index"
    index.write_bytes(index.read_bytes()[:-20] + bytes(20))
    assert len(ours(tmp_path)) == 9


def with_checksum(data: bytes) -> bytes:
    return data + hashlib.sha1(data, usedforsecurity=False).digest()


def test_every_truncation_and_flipped_byte_is_refused(tmp_path: Path) -> None:
    make(tmp_path)
    data = (tmp_path / ".git/index").read_bytes()
    for length in range(0, len(data), 7):
        with pytest.raises(IndexUnreadableError):
            parse_index(data[:length], mtime_ns=0)
    for position in range(0, len(data), 11):
        flipped = bytearray(data)
        flipped[position] ^= 0x10
        with pytest.raises(IndexUnreadableError):
            parse_index(bytes(flipped), mtime_ns=0)


@pytest.mark.parametrize(
    "body",
    [
        struct.pack(">4sII", b"DIRX", 2, 0),
        struct.pack(">4sII", b"DIRC", 5, 0),
        struct.pack(">4sII", b"DIRC", 2, 1),
        struct.pack(">4sII", b"DIRC", 2, 2**32 - 1),
        struct.pack(">4sII", b"DIRC", 2, 0) + b"TREE" + struct.pack(">I", 2**31),
        struct.pack(">4sII", b"DIRC", 2, 0) + b"new!" + struct.pack(">I", 0),
        struct.pack(">4sII", b"DIRC", 2, 0) + b"TR",
        struct.pack(">4sII", b"DIRC", 4, 1) + bytes(60) + struct.pack(">H", 0) + b"\x05x\0",
        struct.pack(">4sII", b"DIRC", 2, 1) + bytes(60) + struct.pack(">H", 0x4000) + b"\0\0x\0",
    ],
)
def test_a_file_that_lies_is_refused_although_its_checksum_fits(body: bytes) -> None:
    with pytest.raises(IndexUnreadableError):
        parse_index(with_checksum(body), mtime_ns=0)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.integers(2, 4), st.integers(0, 3))
def test_random_bytes_are_refused_or_read_but_never_fail_otherwise(noise: bytes, version: int, count: int) -> None:
    data = with_checksum(struct.pack(">4sII", b"DIRC", version, count) + noise)
    try:
        parse_index(data, mtime_ns=0)
    except IndexUnreadableError:
        return
