"""Files kept by git-lfs are git's business: what happens with the filter, without it, and with its program missing."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from grex.verbs.sync import PackReport
from tests.support.git_server import GitServer
from tests.support.place import Place, by_path

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 4\n"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Test")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "test@example.invalid")
    server = GitServer(tmp_path / "server")
    server.create("lib", {".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n", "x.bin": POINTER})
    place = Place(tmp_path / "here")
    place.declare({"url": server.url("lib")})
    return place


def sync(place: Place, **settings: Any) -> PackReport:
    return by_path(anyio.run(partial(place.sync, settings={"environ": dict(os.environ), **settings})))["lib"]


def with_filter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, smudge: str) -> None:
    """As `git lfs install` leaves it, with another program in the place of git-lfs."""
    config = tmp_path / "gitconfig"
    config.write_text(f'[filter "lfs"]\n\tsmudge = {smudge}\n\tclean = sed s/content/version/\n\trequired = true\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))


def test_without_the_filter_there_are_pointers_and_a_note_says_so(place: Place) -> None:
    report = sync(place, environ={**os.environ, "PATH": "/usr/bin:/bin"})
    assert report.status == "cloned"
    assert (place / "lib/x.bin").read_text() == POINTER
    if not any(Path(directory, "git-lfs").exists() for directory in ("/usr/bin", "/bin")):
        (note,) = report.notes
        assert note.startswith("files in it are kept by git-lfs, which is not installed")
        assert sync(place).notes == ()


def test_a_filter_whose_program_is_missing_fails_with_what_to_do(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_filter(tmp_path, monkeypatch, "git-lfs-that-is-not-there smudge -- %f")
    report = sync(place)
    assert report.status == "failed"
    assert report.hint is not None
    assert "Install git-lfs" in report.hint
    assert not (place / "lib").exists()


def test_a_filter_that_is_there_does_its_work_and_the_file_counts_as_unedited(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_filter(tmp_path, monkeypatch, "sed s/version/content/")
    monkeypatch.setenv("GIT_LFS_SKIP_SMUDGE", "1")  # reaches git and its filters
    assert sync(place).status == "cloned"
    assert (place / "lib/x.bin").read_text().startswith("content")
    assert sync(place).notes == ()
