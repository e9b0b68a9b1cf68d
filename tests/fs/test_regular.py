"""Reading only what is a file."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from grex.fs import open_regular, read_regular


def test_the_whole_file_is_read_and_also_an_empty_one(tmp_path: Path) -> None:
    for data in (b"", b"x", b"\r\n" * 100_000):
        (tmp_path / "file").write_bytes(data)
        assert read_regular(tmp_path / "file") == data


def test_links_fifos_and_directories_are_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "fifo")
    found = {}
    for name in ("link", "directory", "fifo", "missing"):
        with pytest.raises(OSError, match=r".") as caught:
            read_regular(tmp_path / name)
        found[name] = caught.value.errno
    assert found == {"link": errno.ELOOP, "directory": errno.EINVAL, "fifo": errno.EINVAL, "missing": errno.ENOENT}


def test_a_refused_descriptor_is_closed(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(10):
        with pytest.raises(OSError, match="not a regular file"):
            open_regular(tmp_path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_file_over_the_limit_is_refused_and_one_at_the_limit_is_not(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 100)
    assert len(read_regular(tmp_path / "file", limit_bytes=100)) == 100
    with pytest.raises(OSError, match="larger than 99 bytes"):
        read_regular(tmp_path / "file", limit_bytes=99)


def test_a_file_that_grows_while_it_is_read_is_read_to_its_new_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"first")
    real = os.read
    grown: list[bool] = []

    def read(fd: int, size: int) -> bytes:
        data = real(fd, size)
        if not grown:
            grown.append(True)
            with file.open("ab") as stream:
                stream.write(b" second")
        return data

    monkeypatch.setattr(os, "read", read)
    assert read_regular(file) == b"first second"
