"""Files kept by git-lfs are git's business: what happens with the filter, without it, and with its program missing."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from grex.verbs.fork import ForkRequest, fork
from grex.verbs.over import FetchRequest, SwitchRequest, fetch, switch
from grex.verbs.sync import PackReport
from tests.support.git_server import GitServer, git
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


PROCESS = """\
import sys
i, o = sys.stdin.buffer, sys.stdout.buffer
def packets():
    while (size := int(i.read(4) or b"0000", 16)) > 4:
        yield i.read(size - 4)
def say(*lines):
    for line in lines:
        o.write(b"%04x" % (len(line) + 4) + line)
    o.write(b"0000")
    o.flush()
list(packets())
say(b"git-filter-server\\n", b"version=2\\n")
list(packets())
say(b"capability=clean\\n", b"capability=smudge\\n")
while header := list(packets()):
    data = b"".join(packets())
    pair = (b"version", b"content")
    say(b"status=success\\n")
    say(data.replace(*(pair if header[0] == b"command=smudge\\n" else pair[::-1])))
    say()
"""


def test_a_filter_that_runs_as_a_process_fills_every_checkout_that_grex_makes(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clone, a move to a new commit, a switch to a branch, a fork: each has contents and none has pointers."""
    program, config = tmp_path / "filter.py", tmp_path / "gitconfig"
    program.write_text(PROCESS)
    config.write_text(f'[filter "lfs"]\n\tprocess = {sys.executable} -I {program}\n\trequired = true\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    server = GitServer(tmp_path / "server")
    settings = place.settings(environ=dict(os.environ))

    def is_filled(at: Path, name: str = "x.bin") -> bool:
        return (at / name).read_text().startswith("content") and git(at, "status", "--porcelain") == ""

    assert sync(place).status == "cloned"
    assert is_filled(place / "lib")
    server.commit("lib", {"y.bin": POINTER})
    server.commit("lib", {"z.bin": POINTER}, branch="topic")
    assert sync(place).status == "moved"
    assert is_filled(place / "lib", "y.bin")
    anyio.run(partial(fetch, FetchRequest(root=place.root), settings))
    anyio.run(partial(switch, SwitchRequest(root=place.root, branch="topic"), settings))
    assert is_filled(place / "lib", "z.bin")
    anyio.run(partial(fork, ForkRequest(root=place.root, directory=tmp_path / "fork"), settings))
    assert is_filled(tmp_path / "fork/lib", "z.bin")


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
