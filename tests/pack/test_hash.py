"""What changes the hash of an install, and what does not."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from grex.errors import PackError
from grex.pack import actions_hash, parse_pack_spec

HEAD = 'schema_version: "1"\nname: a\ntype: declarative\n'
COMMIT = "0" * 40


def hash_of(root: Path, body: str = "actions: [{mkdir: {path: a, b: 1}}]\n", commit: str = COMMIT) -> str:
    return actions_hash(parse_pack_spec((HEAD + body).encode(), file="f", is_root=False), root, commit)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / ".grex/hooks").mkdir(parents=True)
    (tmp_path / ".grex/files/sub").mkdir(parents=True)
    (tmp_path / ".grex/hooks/install").write_bytes(b"#!/bin/sh\n")
    (tmp_path / ".grex/hooks/install").chmod(0o755)
    (tmp_path / ".grex/files/sub/a").write_bytes(b"a")
    (tmp_path / ".grex/files/link").symlink_to("sub/a")
    return tmp_path


def test_the_bytes_are_those_of_the_documented_format(root: Path) -> None:
    lines = [
        b"grex-actions/1\n",
        b'{"actions":[["mkdir",{"b":1,"path":"a"}]],"commit":"' + COMMIT.encode() + b'","teardown":null,',
        b'"type":"declarative"}\n',
        b'[".grex/files/link","link","sub/a"]\n',
        b'[".grex/files/sub/a","file","' + hashlib.sha256(b"a").hexdigest().encode() + b'"]\n',
        b'[".grex/hooks/install","exec","' + hashlib.sha256(b"#!/bin/sh\n").hexdigest().encode() + b'"]\n',
    ]
    assert hash_of(root) == hashlib.sha256(b"".join(lines)).hexdigest()


@pytest.mark.parametrize(
    "body",
    [
        "actions: [{mkdir: {path: a, b: 1.0}}]\n",
        "actions: [{mkdir: {path: a, b: true}}]\n",
        "actions: [{mkdir: {path: a, b: '1'}}]\n",
        "actions: [{mkdir: {path: a}}]\n",
        "actions: [{rmdir: {path: a, b: 1}}]\n",
        "actions: [{mkdir: {path: a, b: 1}}, {mkdir: {path: a, b: 1}}]\n",
        "actions: [{mkdir: {path: a, b: 1}}]\nteardown: []\n",
        "teardown: [{mkdir: {path: a, b: 1}}]\n",
    ],
)
def test_another_declaration_is_another_hash(root: Path, body: str) -> None:
    assert hash_of(root, body) != hash_of(root)


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / ".grex/hooks/install").write_bytes(b"#!/bin/sh \n"),
        lambda root: (root / ".grex/hooks/install").chmod(0o644),
        lambda root: (root / ".grex/files/sub/a").rename(root / ".grex/files/sub/b"),
        lambda root: (root / ".grex/files/new").touch(),
        lambda root: ((root / ".grex/files/link").unlink(), (root / ".grex/files/link").symlink_to("sub")),
        lambda root: ((root / ".grex/files/link").unlink(), (root / ".grex/files/link").write_text("sub/a")),
        lambda root: os.mkfifo(root / ".grex/files/fifo"),
        lambda root: (root / os.fsdecode(b".grex/files/\xff")).touch(),
    ],
)
def test_another_file_mode_or_name_is_another_hash(root: Path, change: Callable[[Path], object]) -> None:
    before = hash_of(root)
    change(root)
    assert hash_of(root) != before
    assert hash_of(root) == hash_of(root)


def test_another_commit_is_another_hash(root: Path) -> None:
    assert hash_of(root, commit="1" * 40) != hash_of(root)


def test_what_an_install_cannot_see_does_not_count(root: Path) -> None:
    before = hash_of(root)
    (root / ".grex/files/empty").mkdir()
    (root / ".grex/files/sub/a").chmod(0o600)
    os.utime(root / ".grex/files/sub/a", (1, 1))
    (root / ".grex/other").touch()
    (root / "outside").touch()
    body = "# comment\nx-a: 1\nversion: b\nactions:\n  - mkdir:\n      b: 0x1\n      path: 'a'\n"
    assert hash_of(root, body) == before


def test_a_pack_without_files_has_a_hash_and_links_are_not_followed(tmp_path: Path) -> None:
    empty = hash_of(tmp_path)
    (tmp_path / ".grex").mkdir()
    assert hash_of(tmp_path) == empty
    (tmp_path / ".grex/files").symlink_to("/")
    assert hash_of(tmp_path) != empty


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_cannot_be_read_is_named(root: Path) -> None:
    (root / ".grex/files/sub/a").chmod(0)
    with pytest.raises(PackError, match=r"\.grex/files/sub/a' cannot be read: Permission denied"):
        hash_of(root)
