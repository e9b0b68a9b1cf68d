"""Removing and trashing: nothing outside is touched, nothing in the trash is lost."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from grex.fs import UnsafeJoinError, move_to_trash, remove_tree
from tests.support.broken_disk import BrokenDisk
from tests.support.unprivileged import unprivileged_directory


def tree(root: Path) -> Path:
    (root / "a/b").mkdir(parents=True)
    (root / "a/b/file").write_bytes(b"data")
    (root / "a/empty").mkdir()
    (root / "top").write_bytes(b"top")
    return root


def names(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir())


def test_a_tree_a_file_a_link_and_nothing_are_all_removed(tmp_path: Path) -> None:
    tree(tmp_path / "tree")
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "dangling").symlink_to("nowhere")
    os.mkfifo(tmp_path / "fifo")
    for name in ("tree", "file", "dangling", "fifo", "missing"):
        remove_tree(tmp_path / name)
        remove_tree(tmp_path / name)
    assert names(tmp_path) == []


def test_no_symlink_is_followed_inside_or_at_the_top(tmp_path: Path) -> None:
    precious = tree(tmp_path / "precious")
    doomed = tree(tmp_path / "doomed")
    (doomed / "a/out").symlink_to(precious, target_is_directory=True)
    (doomed / "a/file-out").symlink_to(precious / "top")
    (tmp_path / "link").symlink_to(precious, target_is_directory=True)
    remove_tree(doomed)
    remove_tree(tmp_path / "link")
    assert names(tmp_path) == ["precious"]
    assert (precious / "a/b/file").read_bytes() == b"data"


def test_a_directory_that_becomes_a_link_meanwhile_is_an_error_and_not_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    precious = tree(tmp_path / "precious")
    doomed = tree(tmp_path / "doomed")
    real = os.open

    def swap_then_open(path: Path | str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == "a":  # it has been listed as a directory, and is opened now
            (doomed / "a").rename(tmp_path / "moved")
            (doomed / "a").symlink_to(precious)
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", swap_then_open)
    with pytest.raises(OSError, match=r".") as caught:
        remove_tree(doomed)
    assert caught.value.errno in (errno.ELOOP, errno.ENOTDIR)
    assert (precious / "a/b/file").read_bytes() == b"data"


def test_directories_that_their_owner_may_not_write_or_read_are_removed() -> None:
    with unprivileged_directory() as home:
        doomed = tree(home / "doomed")
        (doomed / "a/b/file").chmod(0o444)
        (doomed / "a/b").chmod(0o555)
        (doomed / "a/empty").chmod(0o000)
        (doomed / "a").chmod(0o500)
        doomed.chmod(0o000)
        remove_tree(doomed)
        assert names(home) == []


def test_a_tree_deeper_than_stack_descriptors_and_path_limit_is_removed(tmp_path: Path) -> None:
    depth = 3000
    top = os.open(tmp_path, os.O_RDONLY)
    os.mkdir("deep", dir_fd=top)
    here = os.open("deep", os.O_RDONLY, dir_fd=top)
    for _ in range(depth):
        os.mkdir("d" * 8, dir_fd=here)
        below = os.open("d" * 8, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    os.close(top)
    before = len(list(Path("/proc/self/fd").iterdir()))
    remove_tree(tmp_path / "deep")
    assert names(tmp_path) == []
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_another_file_system_inside_is_not_emptied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    doomed = tree(tmp_path / "doomed")
    mounted = (doomed / "a").stat().st_ino
    real = os.fstat

    def fstat(fd: int) -> os.stat_result:
        status = real(fd)
        if status.st_ino == mounted:
            fields = list(status)
            fields[stat.ST_DEV] += 1
            return os.stat_result(fields)
        return status

    monkeypatch.setattr(os, "fstat", fstat)
    with pytest.raises(OSError, match="another file system is mounted at 'a'"):
        remove_tree(doomed)
    assert (doomed / "a/b/file").read_bytes() == b"data"


@pytest.mark.parametrize("path", ["/", "..", "."])
def test_a_path_without_a_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OSError, match="no name to remove"):
        remove_tree(Path(path))


def test_what_is_moved_to_the_trash_is_there_under_its_label(tmp_path: Path) -> None:
    pack = tree(tmp_path / "libs/a")
    moved = move_to_trash(pack, tmp_path / ".grex/trash", "libs/a")
    assert not pack.exists()
    assert moved.is_relative_to(tmp_path / ".grex/trash")
    assert moved.parts[-2:] == ("libs", "a")
    assert (moved / "a/b/file").read_bytes() == b"data"


def test_the_same_label_twice_in_one_moment_overwrites_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stamps = iter(["now", "now", "now", "later"])
    monkeypatch.setattr("grex.fs.remove.utc_stamp", lambda: next(stamps))
    kept = []
    for data in (b"one", b"two"):
        (tmp_path / "file").write_bytes(data)
        kept.append(move_to_trash(tmp_path / "file", tmp_path / "trash", "file"))
    assert [path.read_bytes() for path in kept] == [b"one", b"two"]


def test_a_link_is_moved_itself(tmp_path: Path) -> None:
    precious = tree(tmp_path / "precious")
    (tmp_path / "pack").symlink_to("precious")
    moved = move_to_trash(tmp_path / "pack", tmp_path / "trash", "pack")
    assert moved.is_symlink()
    assert (precious / "top").read_bytes() == b"top"


def test_something_that_is_not_there_or_a_bad_label_makes_nothing_in_the_trash(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        move_to_trash(tmp_path / "missing", tmp_path / "trash", "missing")
    tree(tmp_path / "pack")
    with pytest.raises(UnsafeJoinError):
        move_to_trash(tmp_path / "pack", tmp_path / "trash", "../out")
    assert names(tmp_path) == ["pack"]


def test_a_read_only_directory_is_moved_and_stays_read_only() -> None:
    with unprivileged_directory() as home:
        pack = tree(home / "pack")
        pack.chmod(0o555)
        moved = move_to_trash(pack, home / "trash", "pack")
        assert stat.S_IMODE(moved.stat().st_mode) == 0o555
        assert not pack.exists()


@pytest.mark.parametrize("kind", ["tree", "file", "link"])
def test_across_file_systems_it_is_copied_flushed_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    pack = tmp_path / "pack"
    if kind == "tree":
        tree(pack)
        (pack / "link").symlink_to("nowhere")
    elif kind == "file":
        pack.write_bytes(b"data")
    else:
        pack.symlink_to("nowhere")
    disk = BrokenDisk(monkeypatch)
    disk.fail("rename", code=errno.EXDEV)
    moved = move_to_trash(pack, tmp_path / "trash", "pack")
    assert not os.path.lexists(pack)
    if kind == "tree":
        assert (moved / "a/b/file").read_bytes() == b"data"
        assert (moved / "link").is_symlink()
        assert disk.calls["fsync"] >= 2 + 4 + 2  # two files, four directories, the way to the trash, the old place
    elif kind == "file":
        assert moved.read_bytes() == b"data"
    else:
        assert moved.readlink() == Path("nowhere")


@pytest.mark.parametrize("failure", ["rename", "fsync"])
def test_a_move_that_fails_leaves_the_original_whole_and_the_trash_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: str
) -> None:
    pack = tree(tmp_path / "pack")
    (tmp_path / "trash").mkdir()
    disk = BrokenDisk(monkeypatch)
    if failure == "rename":
        disk.fail("rename", code=errno.EACCES)
    else:
        disk.fail("rename", code=errno.EXDEV)
        disk.fail("fsync", code=errno.ENOSPC)  # while the copy is made durable
    with pytest.raises(OSError, match=r"denied|No space"):
        move_to_trash(pack, tmp_path / "trash", "libs/pack")
    assert (pack / "a/b/file").read_bytes() == b"data"
    assert names(tmp_path / "trash") == []
