"""Replacing a file: the old bytes or the new ones, whatever happens on the way."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from grex.fs import TEMP_PREFIX, fsync_dir, replace_file, sweep_temporary_files, write_all, write_if_changed
from tests.support.attributes import set_attribute
from tests.support.broken_disk import BrokenDisk, Operation


def names(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir())


def test_a_missing_file_is_created_with_the_mode_that_the_umask_allows(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        replace_file(tmp_path / "file", b"new")
    finally:
        os.umask(before)
    assert (tmp_path / "file").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("mode", [0o600, 0o444, 0o755, 0o664])
def test_an_existing_file_keeps_its_mode(tmp_path: Path, mode: int) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")
    target.chmod(mode)
    replace_file(target, b"new")
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == mode


def test_a_mode_that_is_asked_for_is_set_whatever_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        replace_file(tmp_path / "file", b"new", mode=0o666)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o666


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_a_run_as_root_leaves_a_file_with_its_owner(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")
    os.chown(target, 1234, 4321)
    replace_file(target, b"new")
    assert (target.stat().st_uid, target.stat().st_gid) == (1234, 4321)


def test_a_symlink_is_refused_and_its_target_kept(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(OSError, match="symbolic link") as caught:
        replace_file(tmp_path / "link", b"new")
    assert caught.value.errno == errno.ELOOP
    with pytest.raises(OSError, match="symbolic link"):
        write_if_changed(tmp_path / "link", b"new")
    assert (tmp_path / "real").read_bytes() == b"old"


def test_a_symlink_is_written_through_when_asked(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("elsewhere/real")
    replace_file(tmp_path / "link", b"new", follow=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "elsewhere/real").read_bytes() == b"new"
    assert not write_if_changed(tmp_path / "link", b"new", follow=True)


def test_a_fifo_or_directory_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "directory").mkdir()
    for name in ("fifo", "directory"):
        with pytest.raises(OSError, match="not a regular file"):
            write_if_changed(tmp_path / name, b"new")
    assert names(tmp_path) == ["directory", "fifo"]


@pytest.mark.parametrize("operation", ["write", "fsync", "replace"])
def test_a_failure_on_the_way_keeps_the_old_file_and_no_temporary_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: Operation
) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")
    BrokenDisk(monkeypatch).fail(operation)
    with pytest.raises(OSError, match="No space left"):
        replace_file(target, b"new")
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_a_disk_that_fills_up_in_the_middle_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")
    BrokenDisk(monkeypatch).fail("write", accept_bytes=2)
    with pytest.raises(OSError, match="No space left"):
        replace_file(target, b"much newer")
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_file_and_directory_are_both_flushed_and_the_file_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(fd: int) -> None:
        order.append("directory" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file")
        real_fsync(fd)

    def replace(src: Path, dst: Path) -> None:
        order.append("rename")
        real_replace(src, dst)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    replace_file(tmp_path / "file", b"new")
    assert order == ["file", "rename", "directory"]


def test_a_directory_that_cannot_be_flushed_is_an_error_unless_the_file_system_cannot_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = BrokenDisk(monkeypatch)
    disk.fail("fsync", code=errno.EINVAL)
    fsync_dir(tmp_path)
    disk.fail("fsync", code=errno.EIO)
    with pytest.raises(OSError, match="Input/output error"):
        fsync_dir(tmp_path)


def test_the_temporary_file_is_recognisable_and_beside_the_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    real = os.replace

    def replace(src: Path, dst: Path) -> None:
        seen.extend(names(tmp_path))
        real(src, dst)

    monkeypatch.setattr(os, "replace", replace)
    replace_file(tmp_path / "file", b"new")
    assert [name.startswith(TEMP_PREFIX) for name in seen] == [True]


@pytest.mark.parametrize("mode", [0o4755, 0o2711, 0o1777, 0o6644])
def test_set_user_id_and_sticky_bits_are_there_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    """The kernel takes them away at each write of whoever is not root."""

    def write(fd: int, data: bytes) -> None:
        assert stat.S_IMODE(os.fstat(fd).st_mode) & ~0o777 == 0, "nobody may run it with these rights half written"
        write_all(fd, data)
        os.fchmod(fd, stat.S_IMODE(os.fstat(fd).st_mode) & 0o1777)

    monkeypatch.setattr("grex.fs.atomic.write_all", write)
    replace_file(tmp_path / "file", b"new", mode=mode)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


def test_an_existing_file_keeps_its_extended_attributes(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")
    set_attribute(target, b"mine")
    replace_file(target, b"new")
    assert os.getxattr(target, "user.note") == b"mine"
    replace_file(target, b"newer", mode=0o600)
    assert os.listxattr(target) == [], "with a mode of its own it is a new file"


def test_an_equal_file_is_left_alone_to_the_nanosecond(tmp_path: Path) -> None:
    target = tmp_path / "file"
    assert write_if_changed(target, b"same")
    os.utime(target, ns=(1, 1))
    before = target.stat()
    assert not write_if_changed(target, b"same")
    after = target.stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_ctime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
        before.st_ctime_ns,
    )
    assert write_if_changed(target, b"SAME")
    assert target.read_bytes() == b"SAME"


def test_write_all_goes_on_after_short_writes_and_gives_up_on_empty_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, bytes(data)[:3]))
    replace_file(tmp_path / "file", b"0123456789")
    assert (tmp_path / "file").read_bytes() == b"0123456789"
    monkeypatch.setattr(os, "write", lambda fd, data: 0)
    with pytest.raises(OSError, match="accepted no bytes"):
        write_all(1, b"x")


def test_a_sweep_takes_the_temporary_files_of_the_dead_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / f"{TEMP_PREFIX}dead").write_text("half")
    (tmp_path / f"{TEMP_PREFIX}clone").mkdir()
    (tmp_path / f"{TEMP_PREFIX}link").symlink_to("kept")
    (tmp_path / "kept").write_text("kept")
    sweep_temporary_files(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{TEMP_PREFIX}clone", f"{TEMP_PREFIX}link", "kept"]
    sweep_temporary_files(tmp_path / "missing")


def test_a_file_is_replaced_although_somebody_sweeps_its_temporary_file_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "target"
    target.write_text("old")
    real, sweeps = os.replace, 2

    def swept(source: Path, destination: Path) -> None:
        nonlocal sweeps
        if sweeps:
            sweeps -= 1
            sweep_temporary_files(tmp_path)
        real(source, destination)

    monkeypatch.setattr(os, "replace", swept)
    replace_file(target, b"new")
    assert target.read_bytes() == b"new"
    sweeps = 99
    with pytest.raises(FileNotFoundError):
        replace_file(target, b"newer")
    assert target.read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["target"]
