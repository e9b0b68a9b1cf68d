"""Archives that strangers made: nothing of them gets out of its directory, and nothing is unpacked without end."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from anyio import to_thread
from conftest import tar_gz
from grex_archive import unpack as unpacking
from grex_archive.unpack import UnsafeArchiveError, unpack

pytestmark = pytest.mark.anyio


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname, found.mode = kind, target, mode
    return found


def tar_of(*members: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for one in members:
            tar.addfile(one, io.BytesIO(b"\0" * one.size))
    return buffer.getvalue()


def zip_of(*entries: tuple[str, int, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        for name, mode, content in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            made.writestr(info, content)
    return buffer.getvalue()


LINK, FILE = stat.S_IFLNK | 0o777, stat.S_IFREG | 0o644
HOSTILE = {
    "absolute": tar_of(member("/evil")),
    "up": tar_of(member("a/../../evil")),
    "up in a zip": zip_of(("../evil", FILE, "x")),
    "a backslash": zip_of(("..\\evil", FILE, "x")),
    "a drive": zip_of(("c:/evil", FILE, "x")),
    "a link to an absolute path": tar_of(member("l", tarfile.SYMTYPE, "/etc")),
    "a link out": tar_of(member("a", tarfile.DIRTYPE), member("a/l", tarfile.SYMTYPE, "../../evil")),
    "a link out of a zip": zip_of(("l", LINK, "../evil")),
    "a chain of links out": tar_of(
        member("a/b", tarfile.DIRTYPE), member("x", tarfile.SYMTYPE, "a/b"), member("y", tarfile.SYMTYPE, "x/../../..")
    ),
    "a file through a link": tar_of(member("l", tarfile.SYMTYPE, "."), member("l/evil")),
    "a file over a link": tar_of(member("l", tarfile.SYMTYPE, "target"), member("l")),
    "a hard link out": tar_of(member("l", tarfile.LNKTYPE, "../evil")),
    "a hard link to nothing": tar_of(member("l", tarfile.LNKTYPE, "absent")),
    "a hard link to a link": tar_of(member("s", tarfile.SYMTYPE, "f"), member("f"), member("l", tarfile.LNKTYPE, "s")),
    "a device": tar_of(member("d", tarfile.CHRTYPE)),
    "a FIFO": tar_of(member("p", tarfile.FIFOTYPE)),
    "a file twice": tar_of(member("f"), member("f")),
    "a directory where a file is": tar_of(member("f"), member("f/g")),
    "no archive": b"<html>not found</html>",
    "cut short": tar_gz({"f": "x" * 100_000})[:60],
    "empty": tar_of(),
}


async def run(content: bytes, directory: Path, *, strip: int = 0) -> Path:
    archive, into = directory / "archive", directory / "in/to"
    archive.write_bytes(content)
    into.mkdir(parents=True)
    await to_thread.run_sync(lambda: unpack(archive, into, strip=strip))
    return into


@pytest.mark.parametrize("what", HOSTILE)
async def test_a_hostile_archive_is_refused_and_writes_nothing_outside(what: str, tmp_path: Path) -> None:
    with pytest.raises(UnsafeArchiveError):
        await run(HOSTILE[what], tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive", "in"]
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["to"]


@pytest.mark.parametrize("content", [tar_gz({"f": "x" * 2000}), zip_of(("f", FILE, "x" * 2000))], ids=["tar", "zip"])
async def test_an_archive_that_becomes_too_large_is_stopped(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "LIMIT_BYTES", 1999)
    with pytest.raises(UnsafeArchiveError, match="more than 1999 bytes"):
        await run(content, tmp_path)


async def test_an_archive_of_too_many_entries_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "LIMIT_ENTRIES", 3)
    with pytest.raises(UnsafeArchiveError, match="more than 3 entries"):
        await run(tar_gz({f"f{number}": "" for number in range(4)}), tmp_path)


async def test_links_inside_and_modes_are_kept_and_privileges_are_not(tmp_path: Path) -> None:
    into = await run(
        tar_of(
            member("top/bin/tool", mode=0o4777),
            member("top/data", mode=0o600),
            member("top/link", tarfile.SYMTYPE, "bin/tool"),
            member("top/same", tarfile.LNKTYPE, "top/data"),
        ),
        tmp_path,
        strip=1,
    )
    assert (into / "link").readlink() == Path("bin/tool")
    modes = {name: stat.S_IMODE((into / name).stat().st_mode) for name in ("bin/tool", "data", "same")}
    assert modes == {"bin/tool": 0o755, "data": 0o600, "same": 0o600}


@pytest.mark.parametrize("make", [tar_gz, lambda files: zip_of(*((name, FILE, text) for name, text in files.items()))])
async def test_both_kinds_of_archive_give_the_same_files(
    make: Callable[[dict[str, str]], bytes], tmp_path: Path
) -> None:
    into = await run(make({"a/b/c": "1", "a/d": "2", "left-out": "3"}), tmp_path, strip=1)
    assert {path.relative_to(into).as_posix() for path in into.rglob("*") if path.is_file()} == {"b/c", "d"}
