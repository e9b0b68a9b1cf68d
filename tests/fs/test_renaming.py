"""Renaming without replacing."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from grex.fs import rename_to_free_name


@pytest.fixture(params=["by the kernel", "by a check"])
def tmp_path(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With and without the call of the kernel."""
    if request.param == "by a check":
        monkeypatch.setattr("grex.fs.renaming._rename_exclusively", lambda *_: errno.EINVAL)
    return tmp_path


def make(path: Path, kind: str) -> Path:
    if kind == "file":
        path.write_text(path.name)
    elif kind == "directory":
        path.mkdir()
    elif kind == "link":
        path.symlink_to("nowhere")
    else:
        os.mkfifo(path)
    return path


@pytest.mark.parametrize("kind", ["file", "directory", "link", "pipe"])
def test_whatever_it_is_it_gets_the_name_and_keeps_its_inode(tmp_path: Path, kind: str) -> None:
    source = make(tmp_path / "a", kind)
    inode = source.lstat().st_ino
    rename_to_free_name(source, tmp_path / "b")
    assert [(path.name, path.lstat().st_ino) for path in tmp_path.iterdir()] == [("b", inode)]


@pytest.mark.parametrize("kind", ["file", "directory", "link", "pipe"])
@pytest.mark.parametrize("moved", ["file", "directory", "link"])
def test_a_name_that_is_taken_is_an_error_and_both_stay(tmp_path: Path, kind: str, moved: str) -> None:
    source, target = make(tmp_path / "a", moved), make(tmp_path / "b", kind)
    inodes = source.lstat().st_ino, target.lstat().st_ino
    with pytest.raises(FileExistsError):
        rename_to_free_name(source, target)
    assert (source.lstat().st_ino, target.lstat().st_ino) == inodes


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        rename_to_free_name(tmp_path / "a", tmp_path / "b")
    assert caught.value.filename == str(tmp_path / "a")
